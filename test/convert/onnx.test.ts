import { afterAll, describe, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/convert/checkpoint.js';
import { ExternalData, bytesOf } from '../../src/convert/external.js';
import { linear } from '../../src/convert/linear.js';
import { Graph, modelBytes } from '../../src/convert/onnx.js';
import { gelu, rename, scatterNd, silu } from '../../src/convert/ops.js';
import { Message } from '../../src/convert/protobuf.js';
import { writeSafetensors, type RawTensor } from '../../src/convert/safetensors.js';
import { openWeightStore, plainFormat } from '../../src/convert/weightStore.js';
import {
  chooseProvider,
  float32Data,
  float32Tensor,
  int64Tensor,
  openSession,
  type Feeds,
} from '../../src/model/session.js';
import { largestDifference, temporaryFolder } from '../support/tinyMagma.js';

const temporary = temporaryFolder();
afterAll(() => temporary.remove());

const hex = (message: Message) => Buffer.from(message.bytes()).toString('hex');

/** Runs a graph with one output `y` once. */
async function run(graph: Graph, feeds: Feeds): Promise<number[]> {
  const path = join(temporary.path, 'graph.onnx');
  writeFileSync(path, modelBytes(graph));
  const session = await openSession(path, chooseProvider('cpu'), 1);
  const outputs = await session.run(feeds, ['y']);
  await session.release();
  return Array.from(float32Data(outputs['y'], 'y'));
}

describe('a protobuf message', () => {
  // The examples of the encoding guide: field 1 = 150, field 2 = "testing", a message in field 3, −2 in ten bytes.
  it('is encoded as the encoding guide shows', () => {
    expect(hex(new Message().integer(1, 150))).toBe('089601');
    expect(hex(new Message().text(2, 'testing'))).toBe('120774657374696e67');
    expect(hex(new Message().message(3, new Message().integer(1, 150)))).toBe('1a03089601');
    expect(hex(new Message().integer(1, -2))).toBe('08feffffffffffffffff01');
    expect(hex(new Message().packedIntegers(6, [3, 270, 86942]))).toBe('3206038e029ea705');
    expect(hex(new Message().float(1, 1))).toBe('0d0000803f');
  });

  it('keeps fields above 15 and large numbers', () => {
    expect(hex(new Message().integer(20, 7))).toBe('a00107');
    expect(hex(new Message().integer(1, 2 ** 53 - 1))).toBe('08ffffffffffffff0f');
  });
});

describe('external data', () => {
  it('begins large tensors on a page and small ones on a cache line', () => {
    const path = join(temporary.path, 'weights');
    const external = new ExternalData(path);
    const small = external.allocate('small', 'float32', [3]);
    const next = external.allocate('next', 'float32', [1]);
    const large = external.allocate('large', 'float32', [1024]);
    external.write(large, 0, bytesOf(new Float32Array(1024).fill(5)));
    external.write(next, 0, bytesOf(Float32Array.of(4)));
    external.write(small, 8, bytesOf(Float32Array.of(3)));
    external.close();
    expect([small.offset, next.offset, large.offset]).toEqual([0, 64, 4096]);
    const bytes = readFileSync(path);
    expect(bytes).toHaveLength(4096 + 4096);
    expect(bytes.readFloatLE(8)).toBe(3);
    expect(bytes.readFloatLE(64)).toBe(4);
    expect(bytes.readFloatLE(8188)).toBe(5);
  });
});

describe('a graph', () => {
  it('multiplies with layers stored side by side, as PyTorch keeps them', async () => {
    const external = new ExternalData(join(temporary.path, 'linear.weights'));
    // Layer a: 2 in, 1 out; layer b: 2 in, 2 out.
    const tensor = (...data: number[]): RawTensor => ({
      dtype: 'F32',
      shape: [data.length / 2, 2],
      data: new Uint8Array(Float32Array.from(data).buffer),
    });
    const tensors = { a: tensor(1, 10), b: tensor(2, 20, 3, 30) };
    writeSafetensors(join(temporary.path, 'model.safetensors'), new Map(Object.entries(tensors)));
    const checkpoint = openCheckpoint(temporary.path);
    const store = openWeightStore(checkpoint, external, plainFormat);
    const parts = [
      { key: 'a', out: 1 },
      { key: 'b', out: 2 },
    ];
    const weight = store.linear('ab', parts, 2);
    external.close();
    checkpoint.close();
    const g = new Graph('linear');
    rename(g, linear(g, g.input('x', 'float32', [1, 2]), weight), 'y');
    g.output('y', 'float32', [1, 3]);
    const y = await run(g, { x: float32Tensor([1, 2], Float32Array.of(1, 2)) });
    expect(y).toEqual([1 + 20, 2 + 40, 3 + 60]);
  });

  it('has the GELU of the error function, not an approximation of it', async () => {
    const g = new Graph('gelu');
    rename(g, gelu(g, g.input('x', 'float32', [4])), 'y');
    g.output('y', 'float32', [4]);
    const y = await run(g, { x: float32Tensor([4], Float32Array.of(-2, -0.5, 1, 3)) });
    // x · Φ(x), Φ from tables of the normal distribution.
    const expected = [-2 * 0.0227501319, -0.5 * 0.3085375387, 0.8413447461, 3 * 0.998650102];
    expect(largestDifference(y, expected)).toBeLessThan(1e-6);
  });

  it('has SiLU', async () => {
    const g = new Graph('silu');
    rename(g, silu(g, g.input('x', 'float32', [3])), 'y');
    g.output('y', 'float32', [3]);
    const y = await run(g, { x: float32Tensor([3], Float32Array.of(-1, 0, 2)) });
    const expected = [-1 / (1 + Math.E), 0, 2 / (1 + Math.exp(-2))];
    expect(largestDifference(y, expected)).toBeLessThan(1e-6);
  });

  it('puts rows in place of rows', async () => {
    const g = new Graph('scatter');
    const x = g.input('x', 'float32', [3, 2]);
    const places = g.input('places', 'int64', ['K', 1]);
    rename(g, scatterNd(g, x, places, g.input('rows', 'float32', ['K', 2])), 'y');
    g.output('y', 'float32', [3, 2]);
    const table = float32Tensor([3, 2], Float32Array.of(1, 2, 3, 4, 5, 6));
    const one = await run(g, {
      x: table,
      places: int64Tensor([1, 1], [1]),
      rows: float32Tensor([1, 2], Float32Array.of(8, 9)),
    });
    expect(one).toEqual([1, 2, 8, 9, 5, 6]);
    const none = await run(g, {
      x: table,
      places: int64Tensor([0, 1], []),
      rows: float32Tensor([0, 2], new Float32Array(0)),
    });
    expect(none).toEqual([1, 2, 3, 4, 5, 6]);
  });
});
