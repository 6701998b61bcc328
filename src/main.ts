/** The only wiring file: arguments and environment in, commands run, exit code out. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command, Option } from 'commander';
import { runBench } from './bench/bench.js';
import { addAskCommand } from './askCommand.js';
import { integer, number } from './commands/argument.js';
import { benchTable } from './commands/benchTable.js';
import { readArm } from './commands/arm.js';
import { realClock } from './commands/clock.js';
import { addConvertCommand } from './commands/convertCommand.js';
import { openFromFlags, type ModelFlags } from './commands/modelFlags.js';
import {
  addSyntheticOptions,
  runSyntheticBench,
  type SyntheticBenchFlags,
} from './commands/syntheticBench.js';
import { addSyntheticCommand } from './commands/syntheticCommand.js';
import { modelIdentity, readModelWords, type ModelIdentity } from './commands/openModel.js';
import { checkParity, isParity } from './commands/parity.js';
import { parityTable } from './commands/parityTable.js';
import { replay } from './commands/replay.js';
import { addGateCommand } from './gateCommand.js';
import { addRosCommands } from './rosCommands.js';
import { addSimulateCommand } from './simulateCommand.js';
import type { Replayed } from './commands/replayResult.js';
import { ReplayAlbum } from './commands/replayAlbum.js';
import { replayReport } from './commands/replayReport.js';
import { episodeLine, replayTable } from './commands/replayTable.js';
import { readConfig, takenAtOnce, type Config } from './config.js';
import { ConfigError, DataError, InputError, RosError } from './errors.js';
import type { ModelClient } from './model/client.js';
import { providerHelp } from './model/session.js';
import { renderReport } from './report/page.js';
import { outputTopics } from './robot/replay/recorder.js';
import { home } from './robot/sim/world.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const version = (
  JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
).version;
const cache =
  process.env.MAGMA_VLA_CACHE ??
  join(process.env.XDG_CACHE_HOME ?? join(homedir(), '.cache'), 'magma_vla');

/** Paths inside this package are shown from its root. */
const shown = (path: string): string => (path.startsWith(root) ? path.slice(root.length) : path);

/** Progress and tables go to stderr, results to stdout: `--json` output can be piped. */
const say = (line: string): void => void process.stderr.write(`${line}\n`);

const openClient = (
  flags: ModelFlags,
  config: Config,
  onMismatch: (sentence: string) => void = () => undefined,
): Promise<ModelClient> => openFromFlags(flags, config, { cache, say, onMismatch });

/** What the predictions depend on beside their inputs; null without a model. */
interface RanWith {
  readonly ranWith: ModelIdentity | null;
}

/** ROS 2 reads its own arguments: everything from `--ros-args`, as `ros2 run` and `ros2 launch` append it. */
const rosAt = process.argv.indexOf('--ros-args');
const rosArgs = rosAt === -1 ? [] : process.argv.slice(rosAt);
const ownArgv = rosAt === -1 ? process.argv : process.argv.slice(0, rosAt);

const program = new Command('magma-vla')
  .description('A vision-language-action node for robot arms: predicted traces, guarded commands.')
  .version(version)
  .showHelpAfterError('(magma-vla --help, or magma-vla COMMAND --help, lists what there is)');

const modelOptions = [
  new Option('--model <folder>', 'model folder').default(
    join(root, 'models', 'nano'),
    'models/nano of this package',
  ),
  new Option('--provider <name>', `ONNX Runtime execution provider. ${providerHelp}`)
    .choices(['auto', 'cuda', 'webgpu', 'cpu'])
    .default('auto'),
  new Option('--threads <n>', 'threads within one operator on the CPU')
    .argParser(integer(1))
    .default(1),
  new Option('--allow-mismatch', 'run a model on a robot it was not trained for'),
];
const statisticsOption = new Option(
  '--statistics <key>',
  "which of the model's action statistics (unnorm_key) (default: the robot's own)",
);
const withModel = (command: Command): Command => {
  for (const option of modelOptions) command.addOption(option);
  return command;
};

addSimulateCommand(program, {
  ...{ root, version, say, shown, withModel, statisticsOption, openClient },
  program: fileURLToPath(import.meta.url),
  typed: process.argv.slice(2),
  parent: process,
});

interface ReplayFlags extends ModelFlags {
  readonly config: string;
  readonly policy: 'model' | 'recorded' | 'expert';
  readonly traces: number;
  readonly out?: string;
  readonly parity?: true;
  readonly chunks: string;
  readonly json?: true;
  readonly quiet?: true;
}

withModel(program.command('replay'))
  .addOption(statisticsOption)
  .description(
    'a recorded bag through model, control and guard, against what was recorded; 1 where nothing is predicted',
  )
  .argument('<bag>', 'rosbag2 MCAP: a file or a folder')
  .requiredOption('--config <file>', 'robot.yaml of the robot that was recorded')
  .addOption(
    new Option('--policy <name>', 'who decides; recorded: the actions of the bag itself')
      .choices(['model', 'recorded', 'expert'])
      .default('model'),
  )
  .option('--traces <s>', 'bag seconds between trace requests; 0: none', number(0), 1)
  .option('--out <folder>', 'report.html and replay.mcap, for Foxglove or Lichtblick')
  .option(
    '--parity',
    'only this: are the recorded predictions made of what the bag holds, and does the model repeat them? 1 where not',
  )
  .option('--chunks <topic>', 'recorded predictions, for --parity', outputTopics.actionChunk)
  .option('--json', 'last line of stdout: the result as JSON')
  .option('--quiet', 'no line per episode')
  .action(async (bag: string, flags: ReplayFlags) => {
    if (flags.parity) {
      await runParity(bag, flags);
      return;
    }
    const { result, ranWith, firstReasons } = await runReplay(bag, flags);
    say(replayTable(result, firstReasons));
    if (flags.json)
      console.log(
        JSON.stringify({
          command: 'replay',
          version,
          model: flags.policy === 'model' ? flags.model : null,
          ranWith,
          ...result,
        }),
      );
    if (result.nothing !== null) process.exitCode = 1;
  });

/** Without a model (--policy recorded) only observations are compared. */
async function runParity(bag: string, flags: ReplayFlags): Promise<void> {
  const config = takenAtOnce(readConfig(flags.config));
  const client = flags.policy === 'model' ? await openClient(flags, config) : null;
  try {
    const arm = readArm(config)?.arm ?? null;
    const result = await checkParity({
      ...{ bag, config, arm, policy: client, chunks: flags.chunks },
    });
    const ranWith = client && modelIdentity(client.facts);
    say(parityTable(result));
    if (flags.json)
      console.log(JSON.stringify({ command: 'replay --parity', version, ranWith, ...result }));
    if (!isParity(result)) process.exitCode = 1;
  } finally {
    await client?.close();
  }
}

async function runReplay(bag: string, flags: ReplayFlags): Promise<Replayed & RanWith> {
  const config = takenAtOnce(readConfig(flags.config));
  // What is missing is said before a model of gigabytes is loaded.
  const description = readArm(config);
  if (!existsSync(bag))
    throw new DataError(bag, 'nothing there', 'rosbag2 MCAP: a file or a folder');
  const notices: string[] = [];
  const client =
    flags.policy === 'model'
      ? await openClient(flags, config, (sentence) => notices.push(sentence))
      : null;
  const words = existsSync(join(flags.model, 'model.json'))
    ? readModelWords(resolve(flags.model), config, flags.statistics)
    : { decoding: null, traceCamera: null };
  const { out } = flags;
  let album: ReplayAlbum | null = null;
  try {
    const replayed = await replay({
      ...words,
      ...{ bag, config, description, clock: realClock },
      policy: client ?? (flags.policy as 'recorded' | 'expert'),
      tracePeriod: flags.traces,
      onEpisode: (episode) => {
        if (!flags.quiet) say(episodeLine(episode));
      },
      say,
      ...(out === undefined
        ? {}
        : { watch: async (robot) => (album = await ReplayAlbum.open(out, config, robot)) }),
    });
    if (out !== undefined) {
      const report = replayReport(replayed, album!.frames(), {
        command: `npx magma-vla ${process.argv.slice(2).join(' ')}`,
        model: flags.policy === 'model' ? shown(flags.model) : `${flags.policy} actions`,
        robot: `${config.robot} (${shown(flags.config)})`,
        version,
        mismatches: notices,
      });
      writeFileSync(join(out, 'report.html'), renderReport(report));
      say(`\nreport: ${join(out, 'report.html')}   recording: ${join(out, 'replay.mcap')}`);
    }
    return { ...replayed, ranWith: client && modelIdentity(client.facts) };
  } finally {
    await (album as ReplayAlbum | null)?.close();
    await client?.close();
  }
}

interface BenchFlags extends ModelFlags, SyntheticBenchFlags {
  readonly config: string;
  readonly seconds: number;
  readonly camera: 'fullHd' | 'vga1';
  readonly json?: true;
}

addSyntheticOptions(withModel(program.command('bench')))
  .description('how fast and how steady the whole data path is on this machine')
  .addOption(
    new Option('--config <file>', 'robot.yaml of an arm with joints').default(
      join(root, 'config', 'sim.yaml'),
      'config/sim.yaml of this package',
    ),
  )
  .option('--seconds <s>', 'per phase: actions alone, then actions beside traces', number(2), 20)
  .addOption(
    new Option('--camera <name>', 'which of the streaming cameras the model sees')
      .choices(['fullHd', 'vga1'])
      .default('vga1'),
  )
  .option('--json', 'last line of stdout: the result as JSON')
  .action(async (flags: BenchFlags) => {
    if (flags.synthetic !== undefined) {
      const result = await runSyntheticBench(flags.synthetic, flags, cache, say);
      console.log(JSON.stringify({ command: 'bench --synthetic', version, ...result }));
      return;
    }
    const config = takenAtOnce(readConfig(flags.config));
    const description = readArm(config);
    if (!description)
      throw new ConfigError(flags.config, 'no description', 'an arm with joints (a URDF)');
    const result = await runBench({
      model: resolve(flags.model),
      cache,
      config,
      ...{ arm: description.arm, capsules: description.capsules, home },
      clock: realClock,
      provider: flags.provider,
      threads: flags.threads,
      sliceTokens: 16,
      seconds: flags.seconds,
      modelCamera: flags.camera,
      onProgress: say,
    });
    say(benchTable(result));
    if (flags.json) console.log(JSON.stringify({ command: 'bench', version, ...result }));
  });

/** The first request to stop is for a command to answer; the next ends the process, as ever. */
const interrupted = (): AbortSignal => {
  const stop = new AbortController();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort());
  return stop.signal;
};
const exitWith = (code: number): void => void (process.exitCode = code);

addGateCommand(program, { version, say });
addConvertCommand(program, { version, cache, say, interrupted, exitWith });
addSyntheticCommand(program, { version, say });

addAskCommand(program, { version, cache, say });
addRosCommands(program, { root, version, cache, args: rosArgs, say });

program
  .command('demo')
  .description('a few simulated episodes with models/nano: a table, a page, a picture')
  .option('--episodes <n>', 'how many', integer(1), 9)
  .option('--out <folder>', 'where the page goes', join('out', 'demo'))
  .action(async ({ episodes, out }: { episodes: number; out: string }) => {
    await program.parseAsync(
      ['simulate', '--episodes', String(episodes), '--seed', '7', '--out', out],
      { from: 'user' },
    );
  });

async function main(): Promise<void> {
  try {
    await program.parseAsync(ownArgv);
  } catch (error) {
    const text =
      error instanceof InputError || error instanceof RosError
        ? `${error.name}: ${error.message}`
        : String(error instanceof Error ? error.stack : error);
    say(text);
    process.exitCode = 1;
  }
}

await main();
