/** Predictions against the record, per dimension of a recorded action, and what tokens make of recorded actions. */
import { isDeepStrictEqual } from 'node:util';
import { dimensionError } from '../report/dimensionError.js';
import type { DimensionTrack } from '../report/runReport.js';
import {
  type ActionDecoding,
  chunkFromIds,
  idsFromDeltas,
  normalise,
  valuesFromDelta,
} from '../model/actionUnits.js';
import {
  deltaFromRecordedAction,
  recordedActionFromDelta,
  type RecordedValues,
} from '../robot/messages/messages.js';
import type { RecordedAction, RecordedActions } from '../robot/replay/recordedPolicy.js';
import type { Bag } from '../robot/replay/bag.js';
import { decodeCdr } from '../robot/messages/cdr.js';
import { actionFromMessage } from '../robot/messages/actionMessages.js';
import { outputTopics } from '../robot/replay/recorder.js';
import { layoutOf } from '../robot/messages/schemas.js';
import type { RefusedMessages } from '../robot/replay/replayRobot.js';
import { DataError } from '../errors.js';
import type { ActionChunk, ActionPrediction } from '../types.js';
import { secondsFromNs } from '../control/clock.js';

/** The order of a recorded action. */
const dimensions = [
  { label: 'x', unit: 'm' },
  { label: 'y', unit: 'm' },
  { label: 'z', unit: 'm' },
  { label: 'roll', unit: 'rad' },
  { label: 'pitch', unit: 'rad' },
  { label: 'yaw', unit: 'rad' },
  { label: 'gripper', unit: 'opening 0 … 1' },
] as const;

export interface ActionError {
  /** Of |predicted − recorded|, in `unit`. */
  readonly mean: number;
  readonly p95: number;
  readonly unit: string;
  /** How many predictions have a recorded action at their stamp. */
  readonly count: number;
}

export interface RoundTrip {
  /** Recorded actions looked at. */
  readonly actions: number;
  /** Per dimension of the model: largest |value − value of its token| in bins, of values inside the statistics. */
  readonly worstBins: Readonly<Record<string, number>>;
  /** Values outside the statistics' range, which encoding clips by design; not in `worstBins`. */
  readonly clipped: Readonly<Record<string, number>>;
}

export interface Score {
  /** Empty where nothing could be compared: `notCompared` says why. */
  readonly actionError: Readonly<Record<string, ActionError>>;
  readonly notCompared: string | null;
  readonly tracks: readonly DimensionTrack[];
  readonly roundTrip: RoundTrip | null;
  /** Recorded actions that could not be read, and why the first could not. */
  readonly refused: RefusedMessages | null;
}

/** A request: its observation's stamp, and the answer's chunk where it was a prediction. */
export interface Asked {
  readonly stampNs: bigint;
  readonly prediction: ActionPrediction | null;
}

export interface ScoreOptions {
  /** By rising stamps. */
  readonly asked: readonly Asked[];
  readonly recorded: RecordedActions;
  /** How the record's deltas are composed. */
  readonly composition: 'base' | 'tool';
  /** The model's tokens; null: no round trip. */
  readonly decoding: ActionDecoding | null;
  readonly startNs: bigint;
}

/** Reads the recorded actions once, at the stamps that were asked about. */
export async function scoreAgainstRecord(options: ScoreOptions): Promise<Score> {
  const { asked, recorded, decoding, startNs } = options;
  const trip = decoding && new RoundTripTally(decoding);
  const incomparable = asked.flatMap(({ prediction }) =>
    prediction ? whyNotCompared(prediction.chunk, options) : [],
  )[0];
  let refused: RefusedMessages | null = null;
  const actionAt = async (stampNs: bigint): Promise<RecordedAction | null> => {
    try {
      return await recorded.at(stampNs);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      refused = { count: (refused?.count ?? 0) + 1, first: refused?.first ?? error };
      return null;
    }
  };
  const times: number[] = [];
  const rows: { predicted: RecordedValues | null; recorded: RecordedValues | null }[] = [];
  for (const { stampNs, prediction } of asked) {
    const action = await actionAt(stampNs);
    if (action) trip?.add(action.values);
    times.push(secondsFromNs(stampNs - startNs));
    rows.push({
      predicted: prediction && incomparable === undefined ? firstStep(prediction.chunk) : null,
      recorded: action?.values ?? null,
    });
  }
  const tracks = dimensions.map(({ label, unit }, i): DimensionTrack => ({
    label,
    unit,
    times,
    recorded: rows.map((row) => row.recorded?.[i] ?? null),
    predicted: rows.map((row) => row.predicted?.[i] ?? null),
  }));
  return {
    actionError: Object.fromEntries(
      tracks.flatMap((track) => {
        const { count, mean, p95 } = dimensionError(track);
        return count === 0 ? [] : [[track.label, { mean, p95, unit: track.unit, count }]];
      }),
    ),
    notCompared: incomparable ?? null,
    tracks,
    roundTrip: trip && trip.result(),
    refused,
  };
}

/** Deltas over other times, or added otherwise, are other quantities: no number is better than a wrong one. */
function whyNotCompared(
  chunk: ActionChunk,
  { recorded, composition }: ScoreOptions,
): readonly string[] {
  if (chunk.kind !== 'endEffectorDelta')
    return [`predictions are ${chunk.kind}, the record holds deltas of the tool`];
  if (chunk.composition !== composition)
    return [
      `predicted deltas are in the ${chunk.composition} frame, recorded ones in ${composition}`,
    ];
  if (chunk.stepPeriodNs !== recorded.stepPeriodNs)
    return [
      `a predicted step spans ${secondsFromNs(chunk.stepPeriodNs)} s, a recorded one ${secondsFromNs(recorded.stepPeriodNs)} s`,
    ];
  return [];
}

function firstStep(chunk: ActionChunk): RecordedValues | null {
  return chunk.kind === 'endEffectorDelta' ? recordedActionFromDelta(chunk.steps[0]!) : null;
}

/** Recorded values → ids → values, by the functions that the model's answers go through. */
export class RoundTripTally {
  readonly #decoding: ActionDecoding;
  readonly #worst: number[];
  readonly #clipped: number[];
  #actions = 0;

  constructor(decoding: ActionDecoding) {
    this.#decoding = decoding;
    this.#worst = decoding.action.dims.map(() => 0);
    this.#clipped = decoding.action.dims.map(() => 0);
  }

  add(values: RecordedValues): void {
    const { action, statistics } = this.#decoding;
    const delta = deltaFromRecordedAction(values);
    const chunk = Array.from({ length: action.chunk }, () => delta);
    const decoded = chunkFromIds(idsFromDeltas(chunk, this.#decoding), this.#decoding);
    if (!decoded.ok || decoded.value.kind !== 'endEffectorDelta')
      throw new Error(`an encoded action was not decoded: ${JSON.stringify(values)}`);
    const before = normalise(valuesFromDelta(delta, action), statistics);
    const after = normalise(valuesFromDelta(decoded.value.steps[0]!, action), statistics);
    const binWidth = 2 / (action.bins - 1);
    this.#actions++;
    before.forEach((value, i) => {
      if (Math.abs(value) > 1) this.#clipped[i]!++;
      else this.#worst[i] = Math.max(this.#worst[i]!, Math.abs(value - after[i]!) / binWidth);
    });
  }

  result(): RoundTrip {
    const named = (values: readonly number[]): Record<string, number> =>
      Object.fromEntries(this.#decoding.action.dims.map((name, i) => [name, values[i]!]));
    return {
      actions: this.#actions,
      worstBins: named(this.#worst),
      clipped: named(this.#clipped),
    };
  }
}

export interface SamePredictions {
  /** Observations for which both this replay and the recorded run have a prediction. */
  readonly compared: number;
  /** Of them, those whose actions are equal to the last bit. */
  readonly identical: number;
}

/** Against the predictions that a recorded run left in the bag; null where it holds none. */
export async function compareWithRun(
  bag: Bag,
  asked: readonly Asked[],
): Promise<SamePredictions | null> {
  const topic = bag.topics.get(outputTopics.actionChunk);
  if (!topic || !bag.counts.has(topic.topic)) return null;
  const replayed = new Map(asked.map(({ stampNs, prediction }) => [stampNs, prediction]));
  const layout = layoutOf(topic);
  let [compared, identical] = [0, 0];
  for await (const { data, logTimeNs } of bag.messages(new Set([topic.topic]))) {
    const where = `topic ${topic.topic} at ${logTimeNs} ns`;
    const recorded = actionFromMessage(decodeCdr(layout, data, where), where);
    const prediction = replayed.get(recorded.observationStampNs);
    if (!prediction) continue;
    compared++;
    if (isDeepStrictEqual(prediction.chunk, recorded.chunk)) identical++;
  }
  return { compared, identical };
}
