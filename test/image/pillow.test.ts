import { describe, expect, it } from '@jest/globals';
import { resizePillow } from '../../src/image/pillow.js';
import { golden, imageFrom, largestDifference, picture } from './golden.js';

describe(`resizePillow against Pillow ${golden.versions['pillow']}`, () => {
  for (const { source, filter, output } of golden.pillow) {
    const expected = imageFrom(output);
    it(`gives the same bytes for ${source} → ${output.height}×${output.width}, ${filter}`, () => {
      const resized = resizePillow(picture(source), expected, filter);
      expect([resized.height, resized.width]).toEqual([output.height, output.width]);
      expect(largestDifference(resized.data, expected.data)).toBe(0);
    });
  }
});

describe('resizePillow', () => {
  it('copies an image that keeps its size', () => {
    const source = picture('tiny');
    const same = resizePillow(source, { height: 9, width: 7 }, 'bicubic');
    expect(same.data).toEqual(source.data);
    expect(same.data).not.toBe(source.data);
  });

  it('averages all pixels when it shrinks, so that nothing is skipped', () => {
    // One row of 4 px: 0, 0, 0, 200. To one pixel: triangle of half width 4 around 2, weights ∝ 5, 7, 7, 5.
    const row = {
      height: 1,
      width: 4,
      data: Uint8Array.from([0, 0, 0, 0, 0, 0, 0, 0, 0, 200, 200, 200]),
    };
    const one = resizePillow(row, { height: 1, width: 1 }, 'bilinear');
    expect(Array.from(one.data)).toEqual([42, 42, 42]); // 200 · 5 / 24 = 41.67
  });

  it('refuses an empty size', () => {
    expect(() => resizePillow(picture('tiny'), { height: 0, width: 4 }, 'bilinear')).toThrow(
      'resize: got 0×4, expected a whole height and width of at least 1',
    );
  });
});
