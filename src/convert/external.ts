/** External data files: what the weights of one or more ONNX models lie in. */
import { closeSync, openSync, writeSync } from 'node:fs';
import { basename } from 'node:path';
import type { StoredTensor } from './onnx.js';

/** The data file of one or more models. Large tensors begin on a page, so that a load by path maps them. */
export class ExternalData {
  readonly #path: string;
  readonly #descriptor: number;
  #end = 0;

  constructor(path: string) {
    this.#path = path;
    this.#descriptor = openSync(path, 'wx');
  }

  /** Appends fp32 weights, row-major. The array may be dropped as soon as this returns. */
  store(name: string, shape: readonly number[], data: Float32Array): StoredTensor {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    const alignment = bytes.length < 4096 ? 64 : 4096;
    const offset = Math.ceil(this.#end / alignment) * alignment;
    for (let done = 0; done < bytes.length;) {
      const count = Math.min(bytes.length - done, 1 << 28);
      done += writeSync(this.#descriptor, bytes, done, count, offset + done);
    }
    this.#end = offset + bytes.length;
    const file = basename(this.#path);
    return { name, type: 'float32', shape, file, offset, bytes: bytes.length };
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}
