/** Predicted traces against what the marks really did: average and final displacement on the 256 grid. */
import type { Frame } from '../robot/sim/protocol.js';
import type { TracePrediction } from '../types.js';

export interface TraceError {
  /** Mean distance over the steps that came to pass, 256-grid units. */
  readonly ade: number;
  /** Distance at the last of them. */
  readonly fde: number;
  /** Had the marks been predicted to rest. */
  readonly stayStill: number;
  readonly traces: number;
}

const grid = 256;
/** Shorter truths say little: the episode ended. */
const fewestSteps = 4;

export class TraceScore {
  #ade = 0;
  #fde = 0;
  #still = 0;
  #count = 0;

  /** `frames` of the whole episode: mark id i stands for their point i − 1. */
  add(
    prediction: TracePrediction,
    frames: readonly Frame[],
    size: { readonly width: number; readonly height: number },
  ): void {
    const first = frames.findIndex(({ stampNs }) => stampNs === prediction.observationStampNs);
    if (first < 0) return;
    for (const trace of prediction.traces) {
      const truth = frames
        .slice(first, first + 1 + trace.future.length)
        .map(({ points }) => points[trace.id - 1]!.at);
      const steps = truth.length - 1;
      if (steps < fewestSteps) continue;
      const distance = (a: { x: number; y: number }, b: { x: number; y: number }): number =>
        Math.hypot(((a.x - b.x) * grid) / size.width, ((a.y - b.y) * grid) / size.height);
      const errors = Array.from({ length: steps }, (_, k) =>
        distance(trace.future[k]!, truth[k + 1]!),
      );
      const still = Array.from({ length: steps }, (_, k) => distance(truth[0]!, truth[k + 1]!));
      this.#ade += errors.reduce((a, b) => a + b, 0) / steps;
      this.#fde += errors.at(-1)!;
      this.#still += still.reduce((a, b) => a + b, 0) / steps;
      this.#count++;
    }
  }

  /** Null where nothing was predicted. */
  error(): TraceError | null {
    const n = this.#count;
    return n === 0
      ? null
      : { ade: this.#ade / n, fde: this.#fde / n, stayStill: this.#still / n, traces: n };
  }
}
