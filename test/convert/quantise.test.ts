import { afterAll, describe, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/convert/checkpoint.js';
import { ExternalData } from '../../src/convert/external.js';
import { float16Value } from '../../src/convert/floats.js';
import { linear, type LinearWeight } from '../../src/convert/linear.js';
import { Graph, modelBytes } from '../../src/convert/onnx.js';
import { cast, rename } from '../../src/convert/ops.js';
import {
  blocksPerRow,
  dequantiseRows,
  packedBytesPerRow,
  quantiseRows,
  type BlockLayout,
} from '../../src/convert/quantise.js';
import { writeSafetensors } from '../../src/convert/safetensors.js';
import { ErrorTally, type TensorError } from '../../src/convert/tensorError.js';
import { openWeightStore, plainFormat, type WeightFormat } from '../../src/convert/weightStore.js';
import { seededRandom } from '../../src/math/random.js';
import {
  chooseProvider,
  float32Data,
  float32Tensor,
  openSession,
} from '../../src/model/session.js';
import { largestDifference, temporaryFolder } from '../support/tinyMagma.js';

const temporary = temporaryFolder();
afterAll(() => temporary.remove());

const normal = (count: number, seed: number): Float32Array => {
  const random = seededRandom(seed);
  return Float32Array.from({ length: count }, () => 0.02 * random.normal());
};

interface Quantised {
  readonly packed: Uint8Array;
  readonly scales: Float32Array;
  readonly error: TensorError;
  readonly back: Float32Array;
}

function quantise(
  rows: Float32Array,
  layout: BlockLayout,
  round = (scale: number) => Math.fround(scale),
): Quantised {
  const n = rows.length / layout.inputs;
  const packed = new Uint8Array(n * packedBytesPerRow(layout));
  const scales = new Float32Array(n * blocksPerRow(layout));
  const tally = new ErrorTally();
  quantiseRows(rows, layout, round, packed, scales, tally, { key: 'w', firstRow: 0 });
  return { packed, scales, error: tally.report(), back: dequantiseRows(packed, scales, layout) };
}

const layouts: readonly BlockLayout[] = [
  { bits: 4, block: 32, inputs: 256 },
  { bits: 4, block: 128, inputs: 256 },
  { bits: 8, block: 32, inputs: 256 },
  { bits: 8, block: 128, inputs: 256 },
  // The last block of a row is not full.
  { bits: 4, block: 32, inputs: 56 },
  { bits: 8, block: 128, inputs: 56 },
];
const named = (layout: BlockLayout) =>
  `${layout.bits} bits, ${layout.inputs} inputs in blocks of ${layout.block}`;

describe('quantised rows', () => {
  it.each(layouts.map((layout) => [named(layout), layout] as const))(
    'have the error that is reported: %s',
    (_, layout) => {
      const rows = normal(40 * layout.inputs, 5);
      const { back, error } = quantise(rows, layout);
      const squares = (of: (i: number) => number) =>
        rows.reduce((sum, _value, i) => sum + of(i) ** 2, 0);
      const relative = Math.sqrt(squares((i) => back[i]! - rows[i]!) / squares((i) => rows[i]!));
      expect(error.relativeRms).toBeCloseTo(relative, 6);
      expect(error.largest).toBeCloseTo(largestDifference(back, rows), 6);
      const ofRow = (r: number) => {
        const [from, end] = [r * layout.inputs, (r + 1) * layout.inputs];
        const off = largestSquares(back.subarray(from, end), rows.subarray(from, end));
        return Math.sqrt(off.error / off.sum);
      };
      const byError = Array.from({ length: 40 }, (_row, r) => r).sort(
        (a, b) => ofRow(b) - ofRow(a),
      );
      expect(error.worstRows.map(({ row }) => row)).toEqual(byError.slice(0, 3));
      expect(error.worstRows[0]!.relativeRms).toBeCloseTo(ofRow(byError[0]!), 6);
    },
  );

  it.each([
    [4, 32, 0.083],
    [4, 128, 0.099],
    [8, 32, 0.0055],
    [8, 128, 0.0066],
  ] as const)(
    'of normal weights, %i bits in blocks of %i, lose less than %f',
    (bits, block, most) => {
      const { error } = quantise(normal(64 * 512, 3), { bits, block, inputs: 512 });
      expect(error.relativeRms).toBeLessThan(most);
      expect(error.relativeRms).toBeGreaterThan(0.9 * most);
    },
  );

  it('meet whole numbers of a scale exactly', () => {
    const rows = Float32Array.from({ length: 32 }, (_, i) => 0.25 * ((i % 16) - 8));
    const { back, scales, packed, error } = quantise(rows, { bits: 4, block: 32, inputs: 32 });
    expect(Array.from(back)).toEqual(Array.from(rows));
    expect(scales[0]).toBe(0.25);
    // −8 and −7 are stored as 0 and 1, the first in the low half.
    expect(packed[0]).toBe(0x10);
    expect(error).toMatchObject({ relativeRms: 0, largest: 0 });
  });

  it('are zero where the weights are zero, and where a row is padded', () => {
    const { back, packed } = quantise(new Float32Array(20), { bits: 4, block: 32, inputs: 20 });
    expect(Array.from(back)).toEqual(Array.from({ length: 20 }, () => 0));
    expect(Array.from(packed)).toEqual(Array.from({ length: 16 }, () => 0x88));
    const eight = quantise(Float32Array.of(1, -1), { bits: 8, block: 32, inputs: 2 });
    expect(Array.from(eight.packed.subarray(0, 4))).toEqual([255, 1, 128, 128]);
  });

  it('fit the scale that will be read', () => {
    const layout = { bits: 4, block: 32, inputs: 64 } as const;
    const rows = normal(64, 9);
    const coarse = (scale: number) => Math.fround(Math.round(scale * 64) / 64);
    const { scales, error, back } = quantise(rows, layout, coarse);
    expect([...scales].every((scale) => Number.isInteger(scale * 64))).toBe(true);
    expect(error.largest).toBeCloseTo(largestDifference(back, rows), 6);
  });

  it('refuse what is not finite, by row', () => {
    const rows = normal(3 * 32, 1);
    rows[40] = NaN;
    const layout = { bits: 4, block: 32, inputs: 32 } as const;
    expect(() => quantise(rows, layout)).toThrow('w, row 1: got a number that is not finite');
    rows[40] = Infinity;
    expect(() => quantise(rows, { ...layout, bits: 8 })).toThrow('w, row 1');
  });
});

function largestSquares(a: Float32Array, b: Float32Array): { error: number; sum: number } {
  let error = 0;
  let sum = 0;
  for (let i = 0; i < a.length; i++) {
    error += (a[i]! - b[i]!) ** 2;
    sum += b[i]! ** 2;
  }
  return { error, sum };
}

/** y of one linear layer [48, inputs] with weights `rows`, stored in `format`, for x [2, inputs]. */
async function multiply(
  rows: Float32Array,
  inputs: number,
  x: Float32Array,
  format: WeightFormat,
): Promise<{ readonly y: number[]; readonly weight: LinearWeight; readonly data: Buffer }> {
  const outputs = rows.length / inputs;
  const data = new Uint8Array(rows.slice().buffer);
  const tensors = new Map([['w', { dtype: 'F32', shape: [outputs, inputs], data }]]);
  const folder = temporaryFolder();
  writeSafetensors(join(folder.path, 'model.safetensors'), tensors);
  const checkpoint = openCheckpoint(folder.path);
  const external = new ExternalData(join(folder.path, 'weights'));
  const store = openWeightStore(checkpoint, external, format);
  const weight = store.linear('w', [{ key: 'w', out: outputs }], inputs);
  external.close();
  checkpoint.close();
  const g = new Graph('linear');
  const given = g.input('x', 'float32', [2, inputs]);
  const product = linear(g, cast(g, given, format.compute), weight);
  rename(g, cast(g, product, 'float32'), 'y');
  g.output('y', 'float32', [2, outputs]);
  const path = join(folder.path, 'graph.onnx');
  writeFileSync(path, modelBytes(g));
  const session = await openSession(path, chooseProvider('cpu'), 1);
  const result = await session.run({ x: float32Tensor([2, inputs], x) }, ['y']);
  const y = Array.from(float32Data(result['y'], 'y'));
  await session.release();
  const stored = readFileSync(join(folder.path, 'weights'));
  folder.remove();
  return { y, weight, data: stored };
}

/** x [2, inputs] · rowsᵀ in double precision. */
function product(x: Float32Array, rows: Float32Array, inputs: number): number[] {
  const outputs = rows.length / inputs;
  return Array.from({ length: 2 * outputs }, (_, k) => {
    const [i, o] = [Math.floor(k / outputs), k % outputs];
    let sum = 0;
    for (let j = 0; j < inputs; j++) sum += x[i * inputs + j]! * rows[o * inputs + j]!;
    return sum;
  });
}

describe('MatMulNBits of ONNX Runtime', () => {
  const cases = layouts.map(({ bits, block, inputs }) => ({
    ...{ name: `${bits} bits, ${inputs} inputs in blocks of ${block}`, inputs },
    ...{ layout: { bits, block, inputs } },
    weights: bits === 4 ? ('int4' as const) : ('int8' as const),
    block: block as 32 | 128,
  }));

  it.each(cases)('multiplies with what dequantiseRows gives: $name', async (it) => {
    const rows = normal(48 * it.inputs, 7);
    const x = normal(2 * it.inputs, 8).map((value) => 50 * value);
    const format: WeightFormat = {
      ...{ weights: it.weights, block: it.block, compute: 'float32', accuracyLevel: 0 },
    };
    const { y } = await multiply(rows, it.inputs, x, format);
    const { back } = quantise(rows, it.layout);
    expect(largestDifference(y, product(x, back, it.inputs))).toBeLessThan(1e-5);
    // And not with anything else: the unquantised weights are farther away than that.
    expect(largestDifference(y, product(x, rows, it.inputs))).toBeGreaterThan(1e-4);
  });

  it('computes in fp16, with scales that are fp16', async () => {
    const rows = normal(48 * 64, 7);
    const x = normal(2 * 64, 8).map((value) => 50 * value);
    const format: WeightFormat = {
      ...{ weights: 'int4', block: 32, compute: 'float16', accuracyLevel: 0 },
    };
    const { y, weight, data } = await multiply(rows, 64, x, format);
    if (weight.kind !== 'blocks') throw new Error('packed weights');
    const { scales, packed, layout } = weight;
    const halves = new Uint16Array(data.buffer.slice(data.byteOffset + scales.offset), 0, 48 * 2);
    const read = Float32Array.from(halves, float16Value);
    const bytes = data.subarray(packed.offset, packed.offset + packed.bytes);
    const back = dequantiseRows(bytes, read, layout);
    // fp16 has 11 bits: y of about 1 is right to about 1e-3.
    expect(largestDifference(y, product(x, back, 64))).toBeLessThan(4e-3);
  });
});

describe('a matrix', () => {
  it.each([
    ['fp32', 'float32', 1e-6],
    ['fp16', 'float32', 3e-4],
    ['fp16', 'float16', 4e-3],
  ] as const)('%s multiplies in %s', async (weights, compute, most) => {
    const rows = normal(48 * 64, 7);
    const x = normal(2 * 64, 8).map((value) => 50 * value);
    const { y } = await multiply(rows, 64, x, { ...plainFormat, weights, compute });
    expect(largestDifference(y, product(x, rows, 64))).toBeLessThan(most);
  });

  it('is refused in fp16 where a weight is too large for it', async () => {
    const rows = normal(2 * 32, 7);
    rows[33] = 70000;
    const format = { ...plainFormat, weights: 'fp16', compute: 'float16' } as const;
    await expect(multiply(rows, 32, new Float32Array(64), format)).rejects.toThrow(
      'w, row 1: got 70000, expected a number that fp16 has',
    );
  });
});
