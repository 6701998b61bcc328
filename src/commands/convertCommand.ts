/** `magma-vla convert`: options in, progress on stderr, the result on stdout. */
import { existsSync } from 'node:fs';
import { availableParallelism } from 'node:os';
import { join, resolve } from 'node:path';
import { Option, type Command } from 'commander';
import { buildGraphs, graphsFolder } from '../convert/build.js';
import { Interrupted } from '../convert/conversionWatch.js';
import { verifyModel } from '../convert/verify.js';
import { ConfigError } from '../errors.js';
import { readContract } from '../model/contract.js';
import { recordReference } from '../model/reference.js';
import { number, numberOption } from './argument.js';
import { realClock } from './clock.js';
import { convert, type ConvertFlags } from './convert.js';
import { conversionProgress } from './convertProgress.js';
import { conversionTable, errorSummary, nextSteps, verificationTable } from './convertTable.js';
import { seconds } from './loadProgress.js';

export interface ConvertCommandOptions {
  readonly version: string;
  /** Where graphs go that are built without --out. */
  readonly cache: string;
  readonly say: (line: string) => void;
  /** Aborted when a person asks to stop. */
  readonly interrupted: () => AbortSignal;
  readonly exitWith: (code: number) => void;
}

interface Flags extends Omit<ConvertFlags, 'out'> {
  readonly out?: string;
  readonly verify?: string;
  readonly reference?: true;
  readonly cache: string;
  readonly json?: true;
}

const choice = (flags: string, text: string, choices: readonly string[]): Option =>
  new Option(flags, text).choices([...choices]);

export function addConvertCommand(program: Command, options: ConvertCommandOptions): void {
  program
    .command('convert')
    .description('Hugging Face-style folder → a model folder with ONNX graphs, which the node runs')
    .argument('[folder]', 'config.json, tokenizer, safetensors; with or without a model.json')
    .option('--out <folder>', 'model folder to be made; without it graphs go to the cache, as fp32')
    .addOption(
      choice('--weights <format>', 'how linear layers are stored', [
        'fp32',
        'fp16',
        'int8',
        'int4',
      ]).default('int8'),
    )
    .addOption(numberOption('--block <n>', 'weights per scale of int8 and int4', [32, 128]))
    .addOption(
      choice('--compute <type>', 'of everything else (default: fp16 with fp16 weights)', [
        'fp32',
        'fp16',
      ]),
    )
    .addOption(
      numberOption('--accuracy-level <n>', 'of int8 and int4 on the CPU; 0: exact, slow', [4, 0]),
    )
    .option('--name <name>', 'what messages call the model (default: that of the folder)')
    .option('--statistics <file>', 'dataset_statistics.json of the actions, if not in the folder')
    .option('--unnorm-key <key>', 'which dataset of it')
    .option('--period <s>', 'length of an action step, where it is not known', number(0.001))
    .option(
      '--centre-crop <area>',
      'share of the picture a model trained on random crops sees',
      number(0.01),
    )
    .option('--robot <file>', 'robot.yaml of the robot it was trained on, with --tcp')
    .option('--tcp <words>', 'which point and axes its deltas move')
    .option('--reference', 'record at once what the CPU answers, for other providers to repeat')
    .option('--verify <model>', 'read a converted model again, and its checkpoint where it is')
    .addOption(
      new Option('--cache <folder>', 'without --out').default(options.cache, 'MAGMA_VLA_CACHE'),
    )
    .option('--json', 'last line of stdout: the result as JSON')
    .action(async (folder: string | undefined, flags: Flags) => {
      const run = flags.verify === undefined ? runConvert : runVerify;
      try {
        const result = await run(folder, flags, options);
        const { version } = options;
        if (flags.json) console.log(JSON.stringify({ command: 'convert', version, ...result }));
      } catch (error) {
        if (!(error instanceof Interrupted)) throw error;
        options.say(
          flags.out === undefined
            ? 'interrupted'
            : `interrupted: ${flags.out}.partial keeps what is done; the same command goes on from there`,
        );
        options.exitWith(130);
      }
    });
}

async function runConvert(
  given: string | undefined,
  flags: Flags,
  { say, interrupted }: ConvertCommandOptions,
): Promise<object> {
  if (given === undefined) throw new ConfigError('convert', 'no folder', 'a checkpoint');
  const folder = resolve(given);
  const { out } = flags;
  if (out === undefined) return buildIntoCache(folder, flags, say);
  if (existsSync(`${resolve(out)}.partial`)) say(`going on with ${out}.partial`);
  const started = realClock.now().nowNs;
  const onProgress = conversionProgress(say, realClock);
  const watch = { onProgress, signal: interrupted() };
  const { record, manifest, kept } = await convert(folder, { ...flags, out }, watch);
  const ms = Number(realClock.now().nowNs - started) / 1e6;
  const { maxRSS } = process.resourceUsage();
  say(conversionTable(out, record));
  if (kept > 0) say(`${kept} of ${record.weights.length} weights were there already`);
  if (flags.reference) {
    say('recording what the CPU answers');
    const threads = Math.max(1, availableParallelism() - 1);
    await recordReference(join(resolve(out), graphsFolder), manifest, threads);
  }
  say(`converted in ${seconds(ms)}; then:\n${nextSteps(out)}`);
  return {
    ...{ out, sha256: record.identity, format: record.format, ms, kept },
    weights: record.weights.length,
    bytes: record.files.reduce((sum, file) => sum + file.bytes, 0),
    sourceBytes: record.source.files.reduce((sum, file) => sum + file.bytes, 0),
    error: errorSummary(record),
    /** Of the conversion, bytes; the session that records a reference is not counted. */
    peakMemory: maxRSS * 1024,
    notes: record.notes,
  };
}

function buildIntoCache(folder: string, { cache }: Flags, say: (line: string) => void): object {
  const started = realClock.now().nowNs;
  const contract = readContract(folder);
  const last: Record<string, number> = {};
  const built = buildGraphs(folder, contract, cache, ({ stage, fraction }) => {
    const tenth = Math.floor(10 * fraction);
    if (last[stage] !== tenth) say(`${stage}: ${10 * tenth} %`);
    last[stage] = tenth;
  });
  const ms = Number(realClock.now().nowNs - started) / 1e6;
  say(`${built.origin === 'built' ? 'built' : 'found'} ${built.folder} in ${seconds(ms)}`);
  return { model: contract.name, ...built, ms };
}

/** Exit code 1 where anything differs. */
async function runVerify(
  source: string | undefined,
  { verify }: Flags,
  { say, interrupted, exitWith }: ConvertCommandOptions,
): Promise<object> {
  const from = source === undefined ? null : resolve(source);
  const onProgress = conversionProgress(say, realClock);
  const verification = await verifyModel(resolve(verify!), from, {
    ...{ onProgress, signal: interrupted() },
  });
  say(verificationTable(verify!, verification));
  if (verification.differences.length > 0) exitWith(1);
  return { verify, ...verification };
}
