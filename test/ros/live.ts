/** The node under test, and a robot that stands still in front of it: drivers that can be ended like any process. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parse, stringify } from 'yaml';
import { World } from '../../src/robot/sim/world.js';
import { type Child, root, spawnNode, stopAll } from './child.js';
import { Peer, type Fields, type Message, type PeerQos, type PeerSubscription } from './peer.js';

export const JOINTS = [1, 2, 3, 4, 5, 6, 7].map((i) => `joint${i}`);
/** Where the arm stands: its home pose (config/sim.yaml), tool above the table. */
export const AT = [0, -0.25, 0, -2.15, 0, 1.9, 0.785];
export const FINGERS = ['left_finger_joint', 'right_finger_joint'];
export const jointType = 'sensor_msgs/msg/JointState';
export const imageType = 'sensor_msgs/msg/Image';
export const NODE = '/magma_vla';

export const bestEffort: PeerQos = { reliability: 'bestEffort', depth: 5 };
export const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));
export const nsOf = (stamp: Message): bigint =>
  BigInt(stamp.sec) * 1_000_000_000n + BigInt(stamp.nanosec);
export const stampOf = (ns: bigint): Fields => ({
  sec: Number(ns / 1_000_000_000n),
  nanosec: Number(ns % 1_000_000_000n),
});
/** The system clock, ns. */
export const systemNs = (): bigint => BigInt(Date.now()) * 1_000_000n;

const folders: string[] = [];

/** A folder of its own, until clearScratch. */
export function scratch(): string {
  const folder = mkdtempSync(join(tmpdir(), 'magma-vla-ros-'));
  folders.push(folder);
  return folder;
}

/** For the last afterAll of a file: nothing is running any more, and nothing is left on the disk. */
export async function clearScratch(): Promise<void> {
  await closeAll();
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
}

/**
 * config/sim.yaml for an arm that nobody simulates, in a file. Top-level sections of `changes` replace those of the
 * file, undefined removes one, and those of `guard` are merged. Ages have room for a busy machine.
 */
export function robotFile(changes: Readonly<Record<string, unknown>> = {}): string {
  const base = simulated();
  const folder = scratch();
  const config: Record<string, unknown> = {
    ...base,
    description: { ...base['description'], urdf: join(root, 'config/builtin_arm.urdf') },
    gripper: { ...base['gripper'], command: undefined },
    command: { type: 'jointTrajectory', topic: '/commands' },
    outcome: undefined,
    blackBox: { seconds: 2, folder },
    ...changes,
    guard: {
      ...base['guard'],
      // The arm stands still, whatever it is told.
      ...{ maxJointAge: 0.25, maxObservationAge: 0.8, watchdog: 0.25, trackingError: 1 },
      ...(changes['guard'] as object | undefined),
    },
  };
  const path = join(folder, 'robot.yaml');
  writeFileSync(path, stringify(JSON.parse(JSON.stringify(config))));
  return path;
}

/** config/sim.yaml for the simulation itself, in a file: ages have room for a busy machine, black boxes go elsewhere. */
export function simulationFile(changes: Readonly<Record<string, unknown>> = {}): string {
  const base = simulated();
  const folder = scratch();
  const path = join(folder, 'robot.yaml');
  const urdf = join(root, 'config/builtin_arm.urdf');
  const config = {
    ...base,
    description: { ...base['description'], urdf },
    blackBox: { seconds: 2, folder },
    guard: { ...base['guard'], maxJointAge: 0.5, maxObservationAge: 1, watchdog: 0.5 },
    ...changes,
  };
  writeFileSync(path, stringify(config));
  return path;
}

/** config/sim.yaml as it stands. */
export function simulated(): Readonly<Record<string, Fields>> {
  return parse(readFileSync(join(root, 'config/sim.yaml'), 'utf8')) as Record<string, Fields>;
}

export const jointState = (changes: Fields = {}): Fields => ({
  name: [...JOINTS, ...FINGERS],
  position: [...AT, 0.04, 0.04],
  velocity: new Array<number>(9).fill(0),
  effort: [],
  ...changes,
});

/** A grey picture. */
export const image = (width: number, height: number, changes: Fields = {}): Fields => ({
  header: { stamp: { sec: 0, nanosec: 0 }, frame_id: 'front_optical' },
  ...{ height, width, encoding: 'rgb8', is_bigendian: 0, step: 3 * width },
  data: Buffer.alloc(3 * width * height, 127),
  ...changes,
});

let rendered: Promise<Buffer> | null = null;

/** What the built-in simulation's camera sees of a scene with a red block: nano moves for it. 128 × 128 px. */
async function scene(): Promise<Fields> {
  rendered ??= (async () => {
    const urdf = readFileSync('config/builtin_arm.urdf', 'utf8');
    const world = await World.create({ urdf, camera: { height: 128, width: 128 } });
    let seed = 1;
    do world.reset(seed++);
    while (!world.blocks.includes('red'));
    const { data } = world.render();
    world.close();
    return Buffer.from(data);
  })();
  return image(128, 128, { data: await rendered });
}

const open = new Set<Driver | Live>();

/** For afterEach and afterAll: whatever a test has left running, it ends here. */
export async function closeAll(): Promise<void> {
  await Promise.all([...open].map((one) => one.die()));
  await stopAll();
}

/** One driver process: publishes one topic at a steady rate, stamped now, until it is killed. */
export class Driver {
  readonly peer: Peer;
  private halt: (() => Promise<void>) | null = null;

  static async joints(message: Fields = jointState(), hz = 100): Promise<Driver> {
    const driver = new Driver(await Peer.start({ name: 'arm_driver' }));
    await driver.play('/joint_states', jointType, message, hz);
    return driver;
  }

  static async camera(hz = 5): Promise<Driver> {
    const driver = new Driver(await Peer.start({ name: 'camera_driver' }));
    await driver.play('/front/image_raw', imageType, await scene(), hz, { qos: bestEffort });
    return driver;
  }

  private constructor(peer: Peer) {
    this.peer = peer;
    open.add(this);
  }

  /** In place of what it has published so far, without a gap. `stamp`: of now, or as the message has it. */
  async play(
    topic: string,
    type: string,
    message: Fields,
    hz: number,
    { qos, stamp = 'now' }: { readonly qos?: PeerQos; readonly stamp?: 'now' | 'given' } = {},
  ): Promise<void> {
    const before = this.halt;
    this.halt = await this.peer.publishRate(topic, type, message, hz, {
      ...(stamp === 'now' ? { stamp } : {}),
      ...(qos ? { qos } : {}),
    });
    await before?.();
  }

  /** Silent from now on; the process lives. */
  async pause(): Promise<void> {
    await this.halt?.();
    this.halt = null;
  }

  /** Its process ends without a word to anybody. */
  die(): Promise<void> {
    open.delete(this);
    return this.peer.stop();
  }
}

/** The node under test with an operator's view of it. */
export class Live {
  readonly node: Child;
  readonly operator: Peer;
  readonly status: PeerSubscription;
  readonly diagnostics: PeerSubscription;

  /** The node is configured, and not active. */
  static async configured(
    config: string,
    parameters: Readonly<Record<string, string>> = {},
  ): Promise<Live> {
    const given = { config_file: config, dry_run: 'false', trace_period: '0.0', ...parameters };
    const node = spawnNode([
      ...['run', '--ros-args'],
      ...Object.entries(given).flatMap(([name, value]) => ['-p', `${name}:=${value}`]),
    ]);
    const operator = await Peer.start({ name: 'operator' });
    await operator.waitForNode(NODE, 30_000);
    const live = new Live(
      node,
      operator,
      await operator.subscribe(`${NODE}/status`, 'magma_vla/msg/Status', { depth: 200 }),
      await operator.subscribe('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray'),
    );
    await operator.subscribe('/commands', 'trajectory_msgs/msg/JointTrajectory', undefined, {
      keep: 'count',
    });
    if (!(await operator.changeState(NODE, 'configure', 120_000)))
      throw new Error(`not configured:\n${node.output}`);
    return live;
  }

  private constructor(
    node: Child,
    operator: Peer,
    status: PeerSubscription,
    diagnostics: PeerSubscription,
  ) {
    this.node = node;
    this.operator = operator;
    this.status = status;
    this.diagnostics = diagnostics;
    open.add(this);
  }

  /** Asks again until its inputs are there: discovery takes its time. */
  async activate(ms = 20_000): Promise<void> {
    const deadline = performance.now() + ms;
    while (!(await this.operator.changeState(NODE, 'activate'))) {
      if (performance.now() > deadline) throw new Error(`not active:\n${this.node.output}`);
      await sleep(250);
    }
    await this.inState('holding');
  }

  inState(state: string, ms = 5000): Promise<Message> {
    this.status.clear();
    return this.status.waitFor((message) => message.state === state, ms);
  }

  /** The next status with this reason. */
  reason(code: string, ms = 5000): Promise<Message> {
    return this.status.waitFor((message) => message.codes.includes(code), ms);
  }

  /** Null where the service succeeded, else its sentence. */
  async ask(service: 'stop' | 'rearm' | 'go_home'): Promise<string | null> {
    const answer = await this.operator.call(`${NODE}/${service}`, 'std_srvs/srv/Trigger', {});
    return answer.success ? null : answer.message;
  }

  /** Re-arms as soon as the node agrees. */
  async rearm(ms = 10_000): Promise<void> {
    const deadline = performance.now() + ms;
    for (;;) {
      const refused = await this.ask('rearm');
      if (refused === null) break;
      if (performance.now() > deadline) throw new Error(`not re-armed: ${refused}`);
      await sleep(100);
    }
    await this.inState('holding');
  }

  /** A part's status from the diagnostics that come after this call; the first that `test` likes. */
  async diagnosed(
    part: string,
    test: (status: Diagnosed) => boolean = () => true,
    ms = 6000,
  ): Promise<Diagnosed> {
    this.diagnostics.clear();
    let found: Diagnosed | null = null;
    await this.diagnostics.waitFor((message) => {
      const status = message.status.find((s: Message) => s.name === `magma_vla: ${part}`);
      if (!status) return false;
      const values = Object.fromEntries(status.values.map((v: Message) => [v.key, v.value]));
      found = { level: status.level, message: status.message, values };
      return test(found);
    }, ms);
    return found!;
  }

  /** The operator leaves, and the node is killed. */
  async die(): Promise<void> {
    open.delete(this);
    await Promise.all([this.operator.stop(), this.node.stop('SIGKILL')]);
  }
}

export interface Diagnosed {
  /** 0 ok, 1 warn, 2 error, 3 stale; bytes come as numbers or one-byte buffers. */
  readonly level: unknown;
  readonly message: string;
  readonly values: Readonly<Record<string, string>>;
}
