/** What became of one instruction so far: heard from control, told as feedback and result. Starts anew with each. */
import type { DeskObserver } from '../control/desk.js';
import type { LoopObserver } from '../control/loop.js';
import type { TracePrediction } from '../types.js';

export interface SeenTraces {
  readonly prediction: TracePrediction;
  /** Of the picture the marks lie on. */
  readonly frameId: string;
}

export class Tally {
  #fromEpisode = Infinity;
  #actions = 0;
  #refusals = 0;
  #confidenceSum = 0;
  #confidence = NaN;
  #traces: SeenTraces | null = null;

  /** Everything of this episode and of later ones counts. */
  begin(episode: number): void {
    this.#fromEpisode = episode;
    this.#actions = 0;
    this.#refusals = 0;
    this.#confidenceSum = 0;
    this.#confidence = NaN;
    this.#traces = null;
  }

  /** Predictions that were played. */
  get actions(): number {
    return this.#actions;
  }

  /** Answers that were not. */
  get refusals(): number {
    return this.#refusals;
  }

  /** 0 … 1, of the latest action that was played; NaN before the first. */
  get confidence(): number {
    return this.#confidence;
  }

  /** The same, mean over all; NaN where nothing was played. */
  get meanConfidence(): number {
    return this.#confidenceSum / this.#actions;
  }

  get traces(): SeenTraces | null {
    return this.#traces;
  }

  readonly observer: Required<Pick<DeskObserver & LoopObserver, 'onAction' | 'onTrace'>> = {
    onAction: (answer, { observation }, notPlayed) => {
      if (observation.episode < this.#fromEpisode) return;
      if (!answer.ok || notPlayed) {
        this.#refusals++;
        return;
      }
      this.#actions++;
      this.#confidence = answer.value.confidence;
      this.#confidenceSum += answer.value.confidence;
    },
    onTrace: (answer, { images, episode }) => {
      if (!answer.ok || episode < this.#fromEpisode) return;
      const prediction = answer.value;
      this.#traces = { prediction, frameId: images[prediction.camera]?.frameId ?? '' };
    },
  };
}
