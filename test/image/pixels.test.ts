import { describe, expect, it } from '@jest/globals';
import { cropTensor, resizeNormalised } from '../../src/image/pixels.js';
import { floatsFrom, golden, largestDifference, picture } from './golden.js';

const { mean, std } = golden;
/** In the tensor's units; 1/255 of the picture's range is 1/255/std ≥ 0.0142. */
const tolerance = 1e-5;

describe(`resizeNormalised against torch ${golden.versions['torch']}`, () => {
  for (const { source, height, width, pixels } of golden.torch)
    it(`interpolates ${source} → ${height}×${width} like torch.nn.functional.interpolate`, () => {
      const resized = resizeNormalised(picture(source), { height, width }, { mean, std });
      expect(largestDifference(resized, floatsFrom(pixels))).toBeLessThan(tolerance);
    });

  it('only normalises where the size stays: (value / 255 − mean) / std, planar', () => {
    const image = { height: 1, width: 2, data: Uint8Array.from([0, 51, 255, 255, 102, 0]) };
    const pixels = resizeNormalised(image, image, { mean: [0.5, 0.2, 0], std: [0.5, 0.1, 2] });
    const expected = [-1, 1, 0, 2, 0.5, 0]; // r r, g g, b b
    expect(largestDifference(pixels, expected)).toBeLessThan(1e-6);
  });

  it('gives a constant picture the same constant at every size', () => {
    const grey = { height: 5, width: 3, data: new Uint8Array(45).fill(128) };
    const normalisation = { mean: [0, 0, 0], std: [1, 1, 1] } as const;
    const pixels = resizeNormalised(grey, { height: 17, width: 2 }, normalisation);
    expect(largestDifference(pixels, new Float32Array(102).fill(128 / 255))).toBeLessThan(1e-7);
  });
});

describe('cropTensor', () => {
  for (const { source, side, rows, cols, pixels } of golden.crops)
    it(`cuts ${source} into ${rows}×${cols} crops of ${side} px in torch's order`, () => {
      const rule = { cropSize: side, maxCrops: 4, mean, std };
      const tensor = cropTensor(picture(source), rule);
      expect(tensor.canvas).toEqual({ height: rows * side, width: cols * side, rows, cols });
      expect(largestDifference(tensor.pixels, floatsFrom(pixels))).toBeLessThan(tolerance);
    });

  it('makes one crop where only one is allowed', () => {
    const { pixels, canvas } = cropTensor(picture('cinema'), {
      cropSize: 16,
      maxCrops: 1,
      mean,
      std,
    });
    expect(canvas).toEqual({ height: 16, width: 16, rows: 1, cols: 1 });
    expect(pixels).toHaveLength(3 * 16 * 16);
  });
});
