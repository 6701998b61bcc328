/** Checksums of parts of a file, while all of it is read in order for another purpose. */
import { createHash, type Hash } from 'node:crypto';

/** Bytes [offset, offset + bytes) of a file, and their SHA-256. */
export interface KnownRange {
  readonly name: string;
  readonly offset: number;
  readonly bytes: number;
  readonly sha256: string;
}

export class RangeHashes {
  readonly #ranges: readonly KnownRange[];
  readonly #changed: string[] = [];
  #next = 0;
  #hash: Hash = createHash('sha256');

  /** @param ranges that do not overlap. */
  constructor(ranges: readonly KnownRange[]) {
    this.#ranges = [...ranges].sort((a, b) => a.offset - b.offset);
  }

  /** @param position of the piece in the file: where the one before ended. */
  add(piece: Uint8Array, position: number): void {
    const pieceEnd = position + piece.length;
    for (; this.#next < this.#ranges.length; this.#next++) {
      const { name, offset, bytes, sha256 } = this.#ranges[this.#next]!;
      const [from, end] = [Math.max(offset, position), offset + bytes];
      if (from < pieceEnd) {
        this.#hash.update(piece.subarray(from - position, Math.min(end, pieceEnd) - position));
      }
      if (end > pieceEnd) return;
      if (this.#hash.digest('hex') !== sha256) this.#changed.push(name);
      this.#hash = createHash('sha256');
    }
  }

  /** Ranges that are not what they were, or that the file ended before. */
  changed(): readonly string[] {
    return [...this.#changed, ...this.#ranges.slice(this.#next).map(({ name }) => name)];
  }
}
