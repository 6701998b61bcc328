/**
 * Several pictures in one run of the vision graph. Pictures of one grid of crops, one above the other, are a taller grid:
 * the graph stitches row by row, so that the visual tokens of each stay together, and in order (model/graphs.ts).
 */
import { ModelError } from '../errors.js';
import type { CropTensor } from '../image/pixels.js';
import type { VisionEncoder, VisualTokens } from './vision.js';

/**
 * Crops that go through the towers at once: as many as Magma's largest picture has, so that several pictures need no more
 * memory than one may (fp32, beside the weights: 0.5 GB for one crop of Magma's tower, 1.4 GB for four). CPU time per
 * crop, one thread, 1, 2, 4 and 8 at once: nano 1.28, 1.10, 1.03, 0.95 ms; a ConvNeXt-T at 512² 265, 274, 277, 285 ms;
 * four blocks of both OpenVLA towers 464, 465, 499, 564 ms; the tokens equal to the bit.
 */
export const maxCropsPerRun = 4;

/**
 * What `vision.encode` gives for each picture, in their order, in as few runs as `maxCrops` allows. A picture is never
 * divided: one that has more crops goes alone.
 */
export async function encodeTogether(
  vision: VisionEncoder,
  pictures: readonly CropTensor[],
  maxCrops = maxCropsPerRun,
): Promise<readonly VisualTokens[]> {
  const visual = new Array<VisualTokens>(pictures.length);
  for (const indices of batches(pictures, maxCrops)) {
    const together = await vision.encode(stack(indices.map((index) => pictures[index]!)));
    apart(together, indices.length).forEach((tokens, k) => (visual[indices[k]!] = tokens));
  }
  return visual;
}

/** Indices of pictures that go together: of equal canvas, in order, at most so many crops. */
function batches(pictures: readonly CropTensor[], maxCrops: number): readonly number[][] {
  const byCanvas = new Map<string, number[]>();
  pictures.forEach(({ canvas, pixels }, index) => {
    const { rows, cols, height, width } = canvas;
    const key = [rows, cols, height, width, pixels.length].join();
    byCanvas.set(key, [...(byCanvas.get(key) ?? []), index]);
  });
  return [...byCanvas.values()].flatMap((indices) => {
    const { rows, cols } = pictures[indices[0]!]!.canvas;
    const size = Math.max(1, Math.floor(maxCrops / (rows * cols)));
    const count = Math.ceil(indices.length / size);
    return Array.from({ length: count }, (_, k) => indices.slice(k * size, (k + 1) * size));
  });
}

/** Pictures of equal canvas, one above the other; one is borrowed, several are copied. */
function stack(pictures: readonly CropTensor[]): CropTensor {
  const first = pictures[0]!;
  if (pictures.length === 1) return first;
  const pixels = new Float32Array(first.pixels.length * pictures.length);
  pictures.forEach((picture, k) => pixels.set(picture.pixels, k * first.pixels.length));
  const { canvas } = first;
  const rows = canvas.rows * pictures.length;
  return { pixels, canvas: { ...canvas, rows, height: canvas.height * pictures.length } };
}

/** Inverse of `stack` for the tokens: views, not copies. */
function apart({ count, data }: VisualTokens, pictures: number): readonly VisualTokens[] {
  if (count % pictures !== 0) {
    throw new ModelError('visual tokens', `${count} for ${pictures} pictures`, 'as many for each');
  }
  const length = data.length / pictures;
  return Array.from({ length: pictures }, (_, k) => ({
    count: count / pictures,
    data: data.subarray(k * length, (k + 1) * length),
  }));
}
