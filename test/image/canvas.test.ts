import { describe, expect, it } from '@jest/globals';
import { chooseCanvas, visualTokenCount } from '../../src/image/canvas.js';

const magma8b = { cropSize: 512, maxCrops: 4 };

describe("chooseCanvas with Magma-8B's rule", () => {
  // [image width, height] → [canvas width, height], visual tokens at stride 32.
  const table: readonly [number, number, number, number, number][] = [
    [224, 224, 512, 512, 272], // 16 · 17
    [256, 256, 512, 512, 272],
    [320, 240, 512, 512, 272],
    [512, 512, 512, 512, 272],
    [640, 480, 1024, 512, 528], // 16 · 33
    [848, 480, 1024, 512, 528],
    [480, 640, 512, 1024, 544], // 32 · 17
    [1280, 720, 1024, 1024, 1056], // 32 · 33
    [1920, 1080, 1024, 1024, 1056],
  ];
  for (const [width, height, canvasWidth, canvasHeight, tokens] of table)
    it(`resizes ${width}×${height} to ${canvasWidth}×${canvasHeight}, ${tokens} tokens`, () => {
      const canvas = chooseCanvas({ height, width }, magma8b);
      expect([canvas.width, canvas.height]).toEqual([canvasWidth, canvasHeight]);
      expect([canvas.rows, canvas.cols]).toEqual([canvasHeight / 512, canvasWidth / 512]);
      expect(visualTokenCount(canvas, 32)).toBe(tokens);
    });

  it('gives a panorama a row of four crops', () => {
    expect(chooseCanvas({ height: 300, width: 2000 }, magma8b)).toEqual({
      height: 512,
      width: 2048,
      rows: 1,
      cols: 4,
    });
  });

  it('counts 8 separators beside the 64 cells of a 128 px canvas at stride 16', () => {
    const canvas = chooseCanvas({ height: 480, width: 640 }, { cropSize: 128, maxCrops: 1 });
    expect(canvas).toEqual({ height: 128, width: 128, rows: 1, cols: 1 });
    expect(visualTokenCount(canvas, 16)).toBe(72);
  });

  it('refuses an empty image and a stride that does not fit', () => {
    expect(() => chooseCanvas({ height: 0, width: 4 }, magma8b)).toThrow('expected all at least 1');
    const canvas = chooseCanvas({ height: 9, width: 9 }, magma8b);
    expect(() => visualTokenCount(canvas, 30)).toThrow(
      'canvas: got 512×512, expected multiples of 30',
    );
  });
});
