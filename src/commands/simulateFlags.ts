/** What `simulate` is asked for on the command line, and what that means. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { readConfig, takenAtOnce, withoutRecovery, type Config } from '../config.js';
import { ConfigError } from '../errors.js';
import { readContract } from '../model/contract.js';
import { disturbances, type Disturbance } from '../robot/sim/disturb.js';
import { suites, type SuiteName } from '../robot/sim/suites.js';
import type { Family } from '../robot/sim/tasks.js';
import { readArm, type ArmDescription } from './arm.js';
import { realClock } from './clock.js';
import type { Beginning, RunIdentity } from './episodeFile.js';
import type { RunOptions } from './episodeRunner.js';
import type { ModelFlags } from './modelFlags.js';
import type { ModelIdentity } from './openModel.js';
import { checkTrainingSeed } from './trainingSet.js';

export interface SimulateFlags extends ModelFlags {
  readonly config: string;
  readonly policy: 'model' | 'expert';
  readonly suite: SuiteName;
  readonly episodes: number;
  readonly seed: number;
  readonly families?: readonly Family[];
  readonly disturb?: readonly Disturbance[] | true;
  readonly clock: 'lockstep' | 'wall';
  /** `off`: the model alone, whatever robot.yaml says of recovery and of being unsure. */
  readonly recovery: 'on' | 'off';
  readonly longest?: number;
  readonly traces: number;
  readonly jobs: number;
  readonly resume?: true;
  readonly out?: string;
  readonly record?: true;
  readonly trainingSet?: string;
  readonly frames: number;
  readonly json?: true;
  readonly quiet?: true;
}

/** @throws InputError for what does not go together */
export function checkFlags(flags: SimulateFlags): void {
  if (flags.trainingSet !== undefined) checkTrainingSeed(flags.seed);
  if (flags.record && flags.out === undefined)
    throw new ConfigError('--record', 'no --out', 'a folder to record into: --out <folder>');
  if (flags.record && (flags.jobs > 1 || flags.resume))
    throw new ConfigError('--record', '--jobs or --resume', 'one recording of one whole run');
  if (flags.resume && flags.out === undefined && flags.trainingSet === undefined)
    throw new ConfigError('--resume', 'no --out', 'the folder of the run to go on with');
  if (flags.clock === 'wall' && (flags.jobs > 1 || flags.resume))
    throw new ConfigError(
      '--clock',
      'wall with --jobs or --resume',
      'lockstep, which any load and order of episodes leaves as it is',
    );
  for (const family of flags.families ?? [])
    if (!suites[flags.suite].families.includes(family))
      throw new ConfigError(
        '--families',
        `${family} in suite ${flags.suite}`,
        `some of ${suites[flags.suite].families.join(', ')}`,
      );
}

/** For the built-in arm, whose largest step is 5 cm in 0.2 s, and blocks as wide as half the gripper's opening. */
const builtInRecovery: NonNullable<Config['recovery']> = {
  retries: 2,
  smallestObject: 0.2,
  closingTime: 0.5,
  patience: 0.6,
  rise: 0.07,
  speed: 0.1,
  noProgress: { after: 3, within: 0.08, turning: 0.8 },
};

/** robot.yaml as it holds for this run. @throws ConfigError */
export function configOf({
  config: path,
  recovery,
}: Pick<SimulateFlags, 'config' | 'recovery'>): Config {
  const config = takenAtOnce(readConfig(path));
  if (recovery === 'off') return withoutRecovery(config);
  return { ...config, recovery: config.recovery ?? builtInRecovery };
}

export function beginning({ resume }: SimulateFlags): Beginning {
  return resume ? 'goOn' : 'anew';
}

export function familiesOf(flags: SimulateFlags): readonly Family[] {
  return flags.families ?? suites[flags.suite].families;
}

export function disturbancesOf({ disturb }: SimulateFlags): readonly Disturbance[] {
  return disturb === true ? disturbances : (disturb ?? []);
}

export function describe(path: string, config: Config): ArmDescription {
  const description = readArm(config);
  if (description) return description;
  throw new ConfigError(path, 'no description', 'the arm of the simulation (a URDF)');
}

export function runOptions(
  flags: SimulateFlags,
  config: Config,
  policy: RunOptions['policy'],
): RunOptions {
  return {
    config,
    description: describe(flags.config, config),
    policy,
    clock: realClock,
    pace: flags.clock,
    seed: flags.seed,
    suite: flags.suite,
    families: familiesOf(flags),
    disturbances: disturbancesOf(flags),
    longest: flags.longest,
    tracePeriod: flags.traces,
    traceSteps:
      policy === 'expert' ? undefined : readContract(resolve(flags.model)).answers.trace?.steps,
  };
}

/** What decides the outcome of an episode: runs that agree in it may share finished episodes. */
export function identityOf(flags: SimulateFlags, ranWith: ModelIdentity | null): RunIdentity {
  const { suite, seed, longest = null, traces, clock, recovery, policy } = flags;
  // Does not change what a model does, but what it says of it.
  const calibration =
    policy === 'model' ? readContract(resolve(flags.model)).answers.action.calibration : undefined;
  return {
    suite: `${suite} ${suites[suite].version}`,
    ...{ seed, longest, traces, clock, recovery, ranWith },
    ...(calibration && { calibration }),
    policy,
    families: familiesOf(flags),
    disturb: disturbancesOf(flags),
    config: createHash('sha256').update(readFileSync(flags.config)).digest('hex'),
  };
}
