/**
 * `PIL.Image.resize`, bit for bit: the resize in front of Magma (256×256, Pillow's default filter, which is bicubic) and
 * of OpenVLA (224×224). Pillow widens the filter when it shrinks (antialias), works in fixed point and rounds to 8 bit
 * after each pass. Rows are filtered before columns, as in every Pillow below 13 and so in the models' training; 13
 * starts with columns where the height shrinks more, which rounds differently (up to 18 of 255 on noise).
 * Source: Pillow, src/libImaging/Resample.c (precompute_coeffs, normalize_coeffs_8bpc, clip8).
 */
import { InputError } from '../errors.js';
import type { RgbImage } from '../types.js';

/** Names as in Pillow's `Image.Resampling`. */
export type PillowFilter = 'bilinear' | 'bicubic';

interface Kernel {
  /** Half width in source pixels at scale 1. */
  readonly support: number;
  readonly weight: (x: number) => number;
}

const kernels: Readonly<Record<PillowFilter, Kernel>> = {
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: keys },
};

/** Keys' cubic with a = −0.5. */
function keys(x: number): number {
  const a = -0.5;
  const t = Math.abs(x);
  if (t < 1) return ((a + 2) * t - (a + 3)) * t * t + 1;
  return t < 2 ? (((t - 5) * t + 8) * t - 4) * a : 0;
}

const fractionBits = 22;
const one = 2 ** fractionBits;

/** For every output position: the first source position, and weights that sum to about 2^22. */
interface Taps {
  readonly first: Int32Array;
  readonly count: Int32Array;
  /** Row-major [output position, stride]. */
  readonly weights: Int32Array;
  readonly stride: number;
}

/** image → height × width. A size that does not change is not filtered. @throws InputError on an empty size. */
export function resizePillow(
  image: RgbImage,
  size: { readonly height: number; readonly width: number },
  filter: PillowFilter,
): RgbImage {
  const { height, width } = size;
  if (!Number.isInteger(height) || !Number.isInteger(width) || height < 1 || width < 1)
    throw new InputError('resize', `${height}×${width}`, 'a whole height and width of at least 1');
  const kernel = kernels[filter];
  let { data } = image;
  if (width !== image.width)
    data = resizeRows(data, image.height, image.width, tapsFor(image.width, width, kernel));
  if (height !== image.height)
    data = resizeColumns(data, width, tapsFor(image.height, height, kernel));
  return { height, width, data: data === image.data ? data.slice() : data };
}

function tapsFor(sourceSize: number, outputSize: number, kernel: Kernel): Taps {
  const scale = sourceSize / outputSize;
  const widening = Math.max(scale, 1);
  const support = kernel.support * widening;
  const stride = Math.ceil(support) * 2 + 1;
  const taps: Taps = {
    first: new Int32Array(outputSize),
    count: new Int32Array(outputSize),
    weights: new Int32Array(outputSize * stride),
    stride,
  };
  const weights = new Float64Array(stride);
  for (let o = 0; o < outputSize; o++) {
    const centre = (o + 0.5) * scale;
    const first = Math.max(Math.trunc(centre - support + 0.5), 0);
    const count = Math.min(Math.trunc(centre + support + 0.5), sourceSize) - first;
    let sum = 0;
    for (let k = 0; k < count; k++) {
      const weight = kernel.weight((first + k - centre + 0.5) * (1 / widening));
      weights[k] = weight;
      sum += weight;
    }
    taps.first[o] = first;
    taps.count[o] = count;
    for (let k = 0; k < count; k++) {
      const share = (sum === 0 ? weights[k]! : weights[k]! / sum) * one;
      taps.weights[o * stride + k] = Math.trunc(share < 0 ? share - 0.5 : share + 0.5);
    }
  }
  return taps;
}

function resizeRows(data: Uint8Array, height: number, width: number, taps: Taps): Uint8Array {
  const outputWidth = taps.first.length;
  const output = new Uint8Array(height * outputWidth * 3);
  let at = 0;
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < outputWidth; x++) {
      let source = (y * width + taps.first[x]!) * 3;
      const weightsAt = x * taps.stride;
      let r = one / 2;
      let g = one / 2;
      let b = one / 2;
      for (let k = weightsAt; k < weightsAt + taps.count[x]!; k++, source += 3) {
        const weight = taps.weights[k]!;
        r += data[source]! * weight;
        g += data[source + 1]! * weight;
        b += data[source + 2]! * weight;
      }
      output[at++] = byte(r);
      output[at++] = byte(g);
      output[at++] = byte(b);
    }
  }
  return output;
}

function resizeColumns(data: Uint8Array, width: number, taps: Taps): Uint8Array {
  const outputHeight = taps.first.length;
  const row = width * 3;
  const output = new Uint8Array(outputHeight * row);
  const sums = new Int32Array(row);
  for (let y = 0; y < outputHeight; y++) {
    sums.fill(one / 2);
    for (let k = 0; k < taps.count[y]!; k++) {
      const weight = taps.weights[y * taps.stride + k]!;
      const source = (taps.first[y]! + k) * row;
      for (let i = 0; i < row; i++) sums[i]! += data[source + i]! * weight;
    }
    for (let i = 0; i < row; i++) output[y * row + i] = byte(sums[i]!);
  }
  return output;
}

/** Fixed point → 0 … 255; |sum| stays below 2^31: bicubic weights add up to at most 1.25 · 2^22 in magnitude. */
function byte(sum: number): number {
  const value = sum >> fractionBits;
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
