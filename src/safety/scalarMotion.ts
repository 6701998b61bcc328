/**
 * One axis under limits of velocity, acceleration and jerk, in discrete time.
 *
 * A step is semi-implicit: v' = v + a'·dt, p' = p + v'·dt. So the velocity commanded is exactly the difference of the
 * positions commanded. While braking, each step uses the slower, later speed: the arm never needs more room than in
 * continuous time, v²/(2·A), however irregular the ticks to come are. That is what makes "a braking path always exists"
 * exact here and not a matter of the tick rate.
 */

export interface AxisState {
  readonly position: number;
  readonly velocity: number;
  readonly acceleration: number;
}

export interface AxisLimits {
  readonly velocity: number;
  readonly acceleration: number;
  readonly jerk: number;
}

/**
 * Largest x ≥ 0 that can still be brought to 0 at `rate` within `room`, after one step of dt at x itself:
 * x·dt + x²/(2·rate) = room. As a speed: room to a limit, braking at the acceleration limit. As an acceleration: room to
 * a speed, let go at the jerk limit. 0 where there is no room. (Written without the cancellation of −dt + √(dt² + …).)
 */
export function largestStoppable(room: number, rate: number, dt: number): number {
  if (!(room > 0)) return 0;
  return (2 * room) / (dt + Math.sqrt(dt * dt + (2 * room) / rate));
}

/** The acceleration that takes speed by `change` (either sign) and ends at acceleration 0, jerk permitting. */
export function accelerationTowards(change: number, jerk: number, dt: number): number {
  return Math.sign(change) * largestStoppable(Math.abs(change), jerk, dt);
}

/**
 * Where an axis at speed v and acceleration a comes to rest (v = a = 0), as a displacement, when stopped as fast as
 * jerk and acceleration limits allow: jerk −j to acceleration −peak, hold, jerk +j to 0. Continuous time.
 */
export function restDisplacement(v: number, a: number, limits: AxisLimits): number {
  const { jerk: j, acceleration: limit } = limits;
  // Letting go of the acceleration alone leaves this speed; its sign says which way to brake.
  if (v + (a * Math.abs(a)) / (2 * j) < 0) return -restDisplacement(-v, -a, limits);
  const peak = Math.min(Math.sqrt(Math.max(0, j * v + (a * a) / 2)), limit);
  const ramp = Math.max(0, (a + peak) / j);
  const v1 = v + ramp * (a - (j * ramp) / 2);
  let displacement = ramp * (v + ramp * (a / 2 - (j * ramp) / 6));
  const hold = peak > 0 ? Math.max(0, (v1 - (peak * peak) / (2 * j)) / peak) : 0;
  displacement += hold * (v1 - (peak * hold) / 2);
  return displacement + (peak * peak * peak) / (6 * j * j);
}

/**
 * Share of the acceleration and jerk limits with which a stop at the target is planned. The rest is what a tick of
 * finite length and a target that moves on need to be corrected without overshoot.
 */
const PLANNED_SHARE = 0.85;

export function planningLimits(limits: AxisLimits): AxisLimits {
  return {
    velocity: limits.velocity,
    acceleration: limits.acceleration * PLANNED_SHARE,
    jerk: limits.jerk * PLANNED_SHARE,
  };
}

/**
 * The acceleration in [low, high] with which the axis, were it stopped right after this step, would come to rest on the
 * target: the time-optimal way to a target that moves on at `targetVelocity`. `low` where it overshoots anyway, `high`
 * where it cannot reach it yet.
 */
export function accelerationToReach(
  state: AxisState,
  target: number,
  targetVelocity: number,
  [low, high]: readonly [number, number],
  limits: AxisLimits,
  dt: number,
): number {
  const overshoot = (a: number): number => {
    const v = state.velocity + a * dt;
    return state.position + v * dt - target + restDisplacement(v - targetVelocity, a, limits);
  };
  let [x0, x1] = [low, high];
  let [f0, f1] = [overshoot(x0), overshoot(x1)];
  if (!(f0 < 0)) return low;
  if (!(f1 > 0)) return high;
  // Overshoot grows with a: regula falsi, Illinois variant (an end kept twice in a row counts half).
  let kept = -1;
  for (let i = 0; i < MAX_ITERATIONS && x1 - x0 > TOLERANCE * (high - low); i++) {
    const x = (x0 * f1 - x1 * f0) / (f1 - f0);
    const f = overshoot(x);
    if (Math.abs(f) < REACHED) return x;
    if (f < 0) {
      [x0, f0] = [x, f];
      if (kept === 1) f1 /= 2;
      kept = 1;
    } else {
      [x1, f1] = [x, f];
      if (kept === 0) f0 /= 2;
      kept = 0;
    }
  }
  return x0;
}

const MAX_ITERATIONS = 40;
const TOLERANCE = 1e-9;
/** m or rad: near enough to the target. */
const REACHED = 1e-12;
