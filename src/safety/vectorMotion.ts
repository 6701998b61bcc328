/**
 * The commanded velocity of a point (m/s) or a rotation (rad/s), limited by the norms of velocity, acceleration and
 * jerk. Discrete time as in scalarMotion: v' = v + a'·dt, and the step is v'·dt.
 */
import * as vec3 from '../math/vec3.js';
import type { Vec3 } from '../types.js';
import {
  accelerationToReach,
  accelerationTowards,
  type AxisLimits,
  planningLimits,
} from './scalarMotion.js';

/** As in jointMotion: velocities that differ by no more than this share of one jerk tick count as equal. */
const SAME_MOTION = 0.1;
const ROUNDING = 1e-9;
/** No axis gets less than this share of the limits, before all are brought to norm 1. */
const SMALLEST_SHARE = 0.2;
/** s: what a velocity counts against a distance when the limits are shared between the axes. */
const SHARING_TIME = 0.1;
const HALVINGS = 20;

export class VectorMotion {
  readonly limits: AxisLimits;
  velocity: Vec3 = vec3.zero;
  acceleration: Vec3 = vec3.zero;
  /** Braking exceeded the jerk limit and its acceleration has not been let go yet. */
  private isHard = false;

  constructor(limits: AxisLimits) {
    this.limits = limits;
  }

  seed(): void {
    this.velocity = vec3.zero;
    this.acceleration = vec3.zero;
    this.isHard = false;
  }

  /**
   * Velocity of a step of `dt` that closes `error` (target − commanded) towards a target moving at `targetVelocity`,
   * at up to `speedShare` (0 … 1) of the velocity limit.
   */
  towards(error: Vec3, targetVelocity: Vec3, speedShare: number, dt: number): Vec3 {
    const { limits, velocity: v } = this;
    const direct = vec3.scale(error, 1 / dt);
    const isSameMotion =
      vec3.distance(direct, targetVelocity) <= SAME_MOTION * limits.jerk * dt * dt;
    const cap = speedShare * limits.velocity;
    if (isSameMotion && vec3.norm(direct) <= cap) {
      const a = vec3.scale(vec3.sub(direct, v), 1 / dt);
      if (this.isAllowed(a, dt)) return direct;
    }
    const shares = sharesAlong(
      vec3.addScaled(absolute(error), absolute(vec3.sub(v, targetVelocity)), SHARING_TIME),
    );
    const wished = shares.map((share, axis) => {
      const state = { position: 0, velocity: v[axis]!, acceleration: this.acceleration[axis]! };
      const own: AxisLimits = {
        velocity: limits.velocity * share,
        acceleration: limits.acceleration * share,
        jerk: limits.jerk * share,
      };
      const low = state.acceleration - limits.jerk * dt;
      const high = state.acceleration + limits.jerk * dt;
      const up = accelerationTowards(cap * share - state.velocity, own.jerk, dt);
      const down = accelerationTowards(-cap * share - state.velocity, own.jerk, dt);
      const interval = [clamp(down, low, high), clamp(up, low, high)] as const;
      return accelerationToReach(
        state,
        error[axis]!,
        targetVelocity[axis]!,
        interval,
        planningLimits(own),
        dt,
      );
    }) as unknown as Vec3;
    return this.step(wished, dt, cap);
  }

  /** Velocity of a step that comes to rest within the jerk limit. */
  toRest(dt: number): Vec3 {
    const shares = sharesAlong(absolute(this.velocity));
    const wished = this.velocity.map((v, axis) =>
      accelerationTowards(-v, this.limits.jerk * shares[axis]!, dt),
    ) as unknown as Vec3;
    return this.step(wished, dt, this.limits.velocity);
  }

  /** Velocity of a step of the braking path: straight on, at the acceleration limit. */
  braking(dt: number): Vec3 {
    const speed = vec3.norm(this.velocity);
    const left = speed - this.limits.acceleration * dt;
    return left > 0 ? vec3.scale(this.velocity, left / speed) : vec3.zero;
  }

  /** Whether a step to `velocity` exceeds the jerk limit. */
  exceedsJerk(velocity: Vec3, dt: number): boolean {
    const { jerk, acceleration: limit } = this.limits;
    const acceleration = vec3.scale(vec3.sub(velocity, this.velocity), 1 / dt);
    const change = vec3.distance(acceleration, this.acceleration);
    return change > jerk * dt * (1 + ROUNDING) + limit * ROUNDING;
  }

  /** Makes a step the last one. @returns whether it exceeds the jerk limit. */
  apply(velocity: Vec3, dt: number): boolean {
    const acceleration = vec3.scale(vec3.sub(velocity, this.velocity), 1 / dt);
    const exceeds = this.exceedsJerk(velocity, dt);
    const isStillHard = this.isHard && vec3.norm(acceleration) > this.limits.jerk * dt;
    this.isHard = exceeds || isStillHard;
    this.velocity = velocity;
    this.acceleration = acceleration;
    return exceeds;
  }

  /**
   * The step of an acceleration as near to the wished one as the limits allow, and no faster than `cap`, or than letting
   * go of the acceleration leaves it: axes that keep their own shares of a cap may exceed it together.
   */
  private step(wished: Vec3, dt: number, cap: number): Vec3 {
    const { jerk, acceleration: limit } = this.limits;
    const from = this.lettingGo(dt);
    const start = this.isHard ? from : this.acceleration;
    const reach = this.isHard ? Math.min(jerk * dt, vec3.norm(this.acceleration)) : jerk * dt;
    const reachable = vec3.add(start, vec3.clampNorm(vec3.sub(wished, start), reach));
    // Projecting on a ball that contains the start brings the result no further from the start.
    let a = vec3.clampNorm(reachable, limit);
    const fastest = Math.max(cap, vec3.norm(vec3.addScaled(this.velocity, from, dt)));
    const isAllowed = (acceleration: Vec3): boolean =>
      this.keepsSpeed(acceleration, dt) &&
      vec3.norm(vec3.addScaled(this.velocity, acceleration, dt)) <= fastest;
    if (!isAllowed(a)) {
      let kept = 0;
      for (let half = 0.5, i = 0; i < HALVINGS; i++, half /= 2)
        if (isAllowed(vec3.lerp(from, a, kept + half))) kept += half;
      a = vec3.lerp(from, a, kept);
    }
    // Only where braking left an acceleration that cannot be let go of in time does this change anything.
    return vec3.clampNorm(vec3.addScaled(this.velocity, a, dt), this.limits.velocity);
  }

  /** The acceleration after letting go of it as fast as jerk allows; 0 at once after a hard stop. */
  private lettingGo(dt: number): Vec3 {
    if (this.isHard) return vec3.zero;
    const size = vec3.norm(this.acceleration);
    const left = size - this.limits.jerk * dt;
    return left > 0 ? vec3.scale(this.acceleration, left / size) : vec3.zero;
  }

  private isAllowed(a: Vec3, dt: number): boolean {
    const { jerk, acceleration: limit } = this.limits;
    return (
      vec3.norm(a) <= limit &&
      vec3.distance(a, this.acceleration) <= jerk * dt &&
      this.keepsSpeed(a, dt)
    );
  }

  /** Whether speed stays within the limit now and while the acceleration is let go of: v' + a'·|a'| / (2·jerk). */
  private keepsSpeed(a: Vec3, dt: number): boolean {
    const { velocity: top, jerk } = this.limits;
    const next = vec3.addScaled(this.velocity, a, dt);
    const later = vec3.addScaled(next, a, vec3.norm(a) / (2 * jerk));
    return vec3.norm(next) <= top && vec3.norm(later) <= top;
  }
}

/** Shares of the limits per axis, of norm 1: what each axis keeps within, the vector keeps within. */
function sharesAlong(magnitudes: Vec3): Vec3 {
  const size = vec3.norm(magnitudes);
  if (!(size > 0)) return [Math.sqrt(1 / 3), Math.sqrt(1 / 3), Math.sqrt(1 / 3)];
  return vec3.normalise([
    Math.max(SMALLEST_SHARE, magnitudes[0] / size),
    Math.max(SMALLEST_SHARE, magnitudes[1] / size),
    Math.max(SMALLEST_SHARE, magnitudes[2] / size),
  ]);
}

function absolute(v: Vec3): Vec3 {
  return [Math.abs(v[0]), Math.abs(v[1]), Math.abs(v[2])];
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
