/** A synthetic checkpoint's small files in a folder of every test's own, and the contract that comes of them. */
import { afterEach, beforeEach } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  contractFromCheckpoint,
  type ContractOptions,
  type DerivedContract,
} from '../../src/convert/contractFromCheckpoint.js';
import {
  writeSmallFiles,
  type SyntheticName,
  type SyntheticSize,
} from '../../src/convert/syntheticFolder.js';

export type Json = Record<string, unknown>;

export const section = (json: Json, key: string): Json => json[key] as Json;
export const bridge = { unnormKey: 'bridge_orig' };

export interface ContractFolder {
  readonly path: string;
  readonly write: (name: SyntheticName, size?: SyntheticSize['size']) => void;
  /** Of one file that was written. */
  readonly change: (file: string, edit: (json: Json) => void) => void;
  readonly derive: (options?: Partial<ContractOptions>) => DerivedContract;
  /** Options for Magma, which ships no statistics. */
  readonly withStatistics: () => Partial<ContractOptions>;
}

/** Made before each test of the file that asks for it, and removed after it. */
export function contractFolder(): ContractFolder {
  let path = '';
  beforeEach(() => {
    path = mkdtempSync(join(tmpdir(), 'magma-vla-contract-'));
  });
  afterEach(() => rmSync(path, { recursive: true }));
  return {
    get path() {
      return path;
    },
    write: (name, size = 'tiny') => void writeSmallFiles(path, name, { size }),
    change: (file, edit) => {
      const json = JSON.parse(readFileSync(join(path, file), 'utf8')) as Json;
      edit(json);
      writeFileSync(join(path, file), JSON.stringify(json));
    },
    derive: (options = {}) => contractFromCheckpoint(path, { name: 'test', ...options }),
    withStatistics: () => ({ ...bridge, statistics: join(path, 'synthetic_statistics.json') }),
  };
}
