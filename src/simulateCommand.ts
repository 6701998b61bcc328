/** `magma-vla simulate`, and the worker processes of `--jobs`, wired as main.ts wires the others. */
import { join } from 'node:path';
import { type Command, Option } from 'commander';
import { integer, number, parseDisturbances, parseFamilies } from './commands/argument.js';
import { demonstrateTo } from './commands/demonstrationRun.js';
import { checkFlags, type SimulateFlags } from './commands/simulateFlags.js';
import { runSimulate, type SimulationOptions } from './commands/simulateRun.js';
import { simulateTable } from './commands/simulateTable.js';
import { openWorkshop, type Job } from './commands/simulateWork.js';
import { serveWork, type ParentChannel } from './commands/workProcess.js';
import { disturbances } from './robot/sim/disturb.js';
import { suiteNames } from './robot/sim/suites.js';

export interface SimulateCommandOptions extends SimulationOptions {
  readonly root: string;
  readonly withModel: (command: Command) => Command;
  readonly statisticsOption: Option;
  /** The channel to a parent process. */
  readonly parent: ParentChannel;
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
    .addOption(
      new Option(
        '--recovery <what>',
        'on: as robot.yaml says, else as suits the built-in arm; off: the model alone',
      )
        .choices(['on', 'off'])
        .default('off'),
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
    .action(() => serveWork(options.parent, (job) => openWorkshop(job as Job, options.openClient)));
}
