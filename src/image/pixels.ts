/**
 * RgbImage → the float tensor a vision tower reads. Order as in Magma's processor: /255, normalise, bilinear resize to
 * the canvas, cut into crops. Everything in float32 as torch computes it; no native code, so every machine, and the
 * training data, gets the same bits.
 */
import type { RgbImage, Vec3 } from '../types.js';
import { chooseCanvas, type Canvas, type CanvasRule } from './canvas.js';

/** Per channel r, g, b in 0 … 1 units: pixel = (value / 255 − mean) / std. */
export interface Normalisation {
  readonly mean: Vec3;
  readonly std: Vec3;
}

export interface CropTensor {
  /** [rows · cols, 3 · towers, cropSize, cropSize], crops row-major; r, g, b of each tower in turn. */
  readonly pixels: Float32Array;
  readonly canvas: Canvas;
}

/** Image → normalised crops on the canvas that the rule chooses. */
export function cropTensor(image: RgbImage, rule: CanvasRule & Normalisation): CropTensor {
  const canvas = chooseCanvas(image, rule);
  const planar = resizeNormalised(image, canvas, rule);
  if (canvas.rows * canvas.cols === 1) return { pixels: planar, canvas };
  return { pixels: splitIntoCrops(planar, canvas), canvas };
}

/** Image → crops as several towers see them, each in its own normalisation, side by side on the channels. */
export function towerCrops(
  image: RgbImage,
  rule: CanvasRule,
  towers: readonly Normalisation[],
): CropTensor {
  const each = towers.map((normalisation) => cropTensor(image, { ...rule, ...normalisation }));
  const { canvas, pixels: first } = each[0]!;
  if (each.length === 1) return each[0]!;
  const size = first.length / (canvas.rows * canvas.cols);
  const pixels = new Float32Array(first.length * each.length);
  for (let from = 0; from < first.length; from += size) {
    each.forEach((tower, index) => {
      pixels.set(tower.pixels.subarray(from, from + size), from * each.length + index * size);
    });
  }
  return { pixels, canvas };
}

/**
 * Planar float32 [3, height, width] of the normalised image, resized like
 * `torch.nn.functional.interpolate(mode='bilinear', align_corners=False, antialias=False)`: a no-op at equal sizes.
 */
export function resizeNormalised(
  image: RgbImage,
  size: { readonly height: number; readonly width: number },
  normalisation: Normalisation,
): Float32Array {
  const { height, width } = size;
  const output = new Float32Array(3 * height * width);
  const rows = axis(image.height, height);
  const cols = axis(image.width, width);
  for (let channel = 0; channel < 3; channel++) {
    const values = normalisedValues(normalisation, channel);
    // 1. Two source rows at a time, stretched along x; upsampling reuses them.
    let lowRow = -1;
    let low = new Float32Array(width);
    let highRow = -1;
    let high = new Float32Array(width);
    for (let y = 0; y < height; y++) {
      if (rows.low[y] !== lowRow) {
        if (rows.low[y] === highRow) [low, high, highRow] = [high, low, -1];
        else stretchRow(image, rows.low[y]!, channel, values, cols, low);
        lowRow = rows.low[y]!;
      }
      if (rows.high[y] !== highRow) {
        stretchRow(image, rows.high[y]!, channel, values, cols, high);
        highRow = rows.high[y]!;
      }
      // 2. Blended along y.
      const weight = rows.weight[y]!;
      const rest = 1 - weight;
      const at = (channel * height + y) * width;
      for (let x = 0; x < width; x++) output[at + x] = rest * low[x]! + weight * high[x]!;
    }
  }
  return output;
}

/** [3, rows · side, cols · side] → [rows · cols, 3, side, side], crops row-major. Copies. */
function splitIntoCrops(planar: Float32Array, canvas: Canvas): Float32Array {
  const side = canvas.height / canvas.rows;
  const crops = new Float32Array(planar.length);
  let to = 0;
  for (let row = 0; row < canvas.rows; row++)
    for (let col = 0; col < canvas.cols; col++)
      for (let channel = 0; channel < 3; channel++)
        for (let y = 0; y < side; y++, to += side) {
          const from = (channel * canvas.height + row * side + y) * canvas.width + col * side;
          crops.set(planar.subarray(from, from + side), to);
        }
  return crops;
}

/** The 256 values a channel can take, rounded to float32 where torchvision's ToTensor and Normalize round. */
function normalisedValues({ mean, std }: Normalisation, channel: number): Float32Array {
  const centre = Math.fround(mean[channel]!);
  const scale = Math.fround(std[channel]!);
  return Float32Array.from({ length: 256 }, (_, value) => {
    const centred = Math.fround(Math.fround(value / 255) - centre);
    return centred / scale;
  });
}

/** Output position o lies between source positions low and high = low + 1 (or low at the end), `weight` from low. */
interface Axis {
  readonly low: Int32Array;
  readonly high: Int32Array;
  readonly weight: Float32Array;
}

/** ATen/native/UpSample.h: source = max(scale · (o + 0.5) − 0.5, 0) in float32. */
function axis(sourceSize: number, outputSize: number): Axis {
  const scale = Math.fround(sourceSize / outputSize);
  const low = new Int32Array(outputSize);
  const high = new Int32Array(outputSize);
  const weight = new Float32Array(outputSize);
  for (let o = 0; o < outputSize; o++) {
    const position = Math.max(Math.fround(Math.fround(scale * (o + 0.5)) - 0.5), 0);
    low[o] = Math.min(Math.trunc(position), sourceSize - 1);
    high[o] = Math.min(low[o]! + 1, sourceSize - 1);
    weight[o] = Math.min(Math.max(position - low[o]!, 0), 1);
  }
  return { low, high, weight };
}

function stretchRow(
  image: RgbImage,
  row: number,
  channel: number,
  values: Float32Array,
  cols: Axis,
  output: Float32Array,
): void {
  const { data } = image;
  const from = row * image.width * 3 + channel;
  for (let x = 0; x < output.length; x++) {
    const weight = cols.weight[x]!;
    const low = values[data[from + cols.low[x]! * 3]!]!;
    const high = values[data[from + cols.high[x]! * 3]!]!;
    output[x] = (1 - weight) * low + weight * high;
  }
}
