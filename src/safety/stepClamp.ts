/**
 * A target may move by at most maxStepTranslation and maxStepRotation within one policy period. The window starts anew
 * from the (clamped) target of its end, so a slow drift passes and a jump is spread over as many periods as it needs.
 */
import type { Config } from '../config.js';
import * as quaternion from '../math/quaternion.js';
import * as vec3 from '../math/vec3.js';
import type { Pose } from '../types.js';
import { type GuardReason, reason } from './reasons.js';

export class StepWindow<Target> {
  private readonly periodNs: number;
  private anchor: Target | null = null;
  private anchorNs = 0n;
  private last: Target | null = null;

  constructor(config: Config) {
    this.periodNs = config.control.policyPeriod * 1e9;
  }

  /** The next target starts a new window, from `from`. */
  restart(from: Target, nowNs: bigint): void {
    this.anchor = from;
    this.last = from;
    this.anchorNs = nowNs;
  }

  /** What the target is measured against now, and how many steps' worth of motion it may have made since. */
  open(nowNs: bigint): { readonly anchor: Target; readonly steps: number } {
    const elapsed = Number(nowNs - this.anchorNs) / this.periodNs;
    // A tick rarely falls on the end of the window: what the target may do grows with the window's true length.
    const steps = Math.min(2, Math.max(1, elapsed));
    return { anchor: this.anchor!, steps };
  }

  /** The target after clamping. */
  close(clamped: Target, nowNs: bigint): void {
    this.last = clamped;
    if (Number(nowNs - this.anchorNs) >= this.periodNs) {
      this.anchor = this.last;
      this.anchorNs = nowNs;
    }
  }
}

/** Share (0 … 1) of the way from `from` to `to` that stays within `steps` policy steps. */
export function allowedShare(from: Pose, to: Pose, config: Config, steps: number): number {
  const { maxStepTranslation, maxStepRotation } = config.guard;
  const distance = vec3.distance(from.translation, to.translation);
  const angle = quaternion.angleBetween(from.rotation, to.rotation);
  return Math.min(
    1,
    distance > 0 ? (maxStepTranslation * steps) / distance : 1,
    angle > 0 ? (maxStepRotation * steps) / angle : 1,
  );
}

export function stepReason(from: Pose, to: Pose, config: Config): GuardReason {
  const distance = vec3.distance(from.translation, to.translation);
  const angle = quaternion.angleBetween(from.rotation, to.rotation);
  const { maxStepTranslation, maxStepRotation } = config.guard;
  return reason(
    'stepClamp',
    `The target moved by ${distance.toFixed(3)} m and ${angle.toFixed(3)} rad within one policy step, ${maxStepTranslation} m and ${maxStepRotation} rad are allowed.`,
  );
}
