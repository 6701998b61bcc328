/** models/nano with random weights: everything is its own but what it has learned. Its answers are no answers. */
import { copyFileSync, existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { readCheckpointConfig } from '../../src/convert/checkpointConfig.js';
import { storeDecoder } from '../../src/convert/decoder.js';
import type { StoredTensor } from '../../src/convert/onnx.js';
import { writeSafetensors, type RawTensor } from '../../src/convert/safetensors.js';
import { visionGraph } from '../../src/convert/visionGraph.js';
import { plainFormat, type WeightStore } from '../../src/convert/weightStore.js';
import { seededRandom } from '../../src/math/random.js';
import { readContract } from '../../src/model/contract.js';

export const nanoFolder = fileURLToPath(new URL('../../models/nano', import.meta.url));

/**
 * Writes the folder's small files and a model.safetensors of its sizes into `folder`.
 * @param spoil may change a tensor's numbers in place.
 */
export function writeRandomNano(
  folder: string,
  seed: number,
  spoil: (name: string, data: Float32Array) => void = () => undefined,
): void {
  for (const name of readdirSync(nanoFolder))
    if (name.endsWith('.json')) copyFileSync(join(nanoFolder, name), join(folder, name));
  writeSafetensors(join(folder, 'model.safetensors'), randomTensors(folder, seed, spoil));
}

/** Every tensor the converter asks for, uniform with variance 1 / inputs; norms are 1, biases 0. */
function randomTensors(
  folder: string,
  seed: number,
  spoil: (name: string, data: Float32Array) => void,
): Map<string, RawTensor> {
  const random = seededRandom(seed);
  const tensors = new Map<string, RawTensor>();
  const take = (name: string, shape: readonly number[]): Float32Array => {
    const count = shape.reduce((product, size) => product * size, 1);
    const inputs = count / shape[0]!;
    const isVector = shape.length === 1;
    const value = (): number =>
      isVector ? Number(!name.endsWith('bias')) : random.between(-1, 1) * Math.sqrt(3 / inputs);
    const data = Float32Array.from({ length: count }, value);
    spoil(name, data);
    tensors.set(name, { dtype: 'F32', shape, data: new Uint8Array(data.slice().buffer) });
    return data;
  };
  const config = readCheckpointConfig(join(folder, 'config.json'), readContract(folder));
  const nowhere = (name: string, shape: readonly number[]): StoredTensor => ({
    ...{ name, shape, type: 'float32', file: '', offset: 0, bytes: 0 },
  });
  const taken = (name: string, shape: readonly number[]): StoredTensor => {
    take(name, shape);
    return nowhere(name, shape);
  };
  const store: WeightStore = {
    ...{ format: plainFormat, take, plain: taken, table: taken, derived: nowhere },
    linear: (name, parts, inputs) => {
      for (const { key, out } of parts) take(key, [out, inputs]);
      return { kind: 'matrix', stored: nowhere(name, []), compute: 'float32' };
    },
    head: (key, rows, inputs) => {
      take(key, [rows, inputs]);
      return { kind: 'matrix', stored: nowhere(key, []), compute: 'float32' };
    },
  };
  visionGraph(config, store);
  storeDecoder(config.decoder, store);
  return tensors;
}

export const hasTrainedNano = existsSync(join(nanoFolder, 'model.safetensors'));
