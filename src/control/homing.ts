/** A slow way to given joint positions, as an action like any other: the guard sees no difference. */
import type { Arm } from '../arm/kinematics.js';
import type { Config } from '../config.js';
import type { ActionPrediction } from '../types.js';
import { nsFromSeconds } from './clock.js';

/** Share of each joint's velocity limit that is used on average. */
const SHARE = 0.2;
const SHORTEST = 1;
/** s: the longest chunk that is accepted. */
const LONGEST = 9.8;

/**
 * Steps of one policy period along the straight way in joint space, minimum-jerk in time.
 *
 * @returns null where the way is too long for one action at that speed.
 */
export function homingAction(
  config: Config,
  arm: Arm,
  way: {
    readonly from: readonly number[];
    readonly to: readonly number[];
    /** 0 closed … 1 open: kept. */
    readonly gripper: number;
    readonly stampNs: bigint;
    readonly episode: number;
    /** 0 … 1 of the velocity limits that the guard leaves. */
    readonly speedScale: number;
  },
): ActionPrediction | null {
  const { from, to, gripper, stampNs, episode, speedScale } = way;
  const share = SHARE * Math.min(1, speedScale);
  const limits = arm.jointNames.map((name) => config.joints!.limits[name]!.velocity);
  const needed = Math.max(...to.map((q, i) => Math.abs(q - from[i]!) / (share * limits[i]!)));
  const duration = Math.max(needed, SHORTEST);
  if (!(duration <= LONGEST)) return null;
  const period = config.control.policyPeriod;
  const count = Math.ceil(duration / period);
  const steps = Array.from({ length: count }, (_, k) => {
    const along = minimumJerk((k + 1) / count);
    return { position: from.map((q, i) => q + along * (to[i]! - q)), gripper };
  });
  return {
    observationStampNs: stampNs,
    episode,
    chunk: {
      kind: 'jointPosition',
      stepPeriodNs: nsFromSeconds(period),
      frameId: config.baseFrame,
      steps,
    },
    confidence: 1,
    timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
  };
}

/** Share of the way at the share `t` of the time: s(τ) = 10τ³ − 15τ⁴ + 6τ⁵ (Flash and Hogan, 1985). */
export function minimumJerk(t: number): number {
  return t ** 3 * (10 - 15 * t + 6 * t ** 2);
}
