/** How near an arm is to a singularity, and how much speed that leaves a motion that leads nearer. */
import { type Arm, jacobianFromLinkPoses, linkPoses } from '../arm/kinematics.js';
import type { GuardConfig } from '../config.js';
import { factorCholesky, gram, smallestSingularValue, solveFactored } from '../math/matrix.js';
import type { Vec3 } from '../types.js';
import { type GuardReason, reason } from './reasons.js';

/** s: how far ahead a motion is followed to see whether it leads towards a singularity. */
const LOOK_AHEAD = 0.02;
/** λ² of the damped least squares by which a twist becomes joint velocities here. */
const DAMPING = 1e-4;

export interface SlowDown {
  /** Share of full speed, 0 … 1. */
  readonly share: number;
  readonly reason: GuardReason;
}

export class SingularityWatch {
  private readonly arm: Arm;
  private readonly thresholds: GuardConfig['singularity'];
  private readonly jacobian: Float64Array;
  private readonly velocity: Float64Array;
  private readonly ahead: Float64Array;
  private readonly square = new Float64Array(36);

  constructor(arm: Arm, thresholds: GuardConfig['singularity']) {
    const n = arm.joints.length;
    this.arm = arm;
    this.thresholds = thresholds;
    this.jacobian = new Float64Array(6 * n);
    this.velocity = new Float64Array(n);
    this.ahead = new Float64Array(n);
  }

  /** For a twist of the tool at a joint position; null where it may go at full speed. */
  slowDown(position: ArrayLike<number>, linear: Vec3, angular: Vec3, dt: number): SlowDown | null {
    jacobianFromLinkPoses(this.arm, linkPoses(this.arm, position), this.jacobian);
    if (this.isFar(this.jacobian)) return null;
    this.jointVelocity([...linear, ...angular]);
    return this.slowDownTo(this.smallest(), position, this.velocity, dt);
  }

  /** For joint velocities, at a position whose Jacobian is known. */
  slowDownJoints(
    jacobian: Float64Array,
    position: ArrayLike<number>,
    velocity: Float64Array,
    dt: number,
  ): SlowDown | null {
    if (this.isFar(jacobian)) return null;
    this.jacobian.set(jacobian);
    return this.slowDownTo(this.smallest(), position, velocity, dt);
  }

  /** Whether all singular values are above `slow`: J·Jᵀ − slow²·I is then positive definite, which is quick to tell. */
  private isFar(jacobian: Float64Array): boolean {
    const n = this.velocity.length;
    if (n < 6) return false;
    gram(jacobian, 6, n, this.square);
    for (let row = 0; row < 6; row++) this.square[row * 7]! -= this.thresholds.slow ** 2;
    return factorCholesky(this.square, 6);
  }

  private slowDownTo(
    now: number,
    position: ArrayLike<number>,
    velocity: Float64Array,
    dt: number,
  ): SlowDown | null {
    const time = Math.max(dt, LOOK_AHEAD);
    const { slow, stop } = this.thresholds;
    if (!(now < slow)) return null;
    for (let i = 0; i < this.ahead.length; i++) this.ahead[i] = position[i]! + velocity[i]! * time;
    jacobianFromLinkPoses(this.arm, linkPoses(this.arm, this.ahead), this.jacobian);
    // Motion that leads away, or changes nothing, passes.
    if (!(this.smallest() < now)) return null;
    const share = slow > stop ? Math.max(0, (now - stop) / (slow - stop)) : 0;
    return {
      share,
      reason: reason(
        'singularity',
        `Near a singularity (smallest singular value ${now.toFixed(4)}, slow below ${slow}, stop at ${stop}): speed × ${share.toFixed(2)}.`,
      ),
    };
  }

  private smallest(): number {
    return smallestSingularValue(this.jacobian, 6, this.velocity.length);
  }

  /** velocity ← Jᵀ (J Jᵀ + λ² I)⁻¹ twist, at the Jacobian computed last. */
  private jointVelocity(twist: readonly number[]): void {
    const n = this.velocity.length;
    const normal = new Float64Array(36);
    const right = Float64Array.from(twist);
    gram(this.jacobian, 6, n, normal);
    for (let row = 0; row < 6; row++) normal[row * 7]! += DAMPING;
    factorCholesky(normal, 6);
    solveFactored(normal, right, 6);
    for (let i = 0; i < n; i++) {
      let sum = 0;
      for (let row = 0; row < 6; row++) sum += this.jacobian[row * n + i]! * right[row]!;
      this.velocity[i] = sum;
    }
  }
}
