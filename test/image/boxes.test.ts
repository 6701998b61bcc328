import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { drawNumberedBoxes, type Box } from '../../src/image/boxes.js';
import type { RgbImage } from '../../src/types.js';

interface Screen {
  readonly width: number;
  readonly height: number;
  readonly boxes: readonly Box[];
  readonly red: readonly number[];
}
const { cases } = JSON.parse(readFileSync('test/golden/screen_marks.json', 'utf8')) as {
  cases: readonly Screen[];
};

const black = (height: number, width: number): RgbImage => ({
  ...{ height, width },
  data: new Uint8Array(height * width * 3),
});
const pixel = ({ width, data }: RgbImage, x: number, y: number): number[] => [
  ...data.slice((y * width + x) * 3, (y * width + x) * 3 + 3),
];

describe('numbered boxes on a screen', () => {
  it.each(cases)('lie where Magma’s agent draws them ($width × $height)', (screen) => {
    const drawn = drawNumberedBoxes(black(screen.height, screen.width), screen.boxes);
    const expected = new Uint8Array(screen.width * screen.height);
    for (let i = 0; i < screen.red.length; i += 2)
      expected.fill(255, ...screen.red.slice(i, i + 2));
    // Red, or a white digit on red.
    expect(drawn.data.filter((_, i) => i % 3 === 0)).toEqual(expected);
  });

  it('carry their numbers from 0, white on red', () => {
    const boxes = [
      { x: 20, y: 40, width: 50, height: 30 },
      { x: 100, y: 40, width: 40, height: 30 },
    ];
    const drawn = drawNumberedBoxes(black(120, 160), boxes);
    // At 160 × 120 a font pixel is 2 × 2 image pixels; farthest from the other box is the place left of the lower left
    // corner: 14 × 18 px from [6, 52]. A 0 has its middle empty and its sides set; rows 2 … 4 of its first column.
    expect(pixel(drawn, 6, 52)).toEqual([255, 0, 0]);
    expect(pixel(drawn, 8, 58)).toEqual([255, 255, 255]);
    expect(pixel(drawn, 12, 60)).toEqual([255, 0, 0]);
    expect(pixel(drawn, 5, 52)).toEqual([0, 0, 0]);
  });

  it('leave the picture itself as it was', () => {
    const image = black(50, 60);
    const drawn = drawNumberedBoxes(image, [{ x: 0, y: 0, width: 60, height: 50 }]);
    expect(image.data.every((value) => value === 0)).toBe(true);
    expect(drawn.data.some((value) => value === 255)).toBe(true);
    expect(drawNumberedBoxes(image, []).data).toEqual(image.data);
  });

  it.each([
    ['half a pixel', { x: 0.5, y: 0, width: 5, height: 5 }],
    ['no width', { x: 0, y: 0, width: 0, height: 5 }],
    ['a corner outside', { x: -1, y: 0, width: 5, height: 5 }],
    ['a far edge outside', { x: 50, y: 0, width: 11, height: 5 }],
    ['no number', { x: NaN, y: 0, width: 5, height: 5 }],
  ])('with %s are refused', (_, box) => {
    const boxes = [{ x: 0, y: 0, width: 5, height: 5 }, box];
    expect(() => drawNumberedBoxes(black(50, 60), boxes)).toThrow('box 1: got');
  });
});
