/**
 * Finished episodes on disk, one JSON line each as they end, under a first line that says of which run: so that a long run
 * that was interrupted goes on where it was.
 */
import { appendFileSync, existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { isDeepStrictEqual } from 'node:util';
import { ConfigError, DataError } from '../errors.js';
import { parseRecord, type EpisodeRecord } from './episodeRecord.js';

/** Everything that an episode's record depends on, but for its index. */
export type RunIdentity = Readonly<Record<string, unknown>>;

export type Beginning = 'anew' | 'goOn';

export class EpisodeFile {
  readonly #path: string;
  readonly #identity: RunIdentity;
  readonly finished: ReadonlyMap<number, EpisodeRecord>;

  /**
   * `anew`, whatever the file held, or `goOn` with the run that it holds; begins where there is none. A last line that was
   * cut off is dropped.
   * @throws ConfigError where it is of another run @throws DataError where it holds something else
   */
  static open(path: string, identity: RunIdentity, how: Beginning): EpisodeFile {
    const exists = how === 'goOn' && existsSync(path);
    const finished = exists ? readFinished(path, identity) : new Map<number, EpisodeRecord>();
    const file = new EpisodeFile(path, identity, finished);
    file.complete([...finished.values()]);
    return file;
  }

  private constructor(
    path: string,
    identity: RunIdentity,
    finished: ReadonlyMap<number, EpisodeRecord>,
  ) {
    this.#path = path;
    this.#identity = identity;
    this.finished = finished;
  }

  add(record: EpisodeRecord): void {
    appendFileSync(this.#path, `${JSON.stringify(record)}\n`);
  }

  /** The whole run, by index: the same file, whoever ran it in which order. */
  complete(records: readonly EpisodeRecord[]): void {
    const lines = [this.#identity, ...records].map((line) => `${JSON.stringify(line)}\n`);
    writeFileSync(`${this.#path}.new`, lines.join(''));
    renameSync(`${this.#path}.new`, this.#path);
  }
}

/** Which run a file is of, and its episodes in the order they stand there. @throws DataError where it holds something else */
export function readEpisodeFile(path: string): {
  readonly identity: RunIdentity;
  readonly records: readonly EpisodeRecord[];
} {
  const { identity, lines } = readLines(path);
  return { identity, records: parseRecords(lines, path) };
}

function readFinished(path: string, wanted: RunIdentity): Map<number, EpisodeRecord> {
  const { identity, lines } = readLines(path);
  checkIdentity(path, identity, wanted);
  return new Map(parseRecords(lines, path).map((record) => [record.index, record]));
}

/** A last line that was cut off is dropped. */
function readLines(path: string): {
  readonly identity: RunIdentity;
  readonly lines: readonly string[];
} {
  const [first = '', ...lines] = readFileSync(path, 'utf8').split('\n').slice(0, -1);
  return { identity: parseIdentity(first, path), lines };
}

function parseRecords(lines: readonly string[], path: string): readonly EpisodeRecord[] {
  return lines.map((line, i) => parseRecord(line, `${path}:${i + 2}`));
}

function parseIdentity(line: string, path: string): RunIdentity {
  try {
    return JSON.parse(line) as RunIdentity;
  } catch {
    throw new DataError(`${path}:1`, line.slice(0, 80), 'which run the episodes are of, as JSON');
  }
}

/** @throws ConfigError where what was begun is not what is to go on */
export function checkIdentity(path: string, begun: RunIdentity, wanted: RunIdentity): void {
  const asked = JSON.parse(JSON.stringify(wanted)) as RunIdentity;
  const differing = [...new Set([...Object.keys(begun), ...Object.keys(asked)])].filter(
    (key) => !isDeepStrictEqual(begun[key], asked[key]),
  );
  if (differing.length === 0) return;
  const show = (of: RunIdentity): string =>
    differing.map((key) => `${key} ${JSON.stringify(of[key])}`).join(', ');
  throw new ConfigError('--resume', `${path} with ${show(begun)}`, show(asked));
}
