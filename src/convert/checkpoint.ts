/**
 * The weights of a Hugging Face-style folder: `model.safetensors`, or the shards that
 * `model.safetensors.index.json` lists. Every tensor is asked for by name and shape, and what is never asked for is an
 * error too: a checkpoint that loads half-way gives confident garbage.
 */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ModelError, messageOf } from '../errors.js';
import { openSafetensors, type SafetensorsFile, type SourceTensor } from './safetensors.js';

export interface Checkpoint {
  /** Absolute or caller-relative paths of the files that hold the weights, in a stable order. */
  readonly files: readonly string[];
  /** Of every tensor there is, by name. */
  readonly shapes: ReadonlyMap<string, readonly number[]>;
  /** The tensor as fp32, row-major. @throws ModelError: missing, or another shape. */
  take(name: string, shape: readonly number[]): Float32Array;
  /** The same tensor, to be read in pieces; it counts as taken. */
  source(name: string, shape: readonly number[]): SourceTensor;
  /** @throws ModelError on the first tensor nobody took and whose name begins with none of `ignored`. */
  assertAllTaken(ignored: readonly string[]): void;
  close(): void;
}

export function openCheckpoint(folder: string): Checkpoint {
  const { files, fileOf } = openFiles(folder);
  const taken = new Set<string>();
  const fileWith = (name: string, shape: readonly number[]): SafetensorsFile => {
    const file = fileOf.get(name);
    if (!file) throw new ModelError(`${folder}: ${name}`, 'no such tensor', show(shape));
    const got = file.entries.get(name)!.shape;
    if (show(got) !== show(shape)) {
      throw new ModelError(`${file.path}: ${name}`, show(got), show(shape));
    }
    taken.add(name);
    return file;
  };
  return {
    files: files.map((file) => file.path),
    shapes: new Map([...fileOf].map(([name, file]) => [name, file.entries.get(name)!.shape])),
    take: (name, shape) => fileWith(name, shape).readFloat32(name),
    source: (name, shape) => fileWith(name, shape).source(name),
    assertAllTaken: (ignored) => {
      for (const [name, file] of fileOf) {
        if (taken.has(name) || ignored.some((start) => name.startsWith(start))) continue;
        throw new ModelError(
          `${file.path}: ${name}`,
          'a tensor this architecture does not have',
          'only known tensors',
        );
      }
    },
    close: () => files.forEach((file) => file.close()),
  };
}

/** The files that hold the weights, without opening them, so that they can be hashed. */
export function checkpointFiles(folder: string): readonly string[] {
  const single = join(folder, 'model.safetensors');
  if (existsSync(single)) return [single];
  const shards = new Set(readIndex(folder).values());
  return [...shards].sort().map((name) => join(folder, name));
}

function openFiles(folder: string) {
  const files: SafetensorsFile[] = [];
  try {
    for (const path of checkpointFiles(folder)) files.push(openSafetensors(path));
    return { files, fileOf: indexTensors(files, folder) };
  } catch (error) {
    files.forEach((file) => file.close());
    throw error;
  }
}

function indexTensors(
  files: readonly SafetensorsFile[],
  folder: string,
): ReadonlyMap<string, SafetensorsFile> {
  const fileOf = new Map<string, SafetensorsFile>();
  for (const file of files) {
    for (const name of file.entries.keys()) {
      const other = fileOf.get(name);
      if (other) throw new ModelError(`${file.path}: ${name}`, `also in ${other.path}`, 'one file');
      fileOf.set(name, file);
    }
  }
  if (!existsSync(join(folder, 'model.safetensors'))) {
    for (const [name, shard] of readIndex(folder)) {
      if (fileOf.get(name)?.path === join(folder, shard)) continue;
      throw new ModelError(`${folder}: ${name}`, `not in ${shard}`, 'what the index says');
    }
  }
  return fileOf;
}

const indexSchema = z.object({ weight_map: z.record(z.string(), z.string()) });

function readIndex(folder: string): ReadonlyMap<string, string> {
  const path = join(folder, 'model.safetensors.index.json');
  let raw: unknown;
  try {
    raw = JSON.parse(readFileSync(path, 'utf8'));
  } catch (error) {
    const absent = (error as NodeJS.ErrnoException).code === 'ENOENT';
    if (absent) refusePickle(folder);
    throw new ModelError(
      folder,
      absent ? 'no weights' : messageOf(error),
      'model.safetensors, or model.safetensors.index.json and its shards',
    );
  }
  const parsed = indexSchema.safeParse(raw);
  if (!parsed.success) throw new ModelError(path, 'no weight_map', '{"weight_map": {key: file}}');
  const map = new Map(Object.entries(parsed.data.weight_map));
  for (const shard of map.values()) {
    // A shard lies beside its index: a name with a path in it would read another folder.
    if (!/^[\w.-]+\.safetensors$/.test(shard)) {
      throw new ModelError(path, JSON.stringify(shard), 'a *.safetensors name without a path');
    }
  }
  return map;
}

/** A folder with weights in Python's own format only. @throws ModelError */
function refusePickle(folder: string): void {
  const pickle = existsSync(folder)
    ? readdirSync(folder).find((name) => /\.(bin|pt|pth|ckpt|pkl)$/.test(name))
    : undefined;
  if (pickle === undefined) return;
  throw new ModelError(
    join(folder, pickle),
    'a Python pickle, which can run any program when it is read',
    "safetensors: the publisher's, or saved in Python by model.save_pretrained(folder, safe_serialization=True)",
  );
}

function show(shape: readonly number[]): string {
  return `[${shape.join(', ')}]`;
}
