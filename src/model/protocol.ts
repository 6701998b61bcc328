/** What the main thread and the inference worker say to one another. Plain data only: it is cloned on its way. */
import type {
  ActionPrediction,
  Answer,
  Mark,
  Observation,
  Timing,
  TracePrediction,
} from '../types.js';
import type { ProviderChoice, ProviderSetting } from './session.js';

/** What to load, for which robot. */
export interface ModelSettings {
  /** Hugging Face-style folder with its model.json. */
  readonly folder: string;
  /** Where converted graphs are kept; made if absent. */
  readonly cache: string;
  readonly robot: { readonly robot: string; readonly baseFrame: string };
  /** Picture key of the contract by camera name. */
  readonly cameras: Readonly<Record<string, string>>;
  /** Overrides which statistics un-normalise actions (`unnorm_key`). */
  readonly statistics?: string;
  readonly provider: ProviderSetting;
  /** Threads inside one operator on the CPU. */
  readonly threads: number;
  /** 1 … 16: an action waits for at most so many tokens of a trace. */
  readonly sliceTokens: number;
  /**
   * Answers of exactly so many tokens, whatever they say: speed can be measured with any weights. What such an answer
   * says is mostly refused.
   */
  readonly fixedLength?: { readonly action: number; readonly trace: number };
}

/** Where the future of which points is asked for. No marks: interest points are chosen. */
export interface TraceQuestion {
  readonly camera: string;
  readonly marks: readonly Mark[];
}

/** An action of the model, with what its tokens say about themselves. */
export interface ModelAction extends ActionPrediction {
  /** 0 … 1: the lowest probability mass that the action ids had at any of the action's tokens. */
  readonly actionMass: number;
}

/** What one request came to; `timing` is there for refusals as well. */
export interface Outcome<T> {
  readonly answer: Answer<T>;
  readonly timing: Timing;
}

export interface LoadProgress {
  readonly stage: 'hash' | 'vision' | 'decoder' | 'sessions' | 'warmUp';
  /** 0 … 1 within the stage. */
  readonly fraction: number;
}

/** What was loaded, and the choices made, each with one sentence why. */
export interface ModelFacts {
  readonly name: string;
  /** Of configuration, weights and builder. */
  readonly sha256: string;
  readonly graphs: 'converted' | 'cache' | 'built';
  readonly provider: ProviderChoice;
  readonly decoding: { readonly kind: 'loop' | 'step'; readonly reason: string };
  /** Cameras whose frames the worker needs. */
  readonly cameras: { readonly action: readonly string[]; readonly trace: readonly string[] };
  readonly loadMs: number;
  readonly warmUpMs: number;
}

export type ToWorker =
  | { readonly kind: 'action'; readonly id: number; readonly observation: Observation }
  | {
      readonly kind: 'trace';
      readonly id: number;
      readonly observation: Observation;
      readonly question: TraceQuestion;
    }
  /** Nobody waits for this answer any more. It is answered nevertheless, as soon as it can be. */
  | { readonly kind: 'cancel'; readonly id: number }
  | { readonly kind: 'close' };

export type ActionRequest = Extract<ToWorker, { kind: 'action' }>;
export type TraceRequest = Extract<ToWorker, { kind: 'trace' }>;

/** Every request gets exactly one reply, in whichever order they are done. */
export type FromWorker =
  | { readonly kind: 'progress'; readonly progress: LoadProgress }
  | { readonly kind: 'ready'; readonly facts: ModelFacts }
  /** The model cannot be loaded; the worker ends. */
  | {
      readonly kind: 'unusable';
      readonly where: string;
      readonly got: string;
      readonly expected: string;
    }
  | { readonly kind: 'action'; readonly id: number; readonly outcome: Outcome<ModelAction> }
  | { readonly kind: 'trace'; readonly id: number; readonly outcome: Outcome<TracePrediction> };
