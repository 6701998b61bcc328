/** What a policy's confidence was worth in a run: how often what was said with which confidence ended well. */
import {
  calibrated,
  expectedCalibrationError,
  fitCalibration,
  reliability,
  type Calibration,
  type Outcome,
  type ReliabilityBin,
} from '../math/calibration.js';
import type { EpisodeRecord } from './episodeRecord.js';

export interface Reliability {
  /** Actions in tenths, by confidence: mean confidence, and the share whose episode succeeded. */
  readonly bins: readonly ReliabilityBin[];
  /** Expected calibration error: mean |confidence − share|, 0: calibrated. */
  readonly error: number;
}

/** As the policy tells its confidence. */
export interface ConfidenceResult extends Reliability {
  /** For `answers.action.calibration` of model.json, by these episodes; null where confidences do not differ. */
  readonly calibration: Calibration | null;
  /** Of a model that is calibrated: what it would tell without. Else null. */
  readonly uncalibrated: Reliability | null;
  /**
   * Of a model that is not: what it would tell if it were; either half of the episodes by a table that the other half
   * made. Null where a half makes none.
   */
  readonly crossFitted: Reliability | null;
}

const groups = 10;
const knots = 12;

/** Every action counts alike: what is asked is how often things end well when this is what the policy says now. */
export function confidenceOf(records: readonly EpisodeRecord[]): ConfidenceResult | null {
  const told = records.map((record) => outcomesOf(record, record.confidences));
  if (told.every((outcomes) => outcomes.length === 0)) return null;
  const said = records.map((record) => outcomesOf(record, record.uncalibrated ?? []));
  const isCalibrated = said.every((outcomes, i) => outcomes.length === told[i]!.length);
  return {
    ...reliabilityOf(told.flat()),
    calibration: fitCalibration((isCalibrated ? said : told).flat(), knots),
    uncalibrated: isCalibrated ? reliabilityOf(said.flat()) : null,
    crossFitted: isCalibrated ? null : crossFitted(told),
  };
}

function outcomesOf({ outcome }: EpisodeRecord, scores: readonly number[]): readonly Outcome[] {
  return scores.map((score) => ({ score, isTrue: outcome === 'success' }));
}

function reliabilityOf(outcomes: readonly Outcome[]): Reliability {
  const bins = reliability(outcomes, groups);
  return { bins, error: expectedCalibrationError(bins) };
}

/** In halves one after the other, which hold all families: actions of one episode are alike, and stay together. */
function crossFitted(episodes: readonly (readonly Outcome[])[]): Reliability | null {
  const middle = Math.ceil(episodes.length / 2);
  const [first, second] = [episodes.slice(0, middle).flat(), episodes.slice(middle).flat()];
  const tables = [fitCalibration(first, knots), fitCalibration(second, knots)] as const;
  const [byFirst, bySecond] = tables;
  if (!byFirst || !bySecond) return null;
  const read = (outcomes: readonly Outcome[], table: Calibration): Outcome[] =>
    outcomes.map(({ score, isTrue }) => ({ score: calibrated(table, score), isTrue }));
  return reliabilityOf([...read(first, bySecond), ...read(second, byFirst)]);
}
