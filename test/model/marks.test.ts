import { describe, expect, it } from '@jest/globals';
import { isInside, markSpacing, marksAt, marksOfInterest } from '../../src/model/marks.js';
import type { RgbImage } from '../../src/types.js';

const size = { height: 100, width: 200 };

describe('marks at given points', () => {
  it('are numbered from 1 in the given order', () => {
    expect(marksAt([{ x: 150, y: 20 }, { x: 10, y: 90 }], size, 9)).toEqual([
      { id: 1, at: { x: 150, y: 20 } },
      { id: 2, at: { x: 10, y: 90 } },
    ]); // prettier-ignore
  });

  it('leave out points outside the picture, and number the others without a gap', () => {
    const points = [
      { x: -0.1, y: 5 },
      { x: 200, y: 5 },
      { x: 5, y: 100 },
      { x: NaN, y: 5 },
      { x: 199.9, y: 99.9 },
    ];
    expect(marksAt(points, size, 9)).toEqual([{ id: 1, at: { x: 199.9, y: 99.9 } }]);
  });

  it('keep their distance: the earlier point stays', () => {
    const points = [
      { x: 50, y: 50 },
      { x: 56, y: 57 },
      { x: 56, y: 58 },
    ];
    // 6² + 7² = 85 < 10², 6² + 8² = 10².
    expect(marksAt(points, size, 9, 10).map(({ at }) => at.y)).toEqual([50, 58]);
  });

  it('are at most as many as asked for', () => {
    const points = [0, 1, 2, 3].map((i) => ({ x: 20 + 40 * i, y: 50 }));
    expect(marksAt(points, size, 3)).toHaveLength(3);
  });

  it('stand two radii and a gap apart: 10 px on 128×128, where a disc is 9 px across', () => {
    expect(markSpacing({ height: 128, width: 128 })).toBe(10);
  });
});

describe('marks of interest', () => {
  it('lie on the corners of a bright square', async () => {
    const marks = await marksOfInterest(square(), { min: 1, max: 4 });
    expect(marks.map(({ id }) => id)).toEqual([1, 2, 3, 4]);
    for (const [x, y] of [[32, 40], [96, 40], [32, 88], [96, 88]] as const) {
      const nearest = Math.min(...marks.map(({ at }) => Math.hypot(at.x - x, at.y - y)));
      expect(nearest).toBeLessThan(2.5);
    } // prettier-ignore
  });

  it('are filled up on a picture without corners, inside and apart', async () => {
    const blank = { height: 128, width: 128, data: new Uint8Array(128 * 128 * 3).fill(90) };
    const marks = await marksOfInterest(blank, { min: 5, max: 9 });
    expect(marks).toHaveLength(5);
    expect(marks.every(({ at }) => isInside(at, blank))).toBe(true);
    expect(marks[1]!.at).toEqual({ x: 48, y: 16 });
  });

  it('are the same every time', async () => {
    const rule = { min: 1, max: 9 };
    expect(await marksOfInterest(square(), rule)).toEqual(await marksOfInterest(square(), rule));
  });
});

/** 128×128, white from (32, 40) to (96, 88). */
function square(): RgbImage {
  const data = new Uint8Array(128 * 128 * 3).fill(20);
  for (let y = 40; y < 88; y++) data.fill(240, (y * 128 + 32) * 3, (y * 128 + 96) * 3);
  return { height: 128, width: 128, data };
}
