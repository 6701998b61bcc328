import { describe, expect, it } from '@jest/globals';
import { drawMarks, markRadius } from '../../src/image/marks.js';
import type { RgbImage } from '../../src/types.js';

function grey(height: number, width: number): RgbImage {
  return { height, width, data: new Uint8Array(height * width * 3).fill(40) };
}

/** One character per pixel: # white, o red, . untouched, ? anything else. */
function art({ height, width, data }: RgbImage): string[] {
  const names: Readonly<Record<string, string>> = {
    '255,255,255': '#',
    '255,0,0': 'o',
    '40,40,40': '.',
  };
  const at = (i: number): string => names[data.subarray(3 * i, 3 * i + 3).join(',')] ?? '?';
  return Array.from({ length: height }, (_, y) =>
    Array.from({ length: width }, (_, x) => at(y * width + x)).join(''),
  );
}

describe('drawMarks', () => {
  it('draws a red disc with a white digit around the pixel that holds the point', () => {
    const marked = drawMarks(grey(13, 15), [{ id: 7, at: { x: 7.9, y: 6 } }]);
    expect(art(marked)).toEqual([
      '...............',
      '...............',
      '.....ooooo.....',
      '....ooooooo....',
      '...ooo###ooo...',
      '...ooooo#ooo...',
      '...ooooo#ooo...',
      '...oooo#oooo...',
      '...oooo#oooo...',
      '....ooooooo....',
      '.....ooooo.....',
      '...............',
      '...............',
    ]);
  });

  it('clips at the border', () => {
    const marked = drawMarks(grey(8, 12), [{ id: 12, at: { x: 0, y: 7 } }]);
    expect(art(marked)).toEqual([
      '............',
      '............',
      'ooo.........',
      'oooo........',
      'ooooo.......',
      'o###oo......',
      'ooo#oo......',
      'o###oo......',
    ]);
    const outside = drawMarks(grey(8, 12), [{ id: 1, at: { x: -50, y: 300 } }]);
    expect(outside).toEqual(grey(8, 12));
  });

  it('returns a copy, equal to the source where there are no marks', () => {
    const source = grey(20, 20);
    const none = drawMarks(source, []);
    expect(none.data).toEqual(source.data);
    expect(none.data).not.toBe(source.data);
    drawMarks(source, [{ id: 1, at: { x: 10, y: 10 } }]);
    expect(source).toEqual(grey(20, 20));
  });

  it('puts later marks on top', () => {
    const at = { x: 10, y: 10 };
    const both = drawMarks(grey(20, 20), [ { id: 1, at }, { id: 8, at } ]); // prettier-ignore
    expect(both).toEqual(drawMarks(grey(20, 20), [{ id: 8, at }]));
  });

  it('draws every digit differently', () => {
    const pictures = Array.from({ length: 10 }, (_, id) =>
      art(drawMarks(grey(20, 20), [{ id, at: { x: 10, y: 10 } }])).join('\n'),
    );
    expect(new Set(pictures).size).toBe(10);
  });

  it('refuses what is no mark', () => {
    expect(() => drawMarks(grey(9, 9), [{ id: -1, at: { x: 1, y: 1 } }])).toThrow(
      'got id -1 at [1, 1]',
    );
    expect(() => drawMarks(grey(9, 9), [{ id: 1, at: { x: NaN, y: 1 } }])).toThrow('at [NaN, 1]');
  });
});

describe('markRadius', () => {
  // [height, width, digits] → pixels across
  const table: readonly [number, number, number, number][] = [
    [128, 128, 1, 9],
    [128, 128, 2, 11], // 7 × 5 px of digits: 74 ≤ 4 · 5²
    [224, 224, 1, 11],
    [480, 640, 1, 25],
    [480, 640, 2, 29], // 22 × 14 px: 680 ≤ 4 · 14²
    [1080, 1920, 1, 55],
  ];
  for (const [height, width, digits, across] of table)
    it(`makes discs of ${across} px for ${digits} digit(s) on ${width}×${height}`, () => {
      expect(2 * markRadius({ height, width }, digits) + 1).toBe(across);
    });
});
