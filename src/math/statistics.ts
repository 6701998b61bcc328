/** What a report says about a sample. */

/**
 * Value below which a share `p` (0 … 1) of the sample lies, linear between neighbours (numpy's default, type 7 of
 * Hyndman & Fan 1996). The sample need not be sorted and is not changed. NaN for an empty one.
 */
export function percentile(values: readonly number[], p: number): number {
  if (values.length === 0) return NaN;
  const sorted = [...values].sort((a, b) => a - b);
  const at = Math.min(1, Math.max(0, p)) * (sorted.length - 1);
  const below = sorted[Math.floor(at)]!;
  const above = sorted[Math.ceil(at)]!;
  return below + (above - below) * (at - Math.floor(at));
}

/** NaN for an empty sample. */
export function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}

/**
 * Interval of a success rate, 0 … 1 (Wilson, JASA 1927): unlike rate ± error it stays inside 0 … 1 and means something
 * at 0 or all successes. `z` 1.96 is 95 %. Nothing tried says nothing: 0 … 1.
 */
export function wilsonInterval(
  successes: number,
  trials: number,
  z = 1.96,
): { readonly low: number; readonly high: number } {
  if (trials === 0) return { low: 0, high: 1 };
  const rate = successes / trials;
  const z2 = z * z;
  const centre = rate + z2 / (2 * trials);
  const spread = z * Math.sqrt((rate * (1 - rate) + z2 / (4 * trials)) / trials);
  const scale = 1 + z2 / trials;
  return {
    low: Math.max(0, (centre - spread) / scale),
    high: Math.min(1, (centre + spread) / scale),
  };
}
