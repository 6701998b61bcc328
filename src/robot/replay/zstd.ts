/**
 * The two ways rosbag2 compresses with zstd outside MCAP: message by message (MESSAGE mode) and the closed file as a
 * whole (FILE mode). Both are recognised by the frame's magic number. Messages declare their size; files, which rosbag2
 * writes as a stream, do not.
 */
import { mkdtemp, open, rm, statfs, type FileHandle } from 'node:fs/promises';
import { createReadStream } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Decompress } from 'fzstd';
import zstd from '@foxglove/wasm-zstd';
import { DataError } from '../../errors.js';

const MAGIC = [0x28, 0xb5, 0x2f, 0xfd];
/** Frame header at its longest (RFC 8878, 3.1.1.1). */
export const ZSTD_HEADER_BYTES = 18;
/** A streaming decoder keeps one window; zstd's own command refuses more than 128 MiB by default. */
const MAX_WINDOW = 1 << 27;
/** Share of the free space that a file of undeclared size may take. */
const MOST_OF_DISK = 0.9;

export function isZstd(bytes: Uint8Array): boolean {
  return MAGIC.every((byte, i) => bytes[i] === byte);
}

/** Sizes that a zstd frame header declares (RFC 8878, 3.1.1.1). contentBytes is null where it declares none. */
export function parseZstdHeader(
  bytes: Uint8Array,
  where: string,
): { readonly contentBytes: number | null; readonly windowBytes: number } {
  const padded = new Uint8Array(ZSTD_HEADER_BYTES);
  padded.set(bytes.subarray(0, ZSTD_HEADER_BYTES));
  const view = new DataView(padded.buffer);
  const descriptor = padded[4]!;
  const singleSegment = (descriptor & 0x20) !== 0;
  const contentField = descriptor >> 6;
  let at = 5;
  let windowBytes = 0;
  if (!singleSegment) {
    const base = 2 ** (10 + (padded[at]! >> 3));
    windowBytes = base + (base / 8) * (padded[at]! & 7);
    at += 1;
  }
  at += [0, 1, 2, 4][descriptor & 3]!;
  const content =
    contentField === 0
      ? singleSegment
        ? BigInt(padded[at]!)
        : null
      : contentField === 1
        ? BigInt(view.getUint16(at, true)) + 256n
        : contentField === 2
          ? BigInt(view.getUint32(at, true))
          : view.getBigUint64(at, true);
  if (content !== null && content > BigInt(Number.MAX_SAFE_INTEGER))
    throw new DataError(where, `a zstd frame of ${content} bytes`, 'a size below 2^53');
  const contentBytes = content === null ? null : Number(content);
  return { contentBytes, windowBytes: singleSegment ? (contentBytes ?? 0) : windowBytes };
}

/** One compressed message → its bytes, in a buffer of their own. */
export async function decompressMessage(
  bytes: Uint8Array,
  limit: number,
  where: string,
): Promise<Uint8Array> {
  const { contentBytes } = parseZstdHeader(bytes, where);
  if (contentBytes === null || contentBytes > limit)
    throw new DataError(
      where,
      `a zstd message of ${contentBytes ?? 'undeclared'} bytes`,
      `a declared size of at most ${limit} bytes`,
    );
  await zstd.isLoaded;
  let content: Uint8Array;
  try {
    content = zstd.decompress(bytes, contentBytes);
  } catch (error) {
    throw new DataError(where, (error as Error).message, 'a whole zstd frame');
  }
  if (content.byteLength !== contentBytes)
    throw new DataError(where, `${content.byteLength} bytes`, `${contentBytes} as declared`);
  return new Uint8Array(content);
}

/**
 * A whole-file-compressed bag → an open temporary file with its content. The file has no name any more when this
 * returns: closing the handle, or the end of the process, frees its space.
 *
 * @throws DataError for a damaged file, or one that does not fit the temporary folder.
 */
export async function expandFile(path: string): Promise<FileHandle> {
  const folder = await mkdtemp(join(tmpdir(), 'magma-vla-bag-'));
  let handle: FileHandle | undefined;
  try {
    handle = await open(join(folder, 'bag.mcap'), 'w+');
    await rm(folder, { recursive: true });
    await expandInto(handle, path, folder);
    return handle;
  } catch (error) {
    await handle?.close();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
}

async function expandInto(target: FileHandle, path: string, folder: string): Promise<void> {
  const declared = await checkedSize(path);
  const disk = await statfs(tmpdir());
  const free = disk.bavail * disk.bsize;
  const tooLarge = (bytes: string): DataError =>
    new DataError(path, `${bytes} when expanded`, `room in ${folder}: ${free} bytes are free`);
  if ((declared ?? 0) > free) throw tooLarge(`${declared ?? 0} bytes`);
  let written = 0;
  let blocks: Uint8Array[] = [];
  const decoder = new Decompress((block) => void blocks.push(block));
  const flush = async (): Promise<void> => {
    const ready = blocks;
    blocks = [];
    for (const block of ready) {
      written += block.byteLength;
      if (declared !== null && written > declared)
        throw new Error(`more than the ${declared} bytes it declares`);
      // Before the disk is full: others need it, too.
      if (written > free * MOST_OF_DISK) throw tooLarge(`more than ${written} bytes`);
      await target.write(block);
    }
  };
  try {
    // 4 KiB at a time: a block of runs makes 128 KiB out of 4 bytes, so this bounds what one step can hold.
    for await (const piece of createReadStream(path, { highWaterMark: 1 << 12 })) {
      decoder.push(new Uint8Array(piece as Buffer));
      await flush();
    }
    decoder.push(new Uint8Array(0), true);
    await flush();
    if (declared !== null && written !== declared)
      throw new Error(`${written} bytes of the ${declared} it declares`);
  } catch (error) {
    if (error instanceof DataError) throw error;
    throw new DataError(path, (error as Error).message, 'one whole zstd frame');
  }
}

/** Null where the file does not say. */
async function checkedSize(path: string): Promise<number | null> {
  const source = await open(path, 'r');
  try {
    const header = new Uint8Array(ZSTD_HEADER_BYTES);
    await source.read(header, 0, ZSTD_HEADER_BYTES, 0);
    const { contentBytes, windowBytes } = parseZstdHeader(header, path);
    if (windowBytes > MAX_WINDOW && (contentBytes ?? Infinity) > MAX_WINDOW)
      throw new DataError(path, `a zstd window of ${windowBytes} bytes`, `at most ${MAX_WINDOW}`);
    return contentBytes;
  } finally {
    await source.close();
  }
}
