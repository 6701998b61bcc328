/** A run of `simulate`, by this process or by several: episodes, what is kept of them, and the page. */
import { writeFileSync } from 'node:fs';
import type { Config } from '../config.js';
import type { ModelClient } from '../model/client.js';
import { renderReport } from '../report/page.js';
import type { Demonstration } from '../robot/sim/demonstrate.js';
import { Album, episodesToShow } from './album.js';
import type { EpisodeRecord } from './episodeRecord.js';
import { EpisodeRunner } from './episodeRunner.js';
import { KeptEpisodes } from './keptEpisodes.js';
import type { ModelFlags } from './modelFlags.js';
import { modelIdentity } from './openModel.js';
import { Progress } from './runProgress.js';
import { factsOf, runEpisodes, simulate, type SimulateOptions } from './simulate.js';
import { configOf, describe, identityOf, runOptions, type SimulateFlags } from './simulateFlags.js';
import { simulateReport } from './simulateReport.js';
import { resultOf, type SimulateResult } from './simulateResult.js';
import { labelling, openStaff, type Ran, type RanBy } from './simulateWork.js';
import type { WorkProcess } from './workProcess.js';

export interface SimulationOptions {
  readonly version: string;
  readonly say: (line: string) => void;
  /** Paths inside this package are shown from its root. */
  readonly shown: (path: string) => string;
  readonly openClient: (flags: ModelFlags, config: Config) => Promise<ModelClient>;
  /** The script that worker processes run, with the argument `work`. */
  readonly program: string;
  /** What was typed after the program's name. */
  readonly typed: readonly string[];
}

export async function runSimulate(
  flags: SimulateFlags,
  options: SimulationOptions,
): Promise<SimulateResult & Pick<RanBy, 'ranWith'>> {
  const { say, openClient } = options;
  const config = configOf(flags);
  describe(flags.config, config);
  // Folders first: what cannot be written to is found before a model is loaded.
  const album = flags.out === undefined ? null : await Album.open(flags.out);
  const needsClient = flags.policy === 'model' && (flags.jobs === 1 || album !== null);
  const client = needsClient ? await openClient(flags, config) : null;
  const staff = flags.jobs === 1 ? [] : await openStaff(flags, options.program);
  try {
    const ranWith = staff[0]?.facts.ranWith ?? (client && modelIdentity(client.facts));
    const identity = identityOf(flags, ranWith);
    const kept = new KeptEpisodes(flags, identity);
    const progress = new Progress(flags, kept.finished.size, say);
    const run: SimulateOptions = {
      ...runOptions(flags, config, client ?? 'expert'),
      episodes: flags.episodes,
      finished: kept.finished,
      record: flags.record && album ? album.path('episodes.mcap') : undefined,
      say: flags.jobs === 1 ? say : undefined,
    };
    try {
      const result =
        staff.length > 0
          ? await byStaff(run, staff, kept, progress)
          : await byMyself(run, flags, album, kept, progress);
      kept.complete(flags.episodes);
      if (album) await report(album, { flags, run, result, config }, kept, options);
      return { ...result, ranWith };
    } finally {
      kept.close();
    }
  } finally {
    await Promise.all(staff.map((one) => one.close()));
    await client?.close();
  }
}

export async function byMyself(
  run: SimulateOptions,
  flags: SimulateFlags,
  album: Album | null,
  kept: KeptEpisodes,
  progress: Progress,
): Promise<SimulateResult> {
  let frames: Demonstration[] = [];
  return simulate({
    ...run,
    watch: (runner, index) => {
      frames = [];
      if (flags.trainingSet !== undefined) return labelling(frames, runner, flags, index);
      // Real time cannot be run again for its pictures: there, every episode is filmed as it goes.
      if (album && (index < 6 || flags.clock === 'wall')) return album.watch(runner.robot, index);
      return undefined;
    },
    onEpisode: async (record) => {
      progress.tell(record);
      kept.add({ record, frames });
      const shows = episodesToShow(kept.records(record.index + 1)).includes(record);
      if (shows && flags.trainingSet === undefined) await album?.keep(record);
    },
  });
}

export async function byStaff(
  run: SimulateOptions,
  staff: readonly WorkProcess<RanBy, Ran>[],
  kept: KeptEpisodes,
  progress: Progress,
): Promise<SimulateResult> {
  const doers = staff.map((one) => ({
    do: async (index: number): Promise<EpisodeRecord> => {
      const ran = await one.do(index);
      kept.add(ran);
      return ran.record;
    },
  }));
  const records = await runEpisodes(
    { ...run, onEpisode: (record) => progress.tell(record) },
    doers,
  );
  return resultOf(factsOf(run, staff[0]!.facts.policy), records);
}

export interface Reported {
  readonly flags: SimulateFlags;
  readonly run: SimulateOptions;
  readonly result: SimulateResult;
  readonly config: Config;
}

/** The page; episodes that are to be seen on it and were not filmed are run once more, for their pictures. */
export async function report(
  album: Album,
  { flags, run, result, config }: Reported,
  kept: KeptEpisodes,
  { say, shown, version, typed }: SimulationOptions,
): Promise<void> {
  const missing = episodesToShow(kept.records(flags.episodes)).filter(
    ({ index }) => !album.has(index),
  );
  if (missing.length > 0 && flags.clock === 'lockstep' && flags.trainingSet === undefined) {
    say(`pictures: ${missing.length} episodes once more`);
    const runner = await EpisodeRunner.open({ ...run, record: undefined, say: undefined });
    try {
      for (const record of missing) {
        const again = await runner.run(record.index, album.watch(runner.robot, record.index));
        if (again.answers !== record.answers)
          say(
            `warning: episode ${record.index + 1} went otherwise when run again; its picture is of that`,
          );
        await album.keep(again);
      }
    } finally {
      await runner.close();
    }
  }
  const page = album.path('report.html');
  const content = simulateReport(result, album.shown, {
    command: `npx magma-vla ${typed.join(' ')}`,
    model: flags.policy === 'model' ? shown(flags.model) : 'scripted expert',
    robot: `${config.robot} (${shown(flags.config)})`,
    version,
  });
  writeFileSync(page, renderReport(content));
  const poster = await album.poster();
  if (poster) writeFileSync(album.path('episodes.jpg'), poster);
  say(`\nreport: ${page}${poster ? `   picture: ${album.path('episodes.jpg')}` : ''}`);
}
