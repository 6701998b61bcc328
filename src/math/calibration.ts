/**
 * Scores ↔ how often what was scored came true. A table of a few knots, monotone, linear between them: fitted by pool
 * adjacent violators (Ayer et al. 1955) over groups of equal size, read by whoever shows or gates a score.
 */

/** [score, share that came true], scores rising, shares never falling; both 0 … 1. At least two. */
export type Calibration = readonly (readonly [number, number])[];

export interface Outcome {
  /** 0 … 1 */
  readonly score: number;
  readonly isTrue: boolean;
}

/** One bar of a reliability plot. */
export interface ReliabilityBin {
  readonly count: number;
  /** Mean score of the bin's outcomes, and the share of them that came true. */
  readonly score: number;
  readonly share: number;
}

/** Outside the table: its nearer end. */
export function calibrated(table: Calibration, score: number): number {
  const next = table.findIndex(([knot]) => knot >= score);
  if (next === -1) return table.at(-1)![1];
  if (next === 0) return table[0]![1];
  const [[low, from], [high, to]] = [table[next - 1]!, table[next]!];
  return from + ((to - from) * (score - low)) / (high - low);
}

/** What is wrong with a table, as a predicate; null for one that can be read. */
export function calibrationProblem(table: Calibration): string | null {
  if (table.length < 2) return `has ${table.length} knots, expected at least 2`;
  const bad = table.findIndex(
    ([score, share], i) => i > 0 && !(score > table[i - 1]![0] && share >= table[i - 1]![1]),
  );
  return bad === -1
    ? null
    : `does not rise at its knot ${bad}: scores must rise, shares must not fall`;
}

/** `groups` of equal size by score; fewer where there are fewer outcomes. */
export function reliability(outcomes: readonly Outcome[], groups: number): ReliabilityBin[] {
  const sorted = [...outcomes].sort((a, b) => a.score - b.score);
  const count = Math.min(groups, sorted.length);
  return Array.from({ length: count }, (_, k) => {
    const group = sorted.slice(
      Math.floor((k * sorted.length) / count),
      Math.floor(((k + 1) * sorted.length) / count),
    );
    return {
      count: group.length,
      score: group.reduce((sum, { score }) => sum + score, 0) / group.length,
      share: group.filter(({ isTrue }) => isTrue).length / group.length,
    };
  });
}

/** Mean |score − share| over the bins, weighted by their size (Naeini et al. 2015); NaN without outcomes. */
export function expectedCalibrationError(bins: readonly ReliabilityBin[]): number {
  const all = bins.reduce((sum, { count }) => sum + count, 0);
  return bins.reduce((sum, bin) => sum + bin.count * Math.abs(bin.score - bin.share), 0) / all;
}

/**
 * The monotone table nearest to the outcomes in squares, over `groups` groups of equal size. Null where scores do not
 * differ enough for two knots.
 */
export function fitCalibration(outcomes: readonly Outcome[], groups: number): Calibration | null {
  const pooled: ReliabilityBin[] = [];
  for (const bin of reliability(outcomes, groups)) {
    let last = bin;
    for (let before = pooled.at(-1); before && before.share >= last.share; before = pooled.at(-1)) {
      pooled.pop();
      last = merged(before, last);
    }
    pooled.push(last);
  }
  const table = pooled
    .map(({ score, share }): readonly [number, number] => [round(score), round(share)])
    .filter(([score], i, knots) => i === 0 || score > knots[i - 1]![0]);
  return table.length >= 2 ? table : null;
}

function merged(a: ReliabilityBin, b: ReliabilityBin): ReliabilityBin {
  const count = a.count + b.count;
  const mean = (x: number, y: number): number => (a.count * x + b.count * y) / count;
  return { count, score: mean(a.score, b.score), share: mean(a.share, b.share) };
}

/** Four digits: more would only pretend. */
function round(value: number): number {
  return Math.round(value * 1e4) / 1e4;
}
