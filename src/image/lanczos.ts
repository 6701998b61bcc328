/**
 * `tf.image.resize(method="lanczos3", antialias=True)`, rounded to bytes: what OpenVLA's training data, and its evaluations
 * in LIBERO and on the WidowX, do to a camera's picture. Not Pillow's Lanczos, which works in fixed point and rounds twice.
 * Sources: tensorflow/core/kernels/image/scale_and_translate_op.cc (ComputeSpansCore, GatherRows, GatherColumns) and
 * sampling_kernels.h; everything in float32, in TensorFlow's order. To 224×224 it gives TensorFlow 2.15.0's bytes from noise of
 * 640×480 and 256×256; from 1280×720 two of 150528 differ by one.
 */
import { InputError } from '../errors.js';
import type { RgbImage } from '../types.js';

const { fround } = Math;
const radius = 3;

/** For every output position: the first source position, and weights (float32) that sum to about 1. */
interface Spans {
  readonly first: Int32Array;
  readonly weights: readonly Float32Array[];
}

/** image → height × width. @throws InputError on an empty size. */
export function resizeLanczos3(
  image: RgbImage,
  size: { readonly height: number; readonly width: number },
): RgbImage {
  const { height, width } = size;
  if (!Number.isInteger(height) || !Number.isInteger(width) || height < 1 || width < 1)
    throw new InputError('resize', `${height}×${width}`, 'a whole height and width of at least 1');
  const source = new Float32Array(image.data);
  const rows = gather(source, 1, image.height, image.width * 3, spansFor(image.height, height));
  const both = gather(rows, height, image.width, 3, spansFor(image.width, width));
  return { height, width, data: bytesOf(both) };
}

function spansFor(inputSize: number, outputSize: number): Spans {
  const inverse = fround(1 / fround(outputSize / inputSize));
  // Shrinking widens the filter, so that nothing is skipped; enlarging interpolates.
  const widening = Math.max(inverse, 1);
  const reach = fround(radius * widening);
  const narrowing = fround(1 / widening);
  const first = new Int32Array(outputSize);
  const weights = Array.from({ length: outputSize }, (_, o) => {
    const centre = fround(fround(o + 0.5) * inverse);
    const start = clamp(Math.ceil(fround(fround(centre - reach) - 0.5)), inputSize);
    const last = clamp(Math.floor(fround(fround(centre + reach) - 0.5)), inputSize);
    first[o] = start;
    const span = Float32Array.from({ length: last - start + 1 }, (_, k) => {
      const distance = fround(fround(start + k + 0.5) - centre);
      return lanczos(Math.abs(fround(distance * narrowing)));
    });
    const scale = fround(1 / span.reduce((sum, weight) => fround(sum + weight), 0));
    return span.map((weight) => weight * scale);
  });
  return { first, weights };
}

/** sinc(x) · sinc(x / 3), x ≥ 0, in float32 as TensorFlow evaluates it. */
function lanczos(x: number): number {
  if (x > radius) return 0;
  if (x <= 1e-3) return 1;
  const pi = fround(Math.PI);
  const angle = fround(pi * x);
  const sines = fround(
    fround(radius * fround(Math.sin(angle))) * fround(Math.sin(fround(angle / radius))),
  );
  return fround(sines / fround(fround(fround(pi * pi) * x) * x));
}

/** [outer, from, inner] → [outer, to, inner]: weighted sums along the middle axis. */
function gather(
  source: Float32Array,
  outer: number,
  from: number,
  inner: number,
  { first, weights }: Spans,
): Float32Array {
  const to = weights.length;
  const output = new Float32Array(outer * to * inner);
  for (let i = 0; i < outer; i++) {
    for (let o = 0; o < to; o++) {
      const span = weights[o]!;
      const at = (i * to + o) * inner;
      let start = (i * from + first[o]!) * inner;
      for (let k = 0; k < span.length; k++, start += inner) {
        const weight = span[k]!;
        for (let j = 0; j < inner; j++) {
          output[at + j] = output[at + j]! + fround(weight * source[start + j]!);
        }
      }
    }
  }
  return output;
}

function clamp(position: number, size: number): number {
  return Math.min(Math.max(position, 0), size - 1);
}

/** Nearest bytes, halves to even (tf.round). */
function bytesOf(values: Float32Array): Uint8Array {
  const bytes = new Uint8Array(values.length);
  for (let i = 0; i < values.length; i++) {
    const value = values[i]!;
    const below = Math.floor(value);
    const rest = value - below;
    const up = rest > 0.5 || (rest === 0.5 && below % 2 !== 0);
    bytes[i] = Math.min(Math.max(up ? below + 1 : below, 0), 255);
  }
  return bytes;
}
