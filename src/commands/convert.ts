/** A checkpoint's folder → a model folder: its contract first, then its weights. */
import { existsSync, readFileSync } from 'node:fs';
import { basename, join, resolve } from 'node:path';
import { readConfig } from '../config.js';
import { convertModel, type Converted } from '../convert/convert.js';
import { contractFromCheckpoint } from '../convert/contractFromCheckpoint.js';
import type { CheckpointLayout } from '../convert/checkpointConfig.js';
import type { ConversionWatch } from '../convert/conversionWatch.js';
import type { ComputeType, WeightFormat } from '../convert/weightStore.js';
import { ConfigError } from '../errors.js';
import { readContract, type Contract } from '../model/contract.js';

export interface ConvertFlags {
  readonly out: string;
  readonly weights: WeightFormat['weights'];
  readonly block: WeightFormat['block'];
  /** Default: fp16 where weights are fp16, otherwise fp32. */
  readonly compute?: 'fp32' | 'fp16';
  readonly accuracyLevel: WeightFormat['accuracyLevel'];
  readonly name?: string;
  readonly statistics?: string;
  readonly unnormKey?: string;
  readonly period?: number;
  readonly centreCrop?: number;
  /** robot.yaml, with `tcp`. */
  readonly robot?: string;
  readonly tcp?: string;
}

/** @throws ConfigError, ModelError, StorageError, Interrupted */
export async function convert(
  folder: string,
  flags: ConvertFlags,
  watch: ConversionWatch,
): Promise<Converted> {
  const { files, layout, notes } = existsSync(join(folder, 'model.json'))
    ? ownContract(folder, flags)
    : derivedContract(folder, flags);
  const out = resolve(flags.out);
  const format = formatOf(flags);
  const all = [...notes, ...notesOf(format)];
  return convertModel({ source: folder, out, format, layout, files, notes: all }, watch);
}

/** ONNX Runtime 1.30: 134 MB of an fp16 matrix are 270 MB of memory after loading, whichever type it computes in. */
function notesOf({ weights }: WeightFormat): readonly string[] {
  if (weights !== 'fp16') return [];
  return [
    'On the CPU ONNX Runtime holds fp16 weights as fp32, in twice the memory that they take on the disk: fp16 is for a GPU, int8 and int4 for the CPU. A GPU is compared with what the CPU answers, so the first load there needs that memory too, once.',
  ];
}

/** @throws ConfigError on a pair that makes no sense. */
export function formatOf({ weights, block, compute, accuracyLevel }: ConvertFlags): WeightFormat {
  const types = { fp32: 'float32', fp16: 'float16' } as const satisfies Record<string, ComputeType>;
  const type = types[compute ?? (weights === 'fp16' ? 'fp16' : 'fp32')];
  if (type === 'float16' && weights === 'fp32') {
    throw new ConfigError('--compute', 'fp16 with fp32 weights', '--weights fp16, int8 or int4');
  }
  return { weights, block, compute: type, accuracyLevel };
}

interface SmallFiles {
  readonly files: Readonly<Record<string, string>>;
  readonly layout: CheckpointLayout;
  readonly notes: readonly string[];
}

/** What the runtime reads beside model.json and its statistics; and what tells a person more. */
const keptFiles = [
  'config.json',
  'tokenizer.json',
  'tokenizer_config.json',
  'generation_config.json',
  'preprocessor_config.json',
];

/** A folder that has a contract keeps it. */
function ownContract(folder: string, flags: ConvertFlags): SmallFiles {
  const given = (
    ['name', 'statistics', 'unnormKey', 'period', 'centreCrop', 'robot', 'tcp'] as const
  ).find((key) => flags[key] !== undefined);
  if (given !== undefined) {
    const where = `--${given.replace(/[A-Z]/, (letter) => `-${letter.toLowerCase()}`)}`;
    throw new ConfigError(where, 'a value', `none: ${join(folder, 'model.json')} says it`);
  }
  const contract = readContract(folder);
  const names = ['model.json', contract.answers.action.statistics.file, ...keptFiles];
  const files = names
    .filter((name) => existsSync(join(folder, name)))
    .map((name) => [name, readFileSync(join(folder, name), 'utf8')] as const);
  return { files: Object.fromEntries(files), layout: contract, notes: [] };
}

function derivedContract(folder: string, flags: ConvertFlags): SmallFiles {
  const { statistics, unnormKey, period, centreCrop } = flags;
  const { files, contract, notes } = contractFromCheckpoint(folder, {
    name: flags.name ?? basename(resolve(flags.out)),
    ...(statistics === undefined ? {} : { statistics }),
    ...(unnormKey === undefined ? {} : { unnormKey }),
    ...(period === undefined ? {} : { period }),
    ...(centreCrop === undefined ? {} : { centreCrop }),
    ...robotsOf(flags),
  });
  return { files, layout: contract, notes };
}

function robotsOf({ robot, tcp, unnormKey }: ConvertFlags): {
  readonly robots?: Contract['robots'];
} {
  if (robot === undefined && tcp === undefined) return {};
  if (robot === undefined || tcp === undefined || unnormKey === undefined) {
    const got = [robot && '--robot', tcp && '--tcp', unnormKey && '--unnorm-key'].filter(Boolean);
    throw new ConfigError('--robot', got.join(' and '), '--robot, --tcp and --unnorm-key together');
  }
  const config = readConfig(robot);
  return {
    robots: [{ robot: config.robot, statistics: unnormKey, baseFrame: config.baseFrame, tcp }],
  };
}
