/**
 * Random weights of any size, to measure a machine or to try a path without a model's weights. The same seed gives the same
 * bits everywhere; every tensor is another one, and any run of its elements can be made without the rest. They have
 * learned nothing: what such a model answers is no answer.
 *
 * A tensor is made of windows of a block of prepared normal numbers, so that 18 GB are copied rather than drawn.
 */
import { ModelError } from '../errors.js';
import { seededRandom } from '../math/random.js';
import type { Checkpoint } from './checkpoint.js';
import { float32FromBfloat16 } from './floats.js';
import type { TensorSpec } from './keyLayout.js';
import type { SourceTensor } from './safetensors.js';

/** Elements of a tensor that come from one place of the block. */
const windowLength = 4096;
const blockLength = 1 << 18;

export interface SyntheticWeights {
  /** Elements from `first` on, as many as fill the target, as bfloat16. */
  fill(tensor: TensorSpec, first: number, target: Uint16Array): void;
}

export function syntheticWeights(seed: number): SyntheticWeights {
  return {
    fill: (tensor, first, target) => {
      const pair = blocksOf(distributionOf(tensor));
      const name = hashOf(tensor.key, seed);
      for (let done = 0; done < target.length;) {
        const window = Math.floor((first + done) / windowLength);
        const inside = (first + done) % windowLength;
        const count = Math.min(windowLength - inside, target.length - done);
        const choice = mix(name ^ Math.imul(window + 1, 0x9e3779b9));
        const start = ((choice >>> 1) % (blockLength - windowLength)) + inside;
        target.set(pair[choice & 1]!.subarray(start, start + count), done);
        done += count;
      }
    },
  };
}

/** A checkpoint that lies nowhere: its tensors are made when they are asked for. */
export function syntheticCheckpoint(tensors: readonly TensorSpec[], seed: number): Checkpoint {
  const specs = new Map(tensors.map((tensor) => [tensor.key, tensor]));
  const weights = syntheticWeights(seed);
  const taken = new Set<string>();
  const source = (key: string, shape: readonly number[]): SourceTensor => {
    const spec = specs.get(key);
    const expected = `[${shape.join(', ')}]`;
    if (!spec) throw new ModelError(`synthetic: ${key}`, 'no such tensor', expected);
    const got = `[${spec.shape.join(', ')}]`;
    if (got !== expected) throw new ModelError(`synthetic: ${key}`, got, expected);
    taken.add(key);
    return syntheticSource(spec, weights);
  };
  return {
    files: [],
    shapes: new Map(tensors.map(({ key, shape }) => [key, shape])),
    source,
    take: (key, shape) => {
      const data = new Float32Array(elementsOf(shape));
      source(key, shape).readFloat32(0, data);
      return data;
    },
    assertAllTaken: (ignored) => {
      for (const key of specs.keys()) {
        if (taken.has(key) || ignored.some((start) => key.startsWith(start))) continue;
        const got = 'a tensor this architecture does not have';
        throw new ModelError(`synthetic: ${key}`, got, 'only known tensors');
      }
    },
    close: () => undefined,
  };
}

function syntheticSource(spec: TensorSpec, weights: SyntheticWeights): SourceTensor {
  const { key, shape } = spec;
  return {
    key,
    where: `synthetic: ${key}`,
    type: 'BF16',
    shape,
    bytes: 2 * elementsOf(shape),
    readRaw: (first, target) => {
      const bits = new Uint16Array(target.length / 2);
      weights.fill(spec, first, bits);
      target.set(new Uint8Array(bits.buffer));
    },
    readFloat32: (first, target) => {
      const bits = new Uint16Array(target.length);
      weights.fill(spec, first, bits);
      float32FromBfloat16(bits, target);
    },
  };
}

export function elementsOf(shape: readonly number[]): number {
  return shape.reduce((product, extent) => product * extent, 1);
}

interface Distribution {
  readonly mean: number;
  readonly deviation: number;
}

/** So that activations stay near 1 through every layer. */
function distributionOf({ key, shape }: TensorSpec): Distribution {
  if (/(gamma|scale_factor)$/.test(key)) return { mean: 0.1, deviation: 0.02 };
  if (key.endsWith('.bias')) return { mean: 0, deviation: 0.02 };
  // The only one-dimensional weights are those of norms.
  if (shape.length === 1) return { mean: 1, deviation: 0.05 };
  if (!key.endsWith('.weight') || key.endsWith('embed_tokens.weight')) {
    return { mean: 0, deviation: 0.02 };
  }
  return { mean: 0, deviation: Math.sqrt(shape[0]! / elementsOf(shape)) };
}

/** The same for every seed: a seed decides which windows a tensor has. Half a megabyte for each distribution and sign. */
const blocks = new Map<string, readonly [Uint16Array, Uint16Array]>();
let normals: Float32Array | undefined;

function blocksOf({ mean, deviation }: Distribution): readonly [Uint16Array, Uint16Array] {
  const name = `${mean} ${deviation}`;
  let pair = blocks.get(name);
  if (!pair) {
    normals ??= normalBlock();
    pair = [scaled(normals, mean, deviation), scaled(normals, mean, -deviation)];
    blocks.set(name, pair);
  }
  return pair;
}

function normalBlock(): Float32Array {
  const random = seededRandom(1);
  const block = new Float32Array(blockLength);
  for (let i = 0; i < blockLength; i++) block[i] = random.normal();
  return block;
}

/** mean + factor · value as bfloat16, rounded to nearest, ties to even. */
function scaled(values: Float32Array, mean: number, factor: number): Uint16Array {
  const out = new Uint16Array(values.length);
  const number = new Float32Array(1);
  const bits = new Uint32Array(number.buffer);
  for (let i = 0; i < values.length; i++) {
    number[0] = mean + factor * values[i]!;
    const word = bits[0]!;
    out[i] = (word + 0x7fff + ((word >>> 16) & 1)) >>> 16;
  }
  return out;
}

/** FNV-1a over the characters, seeded. */
function hashOf(text: string, seed: number): number {
  let hash = mix(0x811c9dc5 ^ seed);
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  return mix(hash);
}

/** The finaliser of MurmurHash3 (Appleby): every bit of the result depends on every bit. */
function mix(word: number): number {
  let h = word >>> 0;
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) >>> 0;
}
