/**
 * What public modelling code computed on tiny checkpoints (test/oracle/magma_reference.py, openvla_reference.py), and
 * the same questions put to our own converter and runtime.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '../../src/convert/safetensors.js';
import { emptyCache } from '../../src/model/decoding.js';
import type { GenerationRequest } from '../../src/model/generation.js';
import { ports, type GraphManifest } from '../../src/model/graphs.js';
import {
  float32Data,
  float32Tensor,
  int32Tensor,
  int64Tensor,
  type Session,
} from '../../src/model/session.js';
import type { VisionEncoder } from '../../src/model/vision.js';
import type { RgbImage } from '../../src/types.js';

export function readJson(...path: string[]): unknown {
  return JSON.parse(readFileSync(join(...path), 'utf8'));
}

/** Tensors of expected.safetensors by name, fp32. */
export function openExpected(folder: string): (name: string) => Float32Array {
  return (name) => {
    const file = openSafetensors(join(folder, 'expected.safetensors'));
    try {
      return file.readFloat32(name);
    } finally {
      file.close();
    }
  };
}

/** The picture that the oracle's `picture` makes, from integers only. `frame` shifts its grey levels. */
export function referencePicture(width: number, height: number, frame = 0): RgbImage {
  const data = new Uint8Array(width * height * 3);
  const factors = [
    [1, 2, 3, 1],
    [2, 1, 1, 2],
    [3, 3, 2, 5],
  ] as const;
  for (let y = 0, at = 0; y < height; y++)
    for (let x = 0; x < width; x++)
      for (const [a, b, c, d] of factors)
        data[at++] = (x * a + y * b + ((x * x * c + y * y * d) >> 9) + 31 * frame) & 255;
  return { height, width, data };
}

/** As many values as the oracle sampled, at equal steps through all of them. */
export function sampled(values: Float32Array, count: number): Float32Array {
  const step = Math.floor(values.length / count);
  return Float32Array.from({ length: count }, (_, i) => values[i * step]!);
}

/** Means of runs of `length` values. */
export function meansOf(values: Float32Array, length: number): Float32Array {
  return Float32Array.from({ length: values.length / length }, (_, i) => {
    let sum = 0;
    for (let k = i * length; k < (i + 1) * length; k++) sum += values[k]!;
    return sum / length;
  });
}

/** Text around the pictures, one position per visual token: written here a second time, for the test's sake. */
export interface MergedPrompt {
  readonly ids: readonly number[];
  /** Positions of the rows of `visual`. */
  readonly rows: readonly number[];
  /** [rows.length, hiddenSize] */
  readonly visual: Float32Array;
}

export function mergedPrompt({
  ids: prompt,
  pictures,
}: Pick<GenerationRequest, 'ids' | 'pictures'>): MergedPrompt {
  const ids: number[] = [];
  const rows: number[] = [];
  const visual: number[] = [];
  prompt.forEach((id, position) => {
    const picture = pictures.find((entry) => entry.position === position);
    for (let i = 0; i < (picture?.visual.count ?? 1); i++) {
      if (picture) rows.push(ids.length);
      ids.push(id);
    }
    picture?.visual.data.forEach((value) => visual.push(value));
  });
  return { ids, rows, visual: Float32Array.from(visual) };
}

/** [positions, hiddenSize]: rows of the embedding table, and visual tokens in their places. */
export function mergedEmbeddings(
  { ids, rows, visual }: MergedPrompt,
  table: Float32Array,
  hiddenSize: number,
): Float32Array {
  const merged = new Float32Array(ids.length * hiddenSize);
  ids.forEach((id, at) => {
    merged.set(table.subarray(id * hiddenSize, (id + 1) * hiddenSize), at * hiddenSize);
  });
  rows.forEach((at, row) => {
    merged.set(visual.subarray(row * hiddenSize, (row + 1) * hiddenSize), at * hiddenSize);
  });
  return merged;
}

/** Logits of the step graph before each of the first `count` tokens, side by side. */
export async function stepLogits(
  session: Session,
  sizes: GraphManifest['decoder'],
  prompt: MergedPrompt,
  tokens: readonly number[],
  count: number,
): Promise<Float32Array> {
  const { layers, hiddenSize, vocabulary } = sizes;
  const presents = Array.from({ length: layers }, (_, l) => [
    ports.presentKey(l),
    ports.presentValue(l),
  ]).flat();
  const all = new Float32Array(count * vocabulary);
  let { past } = emptyCache(sizes);
  let total = 0;
  for (let step = 0; step < count; step++) {
    const { ids, rows, visual } =
      step === 0 ? prompt : { ids: [tokens[step - 1]!], rows: [], visual: new Float32Array() };
    total += ids.length;
    const outputs = await session.run(
      {
        ...past,
        [ports.ids]: int64Tensor([ids.length], ids),
        [ports.visual]: float32Tensor([rows.length, hiddenSize], visual),
        [ports.visualPositions]: int64Tensor([rows.length, 1], rows),
        [ports.lastPosition]: int32Tensor([1], [total - 1]),
        [ports.totalLength]: int32Tensor([], [total]),
      },
      [ports.logits, ...presents],
    );
    all.set(float32Data(outputs[ports.logits], ports.logits), step * vocabulary);
    past = Object.fromEntries(
      presents.map((name) => [name.replace('present', 'past'), outputs[name]!]),
    );
  }
  return all;
}

/** An encoder that also keeps what it was given: the pixels of every picture, in order. */
export function recordingEncoder(encoder: VisionEncoder): {
  readonly encoder: VisionEncoder;
  readonly crops: { readonly pixels: Float32Array; readonly grid: readonly [number, number] }[];
} {
  const crops: { pixels: Float32Array; grid: readonly [number, number] }[] = [];
  return {
    crops,
    encoder: {
      ...encoder,
      encode: (given) => {
        const { rows, cols } = given.canvas;
        crops.push({ pixels: given.pixels.slice(), grid: [rows, cols] });
        return encoder.encode(given);
      },
    },
  };
}

export const joined = (arrays: readonly Float32Array[]): Float32Array => {
  const all = new Float32Array(arrays.reduce((sum, { length }) => sum + length, 0));
  let at = 0;
  for (const array of arrays) {
    all.set(array, at);
    at += array.length;
  }
  return all;
};

/** Every n-th row of [rows, width], the first included. */
export function everyRow(values: Float32Array, width: number, n: number): Float32Array {
  const rows: Float32Array[] = [];
  for (let at = 0; at < values.length; at += n * width) rows.push(values.subarray(at, at + width));
  return joined(rows);
}
