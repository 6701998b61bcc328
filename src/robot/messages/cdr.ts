/**
 * CDR, as ROS 2 writes it (XCDR1, plain, either byte order): message ↔ bytes by a message definition.
 *
 * Why not the library of the same purpose: its writer counts UTF-16 units where CDR counts UTF-8 bytes, so that an
 * instruction with an umlaut is cut, and its reader allocates whatever a length field claims. Here every length is
 * checked against the bytes that are left before anything is allocated.
 */
import { DataError } from '../../errors.js';

export interface Field {
  readonly name: string;
  readonly type: string;
  readonly isComplex?: boolean;
  readonly isArray?: boolean;
  readonly arrayLength?: number | undefined;
  readonly isConstant?: boolean;
}

/** The root first, then every type it uses, by name. */
export interface Layout {
  readonly root: readonly Field[];
  readonly types: ReadonlyMap<string, readonly Field[]>;
}

/** Field name → value: numbers, bigints (64 bit), strings, booleans, arrays or typed arrays of them, {sec, nanosec}. */
export type RosMessage = Readonly<Record<string, unknown>>;

type NumberArray =
  | Int8Array
  | Uint8Array
  | Int16Array
  | Uint16Array
  | Int32Array
  | Uint32Array
  | Float32Array
  | Float64Array;

interface Scalar {
  readonly bytes: number;
  readonly get: (view: DataView, at: number, little: boolean) => number | bigint;
  readonly set: (view: DataView, at: number, value: never, little: boolean) => void;
  readonly array: (new (length: number) => NumberArray) | null;
}

const scalars: Readonly<Record<string, Scalar>> = {
  bool: {
    bytes: 1,
    get: (v, at) => v.getUint8(at),
    set: (v, at, x) => v.setUint8(at, x),
    array: null,
  },
  int8: {
    bytes: 1,
    get: (v, at) => v.getInt8(at),
    set: (v, at, x) => v.setInt8(at, x),
    array: Int8Array,
  },
  uint8: {
    bytes: 1,
    get: (v, at) => v.getUint8(at),
    set: (v, at, x) => v.setUint8(at, x),
    array: Uint8Array,
  },
  int16: {
    bytes: 2,
    get: (v, at, le) => v.getInt16(at, le),
    set: (v, at, x, le) => v.setInt16(at, x, le),
    array: Int16Array,
  },
  uint16: {
    bytes: 2,
    get: (v, at, le) => v.getUint16(at, le),
    set: (v, at, x, le) => v.setUint16(at, x, le),
    array: Uint16Array,
  },
  int32: {
    bytes: 4,
    get: (v, at, le) => v.getInt32(at, le),
    set: (v, at, x, le) => v.setInt32(at, x, le),
    array: Int32Array,
  },
  uint32: {
    bytes: 4,
    get: (v, at, le) => v.getUint32(at, le),
    set: (v, at, x, le) => v.setUint32(at, x, le),
    array: Uint32Array,
  },
  int64: {
    bytes: 8,
    get: (v, at, le) => v.getBigInt64(at, le),
    set: (v, at, x, le) => v.setBigInt64(at, x, le),
    array: null,
  },
  uint64: {
    bytes: 8,
    get: (v, at, le) => v.getBigUint64(at, le),
    set: (v, at, x, le) => v.setBigUint64(at, x, le),
    array: null,
  },
  float32: {
    bytes: 4,
    get: (v, at, le) => v.getFloat32(at, le),
    set: (v, at, x, le) => v.setFloat32(at, x, le),
    array: Float32Array,
  },
  float64: {
    bytes: 8,
    get: (v, at, le) => v.getFloat64(at, le),
    set: (v, at, x, le) => v.setFloat64(at, x, le),
    array: Float64Array,
  },
};

/** Bytes that padding after the last field may take: Fast DDS rounds a sample up to 4, others to 8. */
const MAX_TRAILING = 7;
/** Encapsulation: byte 1 is the representation, 0 = CDR big-endian, 1 = CDR little-endian. */
const HEADER_BYTES = 4;

const utf8 = new TextDecoder('utf-8', { fatal: true });

/**
 * Bytes → message. `uint8[]` fields are views of `bytes` (borrowed); everything else is copied.
 *
 * @throws DataError where the bytes do not fit the definition. `where` names the topic.
 */
export function decodeCdr(layout: Layout, bytes: Uint8Array, where: string): RosMessage {
  const representation = bytes.byteLength >= HEADER_BYTES ? bytes[1] : undefined;
  if (bytes[0] !== 0 || (representation !== 0 && representation !== 1))
    throw new DataError(
      where,
      bytes.byteLength < HEADER_BYTES
        ? `${bytes.byteLength} bytes`
        : `encapsulation ${bytes[0]!} ${representation!}`,
      'plain CDR with a 4-byte header (0 0 or 0 1)',
    );
  const cursor = new Cursor(layout, bytes, representation === 1, where);
  const message = cursor.struct(layout.root, '');
  cursor.end();
  return message;
}

class Cursor {
  private readonly layout: Layout;
  private readonly bytes: Uint8Array;
  private readonly view: DataView;
  private readonly little: boolean;
  private readonly where: string;
  private at = HEADER_BYTES;

  constructor(layout: Layout, bytes: Uint8Array, little: boolean, where: string) {
    this.layout = layout;
    this.bytes = bytes;
    this.view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.little = little;
    this.where = where;
  }

  struct(fields: readonly Field[], path: string): RosMessage {
    const message: Record<string, unknown> = {};
    let empty = true;
    for (const field of fields) {
      if (field.isConstant) continue;
      empty = false;
      message[field.name] = this.field(field, path ? `${path}.${field.name}` : field.name);
    }
    // ROS 2 gives an empty message one byte, as IDL knows no empty struct.
    if (empty) this.scalar(scalars['uint8']!, path);
    return message;
  }

  end(): void {
    const left = this.bytes.byteLength - this.at;
    if (left > MAX_TRAILING)
      throw new DataError(
        this.where,
        `${left} bytes after the last field`,
        `at most ${MAX_TRAILING}`,
      );
  }

  private field(field: Field, path: string): unknown {
    if (!field.isArray) return this.value(field.type, path);
    const count = field.arrayLength ?? Number(this.scalar(scalars['uint32']!, path));
    const left = this.bytes.byteLength - this.at;
    if (count * this.leastBytes(field.type) > left)
      throw new DataError(
        `${this.where}: ${path}`,
        `a length of ${count} with ${left} bytes left`,
        'a length the message can hold',
      );
    const scalar = scalars[field.type];
    if (scalar?.array) return this.numbers(scalar, scalar.array, count, path);
    return Array.from({ length: count }, () => this.value(field.type, path));
  }

  private value(type: string, path: string): unknown {
    const scalar = scalars[type];
    if (scalar)
      return type === 'bool' ? this.scalar(scalar, path) !== 0 : this.scalar(scalar, path);
    if (type === 'string') return this.string(path);
    if (type === 'time' || type === 'duration')
      return {
        sec: this.scalar(scalars['int32']!, path),
        nanosec: this.scalar(scalars['uint32']!, path),
      };
    const fields = this.layout.types.get(type);
    if (!fields) throw new DataError(`${this.where}: ${path}`, `type ${type}`, 'a known type');
    return this.struct(fields, path);
  }

  private scalar(scalar: Scalar, path: string): number | bigint {
    this.align(scalar.bytes);
    this.need(scalar.bytes, path);
    const value = scalar.get(this.view, this.at, this.little);
    this.at += scalar.bytes;
    return value;
  }

  private numbers(
    scalar: Scalar,
    make: new (length: number) => NumberArray,
    count: number,
    path: string,
  ): NumberArray {
    if (count > 0) this.align(scalar.bytes);
    this.need(count * scalar.bytes, path);
    const start = this.at;
    this.at += count * scalar.bytes;
    if (make === Uint8Array) return this.bytes.subarray(start, this.at);
    const values = new make(count);
    for (let i = 0; i < count; i++)
      values[i] = scalar.get(this.view, start + i * scalar.bytes, this.little) as number;
    return values;
  }

  private string(path: string): string {
    const length = Number(this.scalar(scalars['uint32']!, path));
    if (length === 0) return '';
    this.need(length, path);
    const text = this.bytes.subarray(this.at, this.at + length - 1);
    const terminator = this.bytes[this.at + length - 1];
    this.at += length;
    if (terminator !== 0)
      throw new DataError(
        `${this.where}: ${path}`,
        'a string without its closing 0',
        'a CDR string',
      );
    try {
      return utf8.decode(text);
    } catch {
      throw new DataError(
        `${this.where}: ${path}`,
        `${text.byteLength} bytes that are no UTF-8`,
        'UTF-8',
      );
    }
  }

  /** Alignment counts from the end of the 4-byte header. */
  private align(size: number): void {
    const over = (this.at - HEADER_BYTES) % size;
    if (over > 0) this.at += size - over;
  }

  private need(count: number, path: string): void {
    if (this.at + count > this.bytes.byteLength)
      throw new DataError(
        `${this.where}: ${path}`,
        `the message's end at byte ${this.bytes.byteLength}`,
        `${count} bytes from byte ${this.at}`,
      );
  }

  /** A lower bound on what one element takes: enough to refuse a length before allocating for it. */
  private leastBytes(type: string): number {
    if (type === 'string') return 4;
    if (type === 'time' || type === 'duration') return 8;
    return scalars[type]?.bytes ?? 1;
  }
}

/**
 * Message → bytes, little-endian. The result owns its buffer.
 *
 * @throws DataError naming a field that is missing or of the wrong kind: nothing is filled in silently.
 */
export function encodeCdr(layout: Layout, message: RosMessage, where: string): Uint8Array {
  const writer = new Writer(layout, where);
  writer.struct(layout.root, message, '');
  return writer.finish();
}

class Writer {
  private readonly layout: Layout;
  private readonly where: string;
  private bytes = new Uint8Array(512);
  private view = new DataView(this.bytes.buffer);
  private at = HEADER_BYTES;

  constructor(layout: Layout, where: string) {
    this.layout = layout;
    this.where = where;
    this.bytes[1] = 1;
  }

  finish(): Uint8Array {
    return this.bytes.slice(0, this.at);
  }

  struct(fields: readonly Field[], message: RosMessage, path: string): void {
    let empty = true;
    for (const field of fields) {
      if (field.isConstant) continue;
      empty = false;
      this.field(field, message[field.name], path ? `${path}.${field.name}` : field.name);
    }
    if (empty) this.scalar(scalars['uint8']!, 0);
  }

  private field(field: Field, value: unknown, path: string): void {
    if (!field.isArray) {
      this.value(field.type, value, path);
      return;
    }
    if (!Array.isArray(value) && !ArrayBuffer.isView(value)) throw this.wrong(path, value, 'array');
    const elements = value as ArrayLike<unknown>;
    if (field.arrayLength === undefined) this.scalar(scalars['uint32']!, elements.length);
    else if (field.arrayLength !== elements.length)
      throw this.wrong(path, elements.length, `${field.arrayLength} elements`);
    if (field.type === 'uint8' && value instanceof Uint8Array) {
      this.reserve(value.byteLength);
      this.bytes.set(value, this.at);
      this.at += value.byteLength;
      return;
    }
    for (let i = 0; i < elements.length; i++) this.value(field.type, elements[i], path);
  }

  private value(type: string, value: unknown, path: string): void {
    const scalar = scalars[type];
    if (scalar) {
      const kind = type === 'bool' ? 'boolean' : type.endsWith('64') && type !== 'float64';
      const expected = kind === true ? 'bigint' : kind === false ? 'number' : kind;
      if (typeof value !== expected) throw this.wrong(path, value, type);
      this.scalar(scalar, typeof value === 'boolean' ? Number(value) : value);
    } else if (type === 'string') {
      if (typeof value !== 'string') throw this.wrong(path, value, type);
      this.string(value);
    } else if (type === 'time' || type === 'duration') {
      const time = value as { sec?: unknown; nanosec?: unknown } | null | undefined;
      this.value('int32', time?.sec, `${path}.sec`);
      this.value('uint32', time?.nanosec, `${path}.nanosec`);
    } else {
      const fields = this.layout.types.get(type);
      if (!fields || typeof value !== 'object' || value === null)
        throw this.wrong(path, value, type);
      this.struct(fields, value as RosMessage, path);
    }
  }

  private scalar(scalar: Scalar, value: unknown): void {
    const over = (this.at - HEADER_BYTES) % scalar.bytes;
    const padding = over > 0 ? scalar.bytes - over : 0;
    this.reserve(padding + scalar.bytes);
    this.at += padding;
    scalar.set(this.view, this.at, value as never, true);
    this.at += scalar.bytes;
  }

  private string(text: string): void {
    const encoded = new TextEncoder().encode(text);
    this.scalar(scalars['uint32']!, encoded.byteLength + 1);
    this.reserve(encoded.byteLength + 1);
    this.bytes.set(encoded, this.at);
    this.at += encoded.byteLength + 1;
  }

  private reserve(count: number): void {
    if (this.at + count <= this.bytes.byteLength) return;
    const grown = new Uint8Array(Math.max(this.bytes.byteLength * 2, this.at + count));
    grown.set(this.bytes);
    this.bytes = grown;
    this.view = new DataView(grown.buffer);
  }

  private wrong(path: string, got: unknown, expected: string): DataError {
    const shown = typeof got === 'object' && got !== null ? 'an object' : String(got);
    return new DataError(`${this.where}: ${path}`, shown, expected);
  }
}
