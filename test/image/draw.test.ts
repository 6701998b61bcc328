import { describe, expect, it } from '@jest/globals';
import {
  copyImage,
  drawArrow,
  drawCircle,
  drawDisc,
  drawLine,
  drawText,
  drawTrace,
  fillBox,
  markColour,
  textWidth,
} from '../../src/image/draw.js';
import type { RgbImage } from '../../src/types.js';

function black(height: number, width: number): RgbImage {
  return { height, width, data: new Uint8Array(height * width * 3) };
}

function at(image: RgbImage, x: number, y: number): number[] {
  const i = (y * image.width + x) * 3;
  return Array.from(image.data.subarray(i, i + 3));
}

const white = [255, 255, 255] as const;

describe('drawLine', () => {
  it('covers whole pixels fully and half pixels half', () => {
    const image = black(7, 12);
    // 2 px wide around y = 3: rows 2 and 3 in full. Around y = 3.5: row 3 in full, rows 2 and 4 half.
    drawLine(image, [{ x: 0, y: 3 }, { x: 5, y: 3 }], { colour: white, width: 2, opacity: 1 }); // prettier-ignore
    expect([1, 2, 3, 4].map((y) => at(image, 2, y)[0])).toEqual([0, 255, 255, 0]);
    const half = black(7, 12);
    drawLine(half, [{ x: 0, y: 3.5 }, { x: 12, y: 3.5 }], { colour: white, width: 2, opacity: 1 }); // prettier-ignore
    expect([1, 2, 3, 4, 5].map((y) => at(half, 2, y)[0])).toEqual([0, 128, 255, 128, 0]);
  });

  it('blends with its opacity once, also where its pieces meet', () => {
    const image = black(9, 9);
    const points = [{ x: 1, y: 4.5 }, { x: 4.5, y: 4.5 }, { x: 8, y: 4.5 }]; // prettier-ignore
    drawLine(image, points, { colour: [200, 100, 0], width: 3, opacity: 0.5 });
    expect(at(image, 4, 4)).toEqual([100, 50, 0]);
  });
});

describe('everything drawn', () => {
  const pen = { colour: white, width: 3, opacity: 1 };
  const shapes: [string, (image: RgbImage, shift: number) => void][] = [
    ['a disc', (image, s) => drawDisc(image, { x: 10 + s, y: 10 }, pen)],
    ['a circle', (image, s) => drawCircle(image, { x: 10 + s, y: 10 }, 6, pen)],
    ['an arrow', (image, s) => drawArrow(image, { x: 3 + s, y: 3 }, { x: 17 + s, y: 12 }, pen)],
    ['text', (image, s) => drawText(image, 'ok', { x: 3 + s, y: 4 }, 9, white)],
    [
      'a trace',
      (image, s) =>
        drawTrace(image, { start: { x: 4 + s, y: 4 }, future: [{ x: 15 + s, y: 14 }] }, white, 2),
    ],
    ['a box', (image, s) => fillBox(image, { x: 3 + s, y: 3, width: 9, height: 9 }, white, 1)],
  ];
  for (const [name, draw] of shapes)
    it(`${name} shows inside and is clipped outside the picture`, () => {
      const image = black(20, 20);
      draw(image, 0);
      expect(Math.max(...image.data)).toBeGreaterThan(150);
      for (const shift of [-13, 13, -1000]) {
        const before = black(20, 20);
        expect(() => draw(before, shift)).not.toThrow();
        if (shift === -1000) expect(before).toEqual(black(20, 20));
      }
    });
});

describe('drawText', () => {
  it('stands upright: an L has its foot at the lower right', () => {
    const image = black(40, 40);
    drawText(image, 'L', { x: 5, y: 5 }, 28, white); // 4 px per font pixel: 20 × 28
    expect(at(image, 7, 7)).toEqual([255, 255, 255]);
    expect(at(image, 7, 31)).toEqual([255, 255, 255]);
    expect(at(image, 23, 31)).toEqual([255, 255, 255]);
    expect(at(image, 23, 7)).toEqual([0, 0, 0]);
    expect(textWidth('L', 28)).toBe(24);
  });
});

describe('drawTrace', () => {
  it('fades: the last step is dimmer than the first', () => {
    const image = black(20, 100);
    const future = [30, 50, 70, 90].map((x) => ({ x, y: 10 }));
    drawTrace(image, { start: { x: 10, y: 10 }, future }, white, 4);
    expect(at(image, 20, 10)[0]).toBeGreaterThan(at(image, 80, 10)[0]! + 50);
  });
});

describe('markColour and copyImage', () => {
  it('gives neighbouring ids different colours, and every id one', () => {
    expect(markColour(1)).not.toEqual(markColour(2));
    expect(markColour(9)).toEqual(markColour(1));
    expect(markColour(0)).toHaveLength(3);
  });

  it('copies the pixels', () => {
    const image = black(2, 2);
    const copy = copyImage(image);
    copy.data[0] = 9;
    expect(image.data[0]).toBe(0);
  });
});
