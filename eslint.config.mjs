import js from '@eslint/js';
import tseslint from 'typescript-eslint';

/** Imports point down only: each room names the rooms it may import. What is not named is refused. */
const rooms = {
  math: [],
  image: ['math'],
  model: ['image', 'math'],
  arm: ['math'],
  safety: ['arm', 'math'],
  control: ['safety', 'arm', 'math', 'robot/robot.ts'],
  'robot/sim': ['robot/robot.ts', 'safety', 'arm', 'image', 'math'],
  'robot/messages': ['robot/robot.ts', 'math'],
  'robot/replay': ['robot/messages', 'robot/robot.ts', 'safety', 'arm', 'image', 'math'],
  'robot/ros': ['robot/messages', 'robot/robot.ts', 'safety', 'arm', 'image', 'math'],
  node: [
    'robot/ros',
    'robot/messages',
    'robot/robot.ts',
    'control',
    'safety',
    'arm',
    'image',
    'math',
  ],
  simulator: [
    'robot/sim',
    'robot/ros',
    'robot/messages',
    'robot/robot.ts',
    'safety',
    'arm',
    'math',
  ],
  convert: ['model', 'math'],
  report: ['math'],
  annotate: ['model', 'image', 'math'],
};
const every = [
  'math',
  'image',
  'model',
  'arm',
  'safety',
  'control',
  'robot/sim',
  'robot/messages',
  'robot/replay',
  'robot/ros',
  'convert',
  'report',
  'node',
  'simulator',
  'annotate',
  'bench',
  'commands',
  'main',
];

/** Packages that one file, or one room, alone may import. */
const owned = {
  'onnxruntime-node': ['src/model/session.ts'],
  '@techstark/opencv-js': ['src/image/opencv.ts'],
  '@u4/opencv4nodejs': ['src/image/opencv.ts'],
  sharp: ['src/image/codec.ts'],
  '@mujoco/mujoco': ['src/robot/sim/physics.ts'],
  rclnodejs: ['src/robot/ros/rclnodejs.ts'],
};
const mcap = {
  group: ['@mcap/*', '@foxglove/wasm-zstd'],
  message: 'MCAP lives in src/robot/replay.',
};
const rosmsg = {
  group: ['@foxglove/rosmsg*'],
  message: 'Message definitions live in src/robot/messages.',
};

/** `../model/x.js`, `../../robot/sim/x.js`; between rooms of robot/ also `../sim/x.js`. */
const pathInto = (other, room) => {
  const sibling = other.startsWith('robot/') && room.startsWith('robot/');
  return `^(\\.\\./)+(${other}${sibling ? `|${other.slice('robot/'.length)}` : ''})(/|\\.js)`;
};
const ownedFor = (file) =>
  Object.entries(owned)
    .filter(([, files]) => !files.includes(file))
    .map(([name]) => ({
      group: [name],
      message: `${name} is imported in one place only (eslint.config.mjs).`,
    }));

/** The inference thread's main: wires model and converter, as main.ts wires everything on its thread. */
const workerMain = 'src/model/worker.ts';

const wall = (room, allowed) => ({
  files: [`src/${room}/**/*.ts`],
  ignores: [workerMain],
  rules: {
    'no-restricted-imports': [
      'error',
      {
        patterns: [
          ...every
            .filter((other) => other !== room && !allowed.includes(other))
            .map((other) => ({
              regex: pathInto(other, room),
              message: `${room} may not import ${other} (house rule).`,
            })),
          ...ownedFor(`src/${room}`),
          ...(room === 'robot/replay' ? [] : [mcap]),
          ...(room === 'robot/messages' ? [] : [rosmsg]),
        ],
      },
    ],
  },
});

export default tseslint.config(
  { ignores: ['dist', 'out', 'build', 'install', 'log', 'node_modules', 'models/*/training'] },
  js.configs.recommended,
  {
    files: ['src/**/*.ts', 'test/**/*.ts'],
    extends: [tseslint.configs.strictTypeChecked],
    languageOptions: { parserOptions: { projectService: true } },
    rules: {
      '@typescript-eslint/restrict-template-expressions': [
        'error',
        { allowNumber: true, allowBoolean: true },
      ],
      '@typescript-eslint/no-non-null-assertion': 'off',
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
    },
  },
  {
    // Tests against a real ROS 2 read messages of many types by name; typing them would define each a second time.
    files: ['test/ros/**/*.ts'],
    rules: {
      '@typescript-eslint/no-unsafe-assignment': 'off',
      '@typescript-eslint/no-unsafe-member-access': 'off',
      '@typescript-eslint/no-unsafe-return': 'off',
      '@typescript-eslint/no-unsafe-call': 'off',
      '@typescript-eslint/no-unsafe-argument': 'off',
    },
  },
  ...Object.entries(rooms).map(([room, allowed]) => wall(room, allowed)),
  ...Object.entries(owned).map(([name, files]) => ({
    files,
    rules: {
      'no-restricted-imports': [
        'error',
        { patterns: ownedFor(files[0]).filter((p) => p.group[0] !== name) },
      ],
    },
  })),
  {
    files: ['**/*.mjs'],
    languageOptions: {
      globals: {
        process: 'readonly',
        performance: 'readonly',
        setTimeout: 'readonly',
        setInterval: 'readonly',
        Buffer: 'readonly',
        console: 'readonly',
        globalThis: 'readonly',
        URL: 'readonly',
      },
    },
  },
);
