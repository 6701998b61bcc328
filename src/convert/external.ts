/** External data files: what the weights of one or more ONNX models lie in. */
import { createHash } from 'node:crypto';
import { closeSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import { messageOf } from '../errors.js';
import type { ElementType, StoredTensor } from './onnx.js';
import { StorageError } from './storageError.js';

const elementBytes: Readonly<Record<ElementType, number>> = {
  bool: 1,
  uint8: 1,
  float16: 2,
  bfloat16: 2,
  int32: 4,
  float32: 4,
  int64: 8,
};

/**
 * The data file of one or more models. A tensor's place is given before its data, in the order of asking: the same
 * questions give the same file, in whichever order and pieces it is filled.
 */
export class ExternalData {
  readonly path: string;
  readonly #descriptor: number;
  #end = 0;

  /** @param mode 'new' refuses a file that exists, 'resume' takes it as it is. @throws StorageError */
  constructor(path: string, mode: 'new' | 'resume' = 'new') {
    this.path = path;
    this.#descriptor = open(path, mode);
  }

  /** Bytes of the file once it is full. */
  get size(): number {
    return this.#end;
  }

  /** Large tensors begin on a page, so that a load by path maps them. */
  allocate(name: string, type: ElementType, shape: readonly number[]): StoredTensor {
    const bytes = shape.reduce((product, extent) => product * extent, elementBytes[type]);
    const alignment = bytes < 4096 ? 64 : 4096;
    const offset = Math.ceil(this.#end / alignment) * alignment;
    this.#end = offset + bytes;
    return { name, type, shape, file: basename(this.path), offset, bytes };
  }

  /** Bytes of a tensor from byte `at` of it on. @throws StorageError where the disk takes no more. */
  write(tensor: StoredTensor, at: number, data: Uint8Array): void {
    if (at + data.length > tensor.bytes) {
      throw new RangeError(`${tensor.name}: ${data.length} bytes at ${at} of ${tensor.bytes}`);
    }
    try {
      for (let done = 0; done < data.length;) {
        const count = Math.min(data.length - done, 1 << 28);
        const position = tensor.offset + at + done;
        done += writeSync(this.#descriptor, data, done, count, position);
      }
    } catch (error) {
      const full = (error as NodeJS.ErrnoException).code === 'ENOSPC';
      const got = full ? 'no space left on the disk' : messageOf(error);
      throw new StorageError(this.path, got, `room for ${tensor.bytes} bytes of ${tensor.name}`);
    }
  }

  /** Of a tensor as it lies in the file, lower-case hex; null where the file ends before it. */
  sha256(tensor: StoredTensor): string | null {
    const hash = createHash('sha256');
    const piece = new Uint8Array(Math.min(tensor.bytes, 1 << 20));
    for (let done = 0; done < tensor.bytes;) {
      const most = Math.min(piece.length, tensor.bytes - done);
      const count = this.#read(piece, most, tensor.offset + done);
      if (count === 0) return null;
      hash.update(piece.subarray(0, count));
      done += count;
    }
    return hash.digest('hex');
  }

  /** Gives the file its size at once; what is not written yet reads as zeros. */
  reserve(): void {
    try {
      ftruncateSync(this.#descriptor, this.#end);
    } catch (error) {
      throw new StorageError(this.path, messageOf(error), `room for ${this.#end} bytes`);
    }
  }

  /** Onto the disk itself: a crash of the machine leaves what was written. @throws StorageError */
  sync(): void {
    try {
      fsyncSync(this.#descriptor);
    } catch (error) {
      throw new StorageError(this.path, messageOf(error), 'a disk that keeps what was written');
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }

  #read(target: Uint8Array, length: number, position: number): number {
    try {
      return readSync(this.#descriptor, target, 0, length, position);
    } catch (error) {
      throw new StorageError(this.path, messageOf(error), 'readable data');
    }
  }
}

function open(path: string, mode: 'new' | 'resume'): number {
  try {
    return openSync(path, 'wx+');
  } catch (error) {
    if (mode === 'resume' && (error as NodeJS.ErrnoException).code === 'EEXIST') {
      return openSync(path, 'r+');
    }
    throw new StorageError(path, messageOf(error), 'a file that can be written');
  }
}

/** The bytes of an array; a view, not a copy. */
export function bytesOf(data: Float32Array | Uint16Array | Uint8Array): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
