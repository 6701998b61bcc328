/**
 * The real controllers of ros2_control over mock hardware (mock_components/GenericSystem with dynamics): whether they
 * take the stream, and where the arm comes to rest when the sender dies or hangs in mid-motion.
 */
import { existsSync, mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { Child, stopAll } from './child.js';
import { type Fields, type Message, Peer, type PeerSubscription } from './peer.js';
import { JOINTS, robotYaml, run, said, sentences, START, type Step } from './sender.js';

const packages = ['controller_manager', 'joint_trajectory_controller', 'gripper_controllers'];
const index = 'share/ament_index/resource_index/packages';
const prefixes = (process.env['AMENT_PREFIX_PATH'] ?? '').split(':');
const prefixOf = (name: string): string | undefined =>
  prefixes.find((prefix) => existsSync(join(prefix, index, name)));
const missing = packages.filter((name) => prefixOf(name) === undefined);
/** Itself, not `ros2 run`: a signal is to end the program, not what started it. */
const programOf = (name: string, program: string): string =>
  join(prefixOf(name)!, 'lib', name, program);
if (missing.length > 0) console.log(`Skipped: ${missing.join(', ')} not installed.`);
const described = missing.length > 0 ? describe.skip : describe;

const FINGER = 'left_finger_joint';
const command = (name: string, start: number): string => `
  <joint name="${name}">
    <command_interface name="position"/>
    <state_interface name="position"><param name="initial_value">${start}</param></state_interface>
    <state_interface name="velocity"/>
  </joint>`;
const urdf = readFileSync('config/builtin_arm.urdf', 'utf8').replace(
  '</robot>',
  `<ros2_control name="mock" type="system">
  <hardware>
    <plugin>mock_components/GenericSystem</plugin>
    <param name="calculate_dynamics">true</param>
  </hardware>${[...JOINTS.map((name, i) => command(name, START[i]!)), command(FINGER, 0.02)].join('')}
</ros2_control></robot>`,
);

const trajectory = (more: Fields): Fields => ({
  type: 'joint_trajectory_controller/JointTrajectoryController',
  ...{ joints: JOINTS, command_interfaces: ['position'] },
  state_interfaces: ['position', 'velocity'],
  ...more,
});
const controllers: Readonly<Record<string, Fields>> = {
  broadcaster: { type: 'joint_state_broadcaster/JointStateBroadcaster' },
  from_desired: trajectory({ interpolate_from_desired_state: true }),
  from_measured: trajectory({}),
  without_velocity: trajectory({ state_interfaces: ['position'] }),
  forward: {
    ...{ type: 'forward_command_controller/ForwardCommandController', joints: JOINTS },
    interface_name: 'position',
  },
  gripper: { type: 'position_controllers/GripperActionController', joint: FINGER },
  parallel: { type: 'parallel_gripper_action_controller/GripperActionController', joint: FINGER },
};

/** Parameters as ROS 2 reads them from a file; JSON is YAML. */
const parameterFile = (): string => {
  const types = Object.entries(controllers).map(([name, { type }]) => [name, { type }] as const);
  const own = Object.entries(controllers).map(([name, { type, ...rest }]) => {
    expect(typeof type).toBe('string');
    return [name, { ros__parameters: rest }] as const;
  });
  const file = join(mkdtempSync(join(tmpdir(), 'controllers-')), 'controllers.yaml');
  const manager = { ros__parameters: { update_rate: 200, ...Object.fromEntries(types) } };
  writeFileSync(file, JSON.stringify({ controller_manager: manager, ...Object.fromEntries(own) }));
  return file;
};

let peer: Peer;
let states: PeerSubscription;
let file: string;

const switchTo = async (start: readonly string[], stop: readonly string[]): Promise<void> => {
  const request = {
    ...{ activate_controllers: start, deactivate_controllers: stop, strictness: 2 },
    ...{ activate_asap: true, timeout: { sec: 5, nanosec: 0 } },
  };
  const type = 'controller_manager_msgs/srv/SwitchController';
  const { ok } = await peer.call('/controller_manager/switch_controller', type, request, 10_000);
  expect(ok).toBe(true);
};

const arms = ['from_desired', 'from_measured', 'without_velocity', 'forward'];
let active: string | null = null;
/** One controller at a time has the arm. */
const activate = async (name: string): Promise<void> => {
  if (active !== name) await switchTo([name], active === null ? [] : [active]);
  active = name;
};

async function spawn(name: string, ...more: readonly string[]): Promise<void> {
  const spawner = new Child(programOf('controller_manager', 'spawner'), [
    ...[name, '--param-file', file, ...more],
  ]);
  const { code } = await spawner.exited;
  if (code !== 0) throw new Error(`spawner of ${name}: ${spawner.output}`);
}

let manager: Child;
beforeAll(async () => {
  if (missing.length > 0) return;
  peer = await Peer.start();
  file = parameterFile();
  const latched = { durability: 'transientLocal', depth: 1 } as const;
  await peer.publish('/robot_description', 'std_msgs/msg/String', { data: urdf }, latched);
  manager = new Child(programOf('controller_manager', 'ros2_control_node'), [
    ...['--ros-args', '--params-file', file],
  ]);
  await spawn('broadcaster');
  await spawn('gripper');
  for (const name of [...arms, 'parallel']) await spawn(name, '--inactive');
  states = await peer.subscribe('/joint_states', 'sensor_msgs/msg/JointState');
  await states.waitFor(() => true, 10_000);
}, 120_000);
afterEach(async () => {
  for (const child of senders.splice(0)) await child.stop('SIGKILL');
});
afterAll(async () => {
  await stopAll();
  await (peer as Peer | undefined)?.stop();
}, 30_000);

const senders: Child[] = [];
const send = (config: Fields, steps: readonly Step[]): Child => {
  const child = run(config, steps);
  senders.push(child);
  return child;
};
const configOf = (command: Fields, more: Fields = {}): Fields => {
  const base = robotYaml({ command, ...more });
  // Mock hardware follows at once; what is away from its command by this much has not been moved by it.
  return { ...base, guard: { ...(base['guard'] as Fields), trackingError: 0.3, rampIn: 0.1 } };
};
const topicOf = (name: string): Fields => ({
  ...{ type: 'jointTrajectory', topic: `/${name}/joint_trajectory`, controller: `/${name}` },
  leadPeriods: 1.5,
});

/** rad/s: 1.2 rad to and fro in 2 s, at most 1.2 · π / 2 = 1.9 rad/s. */
const swing: Step = ['move', { delta: [1.2, 0, 0, 0, 0, 0, 0], period: 2, seconds: 30 }];
/** s: 1.5 periods of lead and 2 rad/s at 10 rad/s²; a cycle of the controller and transport on top. */
const STATED = 1.5 * 0.02 + 2 / 10;
const TRANSPORT = 0.05;

const joint1 = (message: Message): { readonly q: number; readonly v: number } => {
  const at = message.name.indexOf('joint1');
  return { q: message.position[at], v: message.velocity[at] };
};

/** Stops the sender at full speed. @returns s until the arm rests, and how far it still went. */
async function stoppedBy(
  signal: 'SIGKILL' | 'SIGSTOP',
  child: Child,
): Promise<{ readonly seconds: number; readonly travelled: number }> {
  await said(child, 'open');
  states.clear();
  await states.waitFor((m) => joint1(m).v > 1.6, 20_000);
  child.kill(signal);
  const stoppedNs = process.hrtime.bigint();
  const before = states.messages.length - 1;
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const after = states.messages.slice(before).map(joint1);
  const lastMoving = after.findLastIndex(({ v }) => Math.abs(v) > 0.005);
  expect(lastMoving).toBeLessThan(after.length - 100);
  const restNs = states.atNs[before + lastMoving + 1]!;
  return {
    seconds: Number(restNs - stoppedNs) / 1e9,
    travelled: after.at(-1)!.q - after[0]!.q,
  };
}

described('joint_trajectory_controller', () => {
  test.each(['from_desired', 'from_measured'])(
    '%s: takes the stream and follows it',
    async (name) => {
      await activate(name);
      const delta = [0.5, 0.1, 0, 0, 0, -0.2, 0];
      const child = send(configOf(topicOf(name)), [
        ...([['heard'], ['check'], ['open'], ['move', { delta, period: 2, seconds: 4 }]] as const),
      ]);
      const check = sentences(await said(child, 'check'));
      if (name === 'from_desired') expect(check).toEqual([]);
      else
        expect(check).toEqual([expect.stringMatching(/^refuse: .*interpolate_from_desired_state/)]);
      const { problem, reasons } = await said(child, 'move');
      expect(problem).toBeNull();
      expect(reasons).not.toHaveProperty('trackingError');
      expect(Math.max(...states.messages.map((m) => joint1(m).q))).toBeGreaterThan(0.4);
    },
  );

  test.each([
    ['from_desired', 'SIGKILL'],
    ['from_desired', 'SIGSTOP'],
    ['from_measured', 'SIGKILL'],
    ['from_measured', 'SIGSTOP'],
  ] as const)(
    '%s: %s at full speed brings the arm to rest in the stated time',
    async (name, signal) => {
      await activate(name);
      const child = send(configOf(topicOf(name)), [['heard'], ['check'], ['open'], swing]);
      const { seconds, travelled } = await stoppedBy(signal, child);
      console.log(
        `${name}, ${signal}: at rest after ${(seconds * 1e3).toFixed(0)} ms, ${travelled.toFixed(3)} rad further; stated ${(STATED * 1e3).toFixed(0)} ms`,
      );
      expect(seconds).toBeLessThan(STATED + TRANSPORT);
      // 2 rad/s for the lead and a period, then 2²/(2 · 10) rad of braking.
      expect(travelled).toBeLessThan(2 * (2.5 * 0.02 + TRANSPORT) + 0.2);
    },
  );

  test('is refused where it would begin every trajectory where the arm is measured', async () => {
    await activate('without_velocity');
    const child = send(configOf(topicOf('without_velocity')), [['heard'], ['check']]);
    expect(sentences(await said(child, 'check'))).toEqual([
      expect.stringMatching(/^refuse: \/without_velocity: interpolate_from_desired_state is false/),
    ]);
  });

  test('is refused while it is not active, and for joints it does not have', async () => {
    await activate('from_desired');
    const idle = send(configOf(topicOf('from_measured')), [['heard'], ['check']]);
    expect(sentences(await said(idle, 'check')).at(-1)).toMatch(/^refuse: .*not active/);
    const base = robotYaml({ command: topicOf('from_desired') });
    const { joint7, ...six } = (base['joints'] as { limits: Record<string, Fields> }).limits;
    const joints = { topic: '/joint_states', limits: { ...six, wrist: joint7! } };
    const other = send({ ...base, joints }, [['check']]);
    expect(sentences(await said(other, 'check'))).toContainEqual(
      expect.stringMatching(/^refuse: \/from_desired: .*it refuses trajectories for wrist\.$/),
    );
  });

  test('that is switched off in mid-stream is a halt', async () => {
    await activate('from_desired');
    const endless = ['move', { ...swing[1], untilProblem: true }] as const;
    const child = send(configOf(topicOf('from_desired')), [
      ['heard'],
      ['check'],
      ['open'],
      endless,
    ]);
    await said(child, 'open');
    await new Promise((resolve) => setTimeout(resolve, 700));
    await switchTo([], ['from_desired']);
    active = null;
    expect((await said(child, 'move')).problem).toEqual({
      code: 'outputGone',
      message:
        'The controller no longer publishes /from_desired/controller_state: it does not run.',
    });
  });

  test('takes the stream as goals, each in place of the one before', async () => {
    await activate('from_desired');
    const action = '/from_desired/follow_joint_trajectory';
    const command = { type: 'followJointTrajectory', action, controller: '/from_desired' };
    const delta = [0.5, 0, 0, 0, 0, 0, 0];
    const child = send(configOf(command), [
      ...([['heard'], ['check'], ['open'], ['move', { delta, period: 2, seconds: 2 }]] as const),
      ['problem'],
    ]);
    expect(sentences(await said(child, 'check'))).toEqual([]);
    expect((await said(child, 'move')).problem).toBeNull();
    expect(await said(child, 'problem')).toBeNull();
  });
});

described('forward_command_controller', () => {
  const forward = (joints: readonly string[]): Fields => ({
    ...{ type: 'forwardPosition', topic: '/forward/commands', controller: '/forward', joints },
  });

  test('takes the stream; the arm is at rest as soon as nothing more is sent', async () => {
    await activate('forward');
    const child = send(configOf(forward(JOINTS)), [['heard'], ['check'], ['open'], swing]);
    expect(sentences(await said(child, 'check'))).toEqual([]);
    const { seconds } = await stoppedBy('SIGKILL', child);
    console.log(`forward, SIGKILL: at rest after ${(seconds * 1e3).toFixed(0)} ms`);
    expect(seconds).toBeLessThan(TRANSPORT);
  });

  test('is refused with another order of joints', async () => {
    const child = send(configOf(forward([...JOINTS].reverse())), [['check']]);
    expect(sentences(await said(child, 'check'))).toEqual([
      expect.stringMatching(/^refuse: \/forward: its joints are joint1, .* in this order;/),
    ]);
  });
});

described('the gripper', () => {
  const finger = (): number => {
    const { name, position } = states.messages.at(-1);
    return position[name.indexOf(FINGER)];
  };
  test.each(['gripper', 'parallel'])('%s opens and closes', async (name) => {
    await activate('from_desired');
    if (name === 'parallel') await switchTo(['parallel'], ['gripper']);
    const type = name === 'gripper' ? 'gripperCommand' : 'parallelGripperCommand';
    const gripper = {
      ...{ topic: '/joint_states', joint: FINGER, closed: 0, open: 0.04 },
      command: { type, action: `/${name}/gripper_cmd`, maxEffort: 10 },
    };
    const still = JOINTS.map(() => 0);
    const child = send(configOf(topicOf('from_desired'), { gripper }), [
      ...([['heard'], ['check'], ['open']] as const),
      ['move', { delta: still, seconds: 0.7, gripper: 1 }],
      ['problem'],
      ['received'],
      ['move', { delta: still, seconds: 0.7, gripper: 0 }],
    ]);
    expect(await said(child, 'problem')).toBeNull();
    expect((await said(child, 'received')).gripper.opening).toBeCloseTo(1, 6);
    await said(child, 'move', 2);
    expect(finger()).toBeCloseTo(0, 6);
  });
});

test('nothing of it took the controllers down', () => {
  if (missing.length === 0) expect(manager.isRunning).toBe(true);
});
