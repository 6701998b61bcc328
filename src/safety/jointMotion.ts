/**
 * The commanded motion of all joints: where the last command left them, and what the next may be. Joint limits always
 * hold here, with the precedence position (braking distance) > velocity > acceleration > jerk; jerk alone may be exceeded,
 * and only to reduce speed or acceleration.
 *
 * It knows nothing of the tool, the table or singularities: those choose between what is proposed here.
 */
import {
  accelerationToReach,
  accelerationTowards,
  type AxisLimits,
  largestStoppable,
  planningLimits,
  restDisplacement,
} from './scalarMotion.js';

export interface JointBounds extends AxisLimits {
  readonly name: string;
  readonly lower: number;
  readonly upper: number;
  /** N·m or N; Infinity: not checked. */
  readonly effort: number;
}

/** Where a target's velocity and the axis' own differ by no more than this share of one jerk tick, they count as equal. */
const SAME_MOTION = 0.1;
/** A joint whose step is this share of the largest one does not set the pace of the others. */
const MATTERS = 0.02;
/** rad or m: steps below this have no direction worth keeping. */
const NEGLIGIBLE = 1e-7;
/**
 * rad or m added to the room before a limit, so that the rounding of positions does not ask for sudden stops in short
 * ticks. No position leaves its limits by it: `moved` pins them.
 */
const POSITION_ROUNDING = 1e-13;
/** Relative slack for rounding where jerk is compared. */
const ROUNDING = 1e-9;

export class JointMotion {
  readonly bounds: readonly JointBounds[];
  readonly position: Float64Array;
  readonly velocity: Float64Array;
  readonly acceleration: Float64Array;
  /** 1 where braking exceeded the jerk limit and its acceleration has not been let go yet. */
  private readonly hard: Uint8Array;
  private readonly planning: readonly AxisLimits[];
  /** Room beyond which a joint's limit cannot matter to a stop, whatever its speed. */
  private readonly farRoom: readonly number[];
  /** Acceleration interval of the running tick. */
  private readonly low: Float64Array;
  private readonly high: Float64Array;

  constructor(bounds: readonly JointBounds[]) {
    const n = bounds.length;
    this.bounds = bounds;
    this.position = new Float64Array(n);
    this.velocity = new Float64Array(n);
    this.acceleration = new Float64Array(n);
    this.hard = new Uint8Array(n);
    this.low = new Float64Array(n);
    this.high = new Float64Array(n);
    this.planning = bounds.map(planningLimits);
    this.farRoom = this.planning.map(
      (limits) => 2 * restDisplacement(limits.velocity, limits.acceleration, limits),
    );
  }

  /** At rest at `position`. */
  seed(position: ArrayLike<number>): void {
    this.position.set(position);
    this.velocity.fill(0);
    this.acceleration.fill(0);
    this.hard.fill(0);
  }

  get isAtRest(): boolean {
    return this.velocity.every((v) => v === 0);
  }

  /**
   * Velocities of a step of `dt` towards a target that moves on at `targetVelocity`: every joint within its limits and
   * below `speedShare` (0 … 1) of its velocity limit as soon as jerk allows; all scaled together, so that the direction
   * to the target is kept, where no limit forbids it.
   */
  towards(
    target: ArrayLike<number>,
    targetVelocity: ArrayLike<number>,
    speedShare: number,
    dt: number,
    out: Float64Array,
  ): void {
    let largest = 0;
    for (let i = 0; i < out.length; i++) {
      this.setInterval(i, speedShare, dt);
      out[i] = this.velocity[i]! + dt * this.reach(i, target[i]!, targetVelocity[i]!, dt);
      largest = Math.max(largest, Math.abs(target[i]! - this.position[i]!));
    }
    let share = 1;
    const matters = Math.max(NEGLIGIBLE, MATTERS * largest);
    for (let i = 0; i < out.length; i++) {
      const whole = target[i]! - this.position[i]!;
      const part = out[i]! * dt;
      if (whole * part > 0 && Math.abs(whole - part) > matters)
        share = Math.min(share, part / whole);
    }
    for (let i = 0; i < out.length; i++) {
      const whole = target[i]! - this.position[i]!;
      const together = (share * whole) / dt;
      // Never faster than the joint alone would go, never the other way.
      if (share < 1 && whole * out[i]! > 0 && Math.abs(together) < Math.abs(out[i]!))
        out[i] = this.clampToInterval(i, together, dt);
      out[i] = this.clampToPosition(i, out[i]!, dt);
    }
  }

  /** Velocities of a step that brings every joint to rest within its jerk limit. */
  toRest(dt: number, out: Float64Array): void {
    for (let i = 0; i < out.length; i++) {
      this.setInterval(i, 0, dt);
      out[i] = this.clampToPosition(i, this.velocity[i]! + dt * this.low[i]!, dt);
    }
  }

  /** The same velocities, `factor` (0 … 1) as fast where the limits allow; after `towards` of the same tick. */
  scaled(factor: number, dt: number, out: Float64Array): void {
    for (let i = 0; i < out.length; i++)
      out[i] = this.clampToPosition(i, this.clampToInterval(i, out[i]! * factor, dt), dt);
  }

  /**
   * Velocities of a step of the braking path: all joints come to rest together, along a straight line in joint space,
   * the first of them at its acceleration limit; a joint that is too near its position limit for that brakes alone.
   */
  braking(dt: number, out: Float64Array): void {
    const time = this.stopTime(this.velocity);
    const factor = time > dt ? 1 - dt / time : 0;
    for (let i = 0; i < out.length; i++)
      out[i] = this.clampToPosition(i, this.velocity[i]! * factor, dt);
  }

  /** Time that braking from `velocity` takes, s. */
  stopTime(velocity: ArrayLike<number>): number {
    let time = 0;
    for (let i = 0; i < this.bounds.length; i++)
      time = Math.max(time, Math.abs(velocity[i]!) / this.bounds[i]!.acceleration);
    return time;
  }

  /** Where joint i is after moving by `displacement`: a limit is never crossed outwards. */
  moved(i: number, displacement: number): number {
    const from = this.position[i]!;
    const { lower, upper } = this.bounds[i]!;
    return Math.min(Math.max(from + displacement, Math.min(lower, from)), Math.max(upper, from));
  }

  /** Makes a step the last command. @returns the index of a joint whose jerk limit it exceeds, or −1. */
  apply(velocity: ArrayLike<number>, target: ArrayLike<number> | null, dt: number): number {
    let exceeded = -1;
    for (let i = 0; i < this.bounds.length; i++) {
      const { jerk, acceleration: limit } = this.bounds[i]!;
      // No −0: it prints like a motion.
      const next = velocity[i]! + 0;
      const acceleration = (next - this.velocity[i]!) / dt;
      const change = Math.abs(acceleration - this.acceleration[i]!);
      const exceeds = change > jerk * dt * (1 + ROUNDING) + limit * ROUNDING;
      if (exceeds) exceeded = i;
      this.hard[i] = exceeds || (this.hard[i] && Math.abs(acceleration) > jerk * dt) ? 1 : 0;
      const position = this.moved(i, next * dt);
      const wanted = target?.[i];
      // What reaches the target reaches it to the last bit.
      const isReached =
        wanted !== undefined &&
        Math.abs(position - wanted) <= 4 * Number.EPSILON * (1 + Math.abs(wanted)) &&
        this.moved(i, wanted - this.position[i]!) === wanted;
      this.position[i] = isReached ? wanted : position;
      this.velocity[i] = next;
      this.acceleration[i] = acceleration;
    }
    return exceeded;
  }

  /** The accelerations the limits allow, by precedence: velocity, then acceleration, then jerk, then the speed share. */
  private setInterval(i: number, speedShare: number, dt: number): void {
    const { velocity: top, acceleration: limit, jerk } = this.bounds[i]!;
    const [v, a] = [this.velocity[i]!, this.acceleration[i]!];
    let low = a - jerk * dt;
    let high = a + jerk * dt;
    if (this.hard[i]) [low, high] = [Math.min(low, 0), Math.max(high, 0)];
    low = Math.max(low, -limit);
    high = Math.min(high, limit);
    const fastest = accelerationTowards(top - v, jerk, dt);
    const slowest = accelerationTowards(-top - v, jerk, dt);
    if (fastest < low) low = Math.max(fastest, -limit);
    if (slowest > high) high = Math.min(slowest, limit);
    high = Math.max(low, Math.min(high, fastest));
    low = Math.min(high, Math.max(low, slowest));
    const wish = speedShare * top;
    const up = clamp(accelerationTowards(wish - v, jerk, dt), low, high);
    const down = clamp(accelerationTowards(-wish - v, jerk, dt), low, high);
    this.low[i] = Math.min(up, down);
    this.high[i] = Math.max(up, down);
  }

  /** The acceleration within the interval that reaches the target, without passing it or a limit. */
  private reach(i: number, target: number, targetVelocity: number, dt: number): number {
    const { lower, upper, jerk } = this.bounds[i]!;
    const [p, v] = [this.position[i]!, this.velocity[i]!];
    const interval = [this.low[i]!, this.high[i]!] as const;
    const planning = this.planning[i]!;
    const state = { position: p, velocity: v, acceleration: this.acceleration[i]! };
    const direct = (target - p) / dt;
    const directAcceleration = (direct - v) / dt;
    const slack = ROUNDING * planning.acceleration;
    const isSameMotion = Math.abs(direct - targetVelocity) <= SAME_MOTION * jerk * dt * dt;
    let a =
      isSameMotion &&
      directAcceleration >= interval[0] - slack &&
      directAcceleration <= interval[1] + slack
        ? clamp(directAcceleration, interval[0], interval[1])
        : accelerationToReach(state, target, targetVelocity, interval, planning, dt);
    if (targetVelocity > 0 && p <= upper && upper - p < this.farRoom[i]!)
      a = Math.min(a, accelerationToReach(state, upper, 0, interval, planning, dt));
    if (targetVelocity < 0 && p >= lower && p - lower < this.farRoom[i]!)
      a = Math.max(a, accelerationToReach(state, lower, 0, interval, planning, dt));
    return a;
  }

  private clampToInterval(i: number, velocity: number, dt: number): number {
    const v = this.velocity[i]!;
    return clamp(velocity, v + dt * this.low[i]!, v + dt * this.high[i]!);
  }

  /** Above everything: a speed from which the joint can still stop before its limit; outside, only inwards. */
  private clampToPosition(i: number, velocity: number, dt: number): number {
    const { lower, upper, acceleration } = this.bounds[i]!;
    const p = this.position[i]!;
    const up = p > upper ? 0 : largestStoppable(upper - p + POSITION_ROUNDING, acceleration, dt);
    const down = p < lower ? 0 : largestStoppable(p - lower + POSITION_ROUNDING, acceleration, dt);
    return clamp(velocity, -down, up);
  }
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(Math.max(value, low), high);
}
