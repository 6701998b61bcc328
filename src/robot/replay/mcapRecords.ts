/**
 * MCAP below the file: limits, records, and reading bytes. @mcap/core parses; what it may be handed is decided here.
 */
import type { FileHandle } from 'node:fs/promises';
import { McapStreamReader, type McapTypes } from '@mcap/core';
import { loadDecompressHandlers } from '@mcap/support';
import { DataError } from '../../errors.js';

export const limits = {
  /** Largest record, compressed chunk or message; rosbag2 writes chunks of 0.75 to 4 MiB. */
  recordBytes: 1 << 27,
  /** Largest chunk or message after decompression. */
  chunkBytes: 1 << 27,
  messagesPerSpan: 500_000,
  spans: 1_000_000,
  topics: 4096,
  /** Loose messages are grouped into spans of about this size. */
  looseBytes: 1 << 20,
} as const;

export const MAGIC = [0x89, 0x4d, 0x43, 0x41, 0x50, 0x30, 0x0d, 0x0a];
/** Opcode and 64-bit length. */
export const FRAME_BYTES = 9;
export const opcode = {
  header: 1,
  footer: 2,
  schema: 3,
  channel: 4,
  message: 5,
  chunk: 6,
  statistics: 11,
  dataEnd: 15,
} as const;
export const parsedOpcodes: ReadonlySet<number> = new Set([
  opcode.header,
  opcode.schema,
  opcode.channel,
  opcode.message,
  opcode.chunk,
  opcode.statistics,
]);

/** Feeds bytes and yields the records in them; every failure of the parser is a DataError at that place. */
export function* recordsOf(
  reader: McapStreamReader,
  pieces: readonly Uint8Array[],
  where: string,
): Generator<McapTypes.TypedMcapRecord> {
  for (const piece of pieces) {
    if (piece.byteLength === 0) continue;
    let record: McapTypes.TypedMcapRecord | undefined;
    try {
      reader.append(piece);
      record = reader.nextRecord();
    } catch (error) {
      throw broken(error, where);
    }
    while (record) {
      yield record;
      try {
        record = reader.nextRecord();
      } catch (error) {
        throw broken(error, where);
      }
    }
  }
}

function broken(error: unknown, where: string): DataError {
  return error instanceof DataError
    ? error
    : new DataError(where, (error as Error).message, 'a whole MCAP record');
}

export async function newReader(): Promise<McapStreamReader> {
  const handlers = await loadDecompressHandlers();
  const decompressHandlers: McapTypes.DecompressHandlers = {};
  for (const [name, decompress] of Object.entries(handlers))
    decompressHandlers[name] = (compressed, size) => {
      if (size > BigInt(limits.chunkBytes))
        throw new Error(`a chunk of ${size} bytes, at most ${limits.chunkBytes} are read`);
      const content = decompress(compressed, size);
      if (BigInt(content.byteLength) !== size)
        throw new Error(`a chunk of ${content.byteLength} bytes that declares ${size}`);
      return content;
    };
  return new McapStreamReader({ noMagicPrefix: true, validateCrcs: true, decompressHandlers });
}

/** Small reads are served from one window: a bag of loose messages would otherwise cost two system calls for each. */
const WINDOW_BYTES = 1 << 18;

/** A file read front to back by one reader. Results are borrowed: they hold until the next read. */
export class FileWindow {
  private readonly handle: FileHandle;
  private readonly path: string;
  private readonly window = new Uint8Array(WINDOW_BYTES);
  private start = 0;
  private end = 0;

  constructor(handle: FileHandle, path: string) {
    this.handle = handle;
    this.path = path;
  }

  /** @throws DataError where the file is shorter. */
  async read(offset: number, length: number): Promise<Uint8Array> {
    if (length > WINDOW_BYTES) return readExactly(this.handle, this.path, offset, length);
    if (offset < this.start || offset + length > this.end) {
      this.start = offset;
      this.end = offset + (await fill(this.handle, this.window, offset));
      if (offset + length > this.end) throw short(this.path, offset, length);
    }
    return this.window.subarray(offset - this.start, offset - this.start + length);
  }
}

/** Bytes of their own. Any number of these may run at once. @throws DataError where the file is shorter. */
export async function readExactly(
  handle: FileHandle,
  path: string,
  offset: number,
  length: number,
): Promise<Uint8Array> {
  const bytes = new Uint8Array(length);
  if ((await fill(handle, bytes, offset)) < length) throw short(path, offset, length);
  return bytes;
}

/** @returns how many bytes there were, at most `bytes.byteLength`. */
async function fill(handle: FileHandle, bytes: Uint8Array, offset: number): Promise<number> {
  let filled = 0;
  while (filled < bytes.byteLength) {
    const left = bytes.byteLength - filled;
    const { bytesRead } = await handle.read(bytes, filled, left, offset + filled);
    if (bytesRead === 0) break;
    filled += bytesRead;
  }
  return filled;
}

function short(path: string, offset: number, length: number): DataError {
  return new DataError(`${path} at byte ${offset}`, 'the end of the file', `${length} bytes more`);
}
