/**
 * How many physics steps are due on the steady clock, at a real-time factor. What a slow machine cannot catch up with
 * soon is let go: simulated time then runs slower than asked for, in steps as steady as they can be, and never races
 * after a backlog.
 */

export interface PacingOptions {
  /** Simulated time per step. */
  readonly stepNs: bigint;
  /** Simulated time that is caught up with at most; what is beyond is let go. */
  readonly longestBacklogNs: bigint;
  /** Simulated s per real s; 0: paused. */
  readonly factor: number;
}

export class Pacing {
  readonly #stepNs: bigint;
  readonly #mostSteps: number;
  #factor: number;
  /** Real and simulated time (steps) at which the present count began. */
  #originNs: bigint;
  #stepsSinceOrigin = 0;
  #windowNs: bigint;
  #stepsInWindow = 0;

  constructor(options: PacingOptions, nowNs: bigint) {
    this.#stepNs = options.stepNs;
    this.#mostSteps = Math.max(1, Number(options.longestBacklogNs / options.stepNs));
    this.#factor = options.factor;
    this.#originNs = nowNs;
    this.#windowNs = nowNs;
  }

  get factor(): number {
    return this.#factor;
  }

  /** From now on; what was due until now is dropped. */
  setFactor(factor: number, nowNs: bigint): void {
    this.#factor = factor;
    this.restart(nowNs);
  }

  /** Steps to take now: counted as taken. */
  due(nowNs: bigint): number {
    const wanted = this.#wantedSteps(nowNs) - this.#stepsSinceOrigin;
    if (wanted <= 0) return 0;
    const steps = Math.min(wanted, this.#mostSteps);
    if (steps < wanted) this.restart(nowNs);
    else this.#stepsSinceOrigin += steps;
    this.#stepsInWindow += steps;
    return steps;
  }

  /** When the next step is due; null while paused. */
  get nextNs(): bigint | null {
    if (this.#factor === 0) return null;
    const real = (Number(this.#stepNs) * (this.#stepsSinceOrigin + 1)) / this.#factor;
    return this.#originNs + BigInt(Math.ceil(real));
  }

  /** Nothing is owed any more: after time that was not the simulation's. */
  restart(nowNs: bigint): void {
    this.#originNs = nowNs;
    this.#stepsSinceOrigin = 0;
  }

  /** Simulated s per real s since this was last asked. */
  achieved(nowNs: bigint): number {
    const real = Number(nowNs - this.#windowNs);
    const simulated = Number(this.#stepNs) * this.#stepsInWindow;
    this.#windowNs = nowNs;
    this.#stepsInWindow = 0;
    return real > 0 ? simulated / real : 0;
  }

  #wantedSteps(nowNs: bigint): number {
    const simulated = Number(nowNs - this.#originNs) * this.#factor;
    return Math.floor(simulated / Number(this.#stepNs) + 1e-9);
  }
}
