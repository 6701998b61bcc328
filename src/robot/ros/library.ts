/**
 * What is used of rclnodejs, in types of our own: its own exist only where ROS 2 is, and this project compiles anywhere.
 *
 * Members that begin with an underscore are not rclnodejs' public interface. Only hooks.ts touches them.
 */
import type { RosMessage } from '../messages/cdr.js';

export type Handle = object;

export interface RclContext {
  readonly handle: Handle;
}

export interface RclLogger {
  debug(text: string): void;
  info(text: string): void;
  warn(text: string): void;
  error(text: string): void;
}

export interface RclField {
  readonly name: string;
  readonly type: {
    readonly type: string;
    readonly pkgName: string | null;
    readonly isArray: boolean;
    readonly isPrimitiveType: boolean;
    readonly isFixedSizeArray: boolean;
    readonly arraySize: number | null;
  };
}

/** A generated message: its C memory, with one accessor per field. */
export interface RclMessage {
  toPlainObject(enableTypedArray: boolean): RosMessage;
  /** Memory for rcl: valid as long as the message is. */
  serialize(): Buffer;
}

export interface RclMessageClass {
  new (plain?: RosMessage): RclMessage;
  readonly ROSMessageDef: { readonly fields: readonly RclField[] };
}

export interface RclServiceClass {
  readonly Request: RclMessageClass;
  readonly Response: RclMessageClass;
}

export interface RclActionClass {
  readonly Goal: RclMessageClass;
  readonly Result: RclMessageClass;
  readonly Feedback: RclMessageClass;
  /** What an action is made of; each is loaded when it is first read. */
  readonly impl: {
    readonly SendGoalService: RclServiceClass;
    readonly GetResultService: RclServiceClass;
    readonly CancelGoal: RclServiceClass;
    readonly FeedbackMessage: RclMessageClass;
    readonly GoalStatusArray: RclMessageClass;
  };
}

export interface RclEntityOptions {
  readonly qos: object;
  readonly isRaw?: boolean;
}

export interface RclPublisher {
  readonly topic: string;
  readonly subscriptionCount: number;
  /** A Buffer is CDR, sent as it is; anything else is a message. */
  publish(message: RosMessage | Buffer): void;
}

export interface RclServiceResponse {
  /** A new response with every field at its default. */
  readonly template: RosMessage;
  send(response: RosMessage): void;
}

export interface RclClient {
  isServiceServerAvailable(): boolean;
  waitForService(timeoutMs: number): Promise<boolean>;
  sendRequestAsync(request: RosMessage, options: { readonly timeout: number }): Promise<RosMessage>;
}

export interface RclEndpoint {
  readonly node_name: string;
  readonly node_namespace: string;
  readonly topic_type: string;
  readonly qos_profile: {
    readonly depth: number;
    readonly history: number;
    readonly reliability: number;
    readonly durability: number;
  };
}

export interface RclNode {
  readonly handle: Handle;
  name(): string;
  namespace(): string;
  getFullyQualifiedName(): string;
  getLogger(): RclLogger;
  getClock(): { now(): { readonly nanoseconds: bigint } };
  spin(timeoutMs?: number): void;
  stop(): void;
  destroy(): void;
  resolveTopicName(name: string): string;
  createPublisher(type: string, topic: string, options: RclEntityOptions): RclPublisher;
  createSubscription(
    type: string,
    topic: string,
    options: RclEntityOptions,
    callback: (message: never) => void,
  ): object;
  createService(
    type: string,
    name: string,
    callback: (request: RosMessage, response: RclServiceResponse) => unknown,
  ): object;
  createClient(type: string, name: string): RclClient;
  destroyPublisher(publisher: RclPublisher): void;
  destroySubscription(subscription: object): void;
  destroyService(service: object): void;
  destroyClient(client: RclClient): void;
  getPublishersInfoByTopic(topic: string): readonly RclEndpoint[];
  getSubscriptionsInfoByTopic(topic: string): readonly RclEndpoint[];

  readonly _subscriptions: readonly { readonly handle: Handle }[];
  execute(handles: readonly Handle[]): void;
  _init(
    name: string,
    namespace: string,
    options: object,
    context: object,
    args?: readonly string[],
    useGlobalArguments?: boolean,
  ): void;
  _runWithMessageType(
    Type: RawMessageClass,
    use: (raw: object, deserialize: () => unknown) => void,
  ): void;
  _getNativeParameterOverrides(): Map<string, unknown>;
  _onChangeState(request: RosMessage, response: RclServiceResponse): unknown;
  readonly _stateMachineHandle: Handle;
}

export interface RawMessageClass {
  readonly name?: string;
  new (): { toRawROS(): object; readonly refObject: object; deserialize(from: object): void };
  destroyRawROS(message: object): void;
}

export type RclNodeClass = new (
  name: string,
  namespace: string,
  context: RclContext,
  options: { readonly startParameterServices: boolean },
) => RclNode;

export interface RclServerGoal {
  readonly goalId: { readonly uuid: Uint8Array };
  readonly request: RclMessage;
  readonly isActive: boolean;
  readonly isCancelRequested: boolean;
  execute(): void;
  publishFeedback(feedback: RclMessage): void;
  succeed(): void;
  abort(): void;
  canceled(): void;
}

export interface RclActionServer {
  destroy(): void;
  processCancelRequest(header: unknown, request: unknown): void;
  _executeCancelRequest(header: unknown, request: unknown): Promise<void>;
  notifyExecute(goal: unknown, callback?: unknown): void;
  _executeGoal(callback: unknown, goal: unknown): Promise<void>;
  readonly _callback: unknown;
  _sendResultResponse(header: unknown, result: unknown): void;
}

export interface RclClientGoal {
  readonly goalId: { readonly uuid: Uint8Array };
  /** action_msgs/GoalStatus */
  readonly status: number;
  isAccepted(): boolean;
  cancelGoal(): Promise<unknown>;
  getResult(): Promise<RosMessage>;
}

export interface RclActionClient {
  destroy(): void;
  isActionServerAvailable(): boolean;
  waitForServer(timeoutMs: number): Promise<boolean>;
  sendGoal(goal: RclMessage, onFeedback?: (feedback: RosMessage) => void): Promise<RclClientGoal>;
  readonly _feedbackCallbacks: Map<string, unknown>;
}

export interface RclLibrary {
  readonly Context: new () => RclContext;
  readonly Node: RclNodeClass;
  readonly lifecycle: { readonly LifecycleNode: RclNodeClass };
  readonly QoS: new (
    history: number,
    depth: number,
    reliability: number,
    durability: number,
  ) => object;
  readonly ActionServer: new (
    node: RclNode,
    type: string,
    name: string,
    execute: (goal: RclServerGoal) => Promise<RclMessage>,
    accept: (request: RosMessage) => number,
    accepted: (goal: RclServerGoal) => void,
    cancel: (goal: RclServerGoal) => number,
    options: { readonly resultTimeout: number },
  ) => RclActionServer;
  readonly ActionClient: new (node: RclNode, type: string, name: string) => RclActionClient;
  readonly GoalResponse: { readonly ACCEPT: number; readonly REJECT: number };
  readonly CancelResponse: { readonly ACCEPT: number };
  init(context: RclContext, argv: readonly string[]): Promise<void>;
  shutdown(context: RclContext): void;
  removeSignalHandlers(): void;
  /** The generated class of `package/msg/Name`, `…/srv/…` or `…/action/…`. */
  require(type: string): unknown;
}

/** The parameters of the command line, node by node; names may hold wildcards. */
export interface RclOverrides {
  readonly name: string;
  readonly parameters: readonly {
    readonly name: string;
    readonly type: number;
    readonly value: unknown;
  }[];
}

/** The compiled part of rclnodejs, of which a few functions are called directly (hooks.ts). */
export interface RclAddon {
  getParameterOverrides(context: Handle): readonly RclOverrides[] | undefined;
  triggerLifecycleTransitionByLabel(stateMachine: Handle, label: string): unknown;
}
