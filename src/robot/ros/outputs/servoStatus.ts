/** MoveIt Servo's status codes: those by which it stands still are halts here too. */
import { reason } from '../../../safety/reasons.js';
import type { Reason } from '../../../types.js';
import type { RosMessage } from '../../messages/cdr.js';
import { type Disposable, qos, type RosNode } from '../ros.js';
import { type Finding, refuse } from './output.js';
import { becomes } from './parameters.js';
import type { Readback } from './readback.js';

/**
 * By message type, as the numbers differ: moveit_msgs/ServoStatus since Iron (moveit_servo/utils/datatypes.hpp), an Int8
 * in Humble (moveit_servo/status_codes.h).
 */
const halts: Readonly<Record<string, Readonly<Record<number, string>>>> = {
  'moveit_msgs/msg/ServoStatus': {
    [-1]: 'the command is invalid',
    2: 'very close to a singularity',
    5: 'a collision is detected',
    6: 'a joint is at its bound',
  },
  'std_msgs/msg/Int8': {
    [-1]: 'the command is invalid',
    2: 'very close to a singularity',
    4: 'a collision is detected',
    5: 'a joint is at its bound',
  },
};

/** ns after the stream's begin in which a status may still be that of the time before: Servo begins as invalid. */
const GRACE_NS = 500_000_000n;
const SILENT_NS = 1_000_000_000n;
const CHECK_MS = 2000;

/** Code and what it means; null: it does not halt. `type` as `moveit_msgs/msg/ServoStatus`. */
export function servoHalt(type: string, message: RosMessage): string | null {
  const code = Number(type === 'std_msgs/msg/Int8' ? message['data'] : message['code']);
  const meaning = halts[type]?.[code];
  return meaning === undefined ? null : `code ${code}, ${meaning}`;
}

export class ServoStatus implements Readback {
  readonly topic: string;
  readonly #node: RosNode;
  #subscription: Disposable | null = null;
  #halt: string | null = null;
  #count = 0;
  #seen = 0;
  #seenNs = 0n;
  #beganNs = 0n;

  constructor(node: RosNode, topic: string) {
    this.#node = node;
    this.topic = node.resolve(topic);
  }

  begin(nowNs: bigint): void {
    this.#beganNs = nowNs;
    this.#seenNs = nowNs;
    this.#halt = null;
  }

  sent(): void {
    // Nothing to compare a status with.
  }

  problem(nowNs: bigint): Reason | null {
    if (this.#count !== this.#seen) this.#seenNs = nowNs;
    this.#seen = this.#count;
    if (nowNs - this.#seenNs > SILENT_NS)
      return reason('outputGone', `MoveIt Servo no longer publishes ${this.topic}.`);
    if (this.#halt === null || nowNs - this.#beganNs < GRACE_NS) return null;
    return reason('commandRefused', `MoveIt Servo has halted: ${this.#halt}.`);
  }

  /** Its type is known once its publisher is. */
  async check(): Promise<readonly Finding[]> {
    const typeNow = (): string | undefined => this.#node.publishersOf(this.topic)[0]?.type;
    await becomes(() => typeNow() !== undefined, CHECK_MS);
    const type = typeNow();
    if (type === undefined)
      return [refuse(`${this.topic}: nothing publishes MoveIt Servo's status.`)];
    if (!(type in halts))
      return [
        refuse(`${this.topic}: is a ${type}, expected one of ${Object.keys(halts).join(', ')}.`),
      ];
    this.#subscription?.dispose();
    this.#subscription = this.#node.subscribe(type, this.topic, qos.sensorData, (message) => {
      this.#halt = servoHalt(type, message);
      this.#count++;
    });
    const before = this.#count;
    const isHeard = await becomes(() => this.#count > before, CHECK_MS);
    return isHeard ? [] : [refuse(`${this.topic}: MoveIt Servo publishes no status.`)];
  }

  dispose(): void {
    this.#subscription?.dispose();
  }
}
