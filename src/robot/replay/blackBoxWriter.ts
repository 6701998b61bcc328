/**
 * The thread that writes black boxes: encoding, compressing and checksums of hundreds of pictures would hold up the
 * control loop. One file at a time. A file has its name only when it is whole.
 */
import { messageOf } from '../../errors.js';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { setPriority } from 'node:os';
import { join } from 'node:path';
import { parentPort } from 'node:worker_threads';
import type { Entry, FromWriter, RecorderCall, ToWriter } from './blackBoxProtocol.js';
import { recordable, Recorder } from './recorder.js';

/** Which values belong to which method is known where entries are made (RecorderCall). */
type Replayed = Record<RecorderCall['method'], (...values: readonly unknown[]) => void>;

interface Writing {
  readonly recorder: Recorder;
  readonly folder: string;
  readonly name: string;
  readonly keep: number;
  stampNs: bigint;
  leftOut: number;
}

// Of this thread alone (Linux): control goes first where cores are scarce.
setPriority(5);

const port = parentPort!;
const tell = (reply: FromWriter): void => port.postMessage(reply);
let writing: Writing | null = null;
let queue: Promise<void> = Promise.resolve();

port.on('message', (message: ToWriter) => {
  queue = queue.then(() => hear(message));
});

async function hear(message: ToWriter): Promise<void> {
  try {
    if (message.kind === 'begin') writing = await begin(message);
    // After a failure the rest of that file's entries still comes: it goes nowhere.
    else if (writing && message.kind === 'entries') await take(writing, message.entries);
    else if (writing && message.kind === 'end') await end(writing, message.because);
  } catch (error) {
    await writing?.recorder.close().catch(() => undefined);
    writing = null;
    tell({ kind: 'failed', message: messageOf(error) });
  }
  tell({ kind: 'taken' });
}

async function begin({
  folder,
  name,
  config,
  keep,
}: Extract<ToWriter, { kind: 'begin' }>): Promise<Writing> {
  await mkdir(folder, { recursive: true });
  const path = join(folder, `${name}.partial`);
  const clock = (): bigint => writing!.stampNs;
  const recorder = await Recorder.open(path, recordable(config), clock);
  return { recorder, folder, name, keep, stampNs: 0n, leftOut: 0 };
}

async function take(to: Writing, entries: readonly Entry[]): Promise<void> {
  const recorder = to.recorder as unknown as Replayed;
  for (const { stampNs, call } of entries) {
    to.stampNs = stampNs;
    try {
      recorder[call.method](...call.values);
    } catch {
      to.leftOut += 1;
    }
  }
  await to.recorder.drain();
}

async function end(to: Writing, because: string): Promise<void> {
  const { recorder, folder, name, keep, leftOut } = to;
  recorder.because(because);
  await recorder.close();
  writing = null;
  const path = join(folder, name);
  await rename(recorder.path, path);
  await removeOldest(folder, keep);
  tell({ kind: 'written', path, leftOut });
}

/** Names begin with their UTC time: the first by name are the oldest. What a crash left unfinished goes with them. */
async function removeOldest(folder: string, keep: number): Promise<void> {
  const files = (await readdir(folder)).filter((file) => blackBoxName.test(file)).sort();
  for (const file of files.slice(0, Math.max(0, files.length - keep)))
    await rm(join(folder, file), { force: true });
}

const blackBoxName = /^blackBox_\d{8}T\d{6}\.\d{3}Z\.mcap(\.partial)?$/;
