/** Durations, ms, the latest 65 536 of them: enough for percentiles of hours, in bounded memory. */
export class Samples {
  static readonly CAPACITY = 65536;
  #values = new Float64Array(256);
  #count = 0;

  get count(): number {
    return this.#count;
  }

  add(value: number): void {
    if (this.#count === this.#values.length && this.#count < Samples.CAPACITY) {
      const grown = new Float64Array(this.#count * 2);
      grown.set(this.#values);
      this.#values = grown;
    }
    this.#values[this.#count++ % Samples.CAPACITY] = value;
  }

  /** Nearest-rank percentile, `p` 0 … 100; null without samples. */
  percentile(p: number): number | null {
    const kept = this.#values.slice(0, Math.min(this.#count, Samples.CAPACITY)).sort();
    const rank = Math.max(1, Math.ceil((p / 100) * kept.length));
    return kept[rank - 1] ?? null;
  }
}
