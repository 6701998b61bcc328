/**
 * Numbered boxes on a screenshot, drawn Magma's way: red outlines, and white numbers on red at the corner of each box
 * where they cover least of the others (agents/ui_agent/util/som.py there: plot_boxes_with_marks). These pixels reach the
 * model, so they are made by exact arithmetic and the digits are our own (Magma's are Arial of about the same size).
 */
import { InputError } from '../errors.js';
import type { RgbImage } from '../types.js';
import { asciiFont } from './glyphs.js';
import { drawDigits, numberWidth, setPixel, type Lettering } from './marks.js';

/** Whole pixels: the top-left corner and the size. */
export interface Box {
  readonly x: number;
  readonly y: number;
  readonly width: number;
  readonly height: number;
}

const red = [255, 0, 0] as const;
const lineWidth = 2;

/** A copy of the image with box k numbered k, from 0. @throws InputError for a box that is not on the image. */
export function drawNumberedBoxes(image: RgbImage, boxes: readonly Box[]): RgbImage {
  const drawn = { ...image, data: image.data.slice() };
  boxes.forEach((box, k) => checkBox(box, image, `box ${k}`));
  for (const box of boxes) drawOutline(drawn, box);
  const lettering = letteringFor(image);
  const labels: Box[] = [];
  boxes.forEach((box, k) => {
    const number = String(k);
    const label = placeLabel(box, boxes, labels, labelSize(number, lettering), image);
    fill(drawn, label);
    const { scale } = lettering;
    drawDigits(drawn, label.x + scale, label.y + scale, number, lettering);
    labels.push(label);
  });
  return drawn;
}

function checkBox({ x, y, width, height }: Box, image: RgbImage, where: string): void {
  const isWhole = [x, y, width, height].every(Number.isInteger);
  const isInside = x >= 0 && y >= 0 && x + width <= image.width && y + height <= image.height;
  if (isWhole && isInside && width > 0 && height > 0) return;
  const got = `${width}×${height} at [${x}, ${y}]`;
  throw new InputError(where, got, `whole pixels within ${image.width}×${image.height}`);
}

/** Two pixels inwards; the far edges are those at x + width and y + height, as Pillow draws a rectangle. */
function drawOutline(image: RgbImage, { x, y, width, height }: Box): void {
  for (let i = 0; i < lineWidth; i++) {
    for (let col = x; col <= x + width; col++) {
      setPixel(image, col, y + i, red);
      setPixel(image, col, y + height - i, red);
    }
    for (let row = y; row <= y + height; row++) {
      setPixel(image, x + i, row, red);
      setPixel(image, x + width - i, row, red);
    }
  }
}

/** A pixel more than the box is wide and high, as Pillow fills a rectangle. */
function fill(image: RgbImage, { x, y, width, height }: Box): void {
  for (let row = y; row <= y + height; row++)
    for (let col = x; col <= x + width; col++) setPixel(image, col, row, red);
}

/**
 * Numbers as high as Magma's: 4 % of the shorter side, at least 18 px (Arial of 20 points) and at most 30, in whole
 * multiples of the font with a margin of one font pixel.
 */
function letteringFor({ height, width }: RgbImage): Lettering {
  const target = Math.max(18, Math.min(30, 0.04 * Math.min(height, width)));
  return { font: asciiFont, scale: Math.floor(target / (asciiFont.height + 2)) };
}

interface Size {
  readonly width: number;
  readonly height: number;
}

function labelSize(number: string, { font, scale }: Lettering): Size {
  return {
    width: (numberWidth(font, number.length) + 2) * scale,
    height: (font.height + 2) * scale,
  };
}

/**
 * Of eight places around the box, in Magma's order, the first whose worst overlap with another box or label is smallest;
 * among those that overlap nothing the one that is farthest from all of them. Above the top-left corner where no place
 * lies on the image.
 */
function placeLabel(
  box: Box,
  boxes: readonly Box[],
  labels: readonly Box[],
  { width, height }: Size,
  image: Size,
): Box {
  const { x, y } = box;
  const [right, bottom] = [x + box.width, y + box.height];
  const places = [
    { x, y: y - height },
    { x: right - width, y: y - height },
    { x: right, y },
    { x: right, y: bottom - height },
    { x: right - width, y: bottom },
    { x, y: bottom },
    { x: x - width, y: bottom - height },
    { x: x - width, y },
  ].map((corner): Box => ({ ...corner, width, height }));
  const others = [...boxes.filter((other) => !isSame(other, box)), ...labels];
  let best = places[0]!;
  let least = Infinity;
  for (const place of places) {
    const isOn =
      place.x >= 0 &&
      place.y >= 0 &&
      place.x + width <= image.width &&
      place.y + height <= image.height;
    if (!isOn) continue;
    const worst = others.reduce(
      (most, other) => Math.max(most, overlap(place, other) - 0.0001 * apart(place, other)),
      -(image.width + image.height),
    );
    if (worst < least) [best, least] = [place, worst];
  }
  return best;
}

function isSame(a: Box, b: Box): boolean {
  return a.x === b.x && a.y === b.y && a.width === b.width && a.height === b.height;
}

/** Shared area, px². */
function overlap(a: Box, b: Box): number {
  const width = Math.min(a.x + a.width, b.x + b.width) - Math.max(a.x, b.x);
  const height = Math.min(a.y + a.height, b.y + b.height) - Math.max(a.y, b.y);
  return Math.max(0, width) * Math.max(0, height);
}

/** Between the two corners, one of each, that are nearest to one another, px. */
function apart(a: Box, b: Box): number {
  let nearest = Infinity;
  for (const [ax, ay] of corners(a))
    for (const [bx, by] of corners(b))
      nearest = Math.min(nearest, (ax - bx) * (ax - bx) + (ay - by) * (ay - by));
  return Math.sqrt(nearest);
}

function corners({ x, y, width, height }: Box): readonly (readonly [number, number])[] {
  return [
    [x, y],
    [x + width, y],
    [x, y + height],
    [x + width, y + height],
  ];
}
