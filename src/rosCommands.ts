/** The commands that need ROS 2, wired as main.ts wires the others: arguments in, commands run, exit code out. */
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { integer, number, parseFamilies } from './commands/argument.js';
import { checkOnlyFiles, checkRobot } from './commands/check.js';
import { agreeingDialogue, terminalDialogue } from './commands/checkDialogue.js';
import { checkTable, type CheckResult } from './commands/checkResult.js';
import { evaluate, type EvaluateOptions } from './commands/evaluate.js';
import { evaluateTable } from './commands/evaluateTable.js';
import { runSimulator } from './commands/simulatorNode.js';
import { ConfigError } from './errors.js';
import { coreFamilies } from './robot/sim/tasks.js';

export interface RosCommandsOptions {
  /** Of this package. */
  readonly root: string;
  readonly version: string;
  /** Where converted graphs are kept. */
  readonly cache: string;
  /** Everything from `--ros-args` on. */
  readonly args: readonly string[];
  readonly say: (line: string) => void;
}

export function addRosCommands(program: Command, options: RosCommandsOptions): void {
  const { root, version, cache, args, say } = options;
  program
    .command('simulator')
    .description('the built-in simulation as a ROS 2 node; --ros-args … goes to ROS 2')
    .addOption(
      new Option('--config <file>', 'robot.yaml of the simulated arm').default(
        join(root, 'config', 'sim.yaml'),
        'config/sim.yaml of this package',
      ),
    )
    .option('--seed <n>', 'of the first scene and task (parameter seed)', integer(0), 7)
    .option('--family <name>', 'of the first task: pick, put or push (parameter family)', '')
    .option('--real-time-factor <x>', 'parameter real_time_factor; 0 pauses', number(0), 1)
    .action((flags: { config: string; seed: number; family: string; realTimeFactor: number }) =>
      runSimulator({
        config: flags.config,
        defaults: { seed: flags.seed, family: flags.family, factor: flags.realTimeFactor },
        args,
      }),
    );

  program
    .command('evaluate')
    .description('seeded episodes over ROS 2: a running simulator and node, judged and timed')
    .option('--episodes <n>', 'how many', integer(1), 20)
    .option('--seed <n>', 'of scenes and tasks, as in simulate', integer(0), 7)
    .option('--families <list>', 'task families, comma-separated', parseFamilies, coreFamilies)
    .option('--longest <s>', 'simulated seconds per episode', number(1), 12)
    .option('--node <name>', 'of the node', 'magma_vla')
    .option('--simulator <name>', 'of the simulation', 'simulator')
    .option('--trajectories <topic>', 'that commands go to', 'arm_controller/joint_trajectory')
    .option('--json', 'last line of stdout: the result as JSON')
    .action(async ({ json, ...flags }: Omit<EvaluateOptions, 'args' | 'say'> & { json?: true }) => {
      const result = await evaluate({ ...flags, args, say });
      say(evaluateTable(result));
      if (json) console.log(JSON.stringify({ command: 'evaluate', version, ...result }));
    });

  program
    .command('check')
    .description(
      'robot.yaml, URDF and model against one another; with --robot the guided first hour with an arm',
    )
    .option('--config <file>', 'robot.yaml; with --robot also -p config_file:=…')
    .option('--model <folder>', 'model folder to hold robot.yaml to')
    .option('--robot', 'look at the robot over ROS 2, then drive it, one agreed motion at a time')
    .option('--yes', 'agree to everything: for a simulation only (needs use_sim_time)')
    .option('--out <folder>', 'where a picture of each camera goes', 'magma_vla_check')
    .option('--json', 'last line of stdout: the result as JSON')
    .action(async (flags: CheckFlags) => {
      const result = flags.robot
        ? await checkWithRobot(flags, options)
        : checkFilesOnly(flags, options);
      say(checkTable(result));
      if (flags.json) console.log(JSON.stringify({ command: 'check', version, ...result }));
      // Native threads of ROS 2 may outlive it: the process ends here.
      if (flags.robot) process.exit(result.passed ? 0 : 1);
      if (!result.passed) process.exitCode = 1;
    });

  program
    .command('run')
    .description(
      'the ROS 2 node (ros2 run magma_vla node): --ros-args -p config_file:=… -p autostart:=true -p dry_run:=…; the rest: ros2 param describe',
    )
    .action(async () => {
      const { run } = await import('./commands/run.js');
      const defaultModel = join(root, 'models', 'nano');
      // Native threads of ROS 2 may outlive it: the process ends here.
      process.exit(await run({ args, cache, defaultModel }));
    });
}

interface CheckFlags {
  readonly config?: string;
  readonly model?: string;
  readonly robot?: true;
  readonly yes?: true;
  readonly out: string;
  readonly json?: true;
}

function checkFilesOnly({ config, model }: CheckFlags, { say }: RosCommandsOptions): CheckResult {
  if (config === undefined) throw new ConfigError('--config', 'nothing', 'a robot.yaml');
  return checkOnlyFiles(config, model ?? null, say);
}

/** Ctrl-C, SIGTERM and a lost terminal bring the arm to rest, then end the check; a second one ends the process. */
async function checkWithRobot(
  { config, model, yes, out }: CheckFlags,
  { args, say }: RosCommandsOptions,
): Promise<CheckResult> {
  if (!yes && !process.stdin.isTTY)
    throw new ConfigError(
      'check --robot',
      'no terminal',
      'somebody who answers before every motion (or, for a simulation only, --yes)',
    );
  const ending = new AbortController();
  const end = (because: string): void => ending.abort(because);
  const interrupt = (because: string): void => {
    if (ending.signal.aborted) process.exit(1);
    end(because);
  };
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, interrupt);
  process.on('SIGHUP', end);
  const dialogue = yes
    ? agreeingDialogue(say, ending.signal)
    : terminalDialogue({ input: process.stdin, output: process.stderr }, ending.signal, {
        onInterrupt: () => interrupt('Ctrl-C'),
        onLost: end,
      });
  try {
    return await checkRobot({
      config: config ?? null,
      model: model ?? null,
      folder: out,
      args,
      where: yes ? 'simulation' : 'robot',
      ...{ dialogue, signal: ending.signal },
    });
  } finally {
    dialogue.close();
  }
}
