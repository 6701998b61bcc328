/**
 * joint_trajectory_controller's `~/controller_state`: published while the controller runs, with the reference it follows.
 * An inactive controller keeps its subscription and drops what it gets; only here does it show.
 */
import { DataError, messageOf } from '../../../errors.js';
import { reason } from '../../../safety/reasons.js';
import type { ArmCommand, Reason } from '../../../types.js';
import {
  type ControllerReference,
  controllerStateType,
  referenceFromControllerState,
} from '../../messages/controllerState.js';
import { type Disposable, qos, type RosNode } from '../ros.js';
import { type Finding, refuse } from './output.js';
import { becomes } from './parameters.js';
import type { Readback } from './readback.js';

/** ns: the controller publishes at its update rate, 100 Hz and more. */
const SILENT_NS = 500_000_000n;
/** ns a reference may be away from the commands: a trajectory's lead and its transport, with room. */
const AWAY_NS = 300_000_000n;
const CHECK_MS = 2000;

export class ControllerState implements Readback {
  readonly topic: string;
  readonly #tolerance: number;
  readonly #subscription: Disposable;
  /** The latest, not decoded: it may come a thousand times a second, and is looked at once per tick. */
  #bytes: Uint8Array | null = null;
  #count = 0;
  #seen = 0;
  #seenNs = 0n;
  #commanded: Extract<ArmCommand, { kind: 'joint' }> | null = null;
  #nearNs = 0n;

  /** @param tolerance rad or m between a commanded joint and the controller's reference. */
  constructor(node: RosNode, controller: string, tolerance: number) {
    this.topic = node.resolve(`${controller}/controller_state`);
    this.#tolerance = tolerance;
    const newest = { ...qos.sensorData, depth: 1 };
    this.#subscription = node.subscribeRaw(controllerStateType, this.topic, newest, (cdr) => {
      this.#bytes = cdr;
      this.#count++;
    });
  }

  begin(nowNs: bigint): void {
    this.#seenNs = nowNs;
    this.#nearNs = nowNs;
    this.#commanded = null;
  }

  sent(command: ArmCommand): void {
    if (command.kind === 'joint') this.#commanded = command;
  }

  problem(nowNs: bigint): Reason | null {
    if (this.#count !== this.#seen) this.#seenNs = nowNs;
    this.#seen = this.#count;
    if (nowNs - this.#seenNs > SILENT_NS)
      return reason(
        'outputGone',
        `The controller no longer publishes ${this.topic}: it does not run.`,
      );
    const away = this.#commanded && this.#bytes ? this.#away(this.#bytes, this.#commanded) : null;
    if (!away) this.#nearNs = nowNs;
    if (!away || nowNs - this.#nearNs <= AWAY_NS) return null;
    return reason('commandRefused', `The controller does not follow the commands: ${away}.`);
  }

  async check(): Promise<readonly Finding[]> {
    const before = this.#count;
    if (!(await becomes(() => this.#count > before, CHECK_MS)))
      return [refuse(`${this.topic}: nothing is published there; the controller is not active.`)];
    try {
      referenceFromControllerState(this.#bytes!, `topic ${this.topic}`);
      return [];
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      return [refuse(`${error.message}: control_msgs of another distribution?`)];
    }
  }

  dispose(): void {
    this.#subscription.dispose();
  }

  /** Null: every commanded joint's reference is near its command. */
  #away(
    bytes: Uint8Array,
    { names, position }: { names: readonly string[]; position: readonly number[] },
  ): string | null {
    let reference: ControllerReference;
    try {
      reference = referenceFromControllerState(bytes, `topic ${this.topic}`);
    } catch (error) {
      return messageOf(error);
    }
    for (const [i, name] of names.entries()) {
      const theirs = reference.positions[reference.names.indexOf(name)];
      if (theirs === undefined) return `it has no joint ${name}`;
      const distance = Math.abs(theirs - position[i]!);
      if (!(distance <= this.#tolerance))
        return `its reference for ${name} is ${theirs.toFixed(3)}, the command ${position[i]!.toFixed(3)}`;
    }
    return null;
  }
}
