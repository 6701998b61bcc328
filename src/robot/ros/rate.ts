/** How often something comes, over its last arrivals. */

const ARRIVALS = 32;
/** A silence of this many usual intervals means that the rate of before is over. */
const SILENT_INTERVALS = 5;

export class Rate {
  readonly #times: bigint[] = [];

  /** @param nowNs steady clock. */
  add(nowNs: bigint): void {
    this.#times.push(nowNs);
    if (this.#times.length > ARRIVALS) this.#times.shift();
  }

  /** 0 before the second arrival; falls while nothing comes. */
  hz(nowNs: bigint): number {
    const [first, last] = [this.#times[0], this.#times.at(-1)];
    if (first === undefined || last === undefined || last <= first) return 0;
    const interval = Number(last - first) / (this.#times.length - 1);
    const silence = Number(nowNs - last);
    return 1e9 / (silence > SILENT_INTERVALS * interval ? silence : interval);
  }
}
