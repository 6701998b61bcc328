/** What torch and Pillow made of the same pixels: test/oracle/preprocess.py. */
import { readFileSync } from 'node:fs';
import type { RgbImage } from '../../src/types.js';

interface StoredImage {
  readonly height: number;
  readonly width: number;
  readonly data: string;
}

type Triple = [number, number, number];

interface Golden {
  readonly versions: Readonly<Record<string, string>>;
  readonly mean: Triple;
  readonly std: Triple;
  readonly pictures: Readonly<Record<string, StoredImage>>;
  readonly torch: readonly { source: string; height: number; width: number; pixels: string }[];
  readonly crops: readonly {
    source: string;
    side: number;
    rows: number;
    cols: number;
    pixels: string;
  }[];
  readonly pillow: readonly {
    source: string;
    filter: 'bilinear' | 'bicubic';
    output: StoredImage;
  }[];
  readonly files: readonly { name: string; bytes: string; decoded: StoredImage }[];
}

export const golden = JSON.parse(
  readFileSync(new URL('../golden/preprocess.json', import.meta.url), 'utf8'),
) as Golden;

export function bytesFrom(text: string): Uint8Array {
  return Uint8Array.from(Buffer.from(text, 'base64'));
}

export function floatsFrom(text: string): Float32Array {
  return new Float32Array(bytesFrom(text).buffer);
}

export function imageFrom({ height, width, data }: StoredImage): RgbImage {
  return { height, width, data: bytesFrom(data) };
}

export function picture(name: string): RgbImage {
  return imageFrom(golden.pictures[name]!);
}

/** Largest |a − b| over two arrays of one length; Infinity where the lengths differ. */
export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}
