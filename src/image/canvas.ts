/**
 * Which canvas an image is resized to, and how many tokens it becomes. Integer arithmetic only, as in
 * magma/image_processing_magma.py (select_best_resolution, process_anyres_image). The aspect ratio is not kept.
 */
import { InputError } from '../errors.js';

export interface CanvasRule {
  /** Side of one square crop, px (Magma-8B: 512). */
  readonly cropSize: number;
  /** Largest number of crops (Magma-8B: 4; 1 means every image becomes one square crop). */
  readonly maxCrops: number;
}

/** rows × cols crops, row-major; height = rows · cropSize, width = cols · cropSize. */
export interface Canvas {
  readonly height: number;
  readonly width: number;
  readonly rows: number;
  readonly cols: number;
}

/** The canvas that keeps most of the image's pixels; among equals the smaller one, then the one with fewer columns. */
export function chooseCanvas(
  image: { readonly height: number; readonly width: number },
  rule: CanvasRule,
): Canvas {
  if (rule.maxCrops < 1 || rule.cropSize < 1 || image.height < 1 || image.width < 1)
    throw new InputError(
      'canvas',
      `image ${image.height}×${image.width}, cropSize ${rule.cropSize}, maxCrops ${rule.maxCrops}`,
      'all at least 1',
    );
  let best: { canvas: Canvas; kept: number; wasted: number } | null = null;
  for (const canvas of candidates(rule)) {
    const scale = Math.min(canvas.width / image.width, canvas.height / image.height);
    const scaled = Math.trunc(image.width * scale) * Math.trunc(image.height * scale);
    const kept = Math.min(scaled, image.width * image.height);
    const wasted = canvas.width * canvas.height - kept;
    if (!best || kept > best.kept || (kept === best.kept && wasted < best.wasted))
      best = { canvas, kept, wasted };
  }
  return best!.canvas;
}

function* candidates({ cropSize, maxCrops }: CanvasRule): Generator<Canvas> {
  for (let cols = 1; cols <= maxCrops; cols++)
    for (let rows = 1; rows <= Math.floor(maxCrops / cols); rows++)
      yield { height: rows * cropSize, width: cols * cropSize, rows, cols };
}

/**
 * Tokens of one image: one per cell of the tower's feature map (side `stride` px) plus one separator after every
 * row of cells, the last one included. @throws InputError where the stride does not divide the canvas.
 */
export function visualTokenCount(canvas: Canvas, stride: number): number {
  if (canvas.height % stride !== 0 || canvas.width % stride !== 0)
    throw new InputError('canvas', `${canvas.height}×${canvas.width}`, `multiples of ${stride}`);
  return (canvas.height / stride) * (canvas.width / stride + 1);
}
