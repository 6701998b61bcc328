import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { buildGraphs } from '../../src/convert/build.js';
import type { CropTensor } from '../../src/image/pixels.js';
import type { VisionEncoder } from '../../src/model/vision.js';
import { encodeTogether } from '../../src/model/visionBatch.js';
import { openRuntime, type Runtime } from '../../src/model/runtime.js';
import {
  expectedCrops,
  expectedTensor,
  largestDifference,
  magmaLayout,
  temporaryFolder,
  tinyMagmaFolder,
} from '../support/tinyMagma.js';

/** Crops of 2×2 px, all of them `value`. */
function picture(value: number, rows = 1, cols = 1): CropTensor {
  const pixels = new Float32Array(rows * cols * 3 * 4).fill(value);
  return { pixels, canvas: { rows, cols, height: 2 * rows, width: 2 * cols } };
}

/** One token [first pixel, last pixel] per row of crops, and what it was asked for. */
function rowReader(): { readonly vision: VisionEncoder; readonly asked: CropTensor[] } {
  const asked: CropTensor[] = [];
  const encode = (crops: CropTensor) => {
    asked.push(crops);
    const { rows, cols } = crops.canvas;
    const length = cols * 3 * 4;
    const ends = Array.from({ length: rows }, (_, r) => [
      crops.pixels[r * length]!,
      crops.pixels[(r + 1) * length - 1]!,
    ]);
    return Promise.resolve({ count: rows, data: Float32Array.from(ends.flat()) });
  };
  return { vision: { encode, release: () => Promise.resolve() }, asked };
}

describe('encodeTogether', () => {
  it('puts pictures of one canvas above each other, and gives each its own tokens', async () => {
    const { vision, asked } = rowReader();
    const pictures = [picture(1, 2, 3), picture(2, 2, 3)];
    const visual = await encodeTogether(vision, pictures, 12);
    expect(asked.map(({ canvas }) => canvas)).toEqual([{ rows: 4, cols: 3, height: 8, width: 6 }]);
    expect(visual.map(({ count }) => count)).toEqual([2, 2]);
    expect(visual.map(({ data }) => Array.from(data))).toEqual([
      [1, 1, 1, 1],
      [2, 2, 2, 2],
    ]);
  });

  it('keeps the order of pictures whose canvases differ', async () => {
    const { vision, asked } = rowReader();
    const visual = await encodeTogether(vision, [picture(1), picture(2, 1, 2), picture(3)]);
    expect(asked.map(({ canvas }) => canvas.rows)).toEqual([2, 1]);
    expect(visual.map(({ data }) => data[0])).toEqual([1, 2, 3]);
  });

  it('runs again where the crops of a run would be too many', async () => {
    const { vision, asked } = rowReader();
    // Two crops each: two pictures in five crops.
    const visual = await encodeTogether(
      vision,
      [1, 2, 3, 4, 5].map((v) => picture(v, 1, 2)),
      5,
    );
    expect(asked.map(({ canvas }) => canvas.rows)).toEqual([2, 2, 1]);
    expect(visual.map(({ data }) => data[0])).toEqual([1, 2, 3, 4, 5]);
  });

  it('does not divide a picture, nor copy one that goes alone', async () => {
    const { vision, asked } = rowReader();
    const large = picture(7, 3, 3);
    await encodeTogether(vision, [large], 1);
    expect(asked[0]).toBe(large);
  });

  it('asks for nothing without pictures', async () => {
    const { vision, asked } = rowReader();
    expect(await encodeTogether(vision, [])).toEqual([]);
    expect(asked).toEqual([]);
  });

  it('refuses tokens that cannot be shared out', async () => {
    const vision: VisionEncoder = {
      encode: () => Promise.resolve({ count: 3, data: new Float32Array(6) }),
      release: () => Promise.resolve(),
    };
    await expect(encodeTogether(vision, [picture(1), picture(2)])).rejects.toThrow(
      'visual tokens: got 3 for 2 pictures, expected as many for each',
    );
  });
});

describe('encodeTogether on the graphs', () => {
  const temporary = temporaryFolder();
  let runtime: Runtime;
  beforeAll(async () => {
    const { folder } = buildGraphs(tinyMagmaFolder, magmaLayout, temporary.path, () => undefined);
    runtime = await openRuntime(folder, { provider: 'cpu', threads: 1 });
  });
  afterAll(async () => {
    await runtime.release();
    temporary.remove();
  });

  it('gives the tokens of each picture as PyTorch does, whatever goes with it', async () => {
    const names = ['oneCrop', 'sixCrops', 'sixCrops', 'oneCrop'];
    const mirrored = (name: string): CropTensor => {
      const { pixels, canvas } = expectedCrops(name);
      return { pixels: pixels.map((value) => -value), canvas };
    };
    // Other pictures of the same canvas between them, so that an exchange would show.
    const pictures = names.flatMap((name) => [expectedCrops(name), mirrored(name)]);
    const visual = await encodeTogether(runtime.vision, pictures, 12);
    for (const [k, name] of names.entries()) {
      const torch = expectedTensor(`${name}.visual`);
      expect(largestDifference(visual[2 * k]!.data, torch)).toBeLessThan(1e-5);
      const alone = await runtime.vision.encode(mirrored(name));
      expect(largestDifference(visual[2 * k + 1]!.data, alone.data)).toBeLessThan(1e-5);
    }
  });
});
