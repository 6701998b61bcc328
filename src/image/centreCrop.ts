/**
 * The centre of a picture, enlarged to the picture's size, bit for bit as TensorFlow does it for models that were trained
 * with random crops: openvla's experiments/robot/openvla_utils.py (`crop_and_resize`, share of the area 0.9). Bytes become
 * floats 0 … 1, are interpolated bilinearly, and become bytes again.
 * Sources: tensorflow/core/kernels/image/crop_and_resize_op.cc (CropAndResize, bilinear) and
 * tensorflow/python/ops/image_ops_impl.py (convert_image_dtype). Everything in float32, in TensorFlow's order.
 */
import { InputError } from '../errors.js';
import type { RgbImage } from '../types.js';

const { fround } = Math;

/** Output position o lies between source positions low and high, `share` of the way (float32). */
interface Between {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly share: Float32Array;
}

/**
 * @param area share of the picture's area that is kept, 0 < area ≤ 1; each side keeps √area of its length.
 * @returns a copy of the picture's own size. @throws InputError on any other share.
 */
export function centreCrop(image: RgbImage, area: number): RgbImage {
  if (!(area > 0 && area <= 1)) {
    throw new InputError('centre crop', String(area), 'a share of the area above 0, at most 1');
  }
  const { height, width, data } = image;
  const rows = between(height, area);
  const cols = between(width, area);
  const output = new Uint8Array(data.length);
  let at = 0;
  for (let y = 0; y < height; y++) {
    const top = rows.low[y]! * width;
    const bottom = rows.high[y]! * width;
    const down = rows.share[y]!;
    for (let x = 0; x < width; x++) {
      const left = cols.low[x]!;
      const right = cols.high[x]!;
      const along = cols.share[x]!;
      for (let channel = 0; channel < 3; channel++) {
        const pixel = (position: number): number => unit[data[position * 3 + channel]!]!;
        const above = lerp(pixel(top + left), pixel(top + right), along);
        const below = lerp(pixel(bottom + left), pixel(bottom + right), along);
        output[at++] = byte(lerp(above, below, down));
      }
    }
  }
  return { height, width, data: output };
}

/** Positions of a side's √area in the middle. One pixel stays where it is. */
function between(size: number, area: number): Between {
  const length = fround(Math.sqrt(fround(area)));
  const start = fround(fround(1 - length) / 2);
  const end = fround(start + length);
  const last = size - 1;
  const low = new Int32Array(size);
  const high = new Int32Array(size);
  const share = new Float32Array(size);
  const first = fround(start * last);
  const step = size > 1 ? fround(fround(fround(end - start) * last) / last) : 0;
  for (let o = 0; o < size; o++) {
    const position = fround(first + fround(o * step));
    low[o] = Math.floor(position);
    high[o] = Math.min(Math.ceil(position), last);
    share[o] = position - low[o]!;
  }
  return { low, high, share };
}

function lerp(from: number, to: number, share: number): number {
  return fround(from + fround(fround(to - from) * share));
}

/** Byte → 0 … 1: multiplied by float32(1/255), not divided. Inverse of `byte`. */
const unit = Float32Array.from({ length: 256 }, (_, value) => value * fround(1 / 255));

/** 0 … 1 → byte: ×255.5 and cut off, so that whole bytes come back as they were. */
function byte(value: number): number {
  return Math.min(Math.max(Math.trunc(fround(value * 255.5)), 0), 255);
}
