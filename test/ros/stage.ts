/**
 * A stage for tests of the whole node: the built-in simulation, the magma_vla node and an independent observer, each a
 * process of its own. What the arm did is judged by the simulation's joint states, in the robot's own time (their
 * stamps), so that a slow machine does not change a figure; what the node sent, by the trajectories that the observer
 * received.
 */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { parse, stringify } from 'yaml';
import { Child, type ExitOf, root, stopAll } from './child.js';
import { type Fields, type Message, Peer, type PeerGoal, type PeerSubscription } from './peer.js';

export const TRAJECTORY = 'trajectory_msgs/msg/JointTrajectory';
export const STRING = 'std_msgs/msg/String';
const EXECUTE = 'magma_vla/action/ExecuteInstruction';
const TRIGGER = 'std_srvs/srv/Trigger';

export const JOINTS = [1, 2, 3, 4, 5, 6, 7].map((i) => `joint${i}`);
/** Result codes of ExecuteInstruction.action. */
export const OUTCOME = {
  succeeded: 0,
  failed: 1,
  timeLimit: 2,
  canceled: 3,
  preempted: 4,
  stopped: 5,
} as const;

/** rad/s: below this a simulated arm rests; its servos creep for a moment after a stop. */
export const REST = 0.03;
/** rad/s: faster than this, it moves. */
export const MOVING = 0.3;

/** config/sim.yaml: control period and how long a trajectory goes on before it brakes, s; rad/s² and rad/s³. */
const period = 1 / 50;
const lead = 1.5 * period;
const limits = { acceleration: 20, jerk: 4000 };
/** s: servos follow, messages travel, a joint state comes every 10 ms. Nothing of it is the node's. */
const TRANSPORT = 0.08;

/** s within which an arm as fast as `speed`, rad/s, rests once it was decided; `ticks`: that the decision may take. */
export const restsWithin = (speed: number, ticks: number): number =>
  ticks * period +
  lead +
  speed / limits.acceleration +
  limits.acceleration / limits.jerk +
  TRANSPORT;

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));
export const stampOf = (message: Message): bigint =>
  BigInt(message.header.stamp.sec) * 1_000_000_000n + BigInt(message.header.stamp.nanosec);
/** The fastest arm joint of a JointState, rad/s. */
export const fastest = (state: Message): number =>
  Math.max(...state.velocity.slice(0, JOINTS.length).map(Math.abs));
export const positions = (state: Message): readonly number[] =>
  state.position.slice(0, JOINTS.length);
export const farthest = (a: readonly number[], b: readonly number[]): number =>
  Math.max(...a.map((q, i) => Math.abs(q - b[i]!)));

export interface Answer {
  readonly success: boolean;
  readonly message: string;
}

export interface StageOptions {
  /** Absolute: `/left`. Everything, /clock included, is inside it, and robot.yaml's names are relative. */
  readonly namespace?: string;
  /** What robot.yaml says instead of config/sim.yaml; of `guard`, key by key. */
  readonly robot?: Fields;
  /** Of the simulation's first scene. */
  readonly seed?: number;
}

export interface NodeOptions {
  readonly parameters?: Readonly<Record<string, string | number | boolean>>;
  /** Configured and active when the call returns. Default: active. */
  readonly until?: 'started' | 'active';
}

export class Stage {
  readonly peer: Peer;
  readonly folder: string;
  readonly configFile: string;
  readonly states: PeerSubscription;
  readonly commands: PeerSubscription;
  readonly status: PeerSubscription;
  readonly namespace: string;
  simulator: Child;
  /** Of the latest `startNode`. */
  node!: Child;
  readonly #seed: number;
  readonly #nodes: Child[] = [];

  static async open(options: StageOptions = {}): Promise<Stage> {
    const namespace = options.namespace ?? '';
    const folder = mkdtempSync(join(tmpdir(), 'magma_vla_stage_'));
    const configFile = join(folder, 'robot.yaml');
    writeFileSync(configFile, robotYaml(folder, namespace, options.robot ?? {}));
    const simulator = simulation(configFile, namespace, options.seed ?? 7);
    const peer = await Peer.start({ name: `observer${namespace.replace('/', '_')}` });
    const states = `${namespace}/joint_states`;
    await peer.waitForPublisher(states, 60_000);
    const stage = new Stage({
      ...{ peer, folder, configFile, simulator, namespace, seed: options.seed ?? 7 },
      states: await peer.subscribe(states, 'sensor_msgs/msg/JointState', { depth: 500 }),
      commands: await peer.subscribe(`${namespace}/arm_controller/joint_trajectory`, TRAJECTORY, {
        depth: 500,
      }),
      status: await peer.subscribe(`${namespace}/magma_vla/status`, 'magma_vla/msg/Status', {
        depth: 500,
      }),
    });
    await stage.states.next(10_000);
    return stage;
  }

  private constructor(
    parts: Pick<
      Stage,
      | 'peer'
      | 'folder'
      | 'configFile'
      | 'simulator'
      | 'namespace'
      | 'states'
      | 'commands'
      | 'status'
    > & { readonly seed: number },
  ) {
    ({
      peer: this.peer,
      folder: this.folder,
      configFile: this.configFile,
      simulator: this.simulator,
      namespace: this.namespace,
      states: this.states,
      commands: this.commands,
      status: this.status,
    } = parts);
    this.#seed = parts.seed;
  }

  /** Another robot.yaml beside the stage's own. @returns its path */
  robotFile(name: string, more: Fields): string {
    const path = join(this.folder, `${name}.yaml`);
    writeFileSync(path, robotYaml(this.folder, this.namespace, more));
    return path;
  }

  get blackBox(): string {
    return join(this.folder, 'black_box');
  }

  /** Full name of the node under test. */
  get name(): string {
    return `${this.namespace}/magma_vla`;
  }

  /** What the processes have said stays in the folder, for whoever looks for why a test failed. */
  async close(): Promise<void> {
    await this.peer.stop();
    await stopAll();
    writeFileSync(join(this.folder, 'simulator.log'), this.simulator.output);
    this.#nodes.forEach((node, i) => {
      writeFileSync(join(this.folder, `node${i}.log`), node.output);
    });
  }

  // ── Processes ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async startNode({ parameters = {}, until = 'active' }: NodeOptions = {}): Promise<Child> {
    const given = {
      config_file: this.configFile,
      use_sim_time: true,
      dry_run: false,
      autostart: until === 'active',
      ...parameters,
    };
    const args = Object.entries(given).flatMap(([name, value]) => ['-p', `${name}:=${value}`]);
    this.status.clear();
    this.node = urgent(['run', '--ros-args', ...inNamespace(this.namespace), ...args]);
    this.#nodes.push(this.node);
    await this.peer.waitForNode(this.name, 60_000);
    const wanted = until === 'active' ? 'holding' : 'unconfigured';
    await this.status.waitFor(({ state }) => state === wanted, 90_000);
    // Its services and actions hear of their clients a little after these hear of them: an early answer would be lost.
    await pause(1000);
    return this.node;
  }

  /** Ends the node under test as an operator does; by force where it hangs. */
  async stopNode(): Promise<ExitOf> {
    return this.node.stop('SIGINT', 20_000);
  }

  /** As if the robot's drivers had gone. */
  async stopSimulator(): Promise<void> {
    await this.simulator.stop('SIGKILL');
  }

  async startSimulator(): Promise<void> {
    this.simulator = simulation(this.configFile, this.namespace, this.#seed);
    await this.states.next(60_000);
  }

  // ── What can be asked ─────────────────────────────────────────────────────────────────────────────────────────────

  trigger(service: 'stop' | 'rearm' | 'go_home', ms = 20_000): Promise<Answer> {
    return this.peer.call(`${this.name}/${service}`, TRIGGER, {}, ms) as Promise<Answer>;
  }

  takeover(data: boolean, ms = 20_000): Promise<Answer> {
    const type = 'std_srvs/srv/SetBool';
    return this.peer.call(`${this.name}/set_takeover`, type, { data }, ms) as Promise<Answer>;
  }

  change(transition: string): Promise<boolean> {
    return this.peer.changeState(this.name, transition, 60_000);
  }

  goal(instruction: string, seconds = 0): Promise<PeerGoal> {
    const time_limit = { sec: Math.floor(seconds), nanosec: Math.round((seconds % 1) * 1e9) };
    return this.peer.sendGoal(
      `${this.name}/execute_instruction`,
      EXECUTE,
      { instruction, time_limit },
      20_000,
    );
  }

  async instruct(data: string): Promise<void> {
    const topic = `${this.name}/instruction`;
    await this.peer.advertise(topic, STRING);
    await this.peer.waitForSubscriber(topic, 10_000);
    await pause(200);
    await this.peer.publish(topic, STRING, { data });
  }

  /**
   * A new scene, for which the arm is let go and taken up again.
   *
   * @returns the task in words
   */
  async scene(seed: number, family: 'pick' | 'put' | 'push' = 'pick'): Promise<string> {
    const let_go = await this.takeover(true);
    if (!let_go.success) throw new Error(`takeover: ${let_go.message}`);
    const { instruction } = await this.reset(seed, family);
    await pause(300);
    // A picture of the new scene may be 0.2 s away.
    for (let tries = 0; ; tries++) {
      const taken = await this.takeover(false);
      if (taken.success) return instruction;
      if (tries === 10) throw new Error(`taking up: ${taken.message}`);
      await pause(300);
    }
  }

  async reset(seed: number, family: string): Promise<Message> {
    const type = 'magma_vla/srv/ResetScene';
    const answer = await this.peer.call(
      `${this.namespace}/simulator/reset`,
      type,
      { seed, family },
      20_000,
    );
    if (answer.success !== true) throw new Error(`reset: ${answer.message}`);
    return answer;
  }

  // ── What is seen ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** The latest joint state. */
  get state(): Message {
    return this.states.messages.at(-1);
  }

  get arm(): readonly number[] {
    return positions(this.state);
  }

  /** Forgets what was seen so far. */
  forget(): void {
    for (const seen of [this.states, this.commands, this.status]) seen.clear();
  }

  /** Resolves once the arm moves at `speed` or more, rad/s. @returns the moment's state */
  moving(speed = MOVING, ms = 20_000): Promise<Message> {
    const from = this.states.messages.length;
    return this.states.waitFor(
      // What was seen before the call does not count.
      (state) => fastest(state) >= speed && this.states.messages.lastIndexOf(state) >= from,
      ms,
    );
  }

  /**
   * Seconds of the robot's time from the moment `sinceMs` (Date.now()) until the arm came to rest for good, as far as it
   * was watched; and the fastest it was after that moment. What is measured: joint states that the simulation sent after
   * the moment.
   */
  restAfter(sinceMs: number): { readonly seconds: number; readonly fastest: number } {
    const sinceNs = BigInt(Math.round(sinceMs * 1e6));
    const first = this.states.sentNs.findIndex((sent) => sent >= sinceNs);
    const after = first < 0 ? [] : this.states.messages.slice(Math.max(0, first - 1));
    if (after.length < 20) throw new Error(`${after.length} joint states since then`);
    const last = after.findLastIndex((state) => fastest(state) > REST);
    if (last === after.length - 1) throw new Error('the arm has not come to rest');
    return {
      seconds: last < 0 ? 0 : Number(stampOf(after[last]) - stampOf(after[0])) / 1e9,
      fastest: Math.max(...after.map(fastest)),
    };
  }

  /** System time, ns, at which the node logged what matches first from `from` characters of its output on. */
  async logged(pattern: RegExp, from = 0, ms = 10_000): Promise<bigint> {
    const line = new RegExp(`\\[(\\d+)\\.(\\d{9})\\] \\[[^\\]]*\\]: [^\\n]*(?:${pattern.source})`);
    const [, seconds, ns] = await this.node.waitForOutput(line, ms, from);
    return BigInt(seconds!) * 1_000_000_000n + BigInt(ns!);
  }

  /**
   * The fastest that the arm was from a moment on, system time in ns, for 0.3 s: what was true when something was
   * answered. By what the simulation had measured last before the moment, and everything after it.
   */
  async speedFrom(ns: bigint): Promise<number> {
    const until = ns + 300_000_000n;
    await this.states.waitFor(() => (this.states.sentNs.at(-1) ?? 0n) >= until, 5000);
    const first = this.states.sentNs.findIndex((sent) => sent >= ns);
    const last = this.states.sentNs.findIndex((sent) => sent >= until);
    const seen = this.states.messages.slice(Math.max(0, first - 1), last + 1);
    if (seen.length < 10) throw new Error(`${seen.length} joint states in 0.3 s`);
    return Math.max(...seen.map(fastest));
  }

  /** Watches for `ms`. @returns the fastest that the arm was, rad/s, and how many commands came */
  async watch(ms: number): Promise<{ readonly fastest: number; readonly commands: number }> {
    const [states, commands] = [this.states.messages.length, this.commands.messages.length];
    await pause(ms);
    const seen = this.states.messages.slice(states);
    if (seen.length < 10) throw new Error(`${seen.length} joint states in ${ms} ms`);
    return {
      fastest: Math.max(...seen.map(fastest)),
      commands: this.commands.messages.length - commands,
    };
  }
}

/**
 * With more right to the processor than the tests around it, where this user may give that; `nice` runs the command
 * anyway where not.
 */
function urgent(args: readonly string[]): Child {
  return new Child('nice', ['-n', '-15', process.execPath, 'dist/main.js', ...args]);
}

function simulation(configFile: string, namespace: string, seed: number): Child {
  const where = inNamespace(namespace);
  const args = ['simulator', '--config', configFile, '--seed', String(seed), '--family', 'pick'];
  return urgent([...args, ...(where.length > 0 ? ['--ros-args', ...where] : [])]);
}

function inNamespace(namespace: string): readonly string[] {
  if (namespace === '') return [];
  const shared = ['/clock', '/tf', '/tf_static'].flatMap((n) => ['-r', `${n}:=${namespace}${n}`]);
  return ['-r', `__ns:=${namespace}`, ...shared];
}

/**
 * What tells a broken robot from a good one within a tenth of a second, and takes a busy machine for a broken robot: where
 * the simulation falls behind the steady clock for 20 ms, its servos push with all they have to catch up with the
 * commands. Nothing that is measured here depends on it; test/safety and test/control look at it.
 */
const patience = { maxJointAge: 0.5, maxObservationAge: 2, watchdog: 0.5 };

/** config/sim.yaml with what a test wants otherwise; in a namespace with relative names. */
function robotYaml(folder: string, namespace: string, more: Fields): string {
  const path = join(root, 'config', 'sim.yaml');
  const sim = parse(readFileSync(path, 'utf8')) as Record<string, Message>;
  sim['description'].urdf = join(dirname(path), sim['description'].urdf);
  for (const limits of Object.values<Message>(sim['joints'].limits)) delete limits.effort;
  const guard = { ...sim['guard'], ...patience, ...(more['guard'] as Fields | undefined) };
  const blackBox = { seconds: 5, folder: join(folder, 'black_box') };
  const all = { ...sim, blackBox, ...more, guard };
  return stringify(namespace === '' ? all : relative(all));
}

function relative(value: Message): Message {
  if (Array.isArray(value)) return value.map(relative);
  if (typeof value !== 'object' || value === null) return value;
  const names = ['topic', 'action', 'controller'];
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) =>
      names.includes(key) && typeof inner === 'string'
        ? [key, inner.replace(/^\//, '')]
        : [key, relative(inner)],
    ),
  );
}
