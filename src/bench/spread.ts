/** How durations spread: what half of them were below, and what the slowest came to. */
import type { Samples } from '../control/samples.js';
import { percentile } from '../math/statistics.js';

/** In the unit of what was measured. */
export interface Spread {
  readonly count: number;
  readonly p50: number;
  /** Null of fewer than 100: there the longest alone would decide it. */
  readonly p99: number | null;
  readonly max: number;
}

const fewestForP99 = 100;

/** NaN of none. */
export function spreadOf(values: readonly number[]): Spread {
  const of = (share: number): number => percentile(values, share);
  return spread(values.length, of);
}

/** NaN of none. */
export function spreadOfSamples(samples: Samples): Spread {
  return spread(samples.count, (share) => samples.percentile(100 * share) ?? NaN);
}

const spread = (count: number, of: (share: number) => number): Spread => ({
  ...{ count, p50: of(0.5), p99: count < fewestForP99 ? null : of(0.99), max: of(1) },
});

/** Of two phases: the larger of each. */
export function larger(a: Spread, b: Spread): Spread {
  return {
    count: a.count + b.count,
    p50: Math.max(a.p50, b.p50),
    p99: a.p99 === null || b.p99 === null ? null : Math.max(a.p99, b.p99),
    max: Math.max(a.max, b.max),
  };
}

/** `p99 12.3 ms`; `max 14.5 ms` where they are too few for one. */
export function slowest({ p99, max }: Spread): string {
  return p99 === null ? `max ${max.toFixed(1)} ms` : `p99 ${p99.toFixed(1)} ms`;
}
