/**
 * An independent ROS 2 node for tests: peer.py (rclpy), driven from here. Messages are plain objects; byte arrays are
 * Buffers, integers beyond 2^53 bigints.
 */
import { shown, PeerWire, type PeerEvent } from './peerWire.js';
import type {
  Fields,
  Message,
  PeerActionServer,
  PeerEndpoint,
  PeerGoal,
  PeerQos,
  PeerServedGoal,
  PeerSubscription,
} from './peerTypes.js';

export type * from './peerTypes.js';

export class Peer {
  private readonly wire: PeerWire;

  /** @param domain ROS_DOMAIN_ID; default: this process's own. */
  static async start(
    options: { readonly domain?: number; readonly name?: string } = {},
  ): Promise<Peer> {
    return new Peer(await PeerWire.start(options.name ?? 'test_peer', options.domain));
  }

  private constructor(wire: PeerWire) {
    this.wire = wire;
  }

  stop(): Promise<void> {
    return this.wire.stop();
  }

  // ── Topics ────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Makes the publisher, so that subscribers can find it before the first message. */
  advertise(topic: string, type: string, qos?: PeerQos): Promise<void> {
    return this.wire.ask('advertise', { topic, type, qos });
  }

  publish(topic: string, type: string, message: Fields, qos?: PeerQos): Promise<void> {
    return this.wire.ask('publish', { topic, type, message, qos });
  }

  publishRaw(topic: string, type: string, cdr: Uint8Array, qos?: PeerQos): Promise<void> {
    return this.wire.ask('publishRaw', {
      topic,
      type,
      base64: Buffer.from(cdr).toString('base64'),
      qos,
    });
  }

  /** @returns what stops it. `stamp: 'now'` keeps header.stamp at the present. */
  async publishRate(
    topic: string,
    type: string,
    message: Fields,
    hz: number,
    options: { readonly stamp?: 'now'; readonly qos?: PeerQos } = {},
  ): Promise<() => Promise<void>> {
    const loop: number = await this.wire.ask('publishRate', {
      topic,
      type,
      message,
      hz,
      ...options,
    });
    return () => this.wire.ask('stopRate', { loop });
  }

  /** `/clock` from `startNs`, `rate` seconds per second, `hz` times a second (250). @returns what stops it. */
  async clock(options: {
    readonly startNs: bigint;
    readonly rate?: number;
    readonly hz?: number;
  }): Promise<() => Promise<void>> {
    const loop: number = await this.wire.ask('clock', {
      ...options,
      startNs: String(options.startNs),
    });
    return () => this.wire.ask('stopRate', { loop });
  }

  /** `keep: 'count'`: messages are null, for what is too large to look at. */
  async subscribe(
    topic: string,
    type: string,
    qos?: PeerQos,
    options: { readonly keep?: 'all' | 'count' } = {},
  ): Promise<PeerSubscription> {
    const messages: Message[] = [];
    const atNs: bigint[] = [];
    const sentNs: bigint[] = [];
    // Heard before the answer to the request names the subscription.
    const early: PeerEvent[] = [];
    let number: number | null = null;
    const take = (event: PeerEvent): void => {
      if (event['event'] !== 'message') return;
      if (number === null) early.push(event);
      else if (event['subscription'] === number) {
        messages.push(event['message']);
        atNs.push(BigInt(event['atNs'] as string));
        sentNs.push(BigInt(event['sentNs'] as string));
      }
    };
    this.wire.told.add(take);
    number = await this.wire.ask<number>('subscribe', { topic, type, qos, ...options });
    early.forEach(take);
    const wait = async (
      test: (m: Message) => boolean,
      from: number,
      ms: number,
    ): Promise<Message> => {
      let seen = from;
      const find = (): boolean => {
        while (seen < messages.length) if (test(messages[seen++])) return true;
        return false;
      };
      if (!find())
        await this.wire.event(
          find,
          ms,
          `${topic} (${messages.length} messages, last ${shown(messages.at(-1))})`,
        );
      return messages[seen - 1];
    };
    return {
      messages,
      atNs,
      sentNs,
      waitFor: (test, ms) => wait(test, 0, ms),
      next: (ms) => wait(() => true, messages.length, ms),
      clear: () => {
        messages.length = 0;
        atNs.length = 0;
        sentNs.length = 0;
      },
      dispose: async () => {
        this.wire.told.delete(take);
        await this.wire.ask('unsubscribe', { subscription: number });
      },
    };
  }

  // ── Services ──────────────────────────────────────────────────────────────────────────────────────────────────────

  call(service: string, type: string, request: Fields, ms = 5000): Promise<Message> {
    return this.wire.ask('call', { service, type, request, ms }, ms + 5000);
  }

  /** A service of the peer's with a fixed answer. @returns the requests it gets. */
  async serve(
    service: string,
    type: string,
    response: Fields,
    options: { readonly delayMs?: number } = {},
  ): Promise<Message[]> {
    const requests: Message[] = [];
    this.wire.told.add((e) => {
      if (e['event'] === 'request' && e['service'] === service) requests.push(e['request']);
    });
    await this.wire.ask('serve', { service, type, response, ...options });
    return requests;
  }

  // ── Actions ───────────────────────────────────────────────────────────────────────────────────────────────────────

  async sendGoal(action: string, type: string, goal: Fields, ms = 5000): Promise<PeerGoal> {
    const events: PeerEvent[] = [];
    const feedback: Message[] = [];
    let number: number | null = null;
    let ended: (r: { status: string; result: Message }) => void;
    const result = new Promise<{ status: string; result: Message }>((resolve) => (ended = resolve));
    const take = (event: PeerEvent): void => {
      if (event['event'] !== 'feedback' && event['event'] !== 'result') return;
      if (number === null) events.push(event);
      else if (event['goal'] !== number) return;
      else if (event['event'] === 'feedback') feedback.push(event['message']);
      else ended({ status: event['status'] as string, result: event['message'] });
    };
    this.wire.told.add(take);
    const sent: { goal: number; accepted: boolean } = await this.wire.ask(
      'sendGoal',
      { action, type, goal, ms },
      2 * ms + 5000,
    );
    number = sent.goal;
    events.forEach(take);
    return {
      accepted: sent.accepted,
      feedback,
      result,
      cancel: (cancelMs = 5000) =>
        this.wire.ask('cancelGoal', { goal: sent.goal, ms: cancelMs }, cancelMs + 5000),
    };
  }

  /** An action server of the peer's: each accepted goal waits until the test ends it. */
  async serveAction(
    action: string,
    type: string,
    agrees: {
      readonly accept?: boolean;
      readonly acceptMs?: number;
      readonly cancel?: boolean;
    } = {},
  ): Promise<PeerActionServer> {
    const goals: (PeerServedGoal & { readonly number: number; isCancelRequested: boolean })[] = [];
    this.wire.told.add((e) => {
      if (e['action'] !== action) return;
      if (e['event'] === 'cancel') {
        const canceled = goals.find((g) => g.number === e['goal']);
        if (canceled) canceled.isCancelRequested = true;
      }
      if (e['event'] !== 'goal') return;
      const goal = e['goal'] as number;
      goals.push({
        number: goal,
        request: e['request'],
        atNs: BigInt(e['atNs'] as string),
        isCancelRequested: false,
        feedback: (message) => this.wire.ask('feedback', { goal, message }),
        end: (status, result = {}) => this.wire.ask('endGoal', { goal, status, result }),
      });
    });
    await this.wire.ask('serveAction', { action, type, ...agrees });
    return {
      goals,
      waitForGoal: async (count, ms) => {
        await this.wire.until(() => goals.length >= count, ms, `goal ${count} of ${action}`);
        return goals[count - 1]!;
      },
    };
  }

  // ── Parameters and lifecycle of the node under test ───────────────────────────────────────────────────────────────

  /** Integers as bigint, doubles as number. Null where it took the value, else its reason. */
  async setParameter(
    node: string,
    name: string,
    value: boolean | number | bigint | string | readonly string[],
  ): Promise<string | null> {
    const parameters = [{ name, value: parameterValue(value) }];
    const { results } = await this.call(
      `${node}/set_parameters`,
      'rcl_interfaces/srv/SetParameters',
      {
        parameters,
      },
    );
    return results[0].successful ? null : results[0].reason;
  }

  /** All or none. */
  async setParametersAtomically(
    node: string,
    values: Readonly<Record<string, boolean | number | bigint | string | readonly string[]>>,
  ): Promise<string | null> {
    const parameters = Object.entries(values).map(([name, value]) => ({
      name,
      value: parameterValue(value),
    }));
    const { result } = await this.call(
      `${node}/set_parameters_atomically`,
      'rcl_interfaces/srv/SetParametersAtomically',
      { parameters },
    );
    return result.successful ? null : result.reason;
  }

  /** Undefined where the node has no such parameter. */
  async getParameter(node: string, name: string): Promise<unknown> {
    const { values } = await this.call(
      `${node}/get_parameters`,
      'rcl_interfaces/srv/GetParameters',
      {
        names: [name],
      },
    );
    const v = values[0];
    return [
      undefined,
      v.bool_value,
      v.integer_value,
      v.double_value,
      v.string_value,
      v.byte_array_value,
      v.bool_array_value,
      v.integer_array_value,
      v.double_array_value,
      v.string_array_value,
    ][v.type];
  }

  /** rcl_interfaces/msg/ParameterDescriptor */
  async describe(node: string, name: string): Promise<Message> {
    const { descriptors } = await this.call(
      `${node}/describe_parameters`,
      'rcl_interfaces/srv/DescribeParameters',
      { names: [name] },
    );
    return descriptors[0];
  }

  /** Whether the node says that it succeeded. */
  async changeState(node: string, transition: string, ms = 30_000): Promise<boolean> {
    const request = { transition: { id: 0, label: transition } };
    const { success } = await this.call(
      `${node}/change_state`,
      'lifecycle_msgs/srv/ChangeState',
      request,
      ms,
    );
    return success;
  }

  /** `unconfigured`, `inactive`, `active`, `finalized`, or one in between such as `configuring`. */
  async getState(node: string): Promise<string> {
    const { current_state } = await this.call(
      `${node}/get_state`,
      'lifecycle_msgs/srv/GetState',
      {},
    );
    return current_state.label;
  }

  // ── Graph ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Name → types. */
  topics(): Promise<Readonly<Record<string, readonly string[]>>> {
    return this.wire.ask('topics', {});
  }

  services(): Promise<Readonly<Record<string, readonly string[]>>> {
    return this.wire.ask('services', {});
  }

  nodes(): Promise<readonly string[]> {
    return this.wire.ask('nodes', {});
  }

  publishersOf(topic: string): Promise<readonly PeerEndpoint[]> {
    return this.wire.ask('publishers', { topic });
  }

  subscribersOf(topic: string): Promise<readonly PeerEndpoint[]> {
    return this.wire.ask('subscribers', { topic });
  }

  async waitForSubscriber(topic: string, ms: number): Promise<void> {
    await this.wire.poll(
      async () => (await this.subscribersOf(topic)).length > 0,
      ms,
      `a subscriber of ${topic}`,
    );
  }

  async waitForPublisher(topic: string, ms: number): Promise<void> {
    await this.wire.poll(
      async () => (await this.publishersOf(topic)).length > 0,
      ms,
      `a publisher of ${topic}`,
    );
  }

  async waitForNode(fullName: string, ms: number): Promise<void> {
    await this.wire.poll(
      async () => (await this.nodes()).includes(fullName),
      ms,
      `node ${fullName}`,
    );
  }
}

function parameterValue(value: boolean | number | bigint | string | readonly string[]): Fields {
  if (typeof value === 'boolean') return { type: 1, bool_value: value };
  if (typeof value === 'bigint') return { type: 2, integer_value: value };
  if (typeof value === 'number') return { type: 3, double_value: value };
  if (typeof value === 'string') return { type: 4, string_value: value };
  return { type: 9, string_array_value: value };
}
