// Steps of the ROS 2 build that need Node.js: packages | rclnodejs | interfaces PREFIX FILE… | dist. Run by
// cmake/nodeApplication.cmake. Reads the source tree, writes only the application folder of the build tree, and ends with
// an error wherever its result cannot be used. Without network where MAGMA_VLA_NPM_CACHE names a filled npm cache.
import { spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const { MAGMA_VLA_SOURCE: source, MAGMA_VLA_APPLICATION: application } = process.env;
const modules = join(application, 'node_modules');
const rclnodejs = join(modules, 'rclnodejs');
/** In the build tree by themselves: what compiles, and what runs on ROS 2 only. */
const compilers = ['typescript', '@types/node'];
const rclnodejsVersion = '2.2.0';

class BuildError extends Error {}

const readJson = (path) => JSON.parse(readFileSync(path, 'utf8'));
const writeJson = (path, value) => writeFileSync(path, `${JSON.stringify(value, null, 2)}\n`);

/** Runs to the end, output shown; anything but success is an error that says what was run. */
function run(what, command, args, options = {}) {
  const { status, signal, error } = spawnSync(command, args, {
    cwd: application,
    stdio: 'inherit',
    ...options,
    // The Node.js that runs this comes first, for scripts that say only `node`.
    env: {
      ...process.env,
      PATH: `${dirname(process.execPath)}:${process.env.PATH}`,
      ...options.env,
    },
  });
  if (status !== 0)
    throw new BuildError(
      `${what}: ${command} ${args.join(' ')}: ${error ?? signal ?? `ended with ${status}`}`,
    );
}

// ── packages ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** package.json and its lock with what the application needs: its dependencies, rclnodejs, and what compiles it. */
function applicationManifest() {
  const manifest = readJson(join(source, 'package.json'));
  const lock = readJson(join(source, 'package-lock.json'));
  const { devDependencies, optionalDependencies = {}, dependencies } = manifest;
  const pick = (all, names) =>
    Object.fromEntries(names.flatMap((name) => (all[name] ? [[name, all[name]]] : [])));
  const needed = {
    dependencies: { ...dependencies, ...pick(optionalDependencies, ['rclnodejs']) },
    devDependencies: pick(devDependencies, compilers),
  };
  const { name, version, description, license, type, engines, overrides } = manifest;
  const isLocked = lock.packages['node_modules/rclnodejs'] !== undefined;
  if (isLocked) delete lock.packages['node_modules/rclnodejs'].optional;
  lock.packages[''] = { ...lock.packages[''], optionalDependencies: undefined, ...needed };
  return {
    manifest: { name, version, description, license, type, engines, ...needed, overrides },
    lock,
    isLocked,
  };
}

function packages() {
  mkdirSync(application, { recursive: true });
  const { manifest, lock, isLocked } = applicationManifest();
  writeJson(join(application, 'package.json'), manifest);
  writeJson(join(application, 'package-lock.json'), lock);
  cpSync(join(source, '.npmrc'), join(application, '.npmrc'));
  const cache = process.env.MAGMA_VLA_NPM_CACHE;
  if (cache && !existsSync(cache))
    throw new BuildError(
      `MAGMA_VLA_NPM_CACHE: got ${cache}, which is not there, expected a filled npm cache`,
    );
  const flags = ['--no-audit', '--no-fund', ...(cache ? ['--offline', '--cache', cache] : [])];
  const npm = process.env.MAGMA_VLA_NPM;
  run('npm packages', npm, ['ci', ...flags]);
  if (!isLocked)
    run('rclnodejs', npm, [
      'install',
      '--no-save',
      '--no-package-lock',
      ...flags,
      `rclnodejs@${rclnodejsVersion}`,
    ]);
  removeOtherPlatforms();
}

/** onnxruntime-node brings its libraries for every platform, 200 MB that this one cannot use. */
function removeOtherPlatforms() {
  const binaries = join(modules, 'onnxruntime-node', 'bin');
  for (const api of readdirSync(binaries).filter((name) => name.startsWith('napi-'))) {
    for (const platform of readdirSync(join(binaries, api))) {
      const folder = join(binaries, api, platform);
      if (platform !== process.platform) rmSync(folder, { recursive: true });
      else
        for (const arch of readdirSync(folder).filter((name) => name !== process.arch))
          rmSync(join(folder, arch), { recursive: true });
    }
  }
}

// ── rclnodejs ───────────────────────────────────────────────────────────────────────────────────────────────────────

const addon = join(rclnodejs, 'build', 'Release', 'rclnodejs.node');

/**
 * The binary that rclnodejs brings for this Ubuntu and ROS 2, or one that is compiled. Not by its own install script:
 * that one asks the network for `rimraf`, and .npmrc keeps install scripts from running.
 */
function buildRclnodejs() {
  if (!process.env.ROS_DISTRO || !process.env.AMENT_PREFIX_PATH)
    throw new BuildError(
      'rclnodejs: got no ROS_DISTRO and AMENT_PREFIX_PATH, expected a sourced ROS 2',
    );
  const require = createRequire(join(rclnodejs, 'package.json'));
  const { checkPrebuiltBinary } = require('./scripts/install.cjs');
  if (!checkPrebuiltBinary()) compileRclnodejs(require);
  else rmSync(join(rclnodejs, 'build'), { recursive: true, force: true });
}

function compileRclnodejs(require) {
  const prefix = dirname(dirname(process.execPath));
  // Node.js' headers where they are installed; otherwise node-gyp asks nodejs.org for them.
  const nodedir = process.env.npm_config_nodedir ?? prefix;
  const hasHeaders = existsSync(join(nodedir, 'include', 'node', 'node.h'));
  if (!hasHeaders && process.env.MAGMA_VLA_NPM_CACHE)
    throw new BuildError(
      `rclnodejs: got no Node.js headers in ${nodedir}/include/node, expected them where the build has no network ` +
        '(npm_config_nodedir names another prefix)',
    );
  const args = [require.resolve('node-gyp/bin/node-gyp.js'), 'rebuild', '--jobs', 'max'];
  if (hasHeaders) args.push(`--nodedir=${nodedir}`);
  run('rclnodejs', process.execPath, args, { cwd: rclnodejs });
  if (!existsSync(addon))
    throw new BuildError(`rclnodejs: got no ${addon}, expected node-gyp to make it`);
  rmSync(join(rclnodejs, 'build', 'Release', 'obj.target'), { recursive: true, force: true });
}

// ── interfaces ──────────────────────────────────────────────────────────────────────────────────────────────────────

/** What the node cannot do without, beside its own. */
const required = [
  'sensor_msgs/msg/Image',
  'sensor_msgs/msg/CompressedImage',
  'sensor_msgs/msg/CameraInfo',
  'sensor_msgs/msg/JointState',
  'sensor_msgs/msg/Joy',
  'geometry_msgs/msg/PoseStamped',
  'geometry_msgs/msg/TwistStamped',
  'trajectory_msgs/msg/JointTrajectory',
  'control_msgs/action/FollowJointTrajectory',
  'control_msgs/action/GripperCommand',
  'std_msgs/msg/Float64MultiArray',
  'std_msgs/msg/String',
  'std_msgs/msg/Bool',
  'std_srvs/srv/Trigger',
  'std_srvs/srv/SetBool',
  'diagnostic_msgs/msg/DiagnosticArray',
  'visualization_msgs/msg/MarkerArray',
  'rosgraph_msgs/msg/Clock',
  'tf2_msgs/msg/TFMessage',
  'lifecycle_msgs/srv/ChangeState',
  'rcl_interfaces/srv/GetParameters',
];

/** JavaScript of all interfaces, so that no node has to generate any (a blocking write into an install space). */
async function interfaces([prefix, ...own]) {
  if (!prefix)
    throw new BuildError(
      'interfaces: got no prefix, expected the staged interfaces of this package',
    );
  const env = { AMENT_PREFIX_PATH: `${prefix}:${process.env.AMENT_PREFIX_PATH}` };
  run('interfaces', process.execPath, [join(rclnodejs, 'scripts', 'generate_messages.cjs')], {
    env,
  });
  const names = [
    ...own.map((file) => `magma_vla/${file.replace(/\.(msg|srv|action)$/, '')}`),
    ...required,
  ];
  // Looked for before it is loaded: rclnodejs would generate what is missing, or say less.
  const missing = names.filter((name) => {
    const [scope, kind, type] = name.split('/');
    return !existsSync(join(rclnodejs, 'generated', scope, `${scope}__${kind}__${type}.js`));
  });
  if (missing.length > 0)
    throw new BuildError(
      `interfaces: got no JavaScript of ${missing.join(', ')}, expected their packages to be sourced`,
    );
  await checkImport(names);
}

/** In this process: everything rclnodejs and its interfaces load at run time. */
async function checkImport(names) {
  const distro = process.env.ROS_DISTRO;
  try {
    const { default: ros } = await import(pathToFileURL(join(rclnodejs, 'dist', 'index.js')).href);
    for (const name of names) ros.require(name);
  } catch (error) {
    throw new BuildError(
      `rclnodejs: was built for ROS 2 ${distro} but cannot be imported: ${error.stack}`,
    );
  }
  console.log(`magma_vla: rclnodejs can be imported with its interfaces, ROS 2 ${distro}`);
}

// ── dist ────────────────────────────────────────────────────────────────────────────────────────────────────────────

function dist() {
  for (const folder of ['src', 'dist'])
    rmSync(join(application, folder), { recursive: true, force: true });
  for (const name of ['src', 'tsconfig.json', 'tsconfig.build.json'])
    cpSync(join(source, name), join(application, name), { recursive: true });
  run('dist', process.execPath, [
    join(modules, 'typescript', 'bin', 'tsc'),
    '-p',
    'tsconfig.build.json',
  ]);
  // What dist/main.js looks for beside dist, where it runs from the build tree (--symlink-install).
  for (const name of ['config', 'models', 'launch', 'worlds']) {
    const link = join(application, name);
    rmSync(link, { recursive: true, force: true });
    if (existsSync(join(source, name))) symlinkSync(join(source, name), link);
  }
}

const steps = { packages, rclnodejs: buildRclnodejs, interfaces, dist };
const [step, ...args] = process.argv.slice(2);
try {
  if (!(step in steps))
    throw new BuildError(`got ${step}, expected ${Object.keys(steps).join(', ')}`);
  await steps[step](args);
  // rclnodejs keeps handles open.
  process.exit(0);
} catch (error) {
  console.error(
    `\nmagma_vla build: ${error instanceof BuildError ? error.message : error.stack}\n`,
  );
  process.exit(1);
}
