/**
 * A Hugging Face-style folder with random weights, and the small files, tensors and shards of a public checkpoint: for
 * whoever wants to try the path, or to measure a machine, before or without downloading it.
 */
import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { ConfigError } from '../errors.js';
import { contractFromCheckpoint } from './contractFromCheckpoint.js';
import { everyTensor, type TensorSpec } from './keyLayout.js';
import { makeFolder } from './newFolder.js';
import { magmaFiles, openVlaFiles, type SyntheticFiles } from './syntheticFiles.js';
import { writeSyntheticShards } from './syntheticShards.js';
import type { CheckpointConfig } from './checkpointConfig.js';

interface SyntheticModel {
  readonly files: SyntheticFiles;
  /** Of the public checkpoint. */
  readonly shards: number;
  /** What its `save_pretrained` was asked for, bytes. */
  readonly maxShardBytes: number;
}

/** Magma-8B: transformers' default. OpenVLA-7B: vla-scripts/extern/convert_openvla_weights_to_hf.py. */
const models = {
  'magma-8b': { files: magmaFiles, shards: 4, maxShardBytes: 5e9 },
  'openvla-7b': { files: openVlaFiles, shards: 3, maxShardBytes: 7e9 },
} as const satisfies Readonly<Record<string, SyntheticModel>>;

export type SyntheticName = keyof typeof models;
export const syntheticNames = Object.keys(models) as readonly SyntheticName[];

export interface SyntheticSize {
  /** full: the public sizes. tiny: a few hundred kilobytes of the same shape. */
  readonly size: 'full' | 'tiny';
  /** Of the decoder; default: all of them. */
  readonly layers?: number;
}

export interface SyntheticFolder {
  readonly path: string;
  /** Of the files that hold the weights. */
  readonly weights: readonly string[];
  readonly bytes: number;
}

/**
 * @param path made if absent.
 * @throws ConfigError where something lies there already, ModelError where `layers` is not in the range of the model,
 *   StorageError on a disk that fails or is full.
 */
export function writeSyntheticFolder(
  path: string,
  name: SyntheticName,
  { seed, ...size }: SyntheticSize & { readonly seed: number },
  onProgress: (fraction: number) => void = () => undefined,
): SyntheticFolder {
  if (existsSync(path) && readdirSync(path).length > 0) {
    throw new ConfigError(path, 'a folder with files in it', 'a new or an empty one');
  }
  const tensors = writeSmallFiles(path, name, size);
  const bytes = tensors.reduce((sum, { shape }) => sum + 2 * shape.reduce((a, b) => a * b, 1), 0);
  const { shards, maxShardBytes } = models[name];
  // A tiny one is cut into as many files.
  const most = size.size === 'full' ? maxShardBytes : Math.ceil(bytes / (shards - 0.5));
  const options = { seed, maxShardBytes: most };
  const weights = writeSyntheticShards(path, tensors, options, onProgress);
  return { path, weights, bytes };
}

/** Everything but the weights. @returns the tensors of the checkpoint, unused ones included. */
export function writeSmallFiles(
  path: string,
  name: SyntheticName,
  { size, layers }: SyntheticSize,
): readonly TensorSpec[] {
  const files = models[name].files(size, layers);
  makeFolder(path);
  for (const [file, text] of Object.entries(files)) writeFileSync(join(path, file), text);
  return everyTensor(syntheticConfig(path, name));
}

/** Sizes of a folder that writeSmallFiles wrote. */
function syntheticConfig(path: string, name: SyntheticName): CheckpointConfig {
  const statistics = join(path, 'synthetic_statistics.json');
  return contractFromCheckpoint(path, { name, statistics, unnormKey: 'bridge_orig' }).config;
}
