/** The tiny random-weight Magma of test/oracle/tiny_magma.py: its checkpoint, and what PyTorch answered. */
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { CheckpointLayout } from '../../src/convert/checkpointConfig.js';
import { openSafetensors } from '../../src/convert/safetensors.js';
import type { CropTensor } from '../../src/image/pixels.js';

export const tinyMagmaFolder = fileURLToPath(new URL('../golden/tinyMagma', import.meta.url));

export const magmaLayout: CheckpointLayout = {
  towers: [
    { kind: 'convnext', recipe: 'clip', keyPrefix: 'vision_tower.clip_vision_model.trunk.' },
  ],
  projector: {
    kind: 'mlp2x_gelu',
    keyPrefix: 'multi_modal_projector.',
    rowSeparator: 'row_seperator',
  },
  decoder: { kind: 'llama', keyPrefix: 'language_model.' },
  ignoredKeys: [],
};

export interface ExpectedCase {
  /** Rows and columns of crops. */
  readonly grid: readonly [number, number];
  /** Prompt ids; `imageId` stands for the picture. */
  readonly ids: readonly number[];
  /** Greedy answer, 24 tokens. */
  readonly tokens: readonly number[];
}

export const imageId = 150;
export const vocabulary = 160;

const record = JSON.parse(readFileSync(join(tinyMagmaFolder, 'expected.json'), 'utf8')) as {
  cases: Record<string, ExpectedCase>;
};

export const expectedCases = record.cases;

/** Tensor of expected.safetensors, fp32. */
export function expectedTensor(name: string): Float32Array {
  const file = openSafetensors(join(tinyMagmaFolder, 'expected.safetensors'));
  try {
    return file.readFloat32(name);
  } finally {
    file.close();
  }
}

/** Crops of 32 × 48 pixels of a case. */
export function expectedCrops(name: string): CropTensor {
  const [rows, cols] = expectedCases[name]!.grid;
  const canvas = { height: 32 * rows, width: 48 * cols, rows, cols };
  return { pixels: expectedTensor(`${name}.pixels`), canvas };
}

export function largestDifference(a: ArrayLike<number>, b: ArrayLike<number>): number {
  if (a.length !== b.length) return Infinity;
  let largest = 0;
  for (let i = 0; i < a.length; i++) largest = Math.max(largest, Math.abs(a[i]! - b[i]!));
  return largest;
}

/** A folder of its own for a test; `remove` deletes it. */
export function temporaryFolder(): { readonly path: string; remove(): void } {
  const path = mkdtempSync(join(tmpdir(), 'magma-vla-test-'));
  return { path, remove: () => rmSync(path, { recursive: true, force: true }) };
}
