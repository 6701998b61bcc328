import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { buildGraphs } from '../../src/convert/build.js';
import { openCheckpoint } from '../../src/convert/checkpoint.js';
import { contractFromCheckpoint } from '../../src/convert/contractFromCheckpoint.js';
import { everyTensor } from '../../src/convert/keyLayout.js';
import {
  syntheticNames,
  writeSyntheticFolder,
  type SyntheticName,
} from '../../src/convert/syntheticFolder.js';
import { syntheticCheckpoint, syntheticWeights } from '../../src/convert/syntheticWeights.js';
import { ModelError } from '../../src/errors.js';
import { temporaryFolder } from '../support/tinyMagma.js';

let folder: { readonly path: string; remove(): void };
beforeEach(() => {
  folder = temporaryFolder();
});
afterEach(() => folder.remove());

const write = (name: SyntheticName, path = folder.path) =>
  writeSyntheticFolder(path, name, { size: 'tiny', seed: 7 });
const contractOf = (name: SyntheticName) =>
  contractFromCheckpoint(folder.path, {
    name,
    statistics: join(folder.path, 'synthetic_statistics.json'),
    unnormKey: 'bridge_orig',
  });

describe('random weights', () => {
  const weights = syntheticWeights(7);
  const bits = (key: string, first: number, count: number, shape = [64, 4096]) => {
    const target = new Uint16Array(count);
    weights.fill({ key, shape }, first, target);
    return target;
  };

  it('are the same in whatever pieces they are asked for', () => {
    const whole = bits('a.weight', 0, 20_000);
    expect(bits('a.weight', 5000, 9000)).toEqual(whole.subarray(5000, 14_000));
    expect(bits('a.weight', 4095, 2)).toEqual(whole.subarray(4095, 4097));
  });

  it('differ between tensors, rows and seeds', () => {
    const row = bits('layers.0.weight', 0, 4096);
    expect(bits('layers.1.weight', 0, 4096)).not.toEqual(row);
    expect(bits('layers.0.weight', 4096, 4096)).not.toEqual(row);
    const other = new Uint16Array(4096);
    syntheticWeights(8).fill({ key: 'layers.0.weight', shape: [64, 4096] }, 0, other);
    expect(other).not.toEqual(row);
  });

  it('keep the size of what goes through them', () => {
    const tensors = [
      { key: 'a.weight', shape: [64, 4096] },
      { key: 'a_layernorm.weight', shape: [4096] },
    ];
    const checkpoint = syntheticCheckpoint(tensors, 7);
    const [matrix, norm] = tensors.map(({ key, shape }) => checkpoint.take(key, shape));
    const meanOf = (values: Float32Array, of: (value: number) => number) =>
      values.reduce((sum, value) => sum + of(value), 0) / values.length;
    // Deviation 1/√inputs = 1/64.
    expect(Math.sqrt(meanOf(matrix!, (value) => value ** 2))).toBeCloseTo(1 / 64, 3);
    expect(meanOf(norm!, (value) => value)).toBeCloseTo(1, 2);
  });

  it('of a checkpoint that lies nowhere are asked for by name and shape, as on a disk', () => {
    const checkpoint = syntheticCheckpoint([{ key: 'a.weight', shape: [2, 8] }], 7);
    expect(() => checkpoint.take('b.weight', [2])).toThrow(ModelError);
    expect(() => checkpoint.take('a.weight', [8, 2])).toThrow(
      'synthetic: a.weight: got [2, 8], expected [8, 2]',
    );
    expect(() => checkpoint.assertAllTaken([])).toThrow('a.weight: got a tensor this');
    checkpoint.take('a.weight', [2, 8]);
    expect(() => checkpoint.assertAllTaken([])).not.toThrow();
  });
});

describe.each(syntheticNames)('a synthetic %s', (name) => {
  const shards = { 'magma-8b': 4, 'openvla-7b': 3 }[name];

  it('has the files of the public one', () => {
    const { weights, bytes } = write(name);
    expect(weights).toEqual(
      Array.from({ length: shards }, (_, i) => `model-0000${i + 1}-of-0000${shards}.safetensors`),
    );
    expect(readdirSync(folder.path).sort()).toEqual(
      [
        ...weights,
        'README.md',
        'config.json',
        'generation_config.json',
        'model.safetensors.index.json',
        'preprocessor_config.json',
        'special_tokens_map.json',
        'synthetic_statistics.json',
        'tokenizer.json',
        'tokenizer_config.json',
      ].sort(),
    );
    const path = join(folder.path, 'model.safetensors.index.json');
    const index = JSON.parse(readFileSync(path, 'utf8')) as {
      metadata: { total_size: number };
      weight_map: Record<string, string>;
    };
    expect(index.metadata.total_size).toBe(bytes);
    expect(Object.keys(index.weight_map)).toEqual(Object.keys(index.weight_map).sort());
    expect(bytes).toBeLessThan(2_000_000);
  });

  it('is the same on the disk and in memory, and the same again for the same seed', () => {
    write(name);
    const first = readFileSync(join(folder.path, `model-00001-of-0000${shards}.safetensors`));
    const tensors = everyTensor(contractOf(name).config);
    const [onDisk, inMemory] = [openCheckpoint(folder.path), syntheticCheckpoint(tensors, 7)];
    for (const { key, shape } of tensors) {
      expect(onDisk.take(key, shape)).toEqual(inMemory.take(key, shape));
    }
    onDisk.assertAllTaken([]);
    onDisk.close();
    const other = temporaryFolder();
    write(name, other.path);
    const again = readFileSync(join(other.path, `model-00001-of-0000${shards}.safetensors`));
    expect(again.equals(first)).toBe(true);
    other.remove();
  });

  it('gives a contract, and graphs', () => {
    write(name);
    const { contract } = contractOf(name);
    const cache = temporaryFolder();
    const built = buildGraphs(folder.path, contract, cache.path, () => undefined);
    expect(built.origin).toBe('built');
    expect(statSync(join(built.folder, 'decoder.weights')).size).toBeGreaterThan(100_000);
    cache.remove();
  });
});

describe('a synthetic checkpoint', () => {
  it('has as many layers as are asked for, within the model', () => {
    const layers = (n: number) =>
      writeSyntheticFolder(folder.path, 'magma-8b', { size: 'tiny', layers: n, seed: 1 });
    expect(() => layers(3)).toThrow('synthetic layers: got 3, expected 1 … 2');
    layers(1);
    expect(contractOf('magma-8b').config.decoder.layers).toBe(1);
  });

  it('never takes the place of files that are there', () => {
    write('magma-8b');
    expect(() => write('openvla-7b')).toThrow('got a folder with files in it, expected a new or');
  });
});
