/** `magma-vla gate`, wired as main.ts wires the others. */
import { InvalidArgumentError, Option, type Command } from 'commander';
import { judgeGates } from './commands/gateRun.js';
import { gateTable } from './commands/gateTable.js';

export interface GateCommandOptions {
  readonly version: string;
  readonly say: (line: string) => void;
}

interface GateFlags {
  readonly most: number;
  readonly windows: readonly number[];
  readonly json?: true;
}

export function addGateCommand(program: Command, { version, say }: GateCommandOptions): void {
  program
    .command('gate')
    .description(
      'which guard.unsure suits a model: chosen on one finished run of simulate --out, judged on another',
    )
    .argument('<chosen-on>', 'folder of simulate --out, or its episodes.jsonl')
    .argument('<judged-on>', 'the same of another seed')
    .addOption(
      new Option('--most <percent>', 'of good episodes that may be stopped')
        .argParser(parseShare)
        .default(0.01, '1'),
    )
    .addOption(
      new Option('--windows <list>', 'actions that a mean goes over')
        .argParser(parseWindows)
        .default([1, 3, 5, 8, 12, 20], '1,3,5,8,12,20'),
    )
    .option('--json', 'last line of stdout: the result as JSON')
    .action((chooseOn: string, judgeOn: string, { most, windows, json }: GateFlags) => {
      const result = judgeGates({ chooseOn, judgeOn, most, windows });
      say(gateTable(result));
      if (json) console.log(JSON.stringify({ command: 'gate', version, ...result }));
    });
}

/** Percent → 0 … 1. */
function parseShare(text: string): number {
  const percent = Number(text);
  if (!(percent > 0 && percent < 100))
    throw new InvalidArgumentError('expected a number of percent between 0 and 100');
  return percent / 100;
}

function parseWindows(text: string): readonly number[] {
  const windows = text.split(',').map(Number);
  if (!windows.every((over) => Number.isInteger(over) && over >= 1))
    throw new InvalidArgumentError('expected whole numbers ≥ 1, comma-separated');
  return [...new Set(windows)];
}
