/** Pictures of a simulate run, taken while it goes, and the page and recordings that come of it. */
import { join } from 'node:path';
import type { SimRobot } from '../robot/sim/simRobot.js';
import { instructionFor } from '../robot/sim/tasks.js';
import type { TracePrediction } from '../types.js';
import { encodeFilm, encodePoster, type Film, type Shot } from './filmstrip.js';
import type { EpisodeOptions, EpisodeResult } from './episode.js';
import { makeFolder } from './folder.js';
import { cameraSize } from './simulate.js';

const pictureSize = { height: 420, width: 420 } as const;
/** Episodes shown: the first ones, and the first failures after them. */
const shownFirst = 6;
const shownFailures = 6;

export interface ShownEpisode {
  readonly index: number;
  readonly result: EpisodeResult;
  readonly instruction: string;
  readonly moving: Uint8Array;
  readonly film: Film;
}

export class Album {
  readonly folder: string;
  readonly #shots: (Omit<Shot, 'picture'> & { readonly picture: Promise<Shot['picture']> })[] = [];
  readonly #shown: ShownEpisode[] = [];
  #failures = 0;
  #index = -1;

  static async open(folder: string): Promise<Album> {
    await makeFolder(folder);
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
    this.#shown.push({
      index: this.#index,
      result,
      instruction,
      film,
      moving: await encodeFilm(film),
    });
  }

  /** One successful episode of each family, as a still picture; null where there is none. */
  async poster(): Promise<Uint8Array | null> {
    const done = this.#shown.filter(({ result }) => result.outcome === 'success');
    const byFamily = new Map(done.map((episode) => [episode.result.task.family, episode]));
    return byFamily.size === 0 ? null : encodePoster([...byFamily.values()]);
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

/** How an episode ended, in two words for a terminal. */
export function endOf({ outcome, latched }: EpisodeResult): string {
  if (latched !== null) return 'stopped';
  return outcome === 'running' ? 'out of time' : outcome;
}
