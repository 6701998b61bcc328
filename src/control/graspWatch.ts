/**
 * Whether a gripper that was told to close holds something, by its measured opening alone. Pure; steady clock, m, s.
 *
 * It knows no object and no task. A closed fist is no failure (pushing, pressing): what counts as an empty grasp is a
 * gripper that closed where it stands and was then lifted from there, as one lifts what one holds.
 */
import { nsFromSeconds } from './clock.js';

/** One control tick, as far as the hand is concerned. Readings are fresh. */
export interface HandReading {
  /** Steady clock. */
  readonly nowNs: bigint;
  /** Height of the tool, m, base frame. */
  readonly height: number;
  /** Measured, 0 closed … 1 open. */
  readonly opening: number;
  /** What the gripper was last told, 0 or 1; null: nothing, or nobody knows. */
  readonly told: number | null;
}

export interface GraspLimits {
  /** Opening, 0 … 1, below which nothing is between the fingers. */
  readonly smallestObject: number;
  /** s from the word to close until the opening says something. */
  readonly closingTime: number;
  /** s that a policy gets to see for itself that it holds nothing. */
  readonly patience: number;
}

/** A gripper that is lifted by this much from where it closed, m, is meant to hold something. */
const LIFTED = 0.03;
/** One that goes down by this much, m, is a fist on its way to its work. */
const LOWERED = 0.02;

export type GraspFault = 'emptyGrasp' | 'lostGrasp';

interface Grip {
  readonly closedNs: bigint;
  readonly height: number;
  lowest: number;
  hasHeld: boolean;
  /** Since when it has been empty after all; null: it is not. */
  emptyNs: bigint | null;
}

export class GraspWatch {
  readonly #limits: GraspLimits;
  #grip: Grip | null = null;
  #holds = false;

  constructor(limits: GraspLimits) {
    this.#limits = limits;
  }

  /** Whether something is between the closed fingers, as far as is known. */
  get holds(): boolean {
    return this.#holds;
  }

  /** Nothing that was seen counts any more. */
  reset(): void {
    this.#grip = null;
    this.#holds = false;
  }

  /** At every control tick. What is wrong with the grasp, once the policy has had its time to see it; null: nothing. */
  watch({ nowNs, height, opening, told }: HandReading): GraspFault | null {
    if (told !== 0) {
      this.reset();
      return null;
    }
    this.#grip ??= { closedNs: nowNs, height, lowest: height, hasHeld: false, emptyNs: null };
    const grip = this.#grip;
    grip.lowest = Math.min(grip.lowest, height);
    if (nowNs - grip.closedNs < nsFromSeconds(this.#limits.closingTime)) return null;
    this.#holds = opening >= this.#limits.smallestObject;
    grip.hasHeld ||= this.#holds;
    const fault = this.#holds ? null : faultOf(grip, height);
    if (!fault) {
      grip.emptyNs = null;
      return null;
    }
    grip.emptyNs ??= nowNs;
    return nowNs - grip.emptyNs >= nsFromSeconds(this.#limits.patience) ? fault : null;
  }
}

/** Of closed fingers with nothing between them. */
function faultOf({ hasHeld, lowest, height: closedAt }: Grip, height: number): GraspFault | null {
  if (hasHeld) return 'lostGrasp';
  const isFist = closedAt - lowest > LOWERED;
  return !isFist && height - closedAt >= LIFTED ? 'emptyGrasp' : null;
}
