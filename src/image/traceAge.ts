/** How old predicted traces are when they are drawn over a newer picture: they fade, and are stale when their time is over. */
import type { TracePrediction } from '../types.js';

export interface TraceAge {
  /** From the picture that the traces were predicted on. */
  readonly seconds: number;
  /** Every predicted step lies in the past. */
  readonly isStale: boolean;
  /** 1 when new, 0.5 when the last step is due, 0.25 from then on. */
  readonly opacity: number;
}

/** @param stampNs of the picture they are drawn over; from the same clock, not before theirs. */
export function traceAge(
  prediction: Pick<TracePrediction, 'observationStampNs' | 'stepPeriodNs' | 'traces'>,
  stampNs: bigint,
): TraceAge {
  const { observationStampNs, stepPeriodNs, traces } = prediction;
  const steps = Math.max(1, ...traces.map(({ future }) => future.length));
  const horizon = (Number(stepPeriodNs) / 1e9) * steps;
  const seconds = Number(stampNs - observationStampNs) / 1e9;
  const isStale = seconds > horizon;
  return { seconds, isStale, opacity: isStale ? 0.25 : 1 - 0.5 * Math.max(0, seconds / horizon) };
}
