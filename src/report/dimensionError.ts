/** How far predictions are from what was recorded, per dimension. */
import { mean, percentile } from '../math/statistics.js';
import type { DimensionTrack } from './runReport.js';

export interface DimensionError {
  /** Times at which both are there. */
  readonly count: number;
  /** Mean, 95th percentile and largest of |predicted − recorded|, and mean of predicted − recorded; NaN without any. */
  readonly mean: number;
  readonly p95: number;
  readonly max: number;
  readonly bias: number;
  /** Largest |recorded|: what an error is to be seen against. */
  readonly scale: number;
}

export function dimensionError(track: DimensionTrack): DimensionError {
  const differences = track.times.flatMap((_, i) => {
    const [predicted, recorded] = [track.predicted[i] ?? null, track.recorded[i] ?? null];
    return predicted === null || recorded === null ? [] : [predicted - recorded];
  });
  const sizes = differences.map(Math.abs);
  return {
    count: differences.length,
    mean: mean(sizes),
    p95: percentile(sizes, 0.95),
    max: sizes.length === 0 ? NaN : sizes.reduce((a, b) => Math.max(a, b)),
    bias: mean(differences),
    scale: track.recorded.reduce<number>((a, b) => Math.max(a, Math.abs(b ?? 0)), 0),
  };
}
