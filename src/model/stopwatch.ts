/** Time spent per stage of one answer. */
import type { Timing } from '../types.js';

export type Stage = Exclude<keyof Timing, 'totalMs'>;

export class Stopwatch {
  readonly #nowMs: () => number;
  readonly #startedMs: number;
  readonly #spent: Record<Stage, number> = {
    decodeMs: 0,
    preprocessMs: 0,
    visionMs: 0,
    generateMs: 0,
  };

  /** @param nowMs a steady clock, ms. */
  constructor(nowMs: () => number) {
    this.#nowMs = nowMs;
    this.#startedMs = nowMs();
  }

  /** Runs `work` and adds its time to a stage. */
  async measure<T>(stage: Stage, work: () => T | Promise<T>): Promise<T> {
    const startedMs = this.#nowMs();
    try {
      return await work();
    } finally {
      this.#spent[stage] += this.#nowMs() - startedMs;
    }
  }

  /** `totalMs` runs from the start until now, pauses included. */
  timing(): Timing {
    return { ...this.#spent, totalMs: this.#nowMs() - this.#startedMs };
  }
}
