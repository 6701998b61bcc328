/** Whether a converted model is still what it was when it was made: every file is read again. */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, readSync, statSync } from 'node:fs';
import { basename, join } from 'node:path';
import { ModelError, messageOf } from '../errors.js';
import { hashInStage, type HashStage } from './checksum.js';
import {
  conversionSchema,
  recordName,
  type ConversionRecord,
  type FileRecord,
} from './conversionRecord.js';
import type { ConversionWatch } from './conversionWatch.js';

export interface Difference {
  readonly path: string;
  readonly got: string;
  readonly expected: string;
  /** Weights that differ, where the file holds weights. */
  readonly weights: readonly string[];
}

export interface Verification {
  /** Files that were read, of the model and of the checkpoint. */
  readonly files: number;
  readonly bytes: number;
  /** Whether the checkpoint is where it was, or was said to be, and was read too. */
  readonly sources: 'checked' | 'absent';
  readonly differences: readonly Difference[];
}

/**
 * @param source where the checkpoint is now; without it, where it was.
 * @throws ModelError where the folder is no converted model; StorageError; Interrupted
 */
export async function verifyModel(
  folder: string,
  source: string | null,
  { onProgress, signal }: ConversionWatch,
): Promise<Verification> {
  const record = readConversionRecord(folder);
  const from = source ?? record.source.folder;
  const hasSources = source !== null || existsSync(join(from, record.source.files[0]!.name));
  const files = [
    ...record.files.map((file) => ({ path: join(folder, file.name), file })),
    ...(hasSources
      ? record.source.files.map((file) => ({ path: join(from, file.name), file }))
      : []),
  ];
  const total = files.reduce((sum, { file }) => sum + file.bytes, 0);
  const stage: HashStage = { stage: 'check', total, done: 0, onProgress, signal };
  const differences: Difference[] = [];
  for (const { path, file } of files) {
    const difference = await compare(path, file, stage);
    if (difference) differences.push({ ...difference, weights: changedWeights(path, record) });
  }
  const sources = hasSources ? 'checked' : 'absent';
  return { files: files.length, bytes: total, sources, differences };
}

/** @throws ModelError */
export function readConversionRecord(folder: string): ConversionRecord {
  const path = join(folder, recordName);
  try {
    return conversionSchema.parse(JSON.parse(readFileSync(path, 'utf8')));
  } catch (error) {
    throw new ModelError(path, messageOf(error), 'the record of a converted model');
  }
}

async function compare(
  path: string,
  { bytes, sha256 }: Omit<FileRecord, 'name'>,
  stage: HashStage,
): Promise<Omit<Difference, 'weights'> | null> {
  const size = statSync(path, { throwIfNoEntry: false })?.size;
  if (size !== bytes) {
    stage.done += bytes;
    return {
      path,
      got: size === undefined ? 'no file' : `${size} bytes`,
      expected: `${bytes} bytes`,
    };
  }
  const got = await hashInStage(path, stage);
  return got === sha256 ? null : { path, got: `SHA-256 ${got}`, expected: sha256 };
}

function changedWeights(path: string, { weights, files }: ConversionRecord): readonly string[] {
  const isOurs = files.some(({ name }) => basename(name) === basename(path));
  if (!isOurs || !existsSync(path)) return [];
  const tensors = weights
    .flatMap((written) => written.tensors)
    .filter(({ file }) => file === basename(path));
  const descriptor = openSync(path, 'r');
  try {
    return tensors.flatMap(({ name, offset, bytes, sha256 }) =>
      hashOfRange(descriptor, offset, bytes) === sha256 ? [] : [name],
    );
  } finally {
    closeSync(descriptor);
  }
}

function hashOfRange(descriptor: number, offset: number, bytes: number): string {
  const hash = createHash('sha256');
  const piece = new Uint8Array(Math.min(bytes, 1 << 24));
  for (let done = 0; done < bytes;) {
    const most = Math.min(piece.length, bytes - done);
    const count = readSync(descriptor, piece, 0, most, offset + done);
    if (count === 0) break;
    hash.update(piece.subarray(0, count));
    done += count;
  }
  return hash.digest('hex');
}
