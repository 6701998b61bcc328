/**
 * From proposals to one step: the fastest step towards the target whose braking path keeps clear of everything the arm
 * must keep away from. The braking path of the last step was checked then, so there always is one to fall back to.
 */
import { jacobianFromLinkPoses, type Arm, linkPoses } from '../arm/kinematics.js';
import type { ArmCapsules } from '../arm/clearance.js';
import type { GuardConfig } from '../config.js';
import * as vec3 from '../math/vec3.js';
import type { JointMotion } from './jointMotion.js';
import { type GuardReason, reason } from './reasons.js';
import { SingularityWatch } from './singularity.js';
import { MARGINS, Surroundings } from './surroundings.js';

/** rad or m: the braking path is looked at in pieces no longer than this in any joint. */
const PIECE = 0.06;
const MAX_PIECES = 40;
/** m kept beyond every margin along the braking path, for what lies between two looks at it. */
const BETWEEN_PIECES = 1e-3;
/** Halvings between the braking step and the wanted one. */
const HALVINGS = 5;
/** As above, where the tool's speed is to be kept: what is given away costs speed in every tick. */
const SPEED_HALVINGS = 10;
/** Relative slack for rounding where tool speeds are compared. */
const ROUNDING = 1e-9;
/** s: how far ahead a motion is followed to see what it leads towards. */
const LOOK_AHEAD = 0.02;

export class JointPath {
  private readonly arm: Arm;
  private readonly motion: JointMotion;
  private readonly config: GuardConfig;
  private readonly surroundings: Surroundings;
  private readonly singularity: SingularityWatch;
  private readonly reach: readonly number[];
  private readonly jacobian: Float64Array;
  private readonly brake: Float64Array;
  private readonly blend: Float64Array;
  private readonly sample: Float64Array;
  private readonly marginsNow = new Float64Array(MARGINS);
  private readonly marginsNext = new Float64Array(MARGINS);
  private readonly floor = new Float64Array(MARGINS);
  private readonly marginsSample = new Float64Array(MARGINS);
  private blockedBy = -1;
  private blockedValue = 0;

  constructor(arm: Arm, capsules: ArmCapsules | null, motion: JointMotion, config: GuardConfig) {
    const n = arm.joints.length;
    this.arm = arm;
    this.motion = motion;
    this.config = config;
    this.surroundings = new Surroundings(arm, capsules, config);
    this.singularity = new SingularityWatch(arm, config.singularity);
    this.reach = reachOf(arm, capsules);
    this.jacobian = new Float64Array(6 * n);
    this.brake = new Float64Array(n);
    this.blend = new Float64Array(n);
    this.sample = new Float64Array(n);
  }

  /**
   * Velocities towards the target, into `out`. `speedShare` is what speed scale and ramp-in leave of the velocity limits.
   * @returns what held it back beyond the joints' own limits.
   */
  plan(
    target: ArrayLike<number>,
    targetVelocity: ArrayLike<number>,
    speedShare: number,
    dt: number,
    out: Float64Array,
  ): readonly GuardReason[] {
    const reasons: GuardReason[] = [];
    const { motion, surroundings } = this;
    motion.towards(target, targetVelocity, speedShare, dt, out);
    surroundings.margins(motion.position, this.marginsNow);
    this.limitToolSpeed(speedShare, dt, out, reasons);

    const share = this.slowDown(dt, out, reasons);
    if (share < 1) {
      motion.towards(target, targetVelocity, speedShare * share, dt, out);
      this.limitToolSpeed(speedShare * share, dt, out, reasons);
    }
    this.keepToolSpeed(dt, out, reasons);
    this.keepClear(dt, out, reasons);
    return reasons;
  }

  /** Velocities that come to rest softly, into `out`; harder where something is in the way. */
  planRest(dt: number, out: Float64Array): readonly GuardReason[] {
    const reasons: GuardReason[] = [];
    this.motion.toRest(dt, out);
    this.surroundings.margins(this.motion.position, this.marginsNow);
    this.keepClear(dt, out, reasons);
    return reasons;
  }

  /** Scales `out` so that the tool keeps its Cartesian speed limits, as far as the joints' jerk limits let it. */
  private limitToolSpeed(
    speedShare: number,
    dt: number,
    out: Float64Array,
    reasons: GuardReason[],
  ): void {
    const { linearVelocity, angularVelocity } = this.config;
    jacobianFromLinkPoses(this.arm, linkPoses(this.arm, this.motion.position), this.jacobian);
    const linear = this.rowNorm(0, out);
    const angular = this.rowNorm(3, out);
    const factor = Math.min(
      linear > 0 ? (linearVelocity * speedShare) / linear : 1,
      angular > 0 ? (angularVelocity * speedShare) / angular : 1,
    );
    if (factor >= 1) return;
    this.motion.scaled(factor, dt, out);
    if (reasons.some(({ code }) => code === 'toolSpeed')) return;
    reasons.push(
      reason(
        'toolSpeed',
        `The tool would move at ${linear.toFixed(3)} m/s and ${angular.toFixed(3)} rad/s, ${(linearVelocity * speedShare).toFixed(3)} m/s and ${(angularVelocity * speedShare).toFixed(3)} rad/s are allowed.`,
      ),
    );
  }

  /**
   * Jerk limits may leave more speed than the tool's limits allow, and a step may end where the same joint speeds move the
   * tool faster. Replaces `velocity` by the nearest to it, on the way to braking, that is slow enough at both its ends.
   * Braking itself is what is left where nothing is: then the limits are exceeded for as long as it takes.
   */
  private keepToolSpeed(dt: number, velocity: Float64Array, reasons: GuardReason[]): void {
    if (this.isSlow(velocity, dt)) return;
    this.motion.braking(dt, this.brake);
    let slow = 0;
    for (let step = 0.5, i = 0; i < SPEED_HALVINGS; i++, step /= 2) {
      this.blendTo(slow + step, velocity);
      if (this.isSlow(this.blend, dt)) slow += step;
    }
    this.blendTo(slow, velocity);
    velocity.set(this.blend);
    if (reasons.every(({ code }) => code !== 'toolSpeed'))
      reasons.push(reason('toolSpeed', 'The tool brakes to keep its speed limits.'));
  }

  private isSlow(velocity: Float64Array, dt: number): boolean {
    const { linearVelocity, angularVelocity } = this.config;
    let [travel, turn] = [0, 0];
    for (let i = 0; i < velocity.length; i++) {
      travel += Math.abs(velocity[i]!) * this.reach[i]!;
      turn += Math.abs(velocity[i]!);
      this.sample[i] = this.motion.moved(i, velocity[i]! * dt);
    }
    // No posture of the arm makes the tool faster than this.
    if (travel <= linearVelocity && turn <= angularVelocity) return true;
    return [this.motion.position, this.sample].every((position) => {
      jacobianFromLinkPoses(this.arm, linkPoses(this.arm, position), this.jacobian);
      return (
        this.rowNorm(0, velocity) <= linearVelocity * (1 + ROUNDING) &&
        this.rowNorm(3, velocity) <= angularVelocity * (1 + ROUNDING)
      );
    });
  }

  /** |J v| of three rows from `first`. */
  private rowNorm(first: number, velocity: Float64Array): number {
    const n = velocity.length;
    let sum = 0;
    for (let row = first; row < first + 3; row++) {
      let value = 0;
      for (let i = 0; i < n; i++) value += this.jacobian[row * n + i]! * velocity[i]!;
      sum += value * value;
    }
    return Math.sqrt(sum);
  }

  /** Share of full speed that is left near singularities, faces, table and links that `velocity` leads towards. */
  private slowDown(dt: number, velocity: Float64Array, reasons: GuardReason[]): number {
    const { motion, sample } = this;
    const ahead = Math.max(dt, LOOK_AHEAD);
    for (let i = 0; i < sample.length; i++) sample[i] = motion.moved(i, velocity[i]! * ahead);
    this.surroundings.margins(sample, this.marginsNext);
    const approach = this.surroundings.approachShare(this.marginsNow, this.marginsNext);
    let share = approach;

    // The Jacobian is that of the position now, from limitToolSpeed.
    const slow = this.singularity.slowDownJoints(this.jacobian, motion.position, velocity, dt);
    if (slow !== null) {
      share = Math.min(share, slow.share);
      reasons.push(slow.reason);
    }
    if (approach < 1 && reasons.length === 0) this.explainApproach(approach, reasons);
    return share;
  }

  private explainApproach(share: number, reasons: GuardReason[]): void {
    let nearest = 0;
    for (let i = 0; i < MARGINS; i++) {
      if (
        this.marginsNext[i]! < this.marginsNow[i]! &&
        this.marginsNow[i]! < this.marginsNow[nearest]!
      )
        nearest = i;
    }
    const [code] = this.surroundings.describe(nearest, 0, this.sample);
    const left = (this.marginsNow[nearest]! * 1000).toFixed(1);
    reasons.push(
      reason(
        code,
        `Slowing to ${Math.min(99, Math.floor(share * 100))} % of speed: ${left} mm are left before the arm must stop.`,
      ),
    );
  }

  /** Replaces `velocity` by the nearest to it, on the way to braking, whose braking path is clear. */
  private keepClear(dt: number, velocity: Float64Array, reasons: GuardReason[]): void {
    if (this.isClear(velocity, dt)) return;
    const [code, message] = this.surroundings.describe(
      this.blockedBy,
      this.blockedValue,
      this.sample,
    );
    this.motion.braking(dt, this.brake);
    let clear = 0;
    for (let step = 0.5, i = 0; i < HALVINGS; i++, step /= 2) {
      this.blendTo(clear + step, velocity);
      if (this.isClear(this.blend, dt)) clear += step;
    }
    this.blendTo(clear, velocity);
    velocity.set(this.blend);
    if (reasons.every((given) => given.code !== code)) reasons.push(reason(code, message));
  }

  private blendTo(share: number, velocity: Float64Array): void {
    for (let i = 0; i < velocity.length; i++)
      this.blend[i] = this.brake[i]! + share * (velocity[i]! - this.brake[i]!);
  }

  /** Whether nothing is in the way of this step and of braking after it. Both lie on one line in joint space. */
  private isClear(velocity: Float64Array, dt: number): boolean {
    const { motion, sample, marginsSample, floor } = this;
    const time = dt + motion.stopTime(velocity) / 2;
    let longest = 0;
    for (const v of velocity) longest = Math.max(longest, Math.abs(v) * time);
    if (longest === 0 || this.isFarFromAll(velocity, time)) return true;
    // A margin that is already too small may not shrink again on the way.
    for (let k = 0; k < MARGINS; k++) floor[k] = Math.min(BETWEEN_PIECES, this.marginsNow[k]!);
    // In a long tick the step itself is looked at in pieces, too; piece 0 is its end.
    const own = Math.min(MAX_PIECES, Math.ceil((longest * dt) / time / PIECE));
    const rest = Math.min(MAX_PIECES, Math.ceil(longest / PIECE));
    for (let piece = 1 - own; piece <= rest; piece++) {
      const until = piece <= 0 ? (dt * (piece + own)) / own : dt + ((time - dt) * piece) / rest;
      for (let i = 0; i < sample.length; i++) sample[i] = motion.moved(i, velocity[i]! * until);
      this.surroundings.margins(sample, marginsSample);
      for (let k = 0; k < MARGINS; k++) {
        if (!(marginsSample[k]! >= floor[k]!)) {
          this.blockedBy = k;
          this.blockedValue = marginsSample[k]!;
          return false;
        }
        floor[k] = Math.min(BETWEEN_PIECES, marginsSample[k]!);
      }
    }
    return true;
  }

  /** Whether no point of the arm can get so far in `time` that a margin is used up: most ticks end here. */
  private isFarFromAll(velocity: Float64Array, time: number): boolean {
    let travel = 0;
    for (let i = 0; i < velocity.length; i++) travel += Math.abs(velocity[i]!) * this.reach[i]!;
    // Two links may both move towards each other.
    const needed = BETWEEN_PIECES + 2 * travel * time;
    return this.marginsNow.every((margin) => margin >= needed);
  }
}

/** Per joint: how far a point of the arm moves at most per rad (m) or per m (1). */
function reachOf(arm: Arm, capsules: ArmCapsules | null): readonly number[] {
  const lengths = arm.joints.map(({ previousFromJoint, motion }, i) => {
    const slide =
      motion === 'slide' ? Math.max(Math.abs(arm.lower[i]!), Math.abs(arm.upper[i]!)) : 0;
    return vec3.norm(previousFromJoint.translation) + slide;
  });
  const beyond = Math.max(
    vec3.norm(arm.lastFromTip.translation),
    ...(capsules?.capsules ?? []).map(
      ({ start, end, radius }) => Math.max(vec3.norm(start), vec3.norm(end)) + radius,
    ),
  );
  return arm.joints.map(({ motion }, i) =>
    motion === 'slide' ? 1 : lengths.slice(i).reduce((sum, length) => sum + length, beyond),
  );
}
