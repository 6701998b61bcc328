import { describe, expect, it } from '@jest/globals';
import {
  availableOpenCv,
  interestPoints,
  nativeOpenCv,
  portableOpenCv,
  type Homography,
  type OpenCv,
} from '../../src/image/opencv.js';
import type { Pixel, RgbImage } from '../../src/types.js';
import { largestDifference, picture } from './golden.js';

/** Grey 60 with white boxes [x, y, width, height]. */
function boxes(height: number, width: number, list: [number, number, number, number][]): RgbImage {
  const data = new Uint8Array(height * width * 3).fill(60);
  for (const [left, top, w, h] of list)
    for (let y = top; y < top + h; y++)
      data.fill(255, (y * width + left) * 3, (y * width + left + w) * 3);
  return { height, width, data };
}

const scene = boxes(60, 80, [
  [10, 10, 20, 15],
  [50, 30, 12, 20],
]);
const sceneCorners: readonly Pixel[] = [
  ...[10, 30].flatMap((x) => [10, 25].map((y) => ({ x, y }))),
  ...[50, 62].flatMap((x) => [30, 50].map((y) => ({ x, y }))),
];

function nearest(point: Pixel, others: readonly Pixel[]): number {
  return Math.min(...others.map((other) => Math.hypot(point.x - other.x, point.y - other.y)));
}

function mapped(h: Homography, { x, y }: Pixel): Pixel {
  const w = h[6]! * x + h[7]! * y + h[8]!;
  return { x: (h[0]! * x + h[1]! * y + h[2]!) / w, y: (h[3]! * x + h[4]! * y + h[5]!) / w };
}

const tilt: Homography = [0.9, 0.1, 5, -0.05, 1.1, 2, 0.0005, -0.0003, 1];
const grid = Array.from({ length: 30 }, (_, i) => ({ x: (i % 6) * 12, y: Math.floor(i / 6) * 11 }));

const native = nativeOpenCv();
const builds: [string, () => Promise<OpenCv>][] = [['opencv-js', portableOpenCv]];
if (native.ok) builds.push(['opencv4nodejs', () => Promise.resolve(native.value)]);

for (const [name, build] of builds)
  describe(name, () => {
    it('finds the corners of two boxes and nothing else', async () => {
      const points = (await build()).corners(scene, 20, 5);
      expect(points).toHaveLength(8);
      for (const point of points) expect(nearest(point, sceneCorners)).toBeLessThan(1.5);
      for (const corner of sceneCorners) expect(nearest(corner, points)).toBeLessThan(1.5);
    });

    it('keeps to the number and the distance asked for', async () => {
      const { corners } = await build();
      expect(corners(scene, 3, 5)).toHaveLength(3);
      const apart = corners(scene, 20, 18);
      for (const [i, point] of apart.entries())
        expect(nearest(point, apart.toSpliced(i, 1))).toBeGreaterThanOrEqual(18);
      expect(corners(boxes(20, 20, []), 20, 5)).toEqual([]);
    });

    it('recovers a homography from exact points, and in spite of a fifth of outliers', async () => {
      const { homography } = await build();
      const to = grid.map((point) => mapped(tilt, point));
      expect(largestDifference(homography(grid, to)!, tilt)).toBeLessThan(1e-3);
      const spoilt = to.map((point, i) =>
        i % 5 === 0 ? { x: 70 - point.x, y: point.y + 40 } : point,
      );
      expect(largestDifference(homography(grid, spoilt)!, tilt)).toBeLessThan(1e-2);
    });

    it('finds no plane in points of one line', async () => {
      const line = grid.map((_, i) => ({ x: i, y: 2 * i }));
      const moved = (await build()).homography(line, grid);
      if (moved !== null) expect(moved.every(Number.isFinite)).toBe(true);
      await expect(
        build().then((cv) => cv.homography(grid.slice(0, 3), grid.slice(0, 3))),
      ).rejects.toThrow('got 3 and 3 points, expected two lists of one length, at least 4');
    });

    it('warps by whole pixels without touching values, black where nothing comes in', async () => {
      const right3down2: Homography = [1, 0, 3, 0, 1, 2, 0, 0, 1];
      const source = picture('wide');
      const moved = (await build()).warp(source, right3down2);
      const at = (image: RgbImage, y: number, x: number): number[] =>
        Array.from(image.data.subarray((y * 32 + x) * 3, (y * 32 + x) * 3 + 3));
      for (const [y, x] of [
        [2, 3],
        [10, 20],
        [23, 31],
      ] as const)
        // prettier-ignore
        expect(at(moved, y, x)).toEqual(at(source, y - 2, x - 3));
      expect(at(moved, 1, 20)).toEqual([0, 0, 0]);
      expect(at(moved, 10, 2)).toEqual([0, 0, 0]);
    });

    it('turns a picture about its own middle: half a turn reverses the pixels', async () => {
      const halfTurn: Homography = [-1, 0, 32, 0, -1, 24, 0, 0, 1]; // x → 32 − x in corner-based pixels
      const source = picture('wide');
      const turned = (await build()).warp(source, halfTurn);
      const pixel = (i: number): number[] => Array.from(source.data.subarray(3 * i, 3 * i + 3));
      const reversed = Array.from({ length: 24 * 32 }, (_, i) => pixel(24 * 32 - 1 - i)).flat();
      expect(Array.from(turned.data)).toEqual(reversed);
    });
  });

describe('interestPoints', () => {
  it('is the WebAssembly build, so that marks on model input never depend on what is installed', async () => {
    const wide = picture('wide');
    const points = await interestPoints(wide, 6, 4);
    expect(points).toEqual((await portableOpenCv()).corners(wide, 6, 4));
    // The bits of 4.12.0: another build or version that chose differently would change predictions.
    expect(points.map(({ x, y }) => [x, y])).toEqual([
      ...[[19.5, 16.5], [1.5, 6.5], [5.5, 21.5]], // prettier-ignore
      ...[[28.5, 13.5], [8.5, 1.5], [20.5, 1.5]], // prettier-ignore
    ]);
  });
});

describe('availableOpenCv', () => {
  it('is the native build exactly where there is one', async () => {
    expect((await availableOpenCv()).build).toBe(native.ok ? 'opencv4nodejs' : 'opencv-js');
  });

  const withNative = native.ok ? it : it.skip;
  withNative(`agrees with opencv-js${native.ok ? '' : ` (skipped: ${native.why})`}`, async () => {
    const [fast, portable] = [await availableOpenCv(), await portableOpenCv()];
    for (const point of fast.corners(scene, 8, 5))
      expect(nearest(point, portable.corners(scene, 8, 5))).toBeLessThan(1.5);
    const to = grid.map((point) => mapped(tilt, point));
    const [a, b] = [fast.homography(grid, to)!, portable.homography(grid, to)!];
    expect(largestDifference(a, b)).toBeLessThan(1e-3);
    const warped = [fast, portable].map((cv) => cv.warp(picture('wide'), tilt).data);
    expect(largestDifference(warped[0]!, warped[1]!)).toBeLessThanOrEqual(3);
  });
});
