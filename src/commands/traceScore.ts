/**
 * Predicted traces against what the marks really did, on the 256 grid. Every mark that was asked about counts: one
 * without a predicted trace was said to rest.
 */
import type { Frame } from '../robot/sim/protocol.js';
import type { Pixel, TracePrediction } from '../types.js';

/** Of marks that moved, but for `allMarks`; distances in 256-grid units, null without a mark to measure. */
export interface TraceError {
  /** Mean distance over the steps that came to pass. */
  readonly ade: number | null;
  /** Distance at the last of them. */
  readonly fde: number | null;
  /** `ade`, had the marks been predicted to rest. */
  readonly stayStill: number | null;
  /** `ade`, had the marks gone on as they went from the frame before; at rest in an episode's first frame. */
  readonly constantVelocity: number | null;
  /** Marks that moved: got further than `movedFrom` from where they were. */
  readonly traces: number;
  /** Of those: how many were said to rest. */
  readonly missed: number;
  /** With the marks that rested. */
  readonly allMarks: { readonly ade: number | null; readonly marks: number };
  /** 0 … 1: answers to trace requests that were refusals. */
  readonly refusedShare: number;
}

const grid = 256;
/** 256-grid units. */
const movedFrom = 4;
/** Shorter truths say little: the episode ended. */
const fewestSteps = 4;

/** What a score is made of; sums of episodes add up to those of a run. */
export interface TraceSums {
  readonly ade: number;
  readonly fde: number;
  readonly still: number;
  readonly straight: number;
  readonly moved: number;
  readonly missed: number;
  readonly adeOfAll: number;
  readonly marks: number;
  readonly answers: number;
  readonly refusals: number;
}

export class TraceScore {
  /** Camera frames that a trace looks ahead, one per step. */
  readonly #horizon: number;
  #ade = 0;
  #fde = 0;
  #still = 0;
  #straight = 0;
  #moved = 0;
  #missed = 0;
  #adeOfAll = 0;
  #marks = 0;
  #answers = 0;
  #refusals = 0;

  constructor(horizon: number) {
    this.#horizon = horizon;
  }

  addRefusal(): void {
    this.#answers++;
    this.#refusals++;
  }

  /** `frames` of the whole episode: mark id i stands for their point i − 1. */
  add(
    prediction: TracePrediction,
    frames: readonly Frame[],
    size: { readonly width: number; readonly height: number },
  ): void {
    this.#answers++;
    const first = frames.findIndex(({ stampNs }) => stampNs === prediction.observationStampNs);
    if (first < 0) return;
    const distance = (a: Pixel, b: Pixel): number =>
      Math.hypot(((a.x - b.x) * grid) / size.width, ((a.y - b.y) * grid) / size.height);
    for (const { id } of prediction.marks) {
      const [start, ...truth] = frames
        .slice(first, first + 1 + this.#horizon)
        .map(({ points }) => points[id - 1]!.at);
      if (truth.length < fewestSteps) continue;
      const future = prediction.traces.find((trace) => trace.id === id)?.future;
      const errors = truth.map((at, k) => distance(future?.[k] ?? future?.at(-1) ?? start!, at));
      const still = truth.map((at) => distance(start!, at));
      this.#adeOfAll += mean(errors);
      this.#marks++;
      if (Math.max(...still) <= movedFrom) continue;
      this.#ade += mean(errors);
      this.#fde += errors.at(-1)!;
      this.#still += mean(still);
      const before = frames[first - 1]?.points[id - 1]?.at ?? start!;
      this.#straight += mean(truth.map((at, k) => distance(continued(before, start!, k + 1), at)));
      this.#moved++;
      if (!future) this.#missed++;
    }
  }

  get sums(): TraceSums {
    return {
      ade: this.#ade,
      fde: this.#fde,
      still: this.#still,
      straight: this.#straight,
      moved: this.#moved,
      missed: this.#missed,
      adeOfAll: this.#adeOfAll,
      marks: this.#marks,
      answers: this.#answers,
      refusals: this.#refusals,
    };
  }

  addSums(sums: TraceSums): void {
    this.#ade += sums.ade;
    this.#fde += sums.fde;
    this.#still += sums.still;
    this.#straight += sums.straight;
    this.#moved += sums.moved;
    this.#missed += sums.missed;
    this.#adeOfAll += sums.adeOfAll;
    this.#marks += sums.marks;
    this.#answers += sums.answers;
    this.#refusals += sums.refusals;
  }

  /** Null where nothing was asked. */
  error(): TraceError | null {
    if (this.#answers === 0) return null;
    const over = (sum: number, count: number): number | null => (count === 0 ? null : sum / count);
    return {
      ade: over(this.#ade, this.#moved),
      fde: over(this.#fde, this.#moved),
      stayStill: over(this.#still, this.#moved),
      constantVelocity: over(this.#straight, this.#moved),
      traces: this.#moved,
      missed: this.#missed,
      allMarks: { ade: over(this.#adeOfAll, this.#marks), marks: this.#marks },
      refusedShare: this.#refusals / this.#answers,
    };
  }
}

/** Where a point that went from a to b in one step is after so many more. */
function continued(a: Pixel, b: Pixel, steps: number): Pixel {
  return { x: b.x + steps * (b.x - a.x), y: b.y + steps * (b.y - a.y) };
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / values.length;
}
