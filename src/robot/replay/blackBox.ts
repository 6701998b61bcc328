/**
 * The last seconds of everything, kept in memory until something happens: then they become an MCAP file that
 * `magma-vla replay` reads, with the instruction and episode in force at its beginning, however old.
 *
 * Pictures are kept as references: whoever hands them in must not write to their buffers again (ROS subscriptions,
 * simulation and bags do not). Nothing here throws into its callers, and files are written by another thread: a dump
 * costs this one a copy of one picture at a time.
 */
import { messageOf } from '../../errors.js';
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { Config } from '../../config.js';
import type {
  ActionPrediction,
  ArmCommand,
  CameraImage,
  EndEffectorReading,
  GripperReading,
  JointReading,
  Refusal,
  TracePrediction,
  Verdict,
} from '../../types.js';
import type { Seen } from '../messages/observationHash.js';
import type { NodeStatus } from '../messages/statusMessages.js';
import type { RobotListener } from '../robot.js';
import type { Entry, FromWriter, RecorderCall, ToWriter } from './blackBoxProtocol.js';
import { EntryRing } from './entryRing.js';

export interface BlackBoxOptions {
  readonly config: Config;
  /** Where files go; made when the first is written. */
  readonly folder: string;
  /** Steady and ROS clock. */
  readonly now: () => { readonly nowNs: bigint; readonly stampNs: bigint };
  /** Universal time for file names, ms since 1970. */
  readonly utcMs: () => number;
  /** Told why a file was not written, or not all of it. */
  readonly onProblem?: (sentence: string) => void;
  /** s; default: blackBox.seconds of robot.yaml. */
  readonly seconds?: number;
  /**
   * Bytes of pictures and other readings. Default 512 MiB: 10 s of a 640 × 480 camera at 30 Hz take 276 MB, and a
   * robot's computer can spare that. Where cameras bring more, pictures go earlier than the other readings, oldest first;
   * while a file is written, what goes into it is held beside what is new, so that memory takes up to twice this.
   */
  readonly maxBytes?: number;
  /** Files in the folder, the newest ones. Default 20. */
  readonly keepFiles?: number;
  /** s between the starts of two dumps. Default 5. */
  readonly leastInterval?: number;
}

/** Messages to the writer that it has not dealt with yet: what crosses threads is bounded by them. */
const MOST_UNDER_WAY = 4;
/** Small entries that cross together. */
const BATCH = 50;

/** A file that is being written. */
interface Dump {
  readonly settle: (path: string | null) => void;
  readonly written: Promise<string | null>;
}

export class BlackBox implements RobotListener {
  readonly #options: BlackBoxOptions;
  readonly #ring: EntryRing;
  #worker: Worker | null = null;
  #dump: Dump | null = null;
  #startedNs: bigint | null = null;
  #underWay = 0;
  #onTaken: () => void = () => undefined;
  #closed = false;
  #lacks = false;

  constructor(options: BlackBoxOptions) {
    this.#options = options;
    const { seconds = options.config.blackBox.seconds, maxBytes = 1 << 29 } = options;
    this.#ring = new EntryRing(BigInt(Math.round(seconds * 1e9)), maxBytes);
    // Now, not at the first dump: the start of a thread is felt.
    this.#worker = this.#start();
  }

  /** Bytes kept now, as counted against `maxBytes`. */
  get bytes(): number {
    return this.#ring.bytes;
  }

  onImage(camera: string, image: CameraImage): void {
    this.#add({ method: 'onImage', values: [camera, image] });
  }

  onJoints(joints: JointReading): void {
    this.#add({ method: 'onJoints', values: [joints] });
  }

  onEndEffector(reading: EndEffectorReading): void {
    this.#add({ method: 'onEndEffector', values: [reading] });
  }

  onGripper(reading: GripperReading): void {
    this.#add({ method: 'onGripper', values: [reading] });
  }

  onInstruction(instruction: string): void {
    this.#add({ method: 'onInstruction', values: [instruction] });
  }

  onReset(because: string): void {
    this.#add({ method: 'onReset', values: [because] });
  }

  action(prediction: ActionPrediction, seen: Seen): void {
    this.#add({ method: 'action', values: [prediction, seen] });
  }

  traces(prediction: TracePrediction, frameId: string): void {
    this.#add({ method: 'traces', values: [prediction, frameId] });
  }

  verdict(verdict: Verdict, node: Partial<NodeStatus> = {}): void {
    this.#add({ method: 'verdict', values: [verdict, node] });
  }

  refusal(refusal: Refusal, node: Partial<NodeStatus> = {}): void {
    this.#add({ method: 'refusal', values: [refusal, node] });
  }

  command(command: ArmCommand): void {
    this.#add({ method: 'command', values: [command] });
  }

  /**
   * Writes what is kept now. Resolves with the file's path, or null where none was written: too soon after the last,
   * while the last is still being written, or on a failure (onProblem says so). Never rejects.
   */
  async dump(because: string): Promise<string | null> {
    try {
      const { nowNs } = this.#options.now();
      const leastNs = BigInt(Math.round((this.#options.leastInterval ?? 5) * 1e9));
      if (this.#closed || this.#dump) return null;
      if (this.#startedNs !== null && nowNs - this.#startedNs < leastNs) return null;
      this.#startedNs = nowNs;
      return await this.#write(because);
    } catch (error) {
      this.#problem(`not written: ${messageOf(error)}`);
      this.#settle(null);
      return null;
    }
  }

  /** Waits for a file that is being written, then ends the thread. */
  async close(): Promise<void> {
    this.#closed = true;
    await this.#dump?.written;
    const worker = this.#worker;
    this.#worker = null;
    await worker?.terminate();
  }

  #add(call: RecorderCall): void {
    try {
      const { nowNs, stampNs } = this.#options.now();
      this.#ring.add(call, nowNs, stampNs);
    } catch (error) {
      if (!this.#lacks) this.#problem(`what it keeps has gaps: ${String(error)}`);
      this.#lacks = true;
    }
  }

  async #write(because: string): Promise<string | null> {
    const { folder, config, keepFiles = 20, utcMs } = this.#options;
    this.#worker ??= this.#start();
    const worker = this.#worker;
    let settle!: Dump['settle'];
    const written = new Promise<string | null>((resolve) => (settle = resolve));
    this.#dump = { settle, written };
    this.#underWay = 0;
    worker.ref();
    const entries = this.#ring.entries();
    const name = fileName(utcMs());
    this.#post(worker, { kind: 'begin', folder, name, config, keep: keepFiles }, []);
    let batch: Entry[] = [];
    for (const entry of entries) {
      // A failure settles the dump: the rest is not sent.
      if (!this.#isWriting()) return written;
      const picture = entry.call.method === 'onImage';
      batch.push(picture ? copied(entry) : entry);
      if (!picture && batch.length < BATCH) continue;
      this.#post(worker, { kind: 'entries', entries: batch }, buffersOf(batch));
      batch = [];
      await this.#room();
    }
    this.#post(worker, { kind: 'entries', entries: batch }, []);
    this.#post(worker, { kind: 'end', because }, []);
    return written;
  }

  #isWriting(): boolean {
    return this.#dump !== null;
  }

  #post(worker: Worker, message: ToWriter, buffers: readonly ArrayBuffer[]): void {
    this.#underWay += 1;
    worker.postMessage(message, buffers);
  }

  /** Lets control run, and waits until the writer keeps up. */
  async #room(): Promise<void> {
    await new Promise((resolve) => setImmediate(resolve));
    while (this.#underWay >= MOST_UNDER_WAY && this.#isWriting())
      await new Promise<void>((resolve) => (this.#onTaken = resolve));
  }

  #start(): Worker {
    const worker = new Worker(builtWriter());
    worker.unref();
    worker.on('message', (reply: FromWriter) => this.#hear(reply));
    worker.on('error', (error) => this.#fail(`the writer failed: ${error.message}`));
    worker.on('exit', () => {
      if (this.#worker !== worker) return;
      this.#worker = null;
      this.#fail('the writer ended');
    });
    return worker;
  }

  #hear(reply: FromWriter): void {
    if (reply.kind === 'taken') {
      this.#underWay -= 1;
      this.#onTaken();
    } else if (reply.kind === 'failed') this.#fail(`not written: ${reply.message}`);
    else {
      if (reply.leftOut > 0)
        this.#problem(`${reply.path} lacks ${reply.leftOut} entries that cannot be recorded`);
      this.#settle(reply.path);
    }
  }

  #fail(sentence: string): void {
    if (this.#dump) this.#problem(sentence);
    this.#settle(null);
  }

  #settle(path: string | null): void {
    const dump = this.#dump;
    this.#dump = null;
    this.#worker?.unref();
    this.#onTaken();
    dump?.settle(path);
  }

  #problem(sentence: string): void {
    try {
      this.#options.onProblem?.(`black box: ${sentence}`);
    } catch {
      // Whoever is told of problems must not become one.
    }
  }
}

/** The picture in a buffer of its own, which can be handed over. */
function copied(entry: Entry): Entry {
  if (entry.call.method !== 'onImage') return entry;
  const [camera, image] = entry.call.values;
  const values: [string, CameraImage] = [camera, { ...image, data: new Uint8Array(image.data) }];
  return { ...entry, call: { method: 'onImage', values } };
}

function buffersOf(entries: readonly Entry[]): ArrayBuffer[] {
  return entries.flatMap(({ call }) =>
    call.method === 'onImage' ? [call.values[1].data.buffer as ArrayBuffer] : [],
  );
}

/** blackBox_20260131T235959.123Z.mcap */
function fileName(utcMs: number): string {
  return `blackBox_${new Date(utcMs).toISOString().replace(/[-:]/g, '')}.mcap`;
}

/** The built writer: beside this file, or, where this file runs from the sources, in dist. */
function builtWriter(): URL {
  const beside = new URL('./blackBoxWriter.js', import.meta.url);
  const built = new URL('../../../dist/robot/replay/blackBoxWriter.js', import.meta.url);
  return existsSync(beside) ? beside : built;
}
