/** The two clocks, read together. They have different origins and are never subtracted from one another. */
export interface Instant {
  /** Steady clock: deadlines, periods, watchdogs, ages since receipt. */
  readonly nowNs: bigint;
  /** ROS, bag or simulation clock: alignment by stamps, ages of observations. */
  readonly stampNs: bigint;
}

/** Real time, handed in by main or by a test: nothing in this room reads a global clock. */
export interface Clock {
  now(): Instant;
  /** Resolves at this steady time, at once where it has passed, and early only where `signal` is aborted. */
  sleepUntil(nowNs: bigint, signal?: AbortSignal): Promise<void>;
}

export const NS_PER_S = 1e9;

/** s → ns, to the nearest. */
export function nsFromSeconds(seconds: number): bigint {
  return BigInt(Math.round(seconds * NS_PER_S));
}

/** ns → s. */
export function secondsFromNs(ns: bigint): number {
  return Number(ns) / NS_PER_S;
}
