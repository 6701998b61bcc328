/**
 * A rosbag2 recording: one MCAP file or a folder of them, with any compression rosbag2 writes. Messages come in log-time
 * order across chunks and files; memory is bounded by the chunks that overlap in time, never by the bag's size.
 */
import { open, readdir, readFile, stat } from 'node:fs/promises';
import { join, relative, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { DataError } from '../../errors.js';
import { McapFile, type BagMessage, type Span, type Topic } from './mcapFile.js';
import { expandFile, isZstd } from './zstd.js';

export type { BagMessage, Topic } from './mcapFile.js';

/** What chunks that overlap in time may hold together, decompressed, and how many of them. */
const MAX_LIVE_BYTES = 1 << 29;
const MAX_LIVE_SPANS = 1024;
const MAX_METADATA_BYTES = 1 << 22;

/** Messages of one log time come in the order of these ranks, then of the file. Lower is earlier. */
export type Rank = (topic: string) => number;

interface Cursor {
  readonly file: number;
  readonly span: Span;
  readonly messages: readonly BagMessage[];
  next: number;
}

export class Bag {
  readonly path: string;
  readonly topics: ReadonlyMap<string, Topic>;
  /** Messages per topic. */
  readonly counts: ReadonlyMap<string, number>;
  /** Log times of the first and the last message; 0 and 0 in an empty bag. */
  readonly startNs: bigint;
  readonly endNs: bigint;
  /** What is wrong with the bag though the rest of it is read: cut off, fewer messages than it declares. */
  readonly warnings: readonly DataError[];
  private readonly files: readonly McapFile[];

  private constructor(path: string, files: readonly McapFile[]) {
    this.path = path;
    this.files = files;
    this.topics = mergeTopics(files);
    const counts = new Map<string, number>();
    for (const file of files)
      for (const [topic, count] of file.counts) counts.set(topic, (counts.get(topic) ?? 0) + count);
    this.counts = counts;
    const spans = files.flatMap((file) => file.spans);
    this.startNs = spans.reduce((a, s) => (s.startNs < a ? s.startNs : a), spans[0]?.startNs ?? 0n);
    this.endNs = spans.reduce((a, s) => (s.endNs > a ? s.endNs : a), 0n);
    this.warnings = files.flatMap((file) => file.warnings);
  }

  /** Opens and checks a bag: every chunk is read once. @throws DataError naming file and byte */
  static async open(path: string): Promise<Bag> {
    const files: McapFile[] = [];
    try {
      for (const file of await bagFiles(path)) files.push(await openFile(file));
      return new Bag(path, files);
    } catch (error) {
      await Promise.all(files.map((file) => file.close()));
      throw error;
    }
  }

  /**
   * Messages of the given topics in log-time order.
   *
   * @throws DataError while iterating, where chunks overlap in time by more than memory should hold.
   */
  async *messages(
    topics: ReadonlySet<string>,
    rank: Rank = () => 0,
  ): AsyncGenerator<BagMessage, void> {
    const waiting = this.files
      .flatMap((file, index) => file.spans.map((span) => ({ file: index, span })))
      .filter(({ span }) => [...span.topics].some((topic) => topics.has(topic)))
      .sort((a, b) => compare(b.span.startNs, a.span.startNs) || b.file - a.file);
    const live: Cursor[] = [];
    for (;;) {
      const first = earliest(live, rank);
      const upTo = first && first.messages[first.next]!.logTimeNs;
      const due = waiting.at(-1);
      if (due && (upTo === undefined || due.span.startNs <= upTo)) {
        waiting.pop();
        const cursor = await this.load(due.file, due.span, topics, rank);
        if (cursor.messages.length > 0) live.push(cursor);
        this.checkLive(live);
        continue;
      }
      if (!first) return;
      const message = first.messages[first.next]!;
      first.next += 1;
      if (first.next === first.messages.length) live.splice(live.indexOf(first), 1);
      yield message;
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.files.map((file) => file.close()));
  }

  private async load(
    file: number,
    span: Span,
    topics: ReadonlySet<string>,
    rank: Rank,
  ): Promise<Cursor> {
    const messages = await this.files[file]!.load(span, topics);
    // Array.sort is stable: what is equal in time and rank stays in file order.
    messages.sort((a, b) => compare(a.logTimeNs, b.logTimeNs) || rank(a.topic) - rank(b.topic));
    return { file, span, messages, next: 0 };
  }

  private checkLive(live: readonly Cursor[]): void {
    const bytes = live.reduce((sum, cursor) => sum + cursor.span.bytes, 0);
    if (bytes <= MAX_LIVE_BYTES && live.length <= MAX_LIVE_SPANS) return;
    throw new DataError(
      this.path,
      `${live.length} chunks of ${bytes} bytes that overlap in time`,
      `at most ${MAX_LIVE_SPANS} of ${MAX_LIVE_BYTES} bytes (sort the bag: ros2 bag convert)`,
    );
  }
}

function compare(a: bigint, b: bigint): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function earliest(live: readonly Cursor[], rank: Rank): Cursor | undefined {
  let best: Cursor | undefined;
  for (const cursor of live) if (!best || isBefore(cursor, best, rank)) best = cursor;
  return best;
}

function isBefore(a: Cursor, b: Cursor, rank: Rank): boolean {
  const [first, second] = [a.messages[a.next]!, b.messages[b.next]!];
  const order =
    compare(first.logTimeNs, second.logTimeNs) ||
    rank(first.topic) - rank(second.topic) ||
    a.file - b.file ||
    a.span.offset - b.span.offset;
  return order < 0;
}

function mergeTopics(files: readonly McapFile[]): ReadonlyMap<string, Topic> {
  const topics = new Map<string, Topic>();
  for (const file of files)
    for (const topic of file.topics.values()) {
      const other = topics.get(topic.topic);
      if (other && other.type !== topic.type)
        throw new DataError(
          `${file.path}: topic ${topic.topic}`,
          `type ${topic.type}`,
          `${other.type} as in the other files`,
        );
      topics.set(topic.topic, topic);
    }
  return topics;
}

// ── Which files a bag is made of ────────────────────────────────────────────────────────────────────────────────────

async function openFile(path: string): Promise<McapFile> {
  const handle = await openForReading(path);
  const head = new Uint8Array(16);
  await handle.read(head, 0, head.byteLength, 0);
  if (Buffer.from(head).toString('latin1').startsWith('SQLite format 3')) {
    await handle.close();
    throw sqlite(path);
  }
  if (!isZstd(head)) return McapFile.scan(path, handle);
  await handle.close();
  return McapFile.scan(path, await expandFile(path));
}

/** The place of the sqlite3 storage, when it comes. */
function sqlite(path: string): DataError {
  return new DataError(
    path,
    'a bag in sqlite3 storage',
    'MCAP storage; sqlite3 is not read yet (ros2 bag convert with storage_id: mcap)',
  );
}

async function openForReading(path: string): ReturnType<typeof open> {
  try {
    return await open(path, 'r');
  } catch (error) {
    throw new DataError(path, (error as Error).message, 'a readable bag');
  }
}

/** Files of a bag: the file itself, what metadata.yaml lists, or every MCAP file of a folder without one. */
async function bagFiles(path: string): Promise<readonly string[]> {
  const status = await stat(path).catch((error: unknown) => {
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    throw new DataError(
      path,
      absent ? 'nothing there' : (error as Error).message,
      'a bag file or folder',
    );
  });
  if (!status.isDirectory()) return [path];
  const names = await readdir(path);
  if (names.includes('metadata.yaml')) return listedFiles(path);
  if (names.some((name) => /\.db3(\.zstd)?$/.test(name))) throw sqlite(path);
  const files = names.filter((name) => /\.mcap(\.zstd)?$/.test(name)).sort(byNumber);
  if (files.length === 0) throw new DataError(path, 'no .mcap file', 'a rosbag2 folder');
  return files.map((name) => join(path, name));
}

const byNumber = new Intl.Collator('en', { numeric: true }).compare;

async function listedFiles(folder: string): Promise<readonly string[]> {
  const path = join(folder, 'metadata.yaml');
  const { size } = await stat(path);
  if (size > MAX_METADATA_BYTES)
    throw new DataError(path, `${size} bytes`, `at most ${MAX_METADATA_BYTES}`);
  let information: Record<string, unknown>;
  try {
    const parsed = parseYaml(await readFile(path, 'utf8')) as Record<string, unknown>;
    information = parsed['rosbag2_bagfile_information'] as Record<string, unknown>;
  } catch (error) {
    throw new DataError(path, (error as Error).message, 'YAML of rosbag2');
  }
  const storage = (information as Record<string, unknown> | undefined)?.['storage_identifier'];
  if (storage === 'sqlite3') throw sqlite(folder);
  if (storage !== 'mcap') throw new DataError(path, `storage ${String(storage)}`, 'mcap');
  const listed = information['relative_file_paths'];
  if (!Array.isArray(listed) || listed.length === 0)
    throw new DataError(path, 'no relative_file_paths', 'the files of the bag');
  return listed.map((name: unknown) => inside(folder, String(name), path));
}

/** A metadata file is input like any other: it may not lead out of its folder. */
function inside(folder: string, name: string, where: string): string {
  const file = resolve(folder, name);
  const steps = relative(resolve(folder), file);
  if (steps.startsWith('..') || resolve(steps) === steps)
    throw new DataError(where, `file ${name}`, 'a file inside the bag folder');
  return file;
}
