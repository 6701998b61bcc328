/** Real time under the test's hand: passes only in `pass`, from one sleeper to the next. */
import type { Clock, Instant } from '../../src/control/clock.js';

interface Sleeper {
  readonly atNs: bigint;
  readonly wake: () => void;
}

export class FakeClock implements Clock {
  #nowNs = 5_000_000_000n;
  #stampOffsetNs = 100_000_000_000n;
  #sleepers: Sleeper[] = [];
  #losing = false;
  readonly #onPass: (ns: bigint) => void;

  /** `onPass` is called with every span that passes: step what lives in this time there. */
  constructor(onPass: (ns: bigint) => void = () => undefined) {
    this.#onPass = onPass;
  }

  now(): Instant {
    return { nowNs: this.#nowNs, stampNs: this.#nowNs + this.#stampOffsetNs };
  }

  sleepUntil(nowNs: bigint, signal?: AbortSignal): Promise<void> {
    if (nowNs <= this.#nowNs || signal?.aborted) return Promise.resolve();
    if (this.#losing) {
      this.#losing = false;
      return new Promise(() => undefined);
    }
    return new Promise((wake) => {
      this.#sleepers.push({ atNs: nowNs, wake });
      signal?.addEventListener('abort', () => wake());
    });
  }

  /** The ROS clock jumps against the steady one. */
  jumpStamps(byNs: bigint): void {
    this.#stampOffsetNs += byNs;
  }

  /** The next sleep never ends. */
  loseNextSleep(): void {
    this.#losing = true;
  }

  async pass(ns: bigint): Promise<void> {
    const endNs = this.#nowNs + ns;
    await settled();
    for (;;) {
      const next = this.#sleepers.reduce<bigint>(
        (first, { atNs }) => (atNs < first ? atNs : first),
        endNs,
      );
      if (next > this.#nowNs) this.#onPass(next - this.#nowNs);
      this.#nowNs = next > this.#nowNs ? next : this.#nowNs;
      const due = this.#sleepers.filter(({ atNs }) => atNs <= this.#nowNs);
      this.#sleepers = this.#sleepers.filter(({ atNs }) => atNs > this.#nowNs);
      for (const { wake } of due) wake();
      await settled();
      if (due.length === 0 && this.#nowNs >= endNs) return;
    }
  }
}

/** Everything that follows from what has happened so far has run. */
function settled(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}
