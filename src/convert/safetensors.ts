/** safetensors files → tensors, read one at a time by file descriptor; and the writer, its inverse. */
import { closeSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs';
import { ModelError, messageOf } from '../errors.js';
import { float32FromBfloat16, float32FromFloat16 } from './floats.js';
import { maxHeaderBytes, parseHeader, type TensorEntry } from './safetensorsHeader.js';
import { StorageError } from './storageError.js';

/** An open file. The header is parsed and checked; tensors stay on disk until they are read. */
export interface SafetensorsFile {
  readonly path: string;
  readonly entries: ReadonlyMap<string, TensorEntry>;
  /** F32, F16 or BF16 tensor → fp32 in a new array, row-major. @throws ModelError on a missing key or another type. */
  readFloat32(name: string): Float32Array;
  /** A tensor to be read in pieces. @throws as readFloat32. */
  source(name: string): SourceTensor;
  close(): void;
}

export type SourceType = 'F32' | 'F16' | 'BF16';

/** A tensor of an open file, of which any run of elements can be read. */
export interface SourceTensor {
  readonly key: string;
  /** File and key, for messages. */
  readonly where: string;
  readonly type: SourceType;
  readonly shape: readonly number[];
  readonly bytes: number;
  /** Elements from `first` on, as many as fill the target, in the file's own type. */
  readRaw(first: number, target: Uint8Array): void;
  /** Elements from `first` on, as many as fill the target. */
  readFloat32(first: number, target: Float32Array): void;
}

/** @throws ModelError when the file cannot be read or is not a well-formed safetensors file. */
export function openSafetensors(path: string): SafetensorsFile {
  const descriptor = openFile(path);
  try {
    const { entries, dataStart } = readHeader(descriptor, path);
    const source = (name: string): SourceTensor => {
      const entry = entries.get(name);
      if (!entry) throw new ModelError(`${path}: ${name}`, 'no such tensor', 'a tensor');
      return sourceTensor(descriptor, path, entry, dataStart);
    };
    return {
      path,
      entries,
      source,
      readFloat32: (name) => {
        const tensor = source(name);
        const data = new Float32Array(tensor.bytes / elementBytes[tensor.type]);
        tensor.readFloat32(0, data);
        return data;
      },
      close: () => closeSync(descriptor),
    };
  } catch (error) {
    closeSync(descriptor);
    throw error;
  }
}

export interface RawTensor {
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Row-major, little-endian. */
  readonly data: Uint8Array;
}

/** Tensors in the given order, header padded with spaces to a multiple of 8 bytes. */
export function writeSafetensors(
  path: string,
  tensors: ReadonlyMap<string, RawTensor>,
  metadata?: Readonly<Record<string, string>>,
): void {
  const header: Record<string, unknown> = metadata ? { __metadata__: metadata } : {};
  let offset = 0;
  for (const [name, { dtype, shape, data }] of tensors) {
    header[name] = { dtype, shape, data_offsets: [offset, offset + data.byteLength] };
    offset += data.byteLength;
  }
  let text = JSON.stringify(header);
  text += ' '.repeat((8 - (Buffer.byteLength(text) % 8)) % 8);
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(text)));
  const data = [...tensors.values()].map((tensor) => tensor.data);
  writeFileSync(path, Buffer.concat([length, Buffer.from(text), ...data]));
}

function openFile(path: string): number {
  try {
    return openSync(path, 'r');
  } catch (error) {
    throw new ModelError(path, (error as Error).message, 'a readable safetensors file');
  }
}

function readHeader(descriptor: number, path: string) {
  const fileBytes = fstatSync(descriptor).size;
  if (fileBytes < 8) throw new ModelError(path, `${fileBytes} bytes`, 'at least 8');
  const prefix = new Uint8Array(8);
  readFully(descriptor, prefix, 0, path);
  refusePointer(prefix, path);
  const headerBytes = new DataView(prefix.buffer).getBigUint64(0, true);
  const most = Math.min(maxHeaderBytes, fileBytes - 8);
  if (headerBytes > BigInt(most)) {
    throw new ModelError(path, `a header of ${headerBytes} bytes`, `at most ${most}`);
  }
  const bytes = new Uint8Array(Number(headerBytes));
  readFully(descriptor, bytes, 8, path);
  const dataStart = 8 + bytes.length;
  const text = decodeUtf8(bytes, path);
  return { entries: parseHeader(text, fileBytes - dataStart, path), dataStart };
}

/** What `git clone` leaves in place of a large file where Git LFS is not installed. @throws ModelError */
function refusePointer(start: Uint8Array, path: string): void {
  if (Buffer.from(start).toString('latin1') !== 'version ') return;
  throw new ModelError(path, 'a Git LFS pointer', 'the file it stands for: git lfs pull');
}

function decodeUtf8(bytes: Uint8Array, path: string): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw new ModelError(`${path}: header`, 'invalid UTF-8', 'UTF-8');
  }
}

/** One read returns at most 2 GiB, so large tensors are read in pieces. */
function readFully(descriptor: number, target: Uint8Array, position: number, path: string): void {
  for (let done = 0; done < target.length;) {
    const most = Math.min(target.length - done, 1 << 28);
    const count = readSome(descriptor, target, done, most, position + done, path);
    if (count === 0) {
      throw new ModelError(path, `an end at byte ${position + done}`, 'the rest of the data');
    }
    done += count;
  }
}

function readSome(
  descriptor: number,
  target: Uint8Array,
  offset: number,
  length: number,
  position: number,
  path: string,
): number {
  try {
    return readSync(descriptor, target, offset, length, position);
  } catch (error) {
    throw new StorageError(path, `${messageOf(error)} at byte ${position}`, 'readable data');
  }
}

const elementBytes: Readonly<Record<SourceType, number>> = { F32: 4, F16: 2, BF16: 2 };

function sourceTensor(
  descriptor: number,
  path: string,
  { name, dtype, shape, begin, end }: TensorEntry,
  dataStart: number,
): SourceTensor {
  const where = `${path}: ${name}`;
  if (!Object.hasOwn(elementBytes, dtype)) {
    throw new ModelError(where, `dtype ${dtype}`, 'F32 | F16 | BF16');
  }
  const type = dtype as SourceType;
  const bytes = end - begin;
  const readRaw = (first: number, target: Uint8Array): void => {
    const from = first * elementBytes[type];
    if (from + target.length > bytes) {
      throw new RangeError(`${where}: ${target.length} bytes from ${from} of ${bytes}`);
    }
    readFully(descriptor, target, dataStart + begin + from, path);
  };
  return {
    ...{ key: name, where, type, shape, bytes, readRaw },
    readFloat32: (first, target) => {
      const size = elementBytes[type] * target.length;
      // 16-bit numbers are read into the upper half of the target: converted upwards, none is overwritten unread.
      const at = target.byteOffset + target.byteLength - size;
      readRaw(first, new Uint8Array(target.buffer, at, size));
      if (type === 'F32') return;
      const halves = new Uint16Array(target.buffer, at, target.length);
      if (type === 'F16') float32FromFloat16(halves, target);
      else float32FromBfloat16(halves, target);
    },
  };
}
