/** A RosNode in memory: what a part of the node offers and publishes, and the other end of it. Not ROS 2. */
import type {
  ActionServerHandlers,
  Disposable,
  RosMessage,
  RosNode,
  ServedGoal,
} from '../../src/robot/ros/ros.js';

export class FakeNode {
  readonly published: { readonly topic: string; readonly message: RosMessage }[] = [];
  readonly logged: string[] = [];
  /** By topic; 1 where not said. */
  readonly subscriptionCounts = new Map<string, number>();
  /** Types whose publishers cannot be made, as where a message package is not installed. */
  readonly missingTypes = new Set<string>();
  readonly #listeners = new Map<string, (message: RosMessage) => void>();
  #actions: ActionServerHandlers | null = null;
  #goals = 0;

  /** What the part under test is given. */
  get node(): RosNode {
    const disposable: Disposable = { dispose: () => undefined };
    const log = (level: string) => (text: string) => void this.logged.push(`${level}: ${text}`);
    const node: Partial<RosNode> = {
      name: 'magma_vla',
      fullName: '/magma_vla',
      log: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
      failures: new Map(),
      subscribe: (_type, topic, _qos, onMessage) => {
        this.#listeners.set(topic, onMessage);
        return { dispose: () => this.#listeners.delete(topic) };
      },
      publisher: (type, topic) => {
        if (this.missingTypes.has(type)) throw new Error(`no package for ${type}`);
        const counts = this.subscriptionCounts;
        return {
          topic,
          get subscriptions() {
            return counts.get(topic) ?? 1;
          },
          publish: (message) => void this.published.push({ topic, message }),
          dispose: () => undefined,
        };
      },
      actionServer: (_type, _name, handlers) => {
        this.#actions = handlers;
        return disposable;
      },
    };
    return node as RosNode;
  }

  publishedOn(topic: string): readonly RosMessage[] {
    return this.published.filter((p) => p.topic === topic).map(({ message }) => message);
  }

  /** As another node would publish; nothing happens where nobody subscribes. */
  hear(topic: string, message: RosMessage): void {
    this.#listeners.get(topic)?.(message);
  }

  /** As an action client would send; null where it is refused. */
  sendGoal(request: RosMessage): FakeGoal | null {
    if (this.#actions!.accept(request) !== null) return null;
    const goal = new FakeGoal(`goal${++this.#goals}`, request, this.#actions!);
    this.#actions!.execute(goal);
    return goal;
  }

  refusalOf(request: RosMessage): string | null {
    return this.#actions!.accept(request);
  }
}

export class FakeGoal implements ServedGoal {
  readonly id: string;
  readonly request: RosMessage;
  readonly feedbacks: RosMessage[] = [];
  isCancelRequested = false;
  /** The first ending counts, as over the wire; a second one fails the test. */
  ended: { readonly status: string; readonly result: RosMessage } | null = null;
  readonly #handlers: ActionServerHandlers;

  constructor(id: string, request: RosMessage, handlers: ActionServerHandlers) {
    this.id = id;
    this.request = request;
    this.#handlers = handlers;
  }

  requestCancel(): void {
    this.isCancelRequested = true;
    this.#handlers.cancel(this);
  }

  feedback(message: RosMessage): void {
    if (this.ended) throw new Error('feedback after the end');
    this.feedbacks.push(message);
  }

  succeed(result: RosMessage): void {
    this.#end('succeeded', result);
  }

  abort(result: RosMessage): void {
    this.#end('aborted', result);
  }

  canceled(result: RosMessage): void {
    if (!this.isCancelRequested) throw new Error('canceled without having been asked to');
    this.#end('canceled', result);
  }

  #end(status: string, result: RosMessage): void {
    if (this.ended) throw new Error(`ended twice: ${this.ended.status}, ${status}`);
    this.ended = { status, result };
  }
}
