/**
 * Between two points of a joint trajectory, as joint_trajectory_controller interpolates (ros2_controllers, jazzy,
 * trajectory.cpp: interpolate_between_points): linear with positions alone, cubic where both points have velocities,
 * quintic where both have accelerations too. rad (or m), per s, per s²; one value per joint.
 */

export interface PointState {
  readonly position: readonly number[];
  readonly velocity: readonly number[] | null;
  /** Counts only beside a velocity. */
  readonly acceleration: readonly number[] | null;
}

/** Every derivative known. */
export interface FullState extends PointState {
  readonly velocity: readonly number[];
  readonly acceleration: readonly number[];
}

/** `t` s after `a`, 0 … `span`; `b` is `span` s after `a`, span > 0. */
export function interpolate(a: PointState, b: PointState, span: number, t: number): FullState {
  const columns = a.position.map((_, i) => polynomial(a, b, i, span));
  return {
    position: columns.map((c) => evaluate(c, t, 0)),
    velocity: columns.map((c) => evaluate(c, t, 1)),
    acceleration: columns.map((c) => evaluate(c, t, 2)),
  };
}

/** Coefficients of t⁰, t¹ … of joint `i`. */
function polynomial(a: PointState, b: PointState, i: number, T: number): readonly number[] {
  const [p0, p1] = [a.position[i]!, b.position[i]!];
  const d = p1 - p0;
  if (!a.velocity || !b.velocity) return [p0, d / T];
  const [v0, v1] = [a.velocity[i]!, b.velocity[i]!];
  if (!a.acceleration || !b.acceleration)
    return [p0, v0, (3 * d - (2 * v0 + v1) * T) / T ** 2, (-2 * d + (v0 + v1) * T) / T ** 3];
  const [a0, a1] = [a.acceleration[i]!, b.acceleration[i]!];
  return [
    p0,
    v0,
    a0 / 2,
    (20 * d - (12 * v0 + 8 * v1) * T - (3 * a0 - a1) * T ** 2) / (2 * T ** 3),
    (-30 * d + (16 * v0 + 14 * v1) * T + (3 * a0 - 2 * a1) * T ** 2) / (2 * T ** 4),
    (12 * d - 6 * (v0 + v1) * T - (a0 - a1) * T ** 2) / (2 * T ** 5),
  ];
}

/** The polynomial's `order`th derivative at `t` (Horner). */
function evaluate(coefficients: readonly number[], t: number, order: number): number {
  let value = 0;
  for (let k = coefficients.length - 1; k >= order; k--) {
    let factor = 1;
    for (let j = 0; j < order; j++) factor *= k - j;
    value = value * t + factor * coefficients[k]!;
  }
  return value;
}
