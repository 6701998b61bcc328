/**
 * Set-of-Mark: which points of a picture are marked. Marks have ids 1 … N, lie inside the picture and keep a distance, so
 * that every number drawn can be read. Drawing them is image/marks.ts.
 */
import { interestPoints } from '../image/opencv.js';
import { markRadius } from '../image/marks.js';
import type { Mark, Pixel, RgbImage } from '../types.js';
import type { TraceAnswer } from './contract.js';

/** How many marks a picture may carry. */
export type MarkCount = TraceAnswer['marks'];

interface Size {
  readonly height: number;
  readonly width: number;
}

/** Two discs of one digit side by side, one pixel between them. */
export function markSpacing(image: Size): number {
  return 2 * markRadius(image, 1) + 2;
}

/**
 * The caller's points (gripper, objects), most important first, as marks. A point outside the picture, closer than
 * `spacing` px to one before it, or beyond `max` is left out; the ids of the others follow on.
 */
export function marksAt(
  points: readonly Pixel[],
  image: Size,
  max: number,
  spacing: number = markSpacing(image),
): Mark[] {
  const kept: Pixel[] = [];
  for (const point of points) {
    if (kept.length >= max) break;
    if (isInside(point, image) && kept.every((other) => isApart(point, other, spacing)))
      kept.push(point);
  }
  return kept.map((at, index) => ({ id: index + 1, at }));
}

/**
 * Marks at the picture's corners, strongest first: the same on every machine. Where there are fewer corners than `min`
 * (a blank wall), points of a regular grid fill up. Loads OpenCV at its first use (0.4 s).
 */
export async function marksOfInterest(image: RgbImage, { min, max }: MarkCount): Promise<Mark[]> {
  const corners = await interestPoints(image, max, markSpacing(image));
  const marks = marksAt(corners, image, max);
  return marks.length >= min ? marks : marksAt([...corners, ...gridPoints(image)], image, min);
}

/** Whether a mark may be drawn at this point: finite, and on a pixel of the picture. */
export function isInside({ x, y }: Pixel, { height, width }: Size): boolean {
  return x >= 0 && y >= 0 && x < width && y < height;
}

function isApart(a: Pixel, b: Pixel, spacing: number): boolean {
  return Math.hypot(a.x - b.x, a.y - b.y) >= spacing;
}

/** Centres of 4 × 4 equal fields, row by row. */
function gridPoints({ height, width }: Size): Pixel[] {
  return Array.from({ length: 16 }, (_, i) => ({
    x: (((i % 4) + 0.5) * width) / 4,
    y: ((Math.floor(i / 4) + 0.5) * height) / 4,
  }));
}
