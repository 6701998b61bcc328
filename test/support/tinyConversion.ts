/** Conversions of the tiny Magma, in a folder of every test's own. */
import { afterEach, beforeEach } from '@jest/globals';
import { createHash } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  readSync,
  readdirSync,
  statSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { Conversion } from '../../src/convert/convert.js';
import type { WeightFormat } from '../../src/convert/weightStore.js';
import { magmaLayout, temporaryFolder, tinyMagmaFolder } from './tinyMagma.js';

export const quiet = { onProgress: () => undefined };
export const int4: WeightFormat = {
  ...{ weights: 'int4', block: 32, compute: 'float32', accuracyLevel: 0 },
};

export interface TinyConversion {
  /** Holds `checkpoint` and whatever else a test makes. */
  readonly path: string;
  readonly source: string;
  /** The model folder to be. */
  readonly out: string;
  of(change?: Partial<Conversion>): Conversion;
}

/** Made before each test of the file that asks for it, and removed after it. */
export function tinyConversion(): TinyConversion {
  let work: { readonly path: string; remove(): void };
  beforeEach(() => {
    work = temporaryFolder();
    mkdirSync(join(work.path, 'checkpoint'));
    for (const file of ['config.json', 'model.safetensors']) {
      copyFileSync(join(tinyMagmaFolder, file), join(work.path, 'checkpoint', file));
    }
  });
  afterEach(() => work.remove());
  return {
    get path() {
      return work.path;
    },
    get source() {
      return join(work.path, 'checkpoint');
    },
    get out() {
      return join(work.path, 'model');
    },
    of(change = {}) {
      return {
        ...{ source: this.source, out: this.out, format: int4, layout: magmaLayout },
        ...{ files: { 'model.json': '{}\n', 'config.json': '{}\n' }, notes: ['said once'] },
        ...change,
      };
    },
  };
}

/** Every file below a folder with its checksum; reports name folders, and are left out. */
export function contents(folder: string): Record<string, string> {
  const files = readdirSync(folder, { recursive: true, encoding: 'utf8' })
    .filter((name) => statSync(join(folder, name)).isFile() && name !== 'conversion.json')
    .sort();
  const sha256 = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(folder, name)))
      .digest('hex');
  return Object.fromEntries(files.map((name) => [name, sha256(name)]));
}

/** Flips the lowest bit of one byte. */
export function flip(path: string, at: number): void {
  const descriptor = openSync(path, 'r+');
  const byte = new Uint8Array(1);
  readSync(descriptor, byte, 0, 1, at);
  byte[0]! ^= 1;
  writeSync(descriptor, byte, 0, 1, at);
  closeSync(descriptor);
}
