/**
 * What this project asks of a ROS 2 client library: the port that `rclnodejs.ts` fills, and the only view of ROS 2 that
 * other rooms have. Plain data and callbacks.
 *
 * Every callback handed in is contained: what it throws is logged once per callback and counted, and never reaches the
 * client library (which would abort the process). Everything happens on the main thread.
 */
import type { RosMessage } from '../messages/cdr.js';

export type { RosMessage } from '../messages/cdr.js';

/** Depth 0: keep all. */
export interface Qos {
  readonly reliability: 'reliable' | 'bestEffort';
  readonly durability: 'volatile' | 'transientLocal';
  readonly depth: number;
}

/** The conventions: REP-2003 and what ros2_control and tf2 use. */
export const qos = {
  sensorData: { reliability: 'bestEffort', durability: 'volatile', depth: 5 },
  state: { reliability: 'reliable', durability: 'volatile', depth: 10 },
  command: { reliability: 'reliable', durability: 'volatile', depth: 1 },
  tf: { reliability: 'reliable', durability: 'volatile', depth: 100 },
  latched: { reliability: 'reliable', durability: 'transientLocal', depth: 1 },
  clock: { reliability: 'bestEffort', durability: 'volatile', depth: 1 },
} as const satisfies Record<string, Qos>;

export interface Disposable {
  dispose(): void;
}

export interface RosPublisher extends Disposable {
  readonly topic: string;
  /** How many subscriptions it reaches now. */
  readonly subscriptions: number;
  publish(message: RosMessage): void;
}

export interface RosClient extends Disposable {
  /** Whether a server is there now. */
  isReady(): boolean;
  /** @throws RosError where no answer comes within `timeoutMs` or no server is there. */
  call(request: RosMessage, timeoutMs: number): Promise<RosMessage>;
}

/** A goal that a server of ours has accepted. Exactly one of succeed, abort, canceled ends it; more are ignored. */
export interface ServedGoal {
  readonly id: string;
  readonly request: RosMessage;
  readonly isCancelRequested: boolean;
  feedback(message: RosMessage): void;
  succeed(result: RosMessage): void;
  abort(result: RosMessage): void;
  canceled(result: RosMessage): void;
}

export interface ActionServerHandlers {
  /** Null accepts; a sentence refuses, and is logged: the wire carries no reason. */
  accept(request: RosMessage): string | null;
  /** Called once per accepted goal, at once; the goal runs until it is ended. */
  execute(goal: ServedGoal): void;
  /** A client asks to cancel; the server always agrees, and ends the goal itself when it is safe. */
  cancel(goal: ServedGoal): void;
}

export interface SentGoal {
  readonly id: string;
  /** Resolves when the goal has ended, with its status. */
  readonly result: Promise<{
    readonly status: 'succeeded' | 'aborted' | 'canceled' | 'unknown';
    readonly result: RosMessage;
  }>;
  cancel(): Promise<void>;
}

export interface RosActionClient extends Disposable {
  isReady(): boolean;
  /** Null: the server refused the goal. @throws RosError where no answer comes within `timeoutMs`. */
  send(
    goal: RosMessage,
    timeoutMs: number,
    onFeedback?: (feedback: RosMessage) => void,
  ): Promise<SentGoal | null>;
}

/** One end of a topic as the graph shows it. */
export interface Endpoint {
  readonly node: string;
  readonly type: string;
  readonly qos: Qos;
}

export type ParameterValue = boolean | number | string | readonly string[];

export interface ParameterDescription {
  readonly name: string;
  readonly value: ParameterValue;
  readonly description: string;
  readonly readOnly?: boolean;
  /** Inclusive; makes a number a double unless `integer`. */
  readonly range?: { readonly from: number; readonly to: number };
  readonly integer?: boolean;
}

export interface RosLogger {
  debug(text: string): void;
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

export type LifecycleState = 'unconfigured' | 'inactive' | 'active' | 'finalized';
export type Transition = 'configure' | 'activate' | 'deactivate' | 'cleanup' | 'shutdown';

/**
 * What a lifecycle node does at its transitions. Each resolves when it is true, or rejects with the reason why it is not:
 * then the answer is `success: false`. A transition that fails on the way to a higher state leaves the node where it was;
 * one that fails on the way down goes through `onError`, which must leave nothing moving, to unconfigured.
 */
export interface LifecycleHandlers {
  configure(): Promise<void>;
  activate(): Promise<void>;
  deactivate(): Promise<void>;
  cleanup(): Promise<void>;
  shutdown(from: LifecycleState): Promise<void>;
  onError(error: Error): Promise<void>;
  /** s after which a transition counts as failed. */
  readonly deadlines: Readonly<Record<Transition, number>>;
}

/** A lifecycle as others see it: `~/change_state`, `~/get_state` …, and the same path for the process itself. */
export interface RosLifecycle {
  readonly state: LifecycleState;
  /** As a remote request would: null where it succeeded, else why not. Concurrent and illegal requests are refused. */
  request(transition: Transition): Promise<string | null>;
  /** Told once, after the answer, whoever asked for it. */
  onFinalized(told: () => void): void;
}

export interface RosNode {
  readonly name: string;
  readonly namespace: string;
  /** `/namespace/name` */
  readonly fullName: string;
  readonly log: RosLogger;
  /** Contained errors so far, by what failed ("subscription /joint_states"). */
  readonly failures: ReadonlyMap<string, number>;
  /** Relative and `~/` names are resolved, remappings applied. Types as `sensor_msgs/msg/Image`. */
  resolve(name: string): string;
  /** Numeric arrays arrive as typed arrays that own their memory; int64 scalars as bigint. */
  subscribe(type: string, topic: string, qos: Qos, onMessage: (m: RosMessage) => void): Disposable;
  /** The CDR bytes, header included: for nested arrays and for recording. */
  subscribeRaw(
    type: string,
    topic: string,
    qos: Qos,
    onBytes: (cdr: Uint8Array) => void,
  ): Disposable;
  /** Messages of types that schemas.ts knows are encoded by our own codec and published raw. */
  publisher(type: string, topic: string, qos: Qos): RosPublisher;
  service(
    type: string,
    name: string,
    answer: (r: RosMessage) => RosMessage | Promise<RosMessage>,
  ): Disposable;
  client(type: string, name: string): RosClient;
  actionServer(type: string, name: string, handlers: ActionServerHandlers): Disposable;
  actionClient(type: string, name: string): RosActionClient;
  publishersOf(topic: string): readonly Endpoint[];
  subscriptionsOf(topic: string): readonly Endpoint[];
  /** Declares with descriptor and range (`use_sim_time` is declared already); values given on the command line or in a params file take precedence. */
  declareParameter(parameter: ParameterDescription): ParameterValue;
  parameter(name: string): ParameterValue;
  /** Asked before a change: null lets it happen, a sentence refuses it with that reason. */
  onParameterChange(veto: (changes: ReadonlyMap<string, ParameterValue>) => string | null): void;
  /** Told after a change. */
  onParameterChanged(changed: (changes: ReadonlyMap<string, ParameterValue>) => void): void;
}

export interface RosOptions {
  readonly name: string;
  readonly namespace?: string;
  /** Names and remappings of this node in place of those given to `openRos`; its parameters are from there all the same. */
  readonly args?: readonly string[];
}

/** One process's ROS 2. Opened by `openRos` in rclnodejs.ts, with the arguments for all its nodes. */
export interface Ros {
  /** `jazzy`, `humble` … */
  readonly distro: string;
  node(options: RosOptions): RosNode;
  lifecycleNode(
    options: RosOptions,
    handlers: (node: RosNode, state: () => LifecycleState) => LifecycleHandlers,
  ): { readonly node: RosNode; readonly lifecycle: RosLifecycle };
  /** Starts to hand messages to callbacks; does not block. */
  spin(): void;
  shutdown(): Promise<void>;
}
