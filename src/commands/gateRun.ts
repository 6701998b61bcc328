/** `gate`: two finished runs of `simulate --out` → which `guard.unsure` the one speaks for, and what it does on the other. */
import { statSync } from 'node:fs';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import { ConfigError, DataError } from '../errors.js';
import { readEpisodeFile, type RunIdentity } from './episodeFile.js';
import type { EpisodeRecord } from './episodeRecord.js';
import { bestOf, chooseGates, effectOf, type Gate, type GateEffect } from './gate.js';

export interface GateRunOptions {
  /** Folders of `simulate --out`, or their episodes.jsonl. */
  readonly chooseOn: string;
  readonly judgeOn: string;
  /** Share of good episodes that may be stopped, 0 … 1. */
  readonly most: number;
  /** Actions that a mean goes over. */
  readonly windows: readonly number[];
}

export interface GateRunResult {
  readonly most: number;
  readonly chosenOn: GateRun;
  readonly judgedOn: GateRun;
  /** For each window, with what they do on either run. */
  readonly gates: readonly JudgedGate[];
  /** The one that does most on the first run; null where no window has one. */
  readonly best: JudgedGate | null;
}
export interface JudgedGate extends Gate {
  readonly chosenOn: GateEffect;
  readonly judgedOn: GateEffect;
}
export interface GateRun {
  readonly path: string;
  readonly suite: unknown;
  readonly seed: unknown;
  readonly episodes: number;
}

/** @throws ConfigError for runs that do not go together @throws DataError for files that hold no run */
export function judgeGates({ chooseOn, judgeOn, most, windows }: GateRunOptions): GateRunResult {
  const [first, second] = [readRun(chooseOn), readRun(judgeOn)];
  checkPair(first, second);
  const gates = chooseGates(first.records, windows, most).map((gate) => ({
    ...gate,
    chosenOn: effectOf(first.records, gate),
    judgedOn: effectOf(second.records, gate),
  }));
  const best = bestOf(gates, first.records);
  return {
    most,
    chosenOn: factsOf(first),
    judgedOn: factsOf(second),
    gates,
    best: gates.find(({ over }) => over === best?.over) ?? null,
  };
}

interface Run {
  readonly path: string;
  readonly identity: RunIdentity;
  readonly records: readonly EpisodeRecord[];
}

function readRun(given: string): Run {
  const isFolder = statSync(given, { throwIfNoEntry: false })?.isDirectory() ?? false;
  const path = isFolder ? join(given, 'episodes.jsonl') : given;
  if (!statSync(path, { throwIfNoEntry: false }))
    throw new DataError(path, 'no such file', 'episodes.jsonl, as simulate --out writes it');
  return { path, ...readEpisodeFile(path) };
}

/** Of the same model under the same guard, on other scenes; the model alone, so that episodes went on to their end. */
function checkPair(first: Run, second: Run): void {
  for (const { path, identity } of [first, second])
    if (identity['recovery'] !== 'off')
      throw new ConfigError(path, 'a run with recovery', 'one of the model alone: --recovery off');
  for (const key of ['policy', 'ranWith', 'config', 'calibration'])
    if (!isDeepStrictEqual(first.identity[key], second.identity[key]))
      throw new ConfigError(
        second.path,
        `${key} ${JSON.stringify(second.identity[key])}`,
        `that of ${first.path}: ${JSON.stringify(first.identity[key])}`,
      );
  const scenes = ({ identity: { suite, seed } }: Run): unknown => [suite, seed];
  if (isDeepStrictEqual(scenes(first), scenes(second)))
    throw new ConfigError(second.path, 'the scenes that were chosen on', 'a run of another --seed');
}

function factsOf({ path, identity: { suite, seed }, records }: Run): GateRun {
  return { path, suite, seed, episodes: records.length };
}
