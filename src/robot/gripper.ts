/**
 * Gripper joint position ↔ opening (0 closed … 1 open), by the configured positions of the two ends. Live, replay,
 * recordings and simulation share these two, so that a recorded opening comes back to the last bit.
 */

export interface GripperRange {
  readonly closed: number;
  readonly open: number;
}

/** Joint position → opening, limited to 0 … 1: a reported position may overshoot its end a little. */
export function openingFromPosition(position: number, range: GripperRange): number {
  const opening = (position - range.closed) / (range.open - range.closed);
  return Math.min(1, Math.max(0, opening));
}

/** How many neighbouring doubles are tried for an exact inverse; rounding moves the quotient by at most a few. */
const NEIGHBOURS = 8;

/**
 * Opening → joint position, such that openingFromPosition gives the opening back exactly wherever some position does
 * (any opening that came from a position); to the last bit but one elsewhere.
 */
export function positionFromOpening(opening: number, range: GripperRange): number {
  const position = range.closed + opening * (range.open - range.closed);
  for (let step = 0; step <= NEIGHBOURS; step++)
    for (const sign of [1, -1]) {
      const candidate = neighbour(position, sign * step);
      if (openingFromPosition(candidate, range) === opening) return candidate;
    }
  return position;
}

/** The double `steps` representable values away. */
function neighbour(value: number, steps: number): number {
  if (steps === 0 || value === 0) return value + steps * Number.MIN_VALUE;
  const bits = new BigInt64Array(new Float64Array([value]).buffer);
  bits[0]! += BigInt(value > 0 ? steps : -steps);
  return new Float64Array(bits.buffer)[0]!;
}
