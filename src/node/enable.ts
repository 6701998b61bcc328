/**
 * A person's consent to motion, by a topic that must keep coming: a held button of a joystick, or a heartbeat of true.
 * Silence, false, a released or absent button mean stop. Ages count on the steady clock from receipt: stamps of a pad
 * prove nothing.
 */
import type { Config } from '../config.js';
import type { GuardReason } from '../safety/reasons.js';
import type { Disposable, RosMessage, RosNode } from '../robot/ros/ros.js';
import { qos } from '../robot/ros/ros.js';

type EnableConfig = NonNullable<Config['enable']>;

const types = { bool: 'std_msgs/msg/Bool', joy: 'sensor_msgs/msg/Joy' } as const;

export class Enable implements Disposable {
  readonly #config: EnableConfig;
  readonly #nowNs: () => bigint;
  readonly #subscription: Disposable;
  #consents = false;
  #receivedNs: bigint | null = null;

  constructor(node: RosNode, config: EnableConfig, nowNs: () => bigint) {
    this.#config = config;
    this.#nowNs = nowNs;
    this.#subscription = node.subscribe(types[config.type], config.topic, qos.sensorData, (m) =>
      this.hear(m),
    );
  }

  hear(message: RosMessage): void {
    this.#consents = consents(message, this.#config);
    this.#receivedNs = this.#nowNs();
  }

  /** Why the arm must not move now; null while somebody consents. */
  objection(): GuardReason | null {
    const { topic, timeout } = this.#config;
    const say = (message: string): GuardReason => ({ code: 'notEnabled', message });
    if (this.#receivedNs === null) return say(`Nobody enables motion on ${topic} yet.`);
    const silence = Number(this.#nowNs() - this.#receivedNs) / 1e9;
    if (silence > timeout)
      return say(
        `Nothing on ${topic} for ${silence.toFixed(2)} s; ${timeout} s without it is a stop.`,
      );
    return this.#consents ? null : say(`Motion is not enabled on ${topic}.`);
  }

  dispose(): void {
    this.#subscription.dispose();
  }
}

/** True only where the message says so plainly. */
function consents(message: RosMessage, { type, button }: EnableConfig): boolean {
  if (type === 'bool') return message['data'] === true;
  const buttons = message['buttons'] as ArrayLike<unknown> | undefined;
  return Number(buttons?.[button] ?? 0) === 1;
}
