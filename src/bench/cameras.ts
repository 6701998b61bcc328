/** Cameras that send JPEG frames at a fixed rate: made before anything is measured, the same every time. */
import { encodeJpeg } from '../image/codec.js';
import { seededRandom } from '../math/random.js';
import type { RgbImage } from '../types.js';

export interface BenchCamera {
  readonly name: string;
  readonly height: number;
  readonly width: number;
  readonly rateHz: number;
  /** JPEG, shown one after another. */
  readonly frames: readonly Uint8Array[];
}

const framesPerCamera = 3;
const rateHz = 30;
const quality = 85;

/** One 1080p and two VGA cameras at 30 Hz: what a robot with a scene and two wrist cameras sends. */
export async function makeCameras(): Promise<BenchCamera[]> {
  return [
    await makeCamera('fullHd', { height: 1080, width: 1920 }, 1),
    await makeCamera('vga1', { height: 480, width: 640 }, 2),
    await makeCamera('vga2', { height: 480, width: 640 }, 3),
  ];
}

interface Size {
  readonly height: number;
  readonly width: number;
}

async function makeCamera(name: string, size: Size, seed: number): Promise<BenchCamera> {
  const table = shadedTable(size, seed);
  const frames: Uint8Array[] = [];
  for (let i = 0; i < framesPerCamera; i++)
    frames.push(await encodeJpeg(withBlocks(table, seed, 4 * i), quality));
  return { name, ...size, rateHz, frames };
}

/** Grey with a gradient and a camera's noise: compresses like a photograph. */
function shadedTable({ height, width }: Size, seed: number): RgbImage {
  const random = seededRandom(seed);
  const grain = Float32Array.from({ length: 4096 }, () => 12 * random.uniform());
  const data = new Uint8Array(height * width * 3);
  for (let y = 0, at = 0; y < height; y++) {
    const offset = random.integer(grain.length);
    for (let x = 0; x < width; x++) {
      const shade = 90 + (60 * x) / width + (50 * y) / height;
      const value = shade + grain[(offset + x) % grain.length]!;
      data[at++] = value;
      data[at++] = value;
      data[at++] = value;
    }
  }
  return { height, width, data };
}

/** A copy with blocks on it, moved right by `shift` px. */
function withBlocks(
  { height, width, data: table }: RgbImage,
  seed: number,
  shift: number,
): RgbImage {
  const random = seededRandom(1000 + seed);
  const data = table.slice();
  for (let block = 0; block < 12; block++) {
    const left = Math.floor(random.between(0, 0.85) * width) + shift;
    const top = Math.floor(random.between(0, 0.85) * height);
    const side = Math.floor(random.between(0.04, 0.1) * width);
    const colour = [random.integer(256), random.integer(256), random.integer(256)];
    for (let y = top; y < Math.min(height, top + side); y++)
      for (let x = left; x < Math.min(width, left + side); x++)
        data.set(colour, (y * width + x) * 3);
  }
  return { height, width, data };
}
