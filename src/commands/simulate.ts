/** `simulate`: seeded episodes through policy, control and guard; how often the task was done, and what went wrong. */
import type { EpisodeOptions } from './episode.js';
import type { EpisodeRecord } from './episodeRecord.js';
import { EpisodeRunner, type RunOptions } from './episodeRunner.js';
import { inOrder, shareOut, type Doer } from './shareOut.js';
import { resultOf, type SimulateResult } from './simulateResult.js';

export interface SimulateOptions extends RunOptions {
  readonly episodes: number;
  /** Episodes of an earlier run with the same options, by index: not run again. */
  readonly finished?: ReadonlyMap<number, EpisodeRecord>;
  /** Told as episodes end, in whatever order that is. */
  readonly onEpisode?: (record: EpisodeRecord) => void | Promise<void>;
  /** Called before an episode; what it returns watches that episode. */
  readonly watch?: (runner: EpisodeRunner, index: number) => EpisodeOptions['observer'];
}

/** In this process, one episode after the other. */
export async function simulate(options: SimulateOptions): Promise<SimulateResult> {
  const runner = await EpisodeRunner.open(options);
  try {
    const records = await runEpisodes(options, [
      { do: (index) => runner.run(index, options.watch?.(runner, index)) },
    ]);
    return resultOf(factsOf(options, runner.policy.name), records);
  } finally {
    await runner.close();
  }
}

/** By whoever runs them, each its next episode as soon as it has ended one. The result is by index all the same. */
export async function runEpisodes(
  {
    episodes,
    finished = new Map(),
    onEpisode,
  }: Pick<SimulateOptions, 'episodes' | 'finished' | 'onEpisode'>,
  doers: readonly Doer<EpisodeRecord>[],
): Promise<EpisodeRecord[]> {
  const records = new Map(finished);
  await shareOut(
    inOrder(episodes, (index) => !finished.has(index)),
    doers,
    async (record, index) => {
      records.set(index, record);
      await onEpisode?.(record);
    },
  );
  return Array.from({ length: episodes }, (_, index) => records.get(index)!);
}

export function factsOf(
  { pace, suite = 'core', seed }: Pick<RunOptions, 'pace' | 'suite' | 'seed'>,
  policy: string,
) {
  return { policy, clock: pace, suite, seed };
}
