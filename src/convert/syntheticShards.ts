/**
 * Random weights as a Hugging Face-style folder holds them: in the shards that transformers' `save_pretrained` makes
 * (tensors in the module's order, a new file where the next one would not fit), each file sorted by key as the safetensors
 * library writes it, with `model.safetensors.index.json` beside them. Streams: no tensor is ever whole in memory.
 */
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { messageOf } from '../errors.js';
import type { TensorSpec } from './keyLayout.js';
import { makeFolder } from './newFolder.js';
import { StorageError } from './storageError.js';
import { elementsOf, syntheticWeights, type SyntheticWeights } from './syntheticWeights.js';

export interface ShardOptions {
  readonly seed: number;
  /** Bytes of tensors in a file, unless one tensor alone is larger. */
  readonly maxShardBytes: number;
}

const bytesOf = ({ shape }: TensorSpec): number => 2 * elementsOf(shape);
const totalOf = (tensors: readonly TensorSpec[]): number =>
  tensors.reduce((sum, tensor) => sum + bytesOf(tensor), 0);

/**
 * @param folder made if absent.
 * @returns names of the files that hold the weights.
 */
export function writeSyntheticShards(
  folder: string,
  tensors: readonly TensorSpec[],
  { seed, maxShardBytes }: ShardOptions,
  onProgress: (fraction: number) => void,
): readonly string[] {
  makeFolder(folder);
  const shards = shardsOf(tensors, maxShardBytes);
  const weights = syntheticWeights(seed);
  const total = totalOf(tensors);
  const names = shards.map((_, i) =>
    shards.length === 1
      ? 'model.safetensors'
      : `model-${five(i + 1)}-of-${five(shards.length)}.safetensors`,
  );
  let done = 0;
  shards.forEach((shard, i) => {
    writeShard(join(folder, names[i]!), shard, weights, (bytes) => {
      done += bytes;
      onProgress(done / total);
    });
  });
  if (shards.length > 1) {
    const keys = shards.flatMap((shard, i) => shard.map(({ key }) => [key, names[i]!] as const));
    const weightMap = Object.fromEntries(keys.sort(([a], [b]) => (a < b ? -1 : 1)));
    const index = { metadata: { total_size: total }, weight_map: weightMap };
    const path = join(folder, 'model.safetensors.index.json');
    writeFileSync(path, `${JSON.stringify(index, null, 2)}\n`);
  }
  return names;
}

/** Which tensors lie in which file. */
export function shardsOf(
  tensors: readonly TensorSpec[],
  maxShardBytes: number,
): readonly (readonly TensorSpec[])[] {
  const shards: TensorSpec[][] = [[]];
  let bytes = 0;
  for (const tensor of tensors) {
    if (bytes + bytesOf(tensor) > maxShardBytes && bytes > 0) {
      shards.push([]);
      bytes = 0;
    }
    shards.at(-1)!.push(tensor);
    bytes += bytesOf(tensor);
  }
  return shards;
}

function writeShard(
  path: string,
  shard: readonly TensorSpec[],
  weights: SyntheticWeights,
  onBytes: (bytes: number) => void,
): void {
  const sorted = [...shard].sort((a, b) => (a.key < b.key ? -1 : 1));
  const descriptor = openSync(path, 'w');
  try {
    writeFully(descriptor, headerOf(sorted), path);
    const piece = new Uint16Array(1 << 22);
    for (const tensor of sorted) {
      const elements = elementsOf(tensor.shape);
      for (let first = 0; first < elements; first += piece.length) {
        const target = piece.subarray(0, Math.min(piece.length, elements - first));
        weights.fill(tensor, first, target);
        writeFully(descriptor, new Uint8Array(target.buffer, 0, target.byteLength), path);
        onBytes(target.byteLength);
      }
    }
  } finally {
    closeSync(descriptor);
  }
}

/** Length and JSON of a safetensors header, padded with spaces to a multiple of 8 bytes. */
function headerOf(tensors: readonly TensorSpec[]): Uint8Array {
  let offset = 0;
  const entries = tensors.map((tensor) => {
    const begin = offset;
    offset += bytesOf(tensor);
    const entry = { dtype: 'BF16', shape: tensor.shape, data_offsets: [begin, offset] };
    return [tensor.key, entry] as const;
  });
  const json = JSON.stringify({ __metadata__: { format: 'pt' }, ...Object.fromEntries(entries) });
  const text = Buffer.from(json + ' '.repeat((8 - (Buffer.byteLength(json) % 8)) % 8));
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(text.length));
  return Buffer.concat([length, text]);
}

function writeFully(descriptor: number, bytes: Uint8Array, path: string): void {
  try {
    for (let done = 0; done < bytes.length;) done += writeSync(descriptor, bytes, done);
  } catch (error) {
    throw new StorageError(path, messageOf(error), 'room for it on the disk');
  }
}

function five(n: number): string {
  return String(n).padStart(5, '0');
}
