/** SHA-256 of files, and what a publisher says it should be. */
import { createHash } from 'node:crypto';
import { closeSync, existsSync, openSync, readFileSync, readSync, realpathSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { messageOf } from '../errors.js';
import { turn, type ConversionWatch } from './conversionWatch.js';
import type { RangeHashes } from './rangeHashes.js';
import { StorageError } from './storageError.js';

/** Reads a file piece by piece: yields the bytes of each, returns the hash in lower-case hex. @throws StorageError */
function* hashFile(path: string, ranges?: RangeHashes): Generator<number, string, undefined> {
  const hash = createHash('sha256');
  const piece = new Uint8Array(1 << 24);
  let descriptor: number | undefined;
  try {
    descriptor = openSync(path, 'r');
    for (let position = 0, count; (count = readSync(descriptor, piece)) > 0; position += count) {
      const read = piece.subarray(0, count);
      hash.update(read);
      ranges?.add(read, position);
      yield count;
    }
    return hash.digest('hex');
  } catch (error) {
    throw new StorageError(path, messageOf(error), 'a readable file');
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

export interface HashStage extends ConversionWatch {
  readonly stage: 'sources' | 'check';
  /** Bytes of the stage; counted up from `done`. */
  readonly total: number;
  done: number;
}

/**
 * A file as one part of a stage.
 * @param ranges of the file, hashed on the way.
 * @throws StorageError, Interrupted
 */
export async function hashInStage(
  path: string,
  stage: HashStage,
  ranges?: RangeHashes,
): Promise<string> {
  const pieces = hashFile(path, ranges);
  let piece = pieces.next();
  for (; !piece.done; piece = pieces.next()) {
    stage.done += piece.value;
    const { done, total } = stage;
    stage.onProgress({ stage: stage.stage, done, total, what: basename(path) });
    await turn(stage.signal);
  }
  return piece.value;
}

/**
 * What a download from Hugging Face says about a file. `hf download --local-dir` leaves
 * `.cache/huggingface/download/<file>.metadata`: revision, etag, time; its shared cache names a file by its etag. The etag
 * of a large file is its SHA-256; that of a small one is a git hash, and says nothing here.
 */
export function publishedSha256(
  path: string,
): { readonly sha256: string; readonly publishedIn: string } | null {
  const metadata = join('.cache', 'huggingface', 'download', `${basename(path)}.metadata`);
  const beside = join(dirname(path), metadata);
  if (existsSync(beside)) {
    const etag = readFileSync(beside, 'utf8').split('\n')[1]?.trim() ?? '';
    if (isSha256(etag)) return { sha256: etag, publishedIn: metadata };
  }
  const blob = basename(realpathSync(path));
  return isSha256(blob) ? { sha256: blob, publishedIn: "name in Hugging Face's cache" } : null;
}

const isSha256 = (text: string): boolean => /^[0-9a-f]{64}$/.test(text);
