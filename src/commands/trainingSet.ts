/**
 * Training frames on disk, as models/nano/training reads them: frames.rgb and labels.jsonl (one line per frame: what an
 * expert would do for every instruction), marked.rgb and marks.jsonl (pictures with marks, prompt and answer ids). Whole
 * episodes, in order; progress.json says how many, so that an interrupted run goes on where it was.
 */
import {
  closeSync,
  existsSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  renameSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { markedSample } from '../annotate/markedSample.js';
import { seededRandom } from '../math/random.js';
import { readContract, type Contract } from '../model/contract.js';
import { readTokenizer, type Tokenizer } from '../model/tokenizer.js';
import {
  demonstrate,
  demonstrateSuite,
  futureOf,
  horizon,
  labelled,
  sayingsFor,
  type Demonstration,
} from '../robot/sim/demonstrate.js';
import type { Frame } from '../robot/sim/protocol.js';
import type { SimRobot } from '../robot/sim/simRobot.js';
import { planOf, suites, type Assignment, type SuiteName } from '../robot/sim/suites.js';
import type { Family } from '../robot/sim/tasks.js';
import { World } from '../robot/sim/world.js';
import type { EpisodeOptions } from './episode.js';
import { checkIdentity, type Beginning, type RunIdentity } from './episodeFile.js';
import { cameraSize } from './episodeRunner.js';
import { Reorder, shareOut, type Doer } from './shareOut.js';

/** Share of the points of a scene that get a mark. */
const markShare = 0.9;
const decimals = (value: number): number => Math.round(value * 1e5) / 1e5;

/** Scenes that evaluations use are never trained on: seed 7, and everything from 1000 on. */
export function checkTrainingSeed(seed: number): void {
  if (seed === 7 || seed >= 1000) {
    throw new InputError(
      '--seed',
      String(seed),
      'a seed that is not kept for evaluation (7, and 1000 and up)',
    );
  }
}

const files = {
  frames: 'frames.rgb',
  labels: 'labels.jsonl',
  marked: 'marked.rgb',
  marks: 'marks.jsonl',
} as const;
type FileName = keyof typeof files;
const fileNames = Object.keys(files) as FileName[];

interface Progress {
  readonly identity: RunIdentity;
  readonly episodes: number;
  readonly frames: number;
  readonly marked: number;
  readonly bytes: Readonly<Record<FileName, number>>;
}

export class TrainingSet {
  readonly #folder: string;
  readonly #identity: RunIdentity;
  readonly #files: Readonly<Record<FileName, number>>;
  readonly #bytes: Record<FileName, number>;
  readonly #model: { readonly contract: Contract; readonly tokenizer: Tokenizer };
  #episodes: number;
  #frames: number;
  #marked: number;

  /**
   * `anew`, whatever the folder held, or `goOn` after the last whole episode.
   * @throws ConfigError where what is there is of another run
   */
  static open(
    folder: string,
    modelFolder: string,
    identity: RunIdentity,
    how: Beginning,
  ): TrainingSet {
    mkdirSync(folder, { recursive: true });
    const path = join(folder, 'progress.json');
    if (how === 'goOn' && existsSync(path)) {
      const progress = JSON.parse(readFileSync(path, 'utf8')) as Progress;
      checkIdentity(path, progress.identity, identity);
      return new TrainingSet(folder, modelFolder, progress);
    }
    const bytes = { frames: 0, labels: 0, marked: 0, marks: 0 };
    return new TrainingSet(folder, modelFolder, {
      ...{ identity, episodes: 0, frames: 0, marked: 0, bytes },
    });
  }

  private constructor(folder: string, modelFolder: string, progress: Progress) {
    this.#folder = folder;
    this.#identity = progress.identity;
    this.#episodes = progress.episodes;
    this.#frames = progress.frames;
    this.#marked = progress.marked;
    this.#bytes = { ...progress.bytes };
    const flags = progress.episodes === 0 ? 'w' : 'r+';
    this.#files = Object.fromEntries(
      fileNames.map((name) => [name, openSync(join(folder, files[name]), flags)]),
    ) as Record<FileName, number>;
    for (const name of fileNames) ftruncateSync(this.#files[name], this.#bytes[name]);
    this.#model = { contract: readContract(modelFolder), tokenizer: readTokenizer(modelFolder) };
  }

  get counts(): { readonly episodes: number; readonly frames: number; readonly marked: number } {
    return { episodes: this.#episodes, frames: this.#frames, marked: this.#marked };
  }

  /** The next episode, whole. */
  addEpisode(frames: readonly Demonstration[]): void {
    for (const frame of frames) this.#add(frame);
    this.#episodes++;
    const { episodes, frames: count, marked } = this.counts;
    const progress: Progress = {
      ...{ identity: this.#identity, episodes, frames: count, marked, bytes: this.#bytes },
    };
    const path = join(this.#folder, 'progress.json');
    writeFileSync(`${path}.new`, JSON.stringify(progress));
    renameSync(`${path}.new`, path);
  }

  #add(frame: Demonstration): void {
    this.#write('frames', frame.image.data);
    const { episode, instruction, points, yaws, motion } = frame;
    const line = {
      episode,
      instruction,
      state: frame.state.map(decimals),
      labels: frame.labels.map(({ instruction: text, action }) => [text, action.map(decimals)]),
      points: points.map(({ name, at }) => [name, decimals(at.x), decimals(at.y)]),
      yaws: yaws.map(({ name, yaw }) => [name, decimals(yaw)]),
    };
    this.#write('labels', `${JSON.stringify(line)}\n`);
    this.#frames++;
    if (!motion) return;
    const random = seededRandom(77 + this.#frames);
    const sample = markedSample(frame.image, motion, instruction, markShare, random, this.#model);
    if (!sample) return;
    this.#write('marked', sample.image.data);
    const { prompt, answer } = sample;
    const places = line.points.map(([name, x, y]) => [
      name,
      Number(x) / cameraSize.width,
      Number(y) / cameraSize.height,
    ]);
    this.#write('marks', `${JSON.stringify({ episode, prompt, answer, points: places })}\n`);
    this.#marked++;
  }

  close(): void {
    Object.values(this.#files).forEach(closeSync);
  }

  /** At the end of what counts: what an interrupted episode left behind it is written over. */
  #write(name: FileName, data: Uint8Array | string): void {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    let written = 0;
    while (written < bytes.length)
      written += writeSync(
        this.#files[name],
        bytes,
        written,
        bytes.length - written,
        this.#bytes[name] + written,
      );
    this.#bytes[name] += written;
  }
}

/** Demonstrates episodes by their number, in a world of its own. */
export class Demonstrator implements Doer<readonly Demonstration[]> {
  readonly #world: World;
  readonly #options: DemonstratorOptions;

  static async open(options: DemonstratorOptions): Promise<Demonstrator> {
    return new Demonstrator(
      await World.create({ urdf: options.urdf, camera: cameraSize }),
      options,
    );
  }

  private constructor(world: World, options: DemonstratorOptions) {
    this.#world = world;
    this.#options = options;
  }

  /** Episode n of seed s has seed `s · 100 000 + n`. */
  do(n: number): Promise<readonly Demonstration[]> {
    const { suite, families, seed } = this.#options;
    const frames =
      suite === 'core'
        ? demonstrate(this.#world, seed * 100_000 + n)
        : demonstrateSuite(this.#world, suites[suite], families, seed, n);
    return Promise.resolve([...frames]);
  }

  close(): Promise<void> {
    this.#world.close();
    return Promise.resolve();
  }
}

export interface DemonstratorOptions {
  readonly urdf: string;
  readonly suite: SuiteName;
  readonly families: readonly Family[];
  readonly seed: number;
}

/** Episodes that may be finished before the next one in order is, per doer: what waits is in memory. */
const ahead = 4;

/** Expert demonstrations until there are enough frames: the same files, whoever and however many demonstrate. */
export async function writeDemonstrations(
  set: TrainingSet,
  doers: readonly Doer<readonly Demonstration[]>[],
  frames: number,
  onEpisode: () => void,
): Promise<void> {
  const first = set.counts.episodes;
  let failed = false;
  const isOver = (): boolean => failed || set.counts.frames >= frames;
  const waiting: (() => void)[] = [];
  const goOn = (): void => waiting.splice(0).forEach((resolve) => resolve());
  const reorder = new Reorder<readonly Demonstration[]>(first, (episode) => {
    if (isOver()) return;
    set.addEpisode(episode);
    onEpisode();
    goOn();
  });
  const inStep = (doer: Doer<readonly Demonstration[]>): Doer<readonly Demonstration[]> => ({
    do: async (n) => {
      while (!isOver() && n >= set.counts.episodes + ahead * doers.length)
        await new Promise<void>((resolve) => waiting.push(resolve));
      try {
        return isOver() ? [] : await doer.do(n);
      } catch (error) {
        failed = true;
        goOn();
        throw error;
      }
    },
  });
  function* untilOver(): Generator<number> {
    for (let n = first; !isOver(); n++) yield n;
  }
  await shareOut(untilOver(), doers.map(inStep), (episode, n) => reorder.add(episode, n));
}

/**
 * Watches an episode that a policy drives: the expert's labels at the places the policy gets itself into (DAgger), and
 * where the things in the picture went then. Nothing moved as anybody meant it where episodes are disturbed.
 */
export function onPolicyFrames(
  frames: Demonstration[],
  robot: SimRobot,
  options: Omit<DemonstratorOptions, 'urdf'> & { readonly disturbed: boolean },
  index: number,
): NonNullable<EpisodeOptions['observer']> {
  const suite = suites[options.suite];
  const plan = planOf(suite, options.families, options.seed, index);
  const waiting: { readonly stampNs: bigint; readonly n: number }[] = [];
  let sayings: readonly Assignment[] | null = null;
  /** Of the frames that have all of their future now. */
  const tellMotion = (): void => {
    for (let next = waiting[0]; next; next = waiting[0]) {
      const { stampNs, n } = next;
      const first = robot.frames.findIndex((frame) => frame.stampNs === stampNs);
      const course = robot.frames.slice(first, first + 1 + horizon).map(({ points }) => points);
      const motion = first < 0 ? null : futureOf(course);
      if (!motion) return;
      frames[n] = { ...frames[n]!, motion };
      waiting.shift();
    }
  };
  return {
    onRequest: (observation) => {
      const frame = robot.frames.findLast(({ stampNs }: Frame) => stampNs === observation.stampNs);
      const image = Object.values(observation.images)[0];
      if (!frame || frame.shows === 'nothing' || image?.kind !== 'raw') return;
      const assignment = { task: robot.task, instruction: robot.instruction };
      sayings ??= sayingsFor(suite, plan, frame.state, assignment);
      const { height, width, data } = image;
      if (!options.disturbed) waiting.push({ stampNs: frame.stampNs, n: frames.length });
      frames.push({
        ...labelled(frame, assignment, sayings, plan.seed),
        image: { height, width, data: Uint8Array.from(data) },
        motion: null,
      });
      tellMotion();
    },
  };
}
