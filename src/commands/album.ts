/** Pictures of a simulate run: moving ones of the first episodes and of the first failures of each cause. */
import { join } from 'node:path';
import { traceAge } from '../image/traceAge.js';
import type { SimRobot } from '../robot/sim/simRobot.js';
import type { TracePrediction } from '../types.js';
import type { Cause } from './cause.js';
import { encodeFilm, encodePoster, type Film, type Shot } from './filmstrip.js';
import type { EpisodeOptions } from './episode.js';
import type { EpisodeRecord } from './episodeRecord.js';
import { cameraSize } from './episodeRunner.js';
import { makeFolder } from './folder.js';

const pictureSize = { height: 420, width: 420 } as const;
/** Episodes shown: the first ones, and the first failures of each cause. */
const shownFirst = 6;
const shownPerCause = 3;

export interface ShownEpisode {
  readonly record: EpisodeRecord;
  readonly moving: Uint8Array;
  readonly film: Film;
}

/** Which episodes of a run are shown, by index: the same whoever ran them. */
export function episodesToShow(records: readonly EpisodeRecord[]): readonly EpisodeRecord[] {
  const perCause = new Map<Cause, number>();
  return records.filter(({ index, cause }) => {
    if (cause === null) return index < shownFirst;
    const before = perCause.get(cause) ?? 0;
    perCause.set(cause, before + 1);
    return index < shownFirst || before < shownPerCause;
  });
}

export class Album {
  readonly folder: string;
  readonly #shots: (Omit<Shot, 'picture'> & { readonly picture: Promise<Shot['picture']> })[] = [];
  readonly #shown = new Map<number, ShownEpisode>();
  #watched: number | null = null;

  static async open(folder: string): Promise<Album> {
    await makeFolder(folder);
    return new Album(folder);
  }

  private constructor(folder: string) {
    this.folder = folder;
  }

  /** By index. */
  get shown(): readonly ShownEpisode[] {
    return [...this.#shown.values()].sort((a, b) => a.record.index - b.record.index);
  }

  has(index: number): boolean {
    return this.#shown.has(index);
  }

  /** Takes a picture at every policy request of the episode that begins. */
  watch(robot: SimRobot, index: number): NonNullable<EpisodeOptions['observer']> {
    this.#shots.length = 0;
    this.#watched = index;
    let prediction: TracePrediction | null = null;
    return {
      onRequest: ({ stampNs }) => {
        const path = robot.frames.map(({ points }) => points[0]!.at);
        const picture = robot.picture(pictureSize.height, pictureSize.width);
        const traceOpacity = prediction ? traceAge(prediction, stampNs).opacity : 1;
        this.#shots.push({ picture, path, prediction, traceOpacity });
      },
      onTrace: (answer) => {
        if (answer.ok) prediction = answer.value;
      },
    };
  }

  /** Keeps the episode, if it was watched. */
  async keep(record: EpisodeRecord): Promise<void> {
    if (this.#watched !== record.index || this.#shots.length === 0) return;
    const shots = await Promise.all(
      this.#shots.map(async (shot) => ({ ...shot, picture: await shot.picture })),
    );
    const film: Film = { shots, cameraWidth: cameraSize.width };
    this.#shown.set(record.index, { record, film, moving: await encodeFilm(film) });
  }

  /** One successful episode of each family, as a still picture; null where there is none. */
  async poster(): Promise<Uint8Array | null> {
    const done = this.shown.filter(({ record }) => record.outcome === 'success');
    const byFamily = new Map(
      done.map(({ record, film }) => [record.family, { instruction: record.instruction, film }]),
    );
    return byFamily.size === 0 ? null : encodePoster([...byFamily.values()].slice(0, 4));
  }

  path(name: string): string {
    return join(this.folder, name);
  }
}

/** How an episode ended, in two words for a terminal. */
export function endOf({ outcome, latched, gaveUp }: EpisodeRecord): string {
  if (latched !== null) return 'stopped';
  if (outcome === 'running') return gaveUp === null ? 'out of time' : 'gave up';
  return outcome;
}
