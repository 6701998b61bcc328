/**
 * How far, how fast: motion along one axis that brakes with constant deceleration. A control tick of `dt` s holds one
 * velocity; speeds are magnitudes ≥ 0 towards the limit. rad or m, rad/s or m/s, rad/s² or m/s².
 */

/** Distance covered while braking from `velocity` to 0 in continuous time: v² / (2a). The sign of v is ignored. */
export function stoppingDistance(velocity: number, acceleration: number): number {
  return velocity ** 2 / (2 * acceleration);
}

/** Inverse of stoppingDistance: the speed from which braking ends after `distance`: √(2·a·d). 0 for a distance ≤ 0. */
export function velocityFromStoppingDistance(distance: number, acceleration: number): number {
  return Math.sqrt(2 * acceleration * Math.max(0, distance));
}

/**
 * Distance covered in ticks from now to rest when this tick still holds `velocity` and each later one is slower by
 * a·dt: dt·(v + (v − a·dt) + (v − 2a·dt) + …), over the n = ⌈v / (a·dt)⌉ terms above 0
 * = n·dt·v − a·dt²·n(n − 1)/2. Always ≥ stoppingDistance: a tick brakes later than a clockless arm.
 */
export function tickedStoppingDistance(velocity: number, acceleration: number, dt: number): number {
  const speed = Math.abs(velocity);
  const perTick = acceleration * dt;
  const ticks = Math.ceil(speed / perTick);
  return dt * (ticks * speed - (perTick * ticks * (ticks - 1)) / 2);
}

/**
 * Inverse of tickedStoppingDistance: the largest velocity to hold during this tick from which braking by a·dt per tick
 * still ends within `distance`. 0 for a distance ≤ 0, Infinity for an infinite one.
 *
 * Stopping in n ticks covers at most a·dt²·n(n + 1)/2 (then v = n·a·dt). So n is the smallest with
 * a·dt²·n(n + 1)/2 ≥ d, n = ⌈(√(1 + 8d / (a·dt²)) − 1) / 2⌉, and from d = n·dt·v − a·dt²·n(n − 1)/2
 * follows v = d / (n·dt) + a·dt·(n − 1)/2.
 */
export function maxVelocityToStopWithin(
  distance: number,
  acceleration: number,
  dt: number,
): number {
  if (distance <= 0) return 0;
  if (distance === Infinity) return Infinity;
  const perTick = acceleration * dt;
  const ticks = Math.max(1, Math.ceil((Math.sqrt(1 + (8 * distance) / (perTick * dt)) - 1) / 2));
  return distance / (ticks * dt) + (perTick * (ticks - 1)) / 2;
}

/** `wanted`, no further than `maxChange` from `current`: what one tick of limited acceleration (or jerk) allows. */
export function approach(current: number, wanted: number, maxChange: number): number {
  return Math.min(current + maxChange, Math.max(current - maxChange, wanted));
}

/**
 * Signed velocities to hold during this tick that leave the room to stop before `lower` and `upper`. From outside a
 * limit only inward motion (0 included) is left. lowest ≤ 0 ≤ highest wherever `position` is between the limits.
 */
export function velocityBounds(
  position: number,
  { lower, upper }: { readonly lower: number; readonly upper: number },
  acceleration: number,
  dt: number,
): { readonly lowest: number; readonly highest: number } {
  return {
    lowest: 0 - maxVelocityToStopWithin(position - lower, acceleration, dt),
    highest: maxVelocityToStopWithin(upper - position, acceleration, dt),
  };
}
