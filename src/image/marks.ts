/**
 * Set-of-Mark, drawn Magma's way: a red disc with a white number at each point (data/utils/som_tom.py there). These
 * pixels reach the model, so they are made by integer arithmetic alone and the digits are our own: every machine, and
 * the training data, draws the same bytes.
 */
import { InputError } from '../errors.js';
import type { Mark, RgbImage } from '../types.js';
import { asciiFont, digitFont, glyphPixel, type Font } from './glyphs.js';

const discColour = [255, 0, 0] as const;
const digitColour = [255, 255, 255] as const;

/** A copy of the image with the marks drawn in their order: later ones lie on top. Clipped at the border. */
export function drawMarks(image: RgbImage, marks: readonly Mark[]): RgbImage {
  const marked = { ...image, data: image.data.slice() };
  for (const mark of marks) drawMark(marked, mark);
  return marked;
}

/**
 * Radius in px of the disc around a mark with `digits` digits; it covers 2 · radius + 1 pixels. One digit: a fortieth of
 * the image's shorter side (Magma's discs are 3–5 % of the width across), at least 4, so 9 px across on 128×128.
 * Longer numbers keep the size of their digits and widen the disc.
 */
export function markRadius(image: Size, digits: number): number {
  const lettering = letteringFor(image);
  let radius = baseRadius(image);
  while (!fits(lettering, digits, radius)) radius++;
  return radius;
}

interface Size {
  readonly height: number;
  readonly width: number;
}

export interface Lettering {
  readonly font: Font;
  /** Each font pixel becomes scale × scale image pixels. */
  readonly scale: number;
}

function drawMark(image: RgbImage, { id, at }: Mark): void {
  if (!Number.isInteger(id) || id < 0 || !isFinite(at.x) || !isFinite(at.y))
    throw new InputError(
      'mark',
      `id ${id} at [${at.x}, ${at.y}]`,
      'a whole id of at least 0 at a finite pixel',
    );
  const number = String(id);
  const [x, y] = [Math.floor(at.x), Math.floor(at.y)];
  drawDisc(image, x, y, markRadius(image, number.length));
  drawNumber(image, x, y, number, letteringFor(image));
}

function baseRadius(image: Size): number {
  return Math.max(4, Math.floor(Math.min(image.height, image.width) / 40));
}

/** The finer font where it fits, as large as one digit may be. */
function letteringFor(image: Size): Lettering {
  const radius = baseRadius(image);
  const font = fits({ font: asciiFont, scale: 1 }, 1, radius) ? asciiFont : digitFont;
  let scale = 1;
  while (fits({ font, scale: scale + 1 }, 1, radius)) scale++;
  return { font, scale };
}

/** Whether the box around the number lies within the disc, a thin red rim around it. */
function fits({ font, scale }: Lettering, digits: number, radius: number): boolean {
  const height = font.height * scale;
  const width = numberWidth(font, digits) * scale;
  return height * height + width * width <= 4 * radius * radius;
}

/** In font pixels; one empty column between digits. */
export function numberWidth(font: Font, digits: number): number {
  return digits * (font.width + 1) - 1;
}

/** Pixels with dx² + dy² ≤ r² + r: the disc of radius r + ½ around the centre of pixel (x, y). */
function drawDisc(image: RgbImage, x: number, y: number, radius: number): void {
  for (let dy = -radius; dy <= radius; dy++)
    for (let dx = -radius; dx <= radius; dx++)
      if (dx * dx + dy * dy <= radius * radius + radius)
        setPixel(image, x + dx, y + dy, discColour);
}

function drawNumber(
  image: RgbImage,
  x: number,
  y: number,
  number: string,
  lettering: Lettering,
): void {
  const { font, scale } = lettering;
  const left = x - ((numberWidth(font, number.length) * scale) >> 1);
  const top = y - ((font.height * scale) >> 1);
  drawDigits(image, left, top, number, lettering);
}

/** White digits with their top-left corner at (left, top); see numberWidth. Clipped at the border. */
export function drawDigits(
  image: RgbImage,
  left: number,
  top: number,
  number: string,
  { font, scale }: Lettering,
): void {
  for (let place = 0; place < number.length; place++)
    for (let row = 0; row < font.height * scale; row++)
      for (let col = 0; col < font.width * scale; col++)
        if (glyphPixel(font, number[place]!, Math.floor(col / scale), Math.floor(row / scale)))
          setPixel(image, left + place * (font.width + 1) * scale + col, top + row, digitColour);
}

/** One pixel, if it is one of the image's. */
export function setPixel(image: RgbImage, x: number, y: number, colour: readonly number[]): void {
  if (x < 0 || y < 0 || x >= image.width || y >= image.height) return;
  image.data.set(colour, (y * image.width + x) * 3);
}
