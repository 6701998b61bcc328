/** Pictures of a simulate run, taken while it goes, and the page and recordings that come of it. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { SimRobot } from '../robot/sim/simRobot.js';
import { instructionFor } from '../robot/sim/tasks.js';
import type { TracePrediction } from '../types.js';
import { encodeFilm, encodeStill, type Film, type Shot } from './filmstrip.js';
import type { EpisodeOptions, EpisodeResult } from './episode.js';
import { cameraSize } from './simulate.js';

const pictureSize = { height: 420, width: 420 } as const;
/** Episodes shown: the first ones, and the first failures after them. */
const shownFirst = 6;
const shownFailures = 6;

export interface ShownEpisode {
  readonly index: number;
  readonly result: EpisodeResult;
  readonly instruction: string;
  readonly film: Uint8Array;
  readonly still: Uint8Array;
}

export class Album {
  readonly folder: string;
  readonly #shots: (Omit<Shot, 'picture'> & { readonly picture: Promise<Shot['picture']> })[] = [];
  readonly #shown: ShownEpisode[] = [];
  #failures = 0;
  #index = -1;

  static async open(folder: string): Promise<Album> {
    await mkdir(folder, { recursive: true });
    return new Album(folder);
  }

  private constructor(folder: string) {
    this.folder = folder;
  }

  get shown(): readonly ShownEpisode[] {
    return this.#shown;
  }

  /** Takes a picture at every policy request of an episode that will be shown, or may be. */
  watch(robot: SimRobot, index: number): NonNullable<EpisodeOptions['observer']> {
    this.#shots.length = 0;
    this.#index = index;
    if (index >= shownFirst && this.#failures >= shownFailures) return {};
    let prediction: TracePrediction | null = null;
    return {
      onRequest: () => {
        const path = robot.frames.map(({ points }) => points[0]!.at);
        this.#shots.push({
          picture: robot.picture(pictureSize.height, pictureSize.width),
          path,
          prediction,
        });
      },
      onTrace: (answer) => {
        if (answer.ok) prediction = answer.value;
      },
    };
  }

  /** Keeps the episode where it is one of the first, or failed. */
  async episodeEnded(result: EpisodeResult): Promise<void> {
    const first = this.#index < shownFirst;
    const failed = result.outcome !== 'success';
    if (this.#shots.length === 0 || !(first || failed)) return;
    if (!first) this.#failures++;
    const shots = await Promise.all(
      this.#shots.map(async (shot) => ({ ...shot, picture: await shot.picture })),
    );
    const instruction = instructionFor(result.task);
    const film: Film = { shots, cameraWidth: cameraSize.width };
    // The picture that says most: with a prediction in it, before the hand is down.
    const best = Math.max(
      0,
      shots.findIndex(({ prediction }) => prediction !== null),
    );
    this.#shown.push({
      index: this.#index,
      result,
      instruction,
      film: await encodeFilm(film),
      still: await encodeStill(film, best),
    });
  }

  path(name: string): string {
    return join(this.folder, name);
  }
}

export const outcomeWords = {
  success: 'done',
  running: 'not done in time',
  wrongObject: 'wrong object',
} as const;
