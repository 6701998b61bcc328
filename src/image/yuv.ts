/**
 * YCbCr camera encodings → rgb8: ITU-R BT.601, limited range (Y 16 … 235, Cb and Cr 16 … 240), as cv_bridge reads
 * them through OpenCV:
 *   R = 1.164 (Y − 16) + 1.596 (V − 128)
 *   G = 1.164 (Y − 16) − 0.813 (V − 128) − 0.391 (U − 128)
 *   B = 1.164 (Y − 16) + 2.018 (U − 128)
 * in fixed point with 20 fraction bits, OpenCV's coefficients (color_yuv.simd.hpp), chroma repeated, not interpolated.
 * Callers have checked the sizes.
 */
interface Frame {
  readonly height: number;
  readonly width: number;
  readonly step: number;
  readonly data: Uint8Array;
}

const fractionBits = 20;
const half = 1 << (fractionBits - 1);
const yScale = 1220542;
const redFromV = 1673527;
const greenFromV = -852492;
const greenFromU = -409993;
const blueFromU = 2116026;

/** Four bytes hold two pixels: luma at y and y + 2, chroma at u and v. */
export function rgbFromYuv422(
  { height, width, step, data }: Frame,
  places: { readonly y: number; readonly u: number; readonly v: number },
  rgb: Uint8Array,
): void {
  let to = 0;
  for (let y = 0; y < height; y++)
    for (let from = y * step; from < y * step + width * 2; from += 4) {
      const u = data[from + places.u]! - 128;
      const v = data[from + places.v]! - 128;
      writePixel(rgb, to, data[from + places.y]!, u, v);
      writePixel(rgb, to + 3, data[from + places.y + 2]!, u, v);
      to += 6;
    }
}

/** NV12, NV21: a luma plane, then half as many rows of chroma pairs, each for 2×2 pixels. Both planes have `step`. */
export function rgbFromSemiPlanar(
  { height, width, step, data }: Frame,
  places: { readonly u: number; readonly v: number },
  rgb: Uint8Array,
): void {
  let to = 0;
  for (let y = 0; y < height; y++) {
    const luma = y * step;
    const chroma = (height + (y >> 1)) * step;
    for (let x = 0; x < width; x++, to += 3) {
      const pair = chroma + (x & ~1);
      const u = data[pair + places.u]! - 128;
      const v = data[pair + places.v]! - 128;
      writePixel(rgb, to, data[luma + x]!, u, v);
    }
  }
}

function writePixel(rgb: Uint8Array, to: number, luma: number, u: number, v: number): void {
  const y = luma < 16 ? half : (luma - 16) * yScale + half;
  rgb[to] = clamp((y + redFromV * v) >> fractionBits);
  rgb[to + 1] = clamp((y + greenFromV * v + greenFromU * u) >> fractionBits);
  rgb[to + 2] = clamp((y + blueFromU * u) >> fractionBits);
}

function clamp(value: number): number {
  return value < 0 ? 0 : value > 255 ? 255 : value;
}
