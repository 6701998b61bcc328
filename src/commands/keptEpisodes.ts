import { join } from 'node:path';
import type { Demonstration } from '../robot/sim/demonstrate.js';
import { EpisodeFile, type RunIdentity } from './episodeFile.js';
import type { EpisodeRecord } from './episodeRecord.js';
import { Reorder } from './shareOut.js';
import { beginning, type SimulateFlags } from './simulateFlags.js';
import type { Ran } from './simulateWork.js';
import { TrainingSet } from './trainingSet.js';

/** Finished episodes: in memory, on disk with --out or --training-set, and their frames in the training set, in order. */
export class KeptEpisodes {
  readonly #records: Map<number, EpisodeRecord>;
  readonly #file: EpisodeFile | null;
  readonly #set: TrainingSet | null;
  readonly #frames: Reorder<readonly Demonstration[]> | null = null;
  readonly finished: ReadonlyMap<number, EpisodeRecord>;

  constructor(flags: SimulateFlags, identity: RunIdentity) {
    const { out, trainingSet } = flags;
    const folder = out ?? trainingSet;
    const set =
      trainingSet === undefined
        ? null
        : TrainingSet.open(trainingSet, flags.model, identity, beginning(flags));
    this.#file =
      folder === undefined
        ? null
        : EpisodeFile.open(join(folder, 'episodes.jsonl'), identity, beginning(flags));
    this.#set = set;
    if (set) this.#frames = new Reorder(set.counts.episodes, (frames) => set.addEpisode(frames));
    const all = [...(this.#file?.finished ?? [])];
    // An episode whose frames did not reach the training set is run again.
    const usable = all.filter(([index]) => !set || index < set.counts.episodes);
    this.finished = new Map(usable);
    this.#records = new Map(usable);
  }

  add({ record, frames }: Ran): void {
    this.#records.set(record.index, record);
    this.#file?.add(record);
    this.#frames?.add(frames, record.index);
  }

  records(episodes: number): EpisodeRecord[] {
    return Array.from({ length: episodes }, (_, index) => this.#records.get(index)!);
  }

  complete(episodes: number): void {
    const further = [...this.#records.values()].filter(({ index }) => index >= episodes);
    this.#file?.complete([...this.records(episodes), ...further]);
  }

  close(): void {
    this.#set?.close();
  }
}
