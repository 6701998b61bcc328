/**
 * Training frames on disk, as models/nano/training reads them: frames.rgb and labels.jsonl (one line per frame: what an
 * expert would do for every instruction), marked.rgb and marks.jsonl (pictures with marks, prompt and answer ids).
 */
import { closeSync, mkdirSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { InputError } from '../errors.js';
import { markedSample } from '../annotate/markedSample.js';
import { seededRandom } from '../math/random.js';
import { readContract, type Contract } from '../model/contract.js';
import { readTokenizer, type Tokenizer } from '../model/tokenizer.js';
import { demonstrate, labelled, type Demonstration } from '../robot/sim/demonstrate.js';
import type { Frame } from '../robot/sim/protocol.js';
import type { SimRobot } from '../robot/sim/simRobot.js';
import { World } from '../robot/sim/world.js';
import type { EpisodeOptions } from './episode.js';
import { cameraSize } from './simulate.js';

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

export class TrainingSet {
  readonly #files: Readonly<Record<'frames' | 'labels' | 'marked' | 'marks', number>>;
  readonly #model: { readonly contract: Contract; readonly tokenizer: Tokenizer };
  #frames = 0;
  #marked = 0;

  constructor(folder: string, modelFolder: string) {
    mkdirSync(folder, { recursive: true });
    const create = (name: string): number => openSync(join(folder, name), 'w');
    this.#files = {
      frames: create('frames.rgb'),
      labels: create('labels.jsonl'),
      marked: create('marked.rgb'),
      marks: create('marks.jsonl'),
    };
    this.#model = { contract: readContract(modelFolder), tokenizer: readTokenizer(modelFolder) };
  }

  get counts(): { readonly frames: number; readonly marked: number } {
    return { frames: this.#frames, marked: this.#marked };
  }

  add(frame: Demonstration): void {
    writeSync(this.#files.frames, frame.image.data);
    const { episode, instruction, points, motion } = frame;
    const line = {
      episode,
      instruction,
      state: frame.state.map(decimals),
      labels: frame.labels.map(({ instruction: text, action }) => [text, action.map(decimals)]),
      points: points.map(({ name, at }) => [name, decimals(at.x), decimals(at.y)]),
    };
    writeSync(this.#files.labels, `${JSON.stringify(line)}\n`);
    this.#frames++;
    if (!motion) return;
    const random = seededRandom(77 + this.#frames);
    const sample = markedSample(frame.image, motion, instruction, markShare, random, this.#model);
    if (!sample) return;
    writeSync(this.#files.marked, sample.image.data);
    const { prompt, answer } = sample;
    const places = line.points.map(([name, x, y]) => [
      name,
      Number(x) / cameraSize.width,
      Number(y) / cameraSize.height,
    ]);
    writeSync(
      this.#files.marks,
      `${JSON.stringify({ episode, prompt, answer, points: places })}\n`,
    );
    this.#marked++;
  }

  close(): void {
    Object.values(this.#files).forEach(closeSync);
  }
}

/** Expert demonstrations, about a hundred frames per second. Episode n has seed `seed · 100 000 + n`. */
export async function writeDemonstrations(
  set: TrainingSet,
  urdf: string,
  seed: number,
  frames: number,
  onEpisode: (episodes: number) => void,
): Promise<void> {
  const world = await World.create({ urdf, camera: cameraSize });
  try {
    for (let n = 0; set.counts.frames < frames; n++) {
      for (const frame of demonstrate(world, seed * 100_000 + n)) set.add(frame);
      onEpisode(n + 1);
    }
  } finally {
    world.close();
  }
}

/** Watches episodes that a policy drives: the expert's labels at the places the policy gets itself into (DAgger). */
export function onPolicyFrames(
  set: TrainingSet,
  robot: SimRobot,
  episode: number,
): NonNullable<EpisodeOptions['observer']> {
  return {
    onRequest: (observation) => {
      const frame = robot.frames.findLast(({ stampNs }: Frame) => stampNs === observation.stampNs);
      const image = Object.values(observation.images)[0];
      if (!frame || image?.kind !== 'raw') return;
      const { height, width, data } = image;
      set.add({
        ...labelled(frame, robot.task, episode),
        image: { height, width, data },
        motion: null,
      });
    },
  };
}
