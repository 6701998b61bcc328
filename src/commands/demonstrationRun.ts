/** Demonstrations into a training set, by this process or by several. */
import { readConfig } from '../config.js';
import type { Demonstration } from '../robot/sim/demonstrate.js';
import { suites } from '../robot/sim/suites.js';
import { Pace } from './runProgress.js';
import { beginning, describe, familiesOf, type SimulateFlags } from './simulateFlags.js';
import type { SimulationOptions } from './simulateRun.js';
import type { Job } from './simulateWork.js';
import {
  Demonstrator,
  TrainingSet,
  writeDemonstrations,
  type DemonstratorOptions,
} from './trainingSet.js';
import { WorkProcess } from './workProcess.js';

export async function demonstrateTo(
  folder: string,
  flags: SimulateFlags,
  { program, say }: Pick<SimulationOptions, 'program' | 'say'>,
): Promise<void> {
  const { urdf } = describe(flags.config, readConfig(flags.config));
  const { seed, suite, jobs, frames } = flags;
  const demonstrated: DemonstratorOptions = { urdf, suite, seed, families: familiesOf(flags) };
  const identity = {
    kind: 'demonstrations',
    suite,
    version: suites[suite].version,
    seed,
    families: familiesOf(flags),
  };
  const set = TrainingSet.open(folder, flags.model, identity, beginning(flags));
  const job: Job = { kind: 'demonstrations', options: demonstrated };
  const staff = await Promise.all(
    Array.from({ length: jobs }, () =>
      jobs === 1
        ? Demonstrator.open(demonstrated)
        : WorkProcess.open<null, readonly Demonstration[]>(program, job),
    ),
  );
  const pace = new Pace(set.counts.frames);
  try {
    await writeDemonstrations(set, staff, frames, () => {
      const { episodes, frames: now } = set.counts;
      if (episodes % 100 === 0)
        say(`${now}/${frames} frames, ${episodes} episodes, ${pace.perMinute(now)} frames/min`);
    });
  } finally {
    await Promise.all(staff.map((one) => one.close()));
    set.close();
  }
  if (flags.json)
    console.log(JSON.stringify({ command: 'simulate', trainingSet: folder, ...set.counts }));
}
