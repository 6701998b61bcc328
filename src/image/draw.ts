/**
 * Pictures for people: anti-aliased lines, discs, arrows and text with a dark outline that stands out on any image.
 * Never model input (that is marks.ts). Everything draws in place, clipped at the border; coordinates are pixels with
 * the origin at the top-left corner of the top-left pixel.
 */
import type { Pixel, RgbImage } from '../types.js';
import { asciiFont, glyphPixel } from './glyphs.js';

export type Colour = readonly [number, number, number];

export interface Pen {
  readonly colour: Colour;
  /** Px. */
  readonly width: number;
  /** 0 … 1. */
  readonly opacity: number;
}

/** Colours that differ from each other and from wood, felt and robots. Mark 1 takes the first. */
const palette: readonly Colour[] = [
  [255, 214, 10],
  [0, 200, 255],
  [255, 105, 180],
  [120, 230, 60],
  [255, 140, 0],
  [170, 130, 255],
  [0, 230, 180],
  [255, 255, 255],
];

const outline: Colour = [16, 16, 24];

/** The colour of a mark and of its trace, the same in every picture. */
export function markColour(id: number): Colour {
  return palette[(((id - 1) % palette.length) + palette.length) % palette.length]!;
}

/** A copy to draw on. */
export function copyImage(image: RgbImage): RgbImage {
  return { ...image, data: image.data.slice() };
}

/** An open line through the points, round at its corners and ends. */
export function drawLine(image: RgbImage, points: readonly Pixel[], pen: Pen): void {
  paint(image, segmentsThrough(points), pen);
}

/** The same with a dark rim of a third of the width (at least 1 px) around it. */
export function drawOutlinedLine(image: RgbImage, points: readonly Pixel[], pen: Pen): void {
  const rim = { ...pen, colour: outline, width: pen.width + 2 * Math.max(1, pen.width / 3) };
  drawLine(image, points, rim);
  drawLine(image, points, pen);
}

export function drawDisc(image: RgbImage, centre: Pixel, pen: Pen): void {
  drawOutlinedLine(image, [centre, centre], pen);
}

/** A ring of `radius` around the centre. */
export function drawCircle(image: RgbImage, centre: Pixel, radius: number, pen: Pen): void {
  const corners = Math.max(16, Math.ceil(radius * 2));
  const points = Array.from({ length: corners + 1 }, (_, i) => {
    const angle = (2 * Math.PI * i) / corners;
    return { x: centre.x + radius * Math.cos(angle), y: centre.y + radius * Math.sin(angle) };
  });
  drawOutlinedLine(image, points, pen);
}

/** A line from → to whose head is four widths long, at most half the line. */
export function drawArrow(image: RgbImage, from: Pixel, to: Pixel, pen: Pen): void {
  const length = Math.hypot(to.x - from.x, to.y - from.y);
  if (length === 0) return;
  const [ux, uy] = [(to.x - from.x) / length, (to.y - from.y) / length];
  const head = Math.min(4 * pen.width, length / 2);
  const wing = (side: number): Pixel => ({
    x: to.x - head * (ux + 0.6 * side * uy),
    y: to.y - head * (uy - 0.6 * side * ux),
  });
  const segments = segmentsThrough([from, to, wing(1), to, wing(-1)]);
  paint(image, segments, { ...pen, colour: outline, width: pen.width + 2 });
  paint(image, segments, pen);
}

/**
 * Where a mark is predicted to go: from `start` through `future`, one dot per step, fading towards the far end. The
 * dark rim lies under the whole trace, so that crossing traces stay apart. `fresh` 0 … 1: how opaque its start is.
 */
export function drawTrace(
  image: RgbImage,
  trace: { readonly start: Pixel; readonly future: readonly Pixel[] },
  colour: Colour,
  width: number,
  fresh = 1,
): void {
  const points = [trace.start, ...trace.future];
  drawLine(image, points, { colour: outline, width: width + 2, opacity: 0.6 * fresh });
  for (let step = 1; step < points.length; step++) {
    const opacity = fresh * (1 - (0.5 * (step - 1)) / Math.max(points.length - 2, 1));
    drawLine(image, points.slice(step - 1, step + 1), { colour, width, opacity });
    drawDisc(image, points[step]!, { colour, width: width * 1.8, opacity });
  }
}

/**
 * Printable ASCII with its top-left corner at `at`; `height` is that of a capital, px. The bitmap font becomes strokes
 * (neighbouring set pixels are joined), so it is smooth at every size.
 */
export function drawText(
  image: RgbImage,
  text: string,
  at: Pixel,
  height: number,
  colour: Colour,
  opacity = 1,
): void {
  const scale = height / asciiFont.height;
  const place = (col: number, row: number): Pixel => ({
    x: at.x + (col + 0.5) * scale,
    y: at.y + (row + 0.5) * scale,
  });
  const letters = Array.from(text, (character, i) =>
    strokes(character).map(([a, b]): Segment => {
      const left = i * (asciiFont.width + 1);
      return [place(left + a[0], a[1]), place(left + b[0], b[1])];
    }),
  );
  const pen = { colour, width: Math.max(scale, 1), opacity };
  for (const letter of letters)
    paint(image, letter, { ...pen, colour: outline, width: pen.width + 2 });
  for (const letter of letters) paint(image, letter, pen);
}

/** Width in px that `drawText` takes. */
export function textWidth(text: string, height: number): number {
  return (text.length * (asciiFont.width + 1) * height) / asciiFont.height;
}

/** Blends a colour over a box of whole pixels: the ground for a caption. */
export function fillBox(
  image: RgbImage,
  box: { readonly x: number; readonly y: number; readonly width: number; readonly height: number },
  colour: Colour,
  opacity: number,
): void {
  const right = Math.min(box.x + box.width, image.width);
  const bottom = Math.min(box.y + box.height, image.height);
  for (let y = Math.max(box.y, 0); y < bottom; y++)
    for (let x = Math.max(box.x, 0); x < right; x++) blend(image, x, y, colour, opacity);
}

type Segment = readonly [Pixel, Pixel];
type Cell = readonly [number, number];

function segmentsThrough(points: readonly Pixel[]): Segment[] {
  if (points.length === 1) return [[points[0]!, points[0]!]];
  return points.slice(1).map((point, i) => [points[i]!, point] as const);
}

/** Pairs of font pixels to join: neighbours side by side, and diagonal ones that nothing else joins. */
function strokes(character: string): [Cell, Cell][] {
  const set = (x: number, y: number): boolean => glyphPixel(asciiFont, character, x, y);
  const joins: [Cell, Cell][] = [];
  for (let y = 0; y < asciiFont.height; y++)
    for (let x = 0; x < asciiFont.width; x++) {
      if (!set(x, y)) continue;
      joins.push([[x, y], [x, y]]); // prettier-ignore
      if (set(x + 1, y)) joins.push([[x, y], [x + 1, y]]); // prettier-ignore
      if (set(x, y + 1)) joins.push([[x, y], [x, y + 1]]); // prettier-ignore
      for (const side of [-1, 1])
        if (set(x + side, y + 1) && !set(x + side, y) && !set(x, y + 1))
          joins.push([[x, y], [x + side, y + 1]]); // prettier-ignore
    }
  return joins;
}

/** Covers every pixel by how far its centre lies inside half the pen's width of the nearest segment, once. */
function paint(image: RgbImage, segments: readonly Segment[], pen: Pen): void {
  const reach = pen.width / 2 + 0.5;
  const coverage = new Map<number, number>();
  for (const [a, b] of segments) {
    const left = Math.max(Math.floor(Math.min(a.x, b.x) - reach), 0);
    const right = Math.min(Math.ceil(Math.max(a.x, b.x) + reach), image.width);
    const top = Math.max(Math.floor(Math.min(a.y, b.y) - reach), 0);
    const bottom = Math.min(Math.ceil(Math.max(a.y, b.y) + reach), image.height);
    for (let y = top; y < bottom; y++)
      for (let x = left; x < right; x++) {
        const covered = Math.min(reach - distance({ x: x + 0.5, y: y + 0.5 }, a, b), 1);
        const at = y * image.width + x;
        if (covered > (coverage.get(at) ?? 0)) coverage.set(at, covered);
      }
  }
  for (const [at, covered] of coverage)
    blend(image, at % image.width, Math.floor(at / image.width), pen.colour, pen.opacity * covered);
}

/** From a point to the segment a–b, px. */
function distance(point: Pixel, a: Pixel, b: Pixel): number {
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const square = dx * dx + dy * dy;
  const along = square === 0 ? 0 : ((point.x - a.x) * dx + (point.y - a.y) * dy) / square;
  const t = Math.min(Math.max(along, 0), 1);
  return Math.hypot(point.x - a.x - t * dx, point.y - a.y - t * dy);
}

function blend(image: RgbImage, x: number, y: number, colour: Colour, opacity: number): void {
  const at = (y * image.width + x) * 3;
  for (let c = 0; c < 3; c++) {
    const under = image.data[at + c]!;
    image.data[at + c] = Math.round(under + (colour[c]! - under) * opacity);
  }
}
