/** What an operator sees of a camera: marks, predicted traces and a caption, drawn over the picture. Pure; slow. */
import { drawCircle, drawText, drawTrace, fillBox, markColour, textWidth } from '../image/draw.js';
import type { Mark, MarkTrace, Pixel, RgbImage } from '../types.js';

export interface Overlay {
  readonly marks: readonly Mark[];
  readonly traces: readonly MarkTrace[];
  /** 0 … 1: how opaque marks and traces are; 1 if absent. */
  readonly opacity?: number;
  /** Lines at the lower edge; what is not ASCII becomes `?`, what does not fit is cut. */
  readonly caption: readonly string[];
}

/** Pictures lower than this are enlarged by a whole factor, so that the caption can be read. */
const READABLE_HEIGHT = 360;

/** A new picture. Marks and traces are in pixels of `image`. */
export function annotatedPicture(image: RgbImage, overlay: Overlay): RgbImage {
  const factor = Math.max(1, Math.ceil(READABLE_HEIGHT / image.height));
  const picture = enlarged(image, factor);
  const place = ({ x, y }: Pixel): Pixel => ({ x: x * factor, y: y * factor });
  const width = Math.max(2, picture.height / 180);
  const { opacity = 1 } = overlay;
  for (const { id, start, future } of overlay.traces) {
    const placed = { start: place(start), future: future.map(place) };
    drawTrace(picture, placed, markColour(id), width, opacity);
  }
  for (const { id, at } of overlay.marks) drawMark(picture, id, place(at), { width, opacity });
  drawCaption(picture, overlay.caption);
  return picture;
}

/** Every pixel becomes factor × factor pixels. A copy also for 1. */
function enlarged({ height, width, data }: RgbImage, factor: number): RgbImage {
  if (factor === 1) return { height, width, data: data.slice() };
  const row = width * factor * 3;
  const large = new Uint8Array(height * factor * row);
  for (let y = 0; y < height; y++) {
    const top = y * factor * row;
    for (let x = 0, to = top; x < width; x++)
      for (let i = 0; i < factor; i++)
        for (let c = 0; c < 3; c++) large[to++] = data[(y * width + x) * 3 + c]!;
    for (let i = 1; i < factor; i++) large.copyWithin(top + i * row, top, top + row);
  }
  return { height: height * factor, width: width * factor, data: large };
}

function drawMark(
  picture: RgbImage,
  id: number,
  at: Pixel,
  { width, opacity }: { readonly width: number; readonly opacity: number },
): void {
  const colour = markColour(id);
  drawCircle(picture, at, width * 2.5, { colour, width, opacity });
  const beside = { x: at.x + width * 4, y: at.y - width * 4 };
  drawText(picture, String(id), beside, width * 5, colour, opacity);
}

function drawCaption(picture: RgbImage, lines: readonly string[]): void {
  const height = Math.max(9, Math.round(picture.height / 45));
  const step = Math.round(height * 1.7);
  const margin = Math.round(height * 0.6);
  const top = picture.height - lines.length * step - margin;
  if (lines.length === 0 || top < 0) return;
  const box = { x: 0, y: top, width: picture.width, height: picture.height - top };
  fillBox(picture, box, [16, 16, 24], 0.65);
  const most = Math.floor((picture.width - 2 * margin) / textWidth('x', height));
  lines.forEach((line, i) => {
    const text = printable(line).slice(0, Math.max(most, 0));
    drawText(picture, text, { x: margin, y: top + margin + i * step }, height, [255, 255, 255]);
  });
}

function printable(line: string): string {
  return Array.from(line, (letter) => (letter >= ' ' && letter <= '~' ? letter : '?')).join('');
}
