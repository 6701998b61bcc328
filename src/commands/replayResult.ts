/** What a replay comes to: plain data, for the table, the page and the JSON line. */
import type { DimensionTrack } from '../report/runReport.js';
import type { ActionError, RoundTrip, SamePredictions } from './replayScore.js';
import type { Counts } from './runCounts.js';

export interface ReplayedEpisode {
  /** From 0. */
  readonly index: number;
  readonly name: string;
  readonly instruction: string;
  /** s since the start of the bag. */
  readonly start: number;
  /** Why the arm was not taken up; null where it was. */
  readonly notTakenUp: string | null;
  readonly requests: number;
  readonly predictions: number;
  readonly halts: Counts;
}

export interface ReplayResult {
  readonly bag: string;
  readonly policy: string;
  readonly episodes: number;
  readonly requests: number;
  readonly predictions: number;
  readonly traces: number;
  /** Why there is neither; null where there is one. */
  readonly nothing: string | null;
  /** Over every action and trace in order: equal hashes are equal runs. */
  readonly predictionsSha256: string;
  /** First step of each prediction against the action recorded at the same observation; refusals are not counted. */
  readonly actionError: Readonly<Record<string, ActionError>>;
  /** Why predictions and record are not compared; null where they are. */
  readonly notCompared: string | null;
  readonly tokenRoundTrip: RoundTrip | null;
  /** Against the predictions of the run that was recorded; null where the bag holds none, or its actions are played. */
  readonly recordedRun: SamePredictions | null;
  readonly refusals: Counts;
  readonly halts: Counts;
  readonly reasons: Counts;
  /** Policy periods without an observation to ask about, by what was missing, silent or stale. */
  readonly staleInputs: Counts;
  readonly messages: Messages;
  /** What is wrong with the bag though the rest of it was read. */
  readonly warnings: readonly string[];
  readonly durationS: number;
  /** s from observation to answer, as stated. */
  readonly latencyS: number;
  /** What the guard guarantees on this robot, and what it leaves to others. */
  readonly guard: string;
}

export interface Messages {
  readonly read: Counts;
  /** By topic: how many did not fit, and why the first did not. */
  readonly refused: Readonly<Record<string, { readonly count: number; readonly first: string }>>;
  readonly absentTopics: readonly string[];
  /** `outOfOrder`, `clockJump`: what alignment made of stamps. */
  readonly alignment: Counts;
}

export interface Replayed {
  readonly result: ReplayResult;
  readonly episodes: readonly ReplayedEpisode[];
  readonly tracks: readonly DimensionTrack[];
  /** The first of each reason that guard and control gave. */
  readonly firstReasons: ReadonlyMap<string, string>;
}
