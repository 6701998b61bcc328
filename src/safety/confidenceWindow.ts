/**
 * How sure a policy has been lately: the mean confidence of its last actions of one episode. A single unsure action is an
 * ordinary thing; a row of them is what comes before a failure (measured: models/nano/README.md).
 */
export interface Confident {
  readonly observationStampNs: bigint;
  readonly confidence: number;
  readonly episode?: number;
  /** Absent: no model answered, and how sure it is means nothing. */
  readonly tokens?: readonly number[];
}

export class ConfidenceWindow {
  readonly #size: number;
  #values: number[] = [];
  #stampNs: bigint | null = null;
  #episode: number | undefined;

  constructor(size: number) {
    this.#size = size;
  }

  /** Counts each action once, however often it is seen. Their mean, 0 … 1, once there are enough; else null. */
  mean({ observationStampNs, confidence, episode, tokens }: Confident): number | null {
    if (tokens === undefined || episode !== this.#episode) this.#values = [];
    this.#episode = episode;
    if (tokens === undefined) return null;
    if (observationStampNs === this.#stampNs) this.#values.pop();
    this.#values.push(confidence);
    this.#stampNs = observationStampNs;
    if (this.#values.length > this.#size) this.#values.shift();
    if (this.#values.length < this.#size) return null;
    return this.#values.reduce((sum, value) => sum + value, 0) / this.#size;
  }
}
