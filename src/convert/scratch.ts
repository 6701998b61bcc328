/**
 * Working memory that weights share, one after the other. Memory of arrays that are let go comes back only when the
 * collector gets to it: a conversion that made new ones for every piece took a third more, or twice as much, by chance.
 */
export class Scratch {
  readonly #buffers = new Map<string, ArrayBuffer>();

  /** Of any content; valid until the next call with this name. */
  float32(name: string, length: number): Float32Array {
    return new Float32Array(this.#buffer(name, 4 * length), 0, length);
  }

  /** As float32. */
  uint16(name: string, length: number): Uint16Array {
    return new Uint16Array(this.#buffer(name, 2 * length), 0, length);
  }

  /** As float32. */
  uint8(name: string, length: number): Uint8Array {
    return new Uint8Array(this.#buffer(name, length), 0, length);
  }

  #buffer(name: string, bytes: number): ArrayBuffer {
    const before = this.#buffers.get(name);
    if (before && before.byteLength >= bytes) return before;
    const buffer = new ArrayBuffer(bytes);
    this.#buffers.set(name, buffer);
    return buffer;
  }
}
