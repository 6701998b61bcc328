/**
 * JPEG, PNG and animated WebP through sharp, whose version is pinned: the one decoder of everything that reaches a
 * model, so the same bytes give the same pixels on every machine. Pixels are taken as stored: EXIF rotation and
 * colour profiles are ignored, alpha is dropped, grey becomes r = g = b.
 */
import sharp, { type Sharp } from 'sharp';
import { DataError } from '../errors.js';
import type { RgbImage } from '../types.js';

/** Larger pictures are refused before they are decoded (192 MB of rgb8). */
export const maxPixels = 64_000_000;

// Frames never repeat, so a cache only holds memory; one thread per picture leaves the cores to control and inference.
sharp.cache(false);
sharp.concurrency(1);

const signatures = {
  jpeg: [0xff, 0xd8, 0xff],
  png: [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a],
} as const;

/**
 * JPEG or PNG bytes → rgb8. Told apart by their first bytes; `where` names the source in errors.
 * @throws DataError for other formats, for damaged or truncated data (a decoder warning counts: a half-grey frame must
 * not drive an arm), and above `maxPixels`.
 */
export async function decodeImage(bytes: Uint8Array, where: string): Promise<RgbImage> {
  const format = formatOf(bytes);
  if (format === null)
    throw new DataError(
      where,
      `${bytes.length} bytes starting ${firstBytes(bytes)}`,
      'JPEG or PNG',
    );
  try {
    const { data, info } = await sharp(bytes, {
      failOn: 'warning',
      limitInputPixels: maxPixels,
      ignoreIcc: true,
    })
      .removeAlpha()
      .toColourspace('srgb')
      .raw({ depth: 'uchar' })
      .toBuffer({ resolveWithObject: true });
    if (info.channels !== 3)
      throw new DataError(where, `${format} with ${info.channels} channels`, '3 after decoding');
    return { height: info.height, width: info.width, data: asBytes(data) };
  } catch (error) {
    if (error instanceof DataError) throw error;
    const reason = (error as Error).message.trim().replaceAll(/\s+/g, ' ');
    throw new DataError(
      where,
      `a ${format} of ${bytes.length} bytes that does not decode (${reason})`,
      `an undamaged picture of at most ${maxPixels / 1e6} megapixels`,
    );
  }
}

function formatOf(bytes: Uint8Array): 'jpeg' | 'png' | null {
  const starts = (signature: readonly number[]): boolean =>
    signature.every((value, i) => bytes[i] === value);
  if (starts(signatures.jpeg)) return 'jpeg';
  return starts(signatures.png) ? 'png' : null;
}

function firstBytes(bytes: Uint8Array): string {
  return Array.from(bytes.subarray(0, 4), (b) => b.toString(16).padStart(2, '0')).join(' ');
}

/** `quality` 1 … 100; 4:2:0 chroma, as cameras send it. */
export async function encodeJpeg(image: RgbImage, quality: number): Promise<Uint8Array> {
  return asBytes(await raw(image).jpeg({ quality }).toBuffer());
}

/** Lossless: decodeImage gives the same pixels back. */
export async function encodePng(image: RgbImage): Promise<Uint8Array> {
  return asBytes(await raw(image).png().toBuffer());
}

/** Frames of one size → WebP that repeats for ever; `delayMs` is the time each frame stands. */
export async function encodeAnimatedWebp(
  frames: readonly RgbImage[],
  delayMs: number,
): Promise<Uint8Array> {
  const [first] = frames;
  if (!first) throw new DataError('animation', 'no frames', 'at least one');
  const { height, width } = first;
  const odd = frames.find((frame) => frame.height !== height || frame.width !== width);
  if (odd)
    throw new DataError('animation', `a frame of ${odd.height}×${odd.width}`, `${height}×${width}`);
  const strip = new Uint8Array(frames.length * height * width * 3);
  frames.forEach((frame, i) => strip.set(frame.data, i * height * width * 3));
  const stacked = {
    width,
    height: height * frames.length,
    channels: 3,
    pageHeight: height,
  } as const;
  const encoder = sharp(strip, { raw: stacked, limitInputPixels: false });
  const delay = frames.map(() => delayMs);
  return asBytes(await encoder.webp({ quality: 80, loop: 0, delay }).toBuffer());
}

function raw(image: RgbImage): Sharp {
  const { height, width, data } = image;
  return sharp(data, { raw: { height, width, channels: 3 } });
}

/** Buffer → plain Uint8Array on the same memory. */
function asBytes(buffer: Buffer): Uint8Array {
  return new Uint8Array(buffer.buffer, buffer.byteOffset, buffer.byteLength);
}
