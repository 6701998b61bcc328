/** safetensors files → tensors, read one at a time by file descriptor; and the writer, its inverse. */
import { closeSync, fstatSync, openSync, readSync, writeFileSync } from 'node:fs';
import { ModelError } from '../errors.js';
import { maxHeaderBytes, parseHeader, type TensorEntry } from './safetensorsHeader.js';

/** An open file. The header is parsed and checked; tensors stay on disk until they are read. */
export interface SafetensorsFile {
  readonly path: string;
  readonly entries: ReadonlyMap<string, TensorEntry>;
  /** F32, F16 or BF16 tensor → fp32 in a new array, row-major. @throws ModelError on a missing key or another type. */
  readFloat32(name: string): Float32Array;
  close(): void;
}

/** @throws ModelError when the file cannot be read or is not a well-formed safetensors file. */
export function openSafetensors(path: string): SafetensorsFile {
  const descriptor = openFile(path);
  try {
    const { entries, dataStart } = readHeader(descriptor, path);
    return {
      path,
      entries,
      readFloat32: (name) => {
        const entry = entries.get(name);
        if (!entry) throw new ModelError(`${path}: ${name}`, 'no such tensor', 'a tensor');
        const bytes = new Uint8Array(entry.end - entry.begin);
        readFully(descriptor, bytes, dataStart + entry.begin, path);
        return float32FromBytes(bytes, entry.dtype, `${path}: ${name}`);
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
    const count = readSync(descriptor, target, done, most, position + done);
    if (count === 0) {
      throw new ModelError(path, `an end at byte ${position + done}`, 'the rest of the data');
    }
    done += count;
  }
}

function float32FromBytes(bytes: Uint8Array, dtype: string, where: string): Float32Array {
  switch (dtype) {
    case 'F32':
      return new Float32Array(bytes.buffer);
    case 'F16':
      return float32FromFloat16(new Uint16Array(bytes.buffer));
    case 'BF16':
      return float32FromBfloat16(new Uint16Array(bytes.buffer));
    default:
      throw new ModelError(where, `dtype ${dtype}`, 'F32 | F16 | BF16');
  }
}

/** bfloat16 is the upper half of a float32. */
function float32FromBfloat16(source: Uint16Array): Float32Array {
  const bits = new Uint32Array(source.length);
  for (let i = 0; i < source.length; i++) bits[i] = source[i]! << 16;
  return new Float32Array(bits.buffer);
}

let float16Table: Float32Array | undefined;

/** IEEE 754 binary16; exact, every value of it is a float32. */
function float32FromFloat16(source: Uint16Array): Float32Array {
  float16Table ??= Float32Array.from({ length: 65536 }, (_, bits) => float16Value(bits));
  const table = float16Table;
  const out = new Float32Array(source.length);
  for (let i = 0; i < source.length; i++) out[i] = table[source[i]!]!;
  return out;
}

function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0
    ? sign * fraction * 2 ** -24
    : sign * (1024 + fraction) * 2 ** (exponent - 25);
}
