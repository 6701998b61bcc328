/** `magma-vla synthetic`: a public checkpoint's folder with random weights, to try `convert` and the runtime without it. */
import { Option, type Command } from 'commander';
import {
  syntheticNames,
  writeSyntheticFolder,
  type SyntheticName,
} from '../convert/syntheticFolder.js';
import { integer } from './argument.js';
import { realClock } from './clock.js';
import { gigabytes } from './convertProgress.js';

interface Flags {
  readonly out: string;
  readonly size: 'full' | 'tiny';
  readonly layers?: number;
  readonly seed: number;
  readonly json?: true;
}

export function addSyntheticCommand(
  program: Command,
  { version, say }: { readonly version: string; readonly say: (line: string) => void },
): void {
  program
    .command('synthetic')
    .description('a checkpoint with random weights: the keys, sizes and files of a public one')
    .addArgument(program.createArgument('<model>', 'whose').choices([...syntheticNames]))
    .requiredOption('--out <folder>', 'a new or empty folder')
    .addOption(
      new Option('--size <name>', 'full: 15 to 18 GB; tiny: under 1 MB')
        .choices(['full', 'tiny'])
        .default('tiny'),
    )
    .option('--layers <n>', "only so many of the decoder's layers", integer(1))
    .option('--seed <n>', 'of the weights', integer(0), 7)
    .option('--json', 'last line of stdout: what was written, as JSON')
    .action((model: SyntheticName, { out, size, layers, seed, json }: Flags) => {
      const started = realClock.now().nowNs;
      let tenth = -1;
      const onProgress = (fraction: number): void => {
        if (Math.floor(10 * fraction) === tenth) return;
        tenth = Math.floor(10 * fraction);
        say(`random weights: ${10 * tenth} %`);
      };
      const sizes = { size, seed, ...(layers === undefined ? {} : { layers }) };
      const { weights, bytes } = writeSyntheticFolder(out, model, sizes, onProgress);
      const ms = Number(realClock.now().nowNs - started) / 1e6;
      say(
        `${out}: ${gigabytes(bytes)} of random weights in ${weights.length} files, ${(ms / 1e3).toFixed(1)} s`,
      );
      say(
        `magma-vla convert ${out} --statistics ${out}/synthetic_statistics.json --unnorm-key bridge_orig --out …`,
      );
      if (json) {
        const result = { command: 'synthetic', version, out, model, weights, bytes, ms };
        console.log(JSON.stringify(result));
      }
    });
}
