/** Numbers of the last while, in bounded memory: the oldest go first. */

export class SlidingWindow {
  readonly #span: number;
  readonly #values: Float64Array;
  /** s of the steady clock. */
  readonly #times: Float64Array;
  #count = 0;

  /** @param span s; @param capacity values at most. */
  constructor(span: number, capacity: number) {
    this.#span = span;
    this.#values = new Float64Array(capacity);
    this.#times = new Float64Array(capacity);
  }

  add(nowNs: bigint, value: number): void {
    const at = this.#count++ % this.#values.length;
    this.#values[at] = value;
    this.#times[at] = Number(nowNs) / 1e9;
  }

  /** Those added within the span before `nowNs`, sorted; a copy. */
  sorted(nowNs: bigint): Float64Array {
    const from = Number(nowNs) / 1e9 - this.#span;
    const kept = Math.min(this.#count, this.#values.length);
    return this.#values
      .slice(0, kept)
      .filter((_, i) => this.#times[i]! >= from)
      .sort();
  }
}

/** Nearest rank of sorted values, `p` 0 … 100; null without values. */
export function percentileOf(sorted: Float64Array, p: number): number | null {
  const rank = Math.max(1, Math.ceil((p / 100) * sorted.length));
  return sorted[rank - 1] ?? null;
}
