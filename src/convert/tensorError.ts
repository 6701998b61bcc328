/** What a conversion costs in precision, tensor by tensor: measured against the checkpoint's own numbers. */

export interface RowError {
  /** Weight in the checkpoint, and row of it. */
  readonly key: string;
  readonly row: number;
  /** √(Σ error² / Σ weight²) of the row. */
  readonly relativeRms: number;
}

export interface TensorError {
  /** √(Σ error² / Σ weight²) */
  readonly relativeRms: number;
  /** Largest absolute error. */
  readonly largest: number;
  /** The rows with the largest relative error, worst first. */
  readonly worstRows: readonly RowError[];
}

const worst = 3;

/** Collects the errors of a tensor's rows. */
export class ErrorTally {
  #squaredError = 0;
  #squaredSum = 0;
  #largest = 0;
  #rows: RowError[] = [];

  /** @param largest absolute error of the row. */
  add(key: string, row: number, squaredError: number, squaredSum: number, largest: number): void {
    this.#squaredError += squaredError;
    this.#squaredSum += squaredSum;
    this.#largest = Math.max(this.#largest, largest);
    const relativeRms = ratio(squaredError, squaredSum);
    if (this.#rows.length === worst && relativeRms <= this.#rows.at(-1)!.relativeRms) return;
    this.#rows.push({ key, row, relativeRms });
    this.#rows.sort((a, b) => b.relativeRms - a.relativeRms);
    this.#rows.length = Math.min(this.#rows.length, worst);
  }

  report(): TensorError {
    return {
      relativeRms: ratio(this.#squaredError, this.#squaredSum),
      largest: this.#largest,
      worstRows: this.#rows,
    };
  }
}

function ratio(squaredError: number, squaredSum: number): number {
  return squaredSum === 0 ? 0 : Math.sqrt(squaredError / squaredSum);
}
