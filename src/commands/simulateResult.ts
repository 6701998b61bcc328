/** Episodes, whoever ran them, → the result of a run: the same bits for the same episodes in whatever order they came. */
import { createHash } from 'node:crypto';
import { Samples } from '../control/samples.js';
import { wilsonInterval } from '../math/statistics.js';
import { betweenEpisodesNs, firstStampNs } from '../robot/sim/simRobot.js';
import { suites, type SuiteName } from '../robot/sim/suites.js';
import { causes, type Cause } from './cause.js';
import { confidenceOf, type ConfidenceResult } from './confidenceResult.js';
import { placedLines, type EpisodeRecord } from './episodeRecord.js';
import type { Counts } from './runCounts.js';
import { TraceScore, type TraceError } from './traceScore.js';

export interface Rate {
  readonly episodes: number;
  readonly successes: number;
  readonly rate: number;
  /** 95 % Wilson interval. */
  readonly low: number;
  readonly high: number;
}

export interface Latency {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

type Rates = Readonly<Record<string, Rate>>;

export interface SimulateResult {
  readonly policy: string;
  readonly clock: 'lockstep' | 'wall';
  readonly suite: { readonly name: SuiteName; readonly version: number };
  readonly episodes: number;
  readonly seed: number;
  readonly success: Rate & { readonly byFamily: Rates };
  /** Indices of the episodes that were no success: runs of the same seed are compared episode by episode. */
  readonly failed: readonly number[];
  /** Of suites with several kinds of scenes, and of disturbed runs; else empty. */
  readonly byScenery: Rates;
  readonly byDisturbance: Rates;
  readonly wrongObject: number;
  readonly timeouts: number;
  readonly stopped: number;
  /** Failures, each under one cause; guard stops by code. */
  readonly causes: Counts;
  readonly guardStops: Counts;
  /** Recoveries begun, by what from, and episodes that control gave up. */
  readonly recoveries: Counts;
  readonly gaveUp: number;
  /** Predicted against true motion on the 256 grid; null without traces. */
  readonly traceError: TraceError | null;
  /** From an action's observation to its being played, by the stamps' clock; null where none was played. */
  readonly latencyMs: Latency | null;
  readonly meanDuration: number;
  /** How often what was said with which confidence ended in success; null where nothing was played. */
  readonly confidence: ConfidenceResult | null;
  /** Each time the guard began to halt, by code; what latched ended its episode. */
  readonly halts: Counts;
  readonly reasons: Counts;
  readonly refusals: Counts;
  /** Over every answer in order: equal hashes are equal runs. */
  readonly predictionsSha256: string;
}

export interface RunFacts {
  readonly policy: string;
  readonly clock: 'lockstep' | 'wall';
  readonly suite: SuiteName;
  readonly seed: number;
}

/** Each episode begins twice for control: by a reset, and by its instruction. */
const beginningsPerEpisode = 2;

/** @param records of all episodes, by index */
export function resultOf(facts: RunFacts, records: readonly EpisodeRecord[]): SimulateResult {
  const { policy, clock, suite, seed } = facts;
  const score = new TraceScore(0);
  for (const { traces } of records) score.addSums(traces);
  const guardStops: Record<string, number> = {};
  for (const { cause, latched } of records)
    if (cause === 'guardStop' && latched !== null)
      guardStops[latched] = (guardStops[latched] ?? 0) + 1;
  const sceneries = suites[suite].sceneries.length > 1;
  return {
    policy,
    clock,
    suite: { name: suite, version: suites[suite].version },
    episodes: records.length,
    seed,
    success: { ...rateOf(records), byFamily: ratesBy(records, ({ family }) => family) },
    failed: records.flatMap(({ index, outcome }) => (outcome === 'success' ? [] : [index])),
    byScenery: sceneries ? ratesBy(records, ({ scenery }) => scenery) : {},
    byDisturbance: ratesBy(records, ({ disturbed }) => disturbed?.kind ?? null),
    wrongObject: count(records, 'wrongObject'),
    timeouts: records.filter(({ cause }) => isOutOfTime(cause)).length,
    stopped: count(records, 'guardStop'),
    causes: Object.fromEntries(
      causes.flatMap((cause) => {
        const n = count(records, cause);
        return n > 0 ? [[cause, n]] : [];
      }),
    ),
    guardStops,
    recoveries: summed(records.map(({ recoveries }) => recoveries)),
    gaveUp: count(records, 'gaveUp'),
    traceError: score.error(),
    latencyMs: latencyOf(records),
    confidence: confidenceOf(records),
    meanDuration: records.reduce((sum, { duration }) => sum + duration, 0) / records.length,
    halts: summed(records.map(({ halts }) => halts)),
    reasons: summed(records.map(({ reasons }) => reasons)),
    refusals: summed(records.map(({ refusals }) => refusals)),
    predictionsSha256: predictionsSha256(records),
  };
}

export function rateOf(records: readonly Pick<EpisodeRecord, 'outcome'>[]): Rate {
  const successes = records.filter(({ outcome }) => outcome === 'success').length;
  const { low, high } = wilsonInterval(successes, records.length);
  return { episodes: records.length, successes, rate: successes / records.length, low, high };
}

/** In order of first appearance; null: not counted. */
function ratesBy(
  records: readonly EpisodeRecord[],
  name: (record: EpisodeRecord) => string | null,
): Rates {
  const names = new Set(records.map(name));
  return Object.fromEntries(
    [...names].flatMap((one) =>
      one === null ? [] : [[one, rateOf(records.filter((record) => name(record) === one))]],
    ),
  );
}

function count(records: readonly EpisodeRecord[], cause: Cause): number {
  return records.filter((record) => record.cause === cause).length;
}

function isOutOfTime(cause: Cause | null): boolean {
  return cause !== null && !['wrongObject', 'guardStop', 'gaveUp'].includes(cause);
}

function summed(all: readonly Counts[]): Counts {
  const sum: Record<string, number> = {};
  for (const counts of all)
    for (const [name, n] of Object.entries(counts)) sum[name] = (sum[name] ?? 0) + n;
  return sum;
}

function latencyOf(records: readonly EpisodeRecord[]): Latency | null {
  const played = new Samples();
  for (const { playedMs } of records) playedMs.forEach((ms) => played.add(ms));
  if (played.count === 0) return null;
  const [p50, p95, p99] = [50, 95, 99].map((p) => played.percentile(p)!);
  return { p50: p50!, p95: p95!, p99: p99! };
}

/** As of one process that ran them one after the other: there, simulated time goes on from episode to episode. */
function predictionsSha256(records: readonly EpisodeRecord[]): string {
  const hash = createHash('sha256');
  let startNs = firstStampNs;
  records.forEach(({ answers, spanNs }, i) => {
    hash.update(placedLines(answers, startNs, beginningsPerEpisode * (i + 1)));
    startNs += BigInt(spanNs) + betweenEpisodesNs;
  });
  return hash.digest('hex');
}
