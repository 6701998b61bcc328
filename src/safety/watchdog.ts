/**
 * Notices that the control loop itself went silent. `tick` is called by the loop, `check` by an independent timer; both
 * are given the steady clock. It only says so: what is sent while the loop is silent is the layer below's decision
 * (a controller's own command timeout), since only the loop's guard can make a command.
 */
import type { Reason } from '../types.js';
import { reason } from './reasons.js';

const NS_PER_S = 1e9;

export class Watchdog {
  private readonly timeoutNs: number;
  private lastTickNs: bigint | null = null;

  /** `timeout`: longest silence, s. */
  constructor(timeout: number) {
    this.timeoutNs = timeout * NS_PER_S;
  }

  /** The loop is alive. The first tick starts the watch. */
  tick(nowNs: bigint): void {
    this.lastTickNs = nowNs;
  }

  /** The loop ended on purpose: silence is expected until the next tick. */
  stop(): void {
    this.lastTickNs = null;
  }

  /** Why to halt, or null while the loop is alive or has not begun. A clock that ran backwards is a halt as well. */
  check(nowNs: bigint): Reason | null {
    if (this.lastTickNs === null) return null;
    const silence = Number(nowNs - this.lastTickNs);
    if (silence < 0)
      return reason(
        'steadyClockBackwards',
        `The steady clock ran backwards by ${milliseconds(-silence)} since the last control tick.`,
      );
    if (silence <= this.timeoutNs) return null;
    return reason(
      'tickGap',
      `The control loop has been silent for ${milliseconds(silence)}, the watchdog allows ${milliseconds(this.timeoutNs)}.`,
    );
  }
}

function milliseconds(ns: number): string {
  return `${(ns / 1e6).toFixed(1)} ms`;
}
