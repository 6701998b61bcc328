/** Whole conversions of checkpoints that somebody damaged or made up: a typed error, or a model; never half of one. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { copyFileSync, mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { convertModel } from '../../src/convert/convert.js';
import {
  openSafetensors,
  writeSafetensors,
  type RawTensor,
} from '../../src/convert/safetensors.js';
import { verifyModel } from '../../src/convert/verify.js';
import type { WeightFormat } from '../../src/convert/weightStore.js';
import { InputError, ModelError } from '../../src/errors.js';
import { seededRandom, type Random } from '../../src/math/random.js';
import { magmaLayout, temporaryFolder, tinyMagmaFolder } from '../support/tinyMagma.js';

let work: { readonly path: string; remove(): void };
let source: string;
const int8: WeightFormat = { weights: 'int8', block: 32, compute: 'float32', accuracyLevel: 0 };

beforeEach(() => {
  work = temporaryFolder();
  source = join(work.path, 'checkpoint');
  mkdirSync(source);
  for (const file of ['config.json', 'model.safetensors']) {
    copyFileSync(join(tinyMagmaFolder, file), join(source, file));
  }
});
afterEach(() => work.remove());

/** The error a conversion ends with; null: it made a model, which is whole. Nothing else lies there afterwards. */
async function convert(): Promise<InputError | null> {
  const out = join(work.path, 'model');
  const conversion = { source, out, format: int8, layout: magmaLayout, files: {}, notes: [] };
  try {
    await convertModel(conversion, { onProgress: () => undefined });
  } catch (error) {
    expect(readdirSync(work.path)).toEqual(['checkpoint']);
    if (error instanceof InputError) return error;
    throw error;
  }
  expect(readdirSync(work.path).sort()).toEqual(['checkpoint', 'model']);
  const { differences } = await verifyModel(out, null, { onProgress: () => undefined });
  expect(differences).toEqual([]);
  rmSync(out, { recursive: true });
  return null;
}

const mutations: readonly ((bytes: Buffer, at: number, random: Random) => Buffer)[] = [
  (bytes, at, random) => {
    bytes[at] = random.integer(256);
    return bytes;
  },
  (bytes, at, random) => {
    bytes[at] = random.pick([...Buffer.from('0123456789{}[]",:-')]);
    return bytes;
  },
  (bytes, at) => bytes.subarray(0, at),
  (bytes, at, random) =>
    Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.integer(at + 1))]),
];

async function fuzz(file: string, rounds: number, seed: number, upTo: (bytes: Buffer) => number) {
  const path = join(source, file);
  const original = readFileSync(path);
  const random = seededRandom(seed);
  const outcomes = { converted: 0, refused: 0 };
  for (let round = 0; round < rounds; round++) {
    const bytes = Buffer.from(original);
    const at = random.integer(upTo(bytes));
    rmSync(path);
    writeFileSync(path, random.pick(mutations)(bytes, at, random));
    outcomes[(await convert()) === null ? 'converted' : 'refused']++;
  }
  return outcomes;
}

describe('a conversion of a damaged file', () => {
  it('is refused or whole, whatever bytes of a header are changed', async () => {
    const header = (bytes: Buffer) => 8 + Number(bytes.readBigUInt64LE(0));
    const { refused } = await fuzz('model.safetensors', 150, 3, header);
    expect(refused).toBeGreaterThan(120);
  });

  it('is refused or whole, whatever bytes of config.json are changed', async () => {
    const { converted, refused } = await fuzz('config.json', 60, 4, (bytes) => bytes.length);
    expect(refused).toBeGreaterThan(25);
    expect(converted).toBeGreaterThan(3);
  });
});

describe('a conversion of a made-up checkpoint', () => {
  it.each([
    ['"num_hidden_layers": 3', '"num_hidden_layers": 1000000000', 'text_config.num_hidden_layers'],
    [
      '"max_position_embeddings": 256',
      '"max_position_embeddings": 4000000000',
      'text_config.max_position_embeddings',
    ],
    [
      '"max_position_embeddings": 256',
      '"max_position_embeddings": 1048576, "head_dim": 1024',
      'text_config.max_position_embeddings',
    ],
    ['"depths": [\n   1,', '"depths": [\n   2000000000,', 'depths.0'],
  ])('that claims %s to be %s takes neither time nor memory', async (from, to, where) => {
    const path = join(source, 'config.json');
    const text = readFileSync(path, 'utf8');
    expect(text).toContain(from);
    writeFileSync(path, text.replace(from, to));
    expect((await convert())!.where).toContain(where);
  });

  /** The tensors in two files with an index. */
  function intoShards(index: (map: Record<string, string>) => object): void {
    const path = join(source, 'model.safetensors');
    const file = openSafetensors(path);
    const shards = [new Map<string, RawTensor>(), new Map<string, RawTensor>()];
    const names = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'];
    const map: Record<string, string> = {};
    [...file.entries.values()].forEach(({ name, dtype, shape }, i) => {
      const tensor = file.source(name);
      const data = new Uint8Array(tensor.bytes);
      tensor.readRaw(0, data);
      shards[i % 2]!.set(name, { dtype, shape, data });
      map[name] = names[i % 2]!;
    });
    file.close();
    rmSync(path);
    shards.forEach((shard, i) => writeSafetensors(join(source, names[i]!), shard));
    writeFileSync(join(source, 'model.safetensors.index.json'), JSON.stringify(index(map)));
  }
  const key = 'language_model.model.norm.weight';

  it('in shards is the same as of one file', async () => {
    intoShards((map) => ({ weight_map: map }));
    expect(await convert()).toBeNull();
  });

  it.each<[string, (map: Record<string, string>) => object, string]>([
    ['lists no weights', () => ({}), 'got no weight_map'],
    [
      'points into another folder',
      (map) => ({ weight_map: { ...map, [key]: '../secrets.safetensors' } }),
      'a *.safetensors name without a path',
    ],
    [
      'names a file that is not there',
      (map) => ({ weight_map: { ...map, [key]: 'model-3.safetensors' } }),
      'model-3.safetensors',
    ],
    [
      'says a weight lies in the other file',
      (map) => ({
        weight_map: Object.fromEntries(
          Object.entries(map).map(([name, shard]) => [
            name,
            name === key
              ? shard.replace(/0000(\d)-of/, (_, n) => `0000${3 - Number(n)}-of`)
              : shard,
          ]),
        ),
      }),
      `${key}: got not in model-0000`,
    ],
    [
      'lists a weight that is nowhere',
      (map) => ({ weight_map: { ...map, extra: Object.values(map)[0]! } }),
      'extra: got not in',
    ],
  ])('whose index %s is refused', async (_, index, message) => {
    intoShards(index);
    const error = await convert();
    expect(error).toBeInstanceOf(ModelError);
    expect(error!.message).toContain(message);
  });

  it('with whole numbers as weights is refused by key', async () => {
    const path = join(source, 'model.safetensors');
    const text = readFileSync(path).toString('latin1');
    const at = text.indexOf(`"${key}"`);
    const dtype = text.indexOf('"dtype":"', at) + 9;
    const bytes = readFileSync(path);
    const type = text.slice(dtype, text.indexOf('"', dtype));
    bytes.write(type === 'F32' ? 'I32' : 'I16', dtype);
    writeFileSync(path, bytes);
    const error = await convert();
    expect(error!.message).toContain(`${key}: got dtype I`);
  });
});
