/**
 * Everything the guard may say. A reason's effect is fixed here, once:
 *
 * - `latch`: halt. The arm brakes and stays stopped until an operator re-arms.
 * - `stop`: halt. The arm brakes; it goes on by itself when the cause is gone.
 * - `limit`: the command differs from the target; nothing stops.
 *
 * What latches is what says that the robot, a clock or a program is not what it is taken for. What a policy may do on an
 * ordinary day (be late, be unsure) only stops.
 */
import type { Reason } from '../types.js';

export type Effect = 'latch' | 'stop' | 'limit';

export const REASONS = {
  // The arm is not what we think it is.
  measurementMissing: { effect: 'latch', means: 'no reading of the arm has arrived' },
  measurementStale: { effect: 'latch', means: 'the last reading of the arm is too old' },
  measurementInvalid: { effect: 'latch', means: 'a reading of the arm cannot be used' },
  trackingError: { effect: 'latch', means: 'the arm is not where it was commanded to be' },
  effortLimit: { effect: 'latch', means: 'a joint pushes harder than its limit' },
  // A clock is not what we think it is.
  steadyClockBackwards: { effect: 'latch', means: 'the steady clock ran backwards' },
  stampBackwards: { effect: 'latch', means: 'the ROS clock ran backwards' },
  futureStamp: { effect: 'latch', means: 'a stamp lies in the future' },
  tickGap: { effect: 'latch', means: 'the control loop was silent for longer than the watchdog' },
  clockJump: { effect: 'latch', means: 'the ROS clock jumped' },
  controlFailed: { effect: 'latch', means: 'a part of control failed' },
  // What is around the arm says stop.
  operatorStop: { effect: 'latch', means: 'an operator stopped the arm' },
  outputGone: { effect: 'latch', means: 'nothing receives the commands any more' },
  commandRefused: { effect: 'latch', means: 'the layer below refused a command' },
  clockSilent: { effect: 'stop', means: 'the ROS clock does not tick' },
  notEnabled: { effect: 'stop', means: 'nobody enables motion' },
  // A program is not what we think it is.
  targetInvalid: { effect: 'latch', means: 'the target cannot be used' },
  predictionInvalid: { effect: 'latch', means: 'the prediction behind the target cannot be used' },
  // An ordinary day.
  notActive: { effect: 'stop', means: 'the guard has not been activated' },
  stillMoving: { effect: 'stop', means: 'the arm must rest before the guard takes over anew' },
  lowConfidence: { effect: 'stop', means: 'the policy is not confident enough' },
  unsure: { effect: 'stop', means: 'the policy has been unsure for several actions' },
  observationStale: { effect: 'stop', means: 'the policy acts on an observation that is too old' },
  // The command is not the target.
  rest: { effect: 'limit', means: 'control asks the arm to come to rest' },
  stepClamp: { effect: 'limit', means: 'the target moved too far within one policy step' },
  positionLimit: { effect: 'limit', means: 'the target is outside a joint limit' },
  workspace: { effect: 'limit', means: 'the tool would leave the workspace' },
  clearance: { effect: 'limit', means: 'a link would come too near the table or another link' },
  singularity: { effect: 'limit', means: 'the arm is near a singularity' },
  toolSpeed: { effect: 'limit', means: 'the tool would be too fast' },
  velocityLimit: { effect: 'limit', means: 'the target needs more speed than the limit' },
  speedScale: { effect: 'limit', means: 'the target needs more speed than the speed scale allows' },
  rampIn: { effect: 'limit', means: 'speed is still growing after activation or re-arm' },
  accelerationLimit: {
    effect: 'limit',
    means: 'the target needs more acceleration than the limit',
  },
  jerkLimit: { effect: 'limit', means: 'the target needs more jerk than the limit' },
  hardStop: {
    effect: 'limit',
    means: 'braking exceeds the jerk limit so that a limit above it holds',
  },
  gripper: { effect: 'limit', means: 'the gripper opening was outside 0 … 1 or not a number' },
} as const satisfies Record<string, { readonly effect: Effect; readonly means: string }>;

export type ReasonCode = keyof typeof REASONS;

/** A reason of the table above. */
export interface GuardReason extends Reason {
  readonly code: ReasonCode;
}

export function reason(code: ReasonCode, message: string): GuardReason {
  return { code, message };
}

/** Counts every reason, and hands each code's first to `onFirst` (log it there: once). */
export class ReasonLedger {
  readonly counts = new Map<string, number>();
  private readonly onFirst: (reason: Reason) => void;

  constructor(onFirst: (reason: Reason) => void) {
    this.onFirst = onFirst;
  }

  add(reason: Reason): void {
    const before = this.counts.get(reason.code) ?? 0;
    this.counts.set(reason.code, before + 1);
    if (before === 0) this.onFirst(reason);
  }
}
