/**
 * Openings for the gripper: sent on change, one at a time, the newest wish wins. What it refuses is told once and not
 * tried again; the next other wish is.
 */
import { messageOf } from '../../../errors.js';
import type { Config } from '../../../config.js';
import { type GuardReason, reason } from '../../../safety/reasons.js';
import type { Reason } from '../../../types.js';
import { type GripperRange, positionFromOpening } from '../../gripper.js';
import type { RosNode } from '../ros.js';
import { ActionGripper, type GripperLink, TopicGripper } from './gripperLink.js';
import type { Finding } from './output.js';

/** ns after which a gripper that was asked to end what it does is not waited for any longer. */
const INTERRUPT_NS = 1_000_000_000n;

/** Openings below this close the gripper, the others open it: control asks for its two ends. */
const HALF_OPEN = 0.5;

interface Move {
  readonly opening: number;
  /** Steady time at which it was asked to end. */
  interruptedNs: bigint | null;
}

export class GripperOutput {
  readonly #link: GripperLink;
  readonly #range: GripperRange;
  readonly #intervalNs: bigint;
  #wish: number | null = null;
  #underWay: Move | null = null;
  /** The opening last sent; null: not known. */
  #sent: number | null = null;
  #sentNs: bigint | null = null;
  #problem: GuardReason | null = null;

  constructor(link: GripperLink, range: GripperRange, minCommandInterval: number) {
    this.#link = link;
    this.#range = range;
    this.#intervalNs = BigInt(Math.round(minCommandInterval * 1e9));
  }

  /** The stream begins anew: the gripper may have been moved by others, and what it refused is forgotten. */
  begin(): void {
    this.#wish = null;
    this.#sent = null;
    this.#problem = null;
  }

  /**
   * The arm is stopped: nothing waits for later, and an opening under way is ended. A closing under way goes on: what it
   * holds would fall. Once or at every tick of the stop.
   */
  hold(nowNs: bigint): void {
    this.#wish = null;
    this.#sent = null;
    const move = this.#underWay;
    if (move?.interruptedNs === null && move.opening >= HALF_OPEN) this.#interrupt(move, nowNs);
  }

  /** What waits is of a task that is over; what is under way goes on. */
  drop(): void {
    this.#wish = null;
  }

  /** @param opening 0 closed … 1 open. */
  want(opening: number): void {
    const move = this.#underWay;
    // After a stop it is wished for anew, and a grip must not be let go of to be sent again.
    if (move?.interruptedNs === null && move.opening === opening) this.#sent = opening;
    this.#wish = opening === this.#sent ? null : opening;
  }

  /** Sends what is wished for as soon as it may. Cheap: called every tick. */
  tick(nowNs: bigint): void {
    if (this.#wish === null || !this.#isFree(nowNs)) return;
    if (this.#sentNs !== null && nowNs - this.#sentNs < this.#intervalNs) return;
    const missing = this.#link.missing();
    if (missing !== null) {
      this.#problem ??= reason('outputGone', `The gripper: ${missing}.`);
      return;
    }
    void this.#move(this.#wish, nowNs);
  }

  problem(): Reason | null {
    return this.#problem;
  }

  check(): Promise<readonly Finding[]> {
    return this.#link.check();
  }

  dispose(): void {
    this.#link.dispose();
  }

  /** Nothing is under way; what is under way but no longer wished for is asked to end. */
  #isFree(nowNs: bigint): boolean {
    const move = this.#underWay;
    if (!move) return true;
    if (move.interruptedNs === null) {
      this.#interrupt(move, nowNs);
      return false;
    }
    return nowNs - move.interruptedNs > INTERRUPT_NS;
  }

  /** What it was on its way to does not count as sent any more: wished for again, it is sent again. */
  #interrupt(move: Move, nowNs: bigint): void {
    move.interruptedNs = nowNs;
    this.#sent = null;
    this.#link.interrupt();
  }

  /** Never rejects. */
  async #move(opening: number, nowNs: bigint): Promise<void> {
    const move: Move = { opening, interruptedNs: null };
    this.#underWay = move;
    this.#wish = null;
    this.#sent = opening;
    this.#sentNs = nowNs;
    const refused = await this.#link
      .move(positionFromOpening(opening, this.#range))
      .catch((error: unknown) => messageOf(error));
    if (this.#underWay !== move) return;
    this.#underWay = null;
    if (move.interruptedNs !== null) return;
    this.#problem = refused === null ? null : reason('commandRefused', `The gripper: ${refused}.`);
  }
}

/** Null where the gripper is only watched. */
export function gripperOutput(node: RosNode, { gripper }: Config): GripperOutput | null {
  if (!gripper?.command) return null;
  const { command } = gripper;
  const range = { closed: command.closed ?? gripper.closed, open: command.open ?? gripper.open };
  const link =
    command.type === 'forwardPosition'
      ? new TopicGripper(node, command.topic)
      : new ActionGripper(node, command, gripper.joint);
  return new GripperOutput(link, range, command.minCommandInterval);
}
