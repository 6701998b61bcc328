import type { ActionPrediction, Answer, Mark, Observation, TracePrediction } from '../types.js';

/**
 * Who decides what the arm does next: the model in its worker, a scripted expert, or a bag's recorded actions.
 *
 * Both requests resolve, at the latest `timeoutMs` of real time after the call, with a prediction or a refusal; they
 * do not reject. A driver survives a policy that breaks this: an answer that does not come, or a rejection, is
 * reported like a refusal. At most one action and one trace request are under way at a time.
 */
export interface Policy {
  readonly name: string;
  requestAction(observation: Observation, timeoutMs: number): Promise<Answer<ActionPrediction>>;
  requestTrace?(
    observation: Observation,
    what: TraceRequest,
    timeoutMs: number,
  ): Promise<Answer<TracePrediction>>;
  /** An answer of that episode was not played: for a policy that does not look where the arm is. */
  notPlayed?(because: string, episode: number): void;
  /** A new episode: what is under way is of no use any more. */
  reset(episode: number): void;
  close(): Promise<void>;
}

/** Where the future of which points is asked for. No marks: the policy chooses its own points of interest. */
export interface TraceRequest {
  readonly camera: string;
  readonly marks: readonly Mark[];
}
