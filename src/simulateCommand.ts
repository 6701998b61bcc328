/** `magma-vla simulate`, and the worker processes of `--jobs`, wired as main.ts wires the others. */
import { createHash } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { type Command, Option } from 'commander';
import { Album, endOf, episodesToShow } from './commands/album.js';
import { integer, number, parseDisturbances, parseFamilies } from './commands/argument.js';
import { readArm, type ArmDescription } from './commands/arm.js';
import { realClock } from './commands/clock.js';
import { EpisodeFile, type Beginning, type RunIdentity } from './commands/episodeFile.js';
import type { EpisodeRecord } from './commands/episodeRecord.js';
import { EpisodeRunner, type RunOptions } from './commands/episodeRunner.js';
import type { ModelFlags } from './commands/modelFlags.js';
import { modelIdentity, type ModelIdentity } from './commands/openModel.js';
import { Reorder } from './commands/shareOut.js';
import { factsOf, runEpisodes, simulate, type SimulateOptions } from './commands/simulate.js';
import { simulateReport } from './commands/simulateReport.js';
import { resultOf, type SimulateResult } from './commands/simulateResult.js';
import { simulateTable } from './commands/simulateTable.js';
import {
  checkTrainingSeed,
  Demonstrator,
  onPolicyFrames,
  TrainingSet,
  writeDemonstrations,
  type DemonstratorOptions,
} from './commands/trainingSet.js';
import {
  serveWork,
  WorkProcess,
  type ParentChannel,
  type Workshop,
} from './commands/workProcess.js';
import { readConfig, takenAtOnce, type Config } from './config.js';
import { ConfigError } from './errors.js';
import type { ModelClient } from './model/client.js';
import { readContract } from './model/contract.js';
import { renderReport } from './report/page.js';
import type { Demonstration } from './robot/sim/demonstrate.js';
import { disturbances, type Disturbance } from './robot/sim/disturb.js';
import { suiteNames, suites, type SuiteName } from './robot/sim/suites.js';
import type { Family } from './robot/sim/tasks.js';

export interface SimulateCommandOptions {
  readonly root: string;
  readonly version: string;
  readonly say: (line: string) => void;
  /** Paths inside this package are shown from its root. */
  readonly shown: (path: string) => string;
  readonly withModel: (command: Command) => Command;
  readonly statisticsOption: Option;
  readonly openClient: (flags: ModelFlags, config: Config) => Promise<ModelClient>;
  /** The script that worker processes run, with the argument `work`. */
  readonly program: string;
  /** What was typed after the program's name. */
  readonly typed: readonly string[];
  /** The channel to a parent process. */
  readonly parent: ParentChannel;
}

interface SimulateFlags extends ModelFlags {
  readonly config: string;
  readonly policy: 'model' | 'expert';
  readonly suite: SuiteName;
  readonly episodes: number;
  readonly seed: number;
  readonly families?: readonly Family[];
  readonly disturb?: readonly Disturbance[] | true;
  readonly clock: 'lockstep' | 'wall';
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

/** What a worker process is told to do; plain data. */
type Job =
  | { readonly kind: 'episodes'; readonly flags: SimulateFlags }
  | { readonly kind: 'demonstrations'; readonly options: DemonstratorOptions };

/** An episode that was run, with its training frames where they are wanted. */
interface Ran {
  readonly record: EpisodeRecord;
  readonly frames: readonly Demonstration[];
}
interface RanBy {
  readonly policy: string;
  readonly ranWith: ModelIdentity | null;
}

export function addSimulateCommand(program: Command, options: SimulateCommandOptions): void {
  const { root, version, say, withModel, statisticsOption } = options;
  withModel(program.command('simulate'))
    .addOption(statisticsOption)
    .description('seeded episodes in the built-in simulation, through control and guard')
    .addOption(
      new Option('--config <file>', 'robot.yaml').default(
        join(root, 'config', 'sim.yaml'),
        'config/sim.yaml of this package',
      ),
    )
    .addOption(
      new Option('--policy <name>', 'who decides').choices(['model', 'expert']).default('model'),
    )
    .addOption(
      new Option('--suite <name>', 'which scenes and tasks').choices(suiteNames).default('core'),
    )
    .option('--episodes <n>', 'how many', integer(1), 30)
    .option('--seed <n>', 'of scenes and tasks', integer(0), 7)
    .option(
      '--families <list>',
      "task families, comma-separated (default: the suite's)",
      parseFamilies,
    )
    .option(
      '--disturb [list]',
      `something goes wrong in mid-episode: ${disturbances.join(', ')}, in turn`,
      parseDisturbances,
    )
    .addOption(
      new Option(
        '--clock <name>',
        'lockstep: fixed simulated latency, same results on one provider and CPU family; wall: real time',
      )
        .choices(['lockstep', 'wall'])
        .default('lockstep'),
    )
    .option(
      '--longest <s>',
      'simulated seconds per episode (default: by family, 12 to 24)',
      number(1),
    )
    .option('--traces <s>', 'seconds between trace requests; 0: none', number(0), 1)
    .option('--jobs <n>', 'worker processes; the result does not depend on how many', integer(1), 1)
    .option(
      '--out <folder>',
      'report.html with pictures of first episodes and failures; episodes.jsonl',
    )
    .option('--resume', 'with --out or --training-set: go on where an interrupted run was')
    .option('--record', 'with --out: episodes.mcap there, which replays with the same --config')
    .option(
      '--training-set <folder>',
      'write training frames: demonstrations of the expert (--policy expert), or expert labels where the model gets itself to',
    )
    .option('--frames <n>', 'how many demonstrated frames', integer(1), 30000)
    .option('--json', 'last line of stdout: the result as JSON')
    .option('--quiet', 'no line per episode')
    .action(async (flags: SimulateFlags) => {
      checkFlags(flags);
      if (flags.trainingSet !== undefined && flags.policy === 'expert') {
        await demonstrateTo(flags.trainingSet, flags, options);
        return;
      }
      const result = await runSimulate(flags, options);
      say(simulateTable(result));
      if (flags.json)
        console.log(
          JSON.stringify({
            command: 'simulate',
            version,
            model: flags.policy === 'model' ? flags.model : null,
            ...result,
          }),
        );
    });

  program
    .command('work', { hidden: true })
    .description('a worker process of simulate --jobs')
    .action(() => serveWork(options.parent, (job) => openWorkshop(job as Job, options)));
}

/** @throws InputError for what does not go together */
function checkFlags(flags: SimulateFlags): void {
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

function beginning({ resume }: SimulateFlags): Beginning {
  return resume ? 'goOn' : 'anew';
}

function familiesOf(flags: SimulateFlags): readonly Family[] {
  return flags.families ?? suites[flags.suite].families;
}

function disturbancesOf({ disturb }: SimulateFlags): readonly Disturbance[] {
  return disturb === true ? disturbances : (disturb ?? []);
}

function describe(path: string, config: Config): ArmDescription {
  const description = readArm(config);
  if (description) return description;
  throw new ConfigError(path, 'no description', 'the arm of the simulation (a URDF)');
}

async function demonstrateTo(
  folder: string,
  flags: SimulateFlags,
  { program, say }: SimulateCommandOptions,
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

/** How fast a run goes, by the real clock. */
class Pace {
  readonly #startedNs = realClock.now().nowNs;
  readonly #before: number;

  constructor(before: number) {
    this.#before = before;
  }

  perMinute(done: number): string {
    const minutes = Number(realClock.now().nowNs - this.#startedNs) / 60e9;
    return ((done - this.#before) / minutes).toFixed(done - this.#before < 10 * minutes ? 1 : 0);
  }
}

function runOptions(
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

/** A child's end of --jobs. */
async function openWorkshop(job: Job, options: SimulateCommandOptions): Promise<Workshop> {
  if (job.kind === 'demonstrations') {
    const demonstrator = await Demonstrator.open(job.options);
    return {
      facts: null,
      do: (n) => demonstrator.do(n),
      close: () => demonstrator.close(),
    };
  }
  const { flags } = job;
  const config = takenAtOnce(readConfig(flags.config));
  const quiet = { ...options, say: () => undefined };
  const client = flags.policy === 'model' ? await quiet.openClient(flags, config) : null;
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

function labelling(
  frames: Demonstration[],
  runner: EpisodeRunner,
  flags: SimulateFlags,
  index: number,
) {
  const { seed, suite } = flags;
  return onPolicyFrames(frames, runner.robot, { seed, suite, families: familiesOf(flags) }, index);
}

async function runSimulate(
  flags: SimulateFlags,
  options: SimulateCommandOptions,
): Promise<SimulateResult & Pick<RanBy, 'ranWith'>> {
  const { say, openClient } = options;
  const config = takenAtOnce(readConfig(flags.config));
  describe(flags.config, config);
  // Folders first: what cannot be written to is found before a model is loaded.
  const album = flags.out === undefined ? null : await Album.open(flags.out);
  const needsClient = flags.policy === 'model' && (flags.jobs === 1 || album !== null);
  const client = needsClient ? await openClient(flags, config) : null;
  const staff = flags.jobs === 1 ? [] : await openStaff(flags, options);
  try {
    const ranWith = staff[0]?.facts.ranWith ?? (client && modelIdentity(client.facts));
    const identity = identityOf(flags, ranWith);
    const kept = new Kept(flags, identity);
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

async function byMyself(
  run: SimulateOptions,
  flags: SimulateFlags,
  album: Album | null,
  kept: Kept,
  progress: Progress,
): Promise<SimulateResult> {
  let frames: Demonstration[] = [];
  return simulate({
    ...run,
    watch: (runner, index) => {
      frames = [];
      if (flags.trainingSet !== undefined) return labelling(frames, runner, flags, index);
      // Real time cannot be run again for its pictures: there, every episode is filmed as it goes.
      if (album && (index < 6 || flags.clock === 'wall')) return album.watch(runner.robot);
      return undefined;
    },
    onEpisode: async (record) => {
      progress.tell(record);
      kept.add({ record, frames });
      const filmed = record.index < 6 || (flags.clock === 'wall' && record.cause !== null);
      if (filmed && flags.trainingSet === undefined) await album?.keep(record);
    },
  });
}

async function byStaff(
  run: SimulateOptions,
  staff: readonly WorkProcess<RanBy, Ran>[],
  kept: Kept,
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

function openStaff(flags: SimulateFlags, { program }: SimulateCommandOptions) {
  const job: Job = { kind: 'episodes', flags };
  return Promise.all(
    Array.from({ length: flags.jobs }, () => WorkProcess.open<RanBy, Ran>(program, job)),
  );
}

/** What decides the outcome of an episode: runs that agree in it may share finished episodes. */
function identityOf(flags: SimulateFlags, ranWith: ModelIdentity | null): RunIdentity {
  const { suite, seed, longest = null, traces, clock } = flags;
  return {
    suite: `${suite} ${suites[suite].version}`,
    ...{ seed, longest, traces, clock, ranWith },
    policy: flags.policy,
    families: familiesOf(flags),
    disturb: disturbancesOf(flags),
    config: createHash('sha256').update(readFileSync(flags.config)).digest('hex'),
  };
}

/** Finished episodes: in memory, on disk with --out or --training-set, and their frames in the training set, in order. */
class Kept {
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

/** A line per episode, and how fast it goes. */
class Progress {
  readonly #flags: SimulateFlags;
  readonly #say: (line: string) => void;
  readonly #pace: Pace;
  #ended: number;

  constructor(flags: SimulateFlags, finished: number, say: (line: string) => void) {
    this.#flags = flags;
    this.#say = say;
    this.#ended = finished;
    this.#pace = new Pace(finished);
    if (finished > 0) say(`${finished} of ${flags.episodes} episodes were finished before`);
  }

  tell(record: EpisodeRecord): void {
    const { episodes, quiet } = this.#flags;
    this.#ended++;
    if (this.#ended % 50 === 0)
      this.#say(
        `${this.#ended}/${episodes} episodes, ${this.#pace.perMinute(this.#ended)} a minute`,
      );
    if (quiet) return;
    const n = String(record.index + 1).padStart(String(episodes).length);
    const halts = record.latched === null ? '' : `, stopped: ${record.latched}`;
    const upset = record.disturbed ? ` (${record.disturbed.kind})` : '';
    this.#say(
      `${n}/${episodes}  ${endOf(record).padEnd(12)} ${record.duration.toFixed(1).padStart(5)} s  ${record.instruction}${upset}${halts}`,
    );
  }
}

interface Reported {
  readonly flags: SimulateFlags;
  readonly run: SimulateOptions;
  readonly result: SimulateResult;
  readonly config: Config;
}

/** The page; episodes that are to be seen on it and were not filmed are run once more, for their pictures. */
async function report(
  album: Album,
  { flags, run, result, config }: Reported,
  kept: Kept,
  { say, shown, version, typed }: SimulateCommandOptions,
): Promise<void> {
  const missing = episodesToShow(kept.records(flags.episodes)).filter(
    ({ index }) => !album.has(index),
  );
  if (missing.length > 0 && flags.clock === 'lockstep' && flags.trainingSet === undefined) {
    say(`pictures: ${missing.length} episodes once more`);
    const runner = await EpisodeRunner.open({ ...run, record: undefined, say: undefined });
    try {
      for (const record of missing) {
        const again = await runner.run(record.index, album.watch(runner.robot));
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
