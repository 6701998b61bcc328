/**
 * A camera frame as it arrived → rgb8. Everything but the JPEG/PNG decoder is plain TypeScript with stated formulas,
 * because these pixels reach the model: they must not depend on what is installed.
 */
import { DataError } from '../errors.js';
import type { CameraImage, RgbImage } from '../types.js';
import { rgbFromBayer } from './bayer.js';
import { decodeImage } from './codec.js';
import { rgbFromSemiPlanar, rgbFromYuv422 } from './yuv.js';

export type RawImage = Extract<CameraImage, { readonly kind: 'raw' }>;
export type CompressedImage = Extract<CameraImage, { readonly kind: 'compressed' }>;

/** How one encoding lies in memory, and its conversion. `rgb` has height · width · 3 bytes, all of which are written. */
interface Layout {
  readonly bytesPerPixel: number;
  /** Width and height must be multiples of this: what shares one colour sample. */
  readonly multipleOf: { readonly width: number; readonly height: number };
  /** Rows of `step` bytes in a frame of `height` pixels; 3/2 where chroma planes follow. */
  readonly rowsPerPixelRow: number;
  readonly convert: (image: RawImage, rgb: Uint8Array) => void;
}

const anySize = { width: 1, height: 1 };

/** sensor_msgs/image_encodings and their aliases; 8UC3 and 8UC4 name no colours and are read as OpenCV does: bgr. */
const layouts: Readonly<Record<string, Layout>> = {
  rgb8: bytes(3, 0, 1, 2),
  bgr8: bytes(3, 2, 1, 0),
  rgba8: bytes(4, 0, 1, 2),
  bgra8: bytes(4, 2, 1, 0),
  '8UC3': bytes(3, 2, 1, 0),
  '8UC4': bytes(4, 2, 1, 0),
  mono8: bytes(1, 0, 0, 0),
  '8UC1': bytes(1, 0, 0, 0),
  mono16: words(1, 0, 0, 0),
  rgb16: words(3, 0, 1, 2),
  bgr16: words(3, 2, 1, 0),
  bayer_rggb8: bayer(0, 0),
  bayer_bggr8: bayer(1, 1),
  bayer_gbrg8: bayer(1, 0),
  bayer_grbg8: bayer(0, 1),
  yuv422: yuv422({ y: 1, u: 0, v: 2 }),
  uyvy: yuv422({ y: 1, u: 0, v: 2 }),
  yuv422_yuy2: yuv422({ y: 0, u: 1, v: 3 }),
  yuyv: yuv422({ y: 0, u: 1, v: 3 }),
  nv12: semiPlanar({ u: 0, v: 1 }),
  nv21: semiPlanar({ u: 1, v: 0 }),
};

/** Names that `rgbFromRaw` converts. */
export const rawEncodings: readonly string[] = Object.keys(layouts);

/** Any camera frame → rgb8, a new buffer. `where` names the camera in errors. @throws DataError */
export async function rgbFromCamera(image: CameraImage, where: string): Promise<RgbImage> {
  return image.kind === 'raw' ? rgbFromRaw(image, where) : rgbFromCompressed(image, where);
}

/** @throws DataError for an unknown encoding and for sizes that do not fit together. */
export function rgbFromRaw(image: RawImage, where: string): RgbImage {
  const layout = Object.hasOwn(layouts, image.encoding) ? layouts[image.encoding] : undefined;
  if (!layout)
    throw new DataError(where, `encoding ${image.encoding}`, `one of ${rawEncodings.join(', ')}`);
  checkSizes(image, layout, where);
  const { height, width } = image;
  const data = new Uint8Array(height * width * 3);
  layout.convert(image, data);
  return { height, width, data };
}

/** @throws DataError for depth pictures, other codecs and damaged data. */
export async function rgbFromCompressed(image: CompressedImage, where: string): Promise<RgbImage> {
  if (image.format.includes('compressedDepth'))
    throw new DataError(where, `format ${image.format}`, 'a colour or grey picture');
  return decodeImage(image.data, `${where} (format ${image.format || 'not given'})`);
}

function checkSizes(image: RawImage, layout: Layout, where: string): void {
  const { height, width, step, encoding } = image;
  const { multipleOf } = layout;
  if (
    !Number.isInteger(height) ||
    !Number.isInteger(width) ||
    height < multipleOf.height ||
    width < multipleOf.width ||
    height % multipleOf.height !== 0 ||
    width % multipleOf.width !== 0
  )
    throw new DataError(
      where,
      `${encoding} of ${height}×${width} (height × width)`,
      `a height that is a multiple of ${multipleOf.height}, a width of ${multipleOf.width}, none empty`,
    );
  const row = width * layout.bytesPerPixel;
  if (!Number.isInteger(step) || step < row)
    throw new DataError(
      where,
      `step ${step}`,
      `at least ${row} bytes for ${width} px of ${encoding}`,
    );
  const total = step * height * layout.rowsPerPixelRow;
  if (image.data.length !== total)
    throw new DataError(
      where,
      `${image.data.length} bytes`,
      `${total} for ${encoding} of ${height}×${width} with step ${step}`,
    );
}

/** Interleaved 8-bit channels; r, g, b are their places within a pixel. */
function bytes(channels: number, r: number, g: number, b: number): Layout {
  const convert = ({ height, width, step, data }: RawImage, rgb: Uint8Array): void => {
    let to = 0;
    for (let y = 0; y < height; y++) {
      let from = y * step;
      for (let x = 0; x < width; x++, from += channels) {
        rgb[to++] = data[from + r]!;
        rgb[to++] = data[from + g]!;
        rgb[to++] = data[from + b]!;
      }
    }
  };
  return { bytesPerPixel: channels, multipleOf: anySize, rowsPerPixelRow: 1, convert };
}

/** Interleaved 16-bit channels → 8 bit: round(value / 257), so that 65535 becomes 255 (as cv_bridge scales). */
function words(channels: number, r: number, g: number, b: number): Layout {
  const convert = (image: RawImage, rgb: Uint8Array): void => {
    const { height, width, step, data } = image;
    const high = image.isBigEndian ? 0 : 1;
    const byte = (at: number): number =>
      Math.floor((data[at + high]! * 256 + data[at + 1 - high]! + 128) / 257);
    let to = 0;
    for (let y = 0; y < height; y++) {
      let from = y * step;
      for (let x = 0; x < width; x++, from += channels * 2) {
        rgb[to++] = byte(from + 2 * r);
        rgb[to++] = byte(from + 2 * g);
        rgb[to++] = byte(from + 2 * b);
      }
    }
  };
  return { bytesPerPixel: channels * 2, multipleOf: anySize, rowsPerPixelRow: 1, convert };
}

/** `redRow`, `redCol`: where red sits in every 2×2 cell. */
function bayer(redRow: 0 | 1, redCol: 0 | 1): Layout {
  const convert = (image: RawImage, rgb: Uint8Array): void =>
    rgbFromBayer(image, redRow, redCol, rgb);
  return { bytesPerPixel: 1, multipleOf: { width: 2, height: 2 }, rowsPerPixelRow: 1, convert };
}

/** Places within four bytes that hold two pixels; the second luma sits two bytes after the first. */
function yuv422(places: { readonly y: number; readonly u: number; readonly v: number }): Layout {
  const convert = (image: RawImage, rgb: Uint8Array): void => rgbFromYuv422(image, places, rgb);
  return { bytesPerPixel: 2, multipleOf: { width: 2, height: 1 }, rowsPerPixelRow: 1, convert };
}

/** A luma plane, then one row of chroma pairs for every two rows. */
function semiPlanar(places: { readonly u: number; readonly v: number }): Layout {
  const convert = (image: RawImage, rgb: Uint8Array): void => rgbFromSemiPlanar(image, places, rgb);
  return { bytesPerPixel: 1, multipleOf: { width: 2, height: 2 }, rowsPerPixelRow: 1.5, convert };
}
