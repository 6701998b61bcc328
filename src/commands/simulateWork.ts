/** What worker processes of `simulate --jobs` do: episodes, or demonstrations. */
import type { Config } from '../config.js';
import type { ModelClient } from '../model/client.js';
import type { Demonstration } from '../robot/sim/demonstrate.js';
import type { EpisodeRecord } from './episodeRecord.js';
import { EpisodeRunner } from './episodeRunner.js';
import type { ModelFlags } from './modelFlags.js';
import { modelIdentity, type ModelIdentity } from './openModel.js';
import {
  configOf,
  disturbancesOf,
  familiesOf,
  runOptions,
  type SimulateFlags,
} from './simulateFlags.js';
import { Demonstrator, onPolicyFrames, type DemonstratorOptions } from './trainingSet.js';
import { WorkProcess, type Workshop } from './workProcess.js';

/** What a worker process is told to do; plain data. */
export type Job =
  | { readonly kind: 'episodes'; readonly flags: SimulateFlags }
  | { readonly kind: 'demonstrations'; readonly options: DemonstratorOptions };

/** An episode that was run, with its training frames where they are wanted. */
export interface Ran {
  readonly record: EpisodeRecord;
  readonly frames: readonly Demonstration[];
}
export interface RanBy {
  readonly policy: string;
  readonly ranWith: ModelIdentity | null;
}

/** A child's end of --jobs. */
export async function openWorkshop(
  job: Job,
  openClient: (flags: ModelFlags, config: Config) => Promise<ModelClient>,
): Promise<Workshop> {
  if (job.kind === 'demonstrations') {
    const demonstrator = await Demonstrator.open(job.options);
    return {
      facts: null,
      do: (n) => demonstrator.do(n),
      close: () => demonstrator.close(),
    };
  }
  const { flags } = job;
  const config = configOf(flags);
  const client = flags.policy === 'model' ? await openClient(flags, config) : null;
  const runner = await EpisodeRunner.open(runOptions(flags, config, client ?? 'expert'));
  const facts: RanBy = {
    policy: runner.policy.name,
    ranWith: client && modelIdentity(client.facts),
  };
  return {
    facts,
    do: async (index): Promise<Ran> => {
      const frames: Demonstration[] = [];
      const watch = flags.trainingSet === undefined ? {} : labelling(frames, runner, flags, index);
      return { record: await runner.run(index, watch), frames };
    },
    close: async () => {
      await runner.close();
      await client?.close();
    },
  };
}

export function labelling(
  frames: Demonstration[],
  runner: EpisodeRunner,
  flags: SimulateFlags,
  index: number,
) {
  const { seed, suite } = flags;
  const disturbed = disturbancesOf(flags).length > 0;
  const options = { seed, suite, families: familiesOf(flags), disturbed };
  return onPolicyFrames(frames, runner.robot, options, index);
}

/** As many processes as there are jobs. */
export function openStaff(flags: SimulateFlags, program: string) {
  const job: Job = { kind: 'episodes', flags };
  return Promise.all(
    Array.from({ length: flags.jobs }, () => WorkProcess.open<RanBy, Ran>(program, job)),
  );
}
