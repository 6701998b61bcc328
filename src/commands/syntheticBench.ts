/** `magma-vla bench --synthetic`: options in, a table on stderr. */
import { join } from 'node:path';
import { Option, type Command } from 'commander';
import { slowest, type Spread } from '../bench/spread.js';
import { benchSynthetic, type SyntheticBenchResult } from '../bench/synthetic.js';
import { syntheticNames, type SyntheticName } from '../convert/syntheticFolder.js';
import { ConfigError } from '../errors.js';
import { chooseProvider, type ProviderSetting } from '../model/session.js';
import { integer, numberOption } from './argument.js';
import { realClock } from './clock.js';

export interface SyntheticBenchFlags {
  readonly synthetic?: SyntheticName;
  readonly size: 'full' | 'tiny';
  readonly layers?: number;
  readonly weights: 'fp32' | 'fp16' | 'int8' | 'int4';
  readonly block: 32 | 128;
  readonly compute?: 'fp32' | 'fp16';
  readonly rounds: number;
  readonly keep?: true;
  readonly cpuTime?: true;
}

/** Of `bench`, where the model is a public architecture with random weights. */
export function addSyntheticOptions(command: Command): Command {
  const choice = (flags: string, text: string, choices: readonly string[], preset?: string) => {
    const option = new Option(flags, text).choices([...choices]);
    return preset === undefined ? option : option.default(preset);
  };
  return command
    .addOption(
      choice(
        '--synthetic <model>',
        'instead: one action of a public architecture with random weights, beside what memory and arithmetic allow; 5 to 40 GB of disk',
        syntheticNames,
      ),
    )
    .addOption(choice('--size <name>', 'of --synthetic', ['full', 'tiny'], 'full'))
    .option('--layers <n>', "of --synthetic: only so many of the decoder's layers", integer(1))
    .addOption(
      choice('--weights <format>', 'of --synthetic', ['fp32', 'fp16', 'int8', 'int4'], 'int4'),
    )
    .addOption(numberOption('--block <n>', 'of --synthetic: weights per scale', [32, 128]))
    .addOption(
      choice('--compute <type>', 'of --synthetic (default: fp16 with fp16 weights)', [
        'fp32',
        'fp16',
      ]),
    )
    .option('--rounds <n>', 'of --synthetic: answers that are measured', integer(1), 10)
    .option(
      '--cpu-time',
      'of --synthetic: CPU time instead of time, where others use the machine too',
    )
    .option('--keep', 'of --synthetic: keep the graphs for the next time');
}

/** @param cache of converted graphs: those of the benchmark lie in a folder of their own in it. */
export async function runSyntheticBench(
  name: SyntheticName,
  flags: SyntheticBenchFlags & { readonly provider: ProviderSetting; readonly threads: number },
  cache: string,
  say: (line: string) => void,
): Promise<SyntheticBenchResult> {
  const { weights, block, layers, size, provider, threads, rounds } = flags;
  const compute = flags.compute ?? (weights === 'fp16' ? 'fp16' : 'fp32');
  if (compute === 'fp16' && weights === 'fp32') {
    throw new ConfigError('--compute', 'fp16 with fp32 weights', '--weights fp16, int8 or int4');
  }
  if (flags.cpuTime && chooseProvider(provider).provider !== 'cpu') {
    throw new ConfigError('--cpu-time', `with --provider ${provider}`, 'the CPU: it counts no GPU');
  }
  const result = await benchSynthetic({
    ...{ name, size, provider, threads, rounds, say },
    ...(layers === undefined ? {} : { layers }),
    format: {
      ...{ weights, block, accuracyLevel: 4 },
      compute: compute === 'fp16' ? 'float16' : 'float32',
    },
    folder: join(cache, 'synthetic'),
    afterwards: flags.keep ? 'keep' : 'delete',
    clock: flags.cpuTime ? 'cpu' : 'wall',
    nowNs: flags.cpuTime ? cpuNs : () => realClock.now().nowNs,
  });
  say(syntheticBenchTable(result));
  return result;
}

/** Of all threads of this process together, since it began. */
function cpuNs(): bigint {
  const { user, system } = process.cpuUsage();
  return BigInt(user + system) * 1000n;
}

export function syntheticBenchTable(result: SyntheticBenchResult): string {
  const { format, memory, bounds, shareOfBound: share } = result;
  const ms = (spread: Spread): string => `${spread.p50.toFixed(1)} ms (${slowest(spread)})`;
  const percent = (value: number, of: string): string => `${(100 * value).toFixed(0)} % of ${of}`;
  // 8-bit products of whole-number weights may be faster than the products that were measured.
  const products = `its products in ${format.compute}`;
  const gb = (mb: number): string => `${(mb / 1e3).toFixed(2)} GB`;
  const anonymous = memory.steadyAnonymousMb;
  return [
    '',
    `  ${result.model} with random weights, ${result.layers} layers, ${format.weights} computed in ${format.compute}, ${gb(result.bytes / 1e6)}`,
    `  ${result.provider.provider} (${result.provider.reason}), ${result.threads} threads; decoding by ${result.decoding.kind}: ${result.decoding.reason}`,
    `  picture to ${result.answerTokens} tokens   ${ms(result.answerMs)}, ${percent(share.answer, 'what both allow')}`,
    `    preprocessing      ${ms(result.preprocessMs)}`,
    `    vision             ${ms(result.visionMs)}, ${percent(share.vision, products)}`,
    `    prompt of ${String(result.positions).padEnd(8)} ${ms(result.prefillMs)}, ${percent(share.prefill, products)}`,
    `    each further token ${ms(result.tokenMs)}, ${percent(share.token, 'its memory')}`,
    `  loaded in ${result.loadSeconds.toFixed(1)} s${result.firstLoadSeconds === null ? '' : ` (first time ${result.firstLoadSeconds.toFixed(1)} s)`}${result.clock === 'cpu' ? '; all of it CPU time' : ''}`,
    `  main memory: ${gb(memory.loadPeakMb)} at most while loading, ${gb(memory.peakMb)} while answering, ${gb(memory.steadyMb)} afterwards${anonymous === null ? '' : `, of which ${gb(anonymous)} are not mapped files`}`,
    `  this machine: reads ${bounds.readGbPerSecond.toFixed(1)} GB/s, copies ${bounds.copyGbPerSecond.toFixed(1)} GB/s, multiplies ${bounds.gemmGflopPerSecond.toFixed(0)} GFLOP/s in ${format.compute}`,
  ].join('\n');
}
