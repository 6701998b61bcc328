/**
 * One weight on its way from a checkpoint into an external data file: planned when a graph asks for it, written later,
 * piece by piece. No piece is larger than 64 MB, however large the tensor.
 */
import { ModelError } from '../errors.js';
import { bytesOf, type ExternalData } from './external.js';
import { float16FromFloat32, float32FromFloat16, roundToFloat16 } from './floats.js';
import type { StoredTensor } from './onnx.js';
import { packedBytesPerRow, blocksPerRow, quantiseRows, type BlockLayout } from './quantise.js';
import type { SourceTensor, SourceType } from './safetensors.js';
import type { Scratch } from './scratch.js';
import { ErrorTally, type TensorError } from './tensorError.js';

export interface TensorJob {
  readonly external: ExternalData;
  /** What it fills; their places are final. */
  readonly tensors: readonly StoredTensor[];
  /** What it reads, bytes. */
  readonly sourceBytes: number;
  /**
   * Reads, converts and writes; yields the bytes read after each piece. Returns what was lost, null where nothing can
   * be. Begun again, it writes the same bytes again.
   * @param scratch nobody else's until the last piece. @throws ModelError
   */
  write(scratch: Scratch): Generator<number, TensorError | null, undefined>;
}

/** Writes a weight without a pause. */
export function runJob(job: TensorJob, scratch: Scratch): TensorError | null {
  const pieces = job.write(scratch);
  for (;;) {
    const piece = pieces.next();
    if (piece.done) return piece.value;
  }
}

/** Rows of a checkpoint's tensor, [count, width]; row i is multiplied by scale[i]. */
export interface SourceRows {
  readonly source: SourceTensor;
  readonly count: number;
  readonly width: number;
  readonly scale?: Float32Array | undefined;
}

/** Numbers in one piece. */
const pieceNumbers = 1 << 23;

/** The bytes of a tensor as they are in the checkpoint. */
export function copyJob(
  external: ExternalData,
  tensor: StoredTensor,
  source: SourceTensor,
): TensorJob {
  const numberBytes = source.type === 'F32' ? 4 : 2;
  const width = source.bytes / numberBytes / source.shape[0]!;
  return {
    ...{ external, tensors: [tensor], sourceBytes: source.bytes },
    *write(scratch) {
      const most = Math.min(source.bytes, pieceNumbers * numberBytes);
      const piece = scratch.uint8('piece', most);
      for (let done = 0; done < source.bytes;) {
        const part = piece.subarray(0, Math.min(piece.length, source.bytes - done));
        source.readRaw(done / numberBytes, part);
        assertFinite(part, source.type, { where: source.where, first: done / numberBytes, width });
        external.write(tensor, done, part);
        done += part.length;
        yield part.length;
      }
      return null;
    },
  };
}

/** Rows in their order, as fp32 or fp16. */
export function rowsJob(external: ExternalData, tensor: StoredTensor, rows: SourceRows): TensorJob {
  return {
    ...{ external, tensors: [tensor], sourceBytes: rows.source.bytes },
    *write(scratch) {
      const encoder = new Encoder(tensor, rows, new ErrorTally(), scratch);
      let at = 0;
      for (const piece of pieces(rows, scratch)) {
        const data = bytesOf(encoder.encode(piece));
        external.write(tensor, at, data);
        at += data.length;
        yield piece.sourceBytes;
      }
      return encoder.report();
    },
  };
}

/** Layers side by side as one matrix [width, Σ count], fp32 or fp16. */
export function transposedJob(
  external: ExternalData,
  tensor: StoredTensor,
  parts: readonly SourceRows[],
): TensorJob {
  const columns = parts.reduce((sum, { count }) => sum + count, 0);
  const numberBytes = tensor.type === 'float32' ? 4 : 2;
  return {
    ...{ external, tensors: [tensor], sourceBytes: bytesOfAll(parts) },
    *write(scratch) {
      let column = 0;
      const errors = new ErrorTally();
      for (const rows of parts) {
        const encoder = new Encoder(tensor, rows, errors, scratch);
        for (const piece of pieces(rows, scratch)) {
          const encoded = encoder.encode(piece);
          const turned = transpose(encoded, piece.count, rows.width, scratch);
          for (let i = 0; i < rows.width; i++) {
            const segment = turned.subarray(i * piece.count, (i + 1) * piece.count);
            external.write(tensor, (i * columns + column) * numberBytes, bytesOf(segment));
          }
          column += piece.count;
          yield piece.sourceBytes;
        }
      }
      return tensor.type === 'float32' ? null : errors.report();
    },
  };
}

/** Layers side by side as whole numbers [Σ count, packedBytesPerRow] and scales [Σ count, blocksPerRow]. */
export function packedJob(
  external: ExternalData,
  packed: StoredTensor,
  scales: StoredTensor,
  layout: BlockLayout,
  parts: readonly SourceRows[],
): TensorJob {
  const round = scales.type === 'float16' ? roundToFloat16 : Math.fround;
  return {
    ...{ external, tensors: [packed, scales], sourceBytes: bytesOfAll(parts) },
    *write(scratch) {
      const errors = new ErrorTally();
      let row = 0;
      for (const rows of parts) {
        for (const { data, first, count, sourceBytes } of pieces(rows, scratch)) {
          const packedRows = scratch.uint8('packed', count * packedBytesPerRow(layout));
          const scalesOfRows = scratch.float32('scales', count * blocksPerRow(layout));
          const at = { key: rows.source.key, firstRow: first };
          quantiseRows(data, layout, round, packedRows, scalesOfRows, errors, at);
          const stored =
            scales.type === 'float16' ? halves(scalesOfRows, scales, scratch) : scalesOfRows;
          external.write(packed, row * packedBytesPerRow(layout), packedRows);
          external.write(scales, (row * bytesOf(stored).length) / count, bytesOf(stored));
          row += count;
          yield sourceBytes;
        }
      }
      return errors.report();
    },
  };
}

/** What was computed already. */
export function dataJob(
  external: ExternalData,
  tensor: StoredTensor,
  data: Float32Array,
): TensorJob {
  return {
    ...{ external, tensors: [tensor], sourceBytes: 0 },
    *write(scratch) {
      const width = data.length / tensor.shape[0]!;
      assertFinite(bytesOf(data), 'F32', { where: tensor.name, first: 0, width });
      const stored = tensor.type === 'float16' ? halves(data, tensor, scratch) : data;
      external.write(tensor, 0, bytesOf(stored));
      yield 0;
      return null;
    },
  };
}

interface Piece {
  /** [count, width], finite; valid until the next piece. */
  readonly data: Float32Array;
  readonly first: number;
  readonly count: number;
  readonly sourceBytes: number;
}

function* pieces({ source, count, width, scale }: SourceRows, scratch: Scratch): Generator<Piece> {
  const rowsOfPiece = Math.min(count, Math.max(1, Math.floor(pieceNumbers / Math.max(1, width))));
  const buffer = scratch.float32('piece', rowsOfPiece * width);
  const numberBytes = source.type === 'F32' ? 4 : 2;
  for (let first = 0; first < count; first += rowsOfPiece) {
    const rows = Math.min(rowsOfPiece, count - first);
    const data = buffer.subarray(0, rows * width);
    source.readFloat32(first * width, data);
    if (scale) scaleRows(data, scale.subarray(first, first + rows));
    assertFinite(bytesOf(data), 'F32', { where: source.where, first: first * width, width });
    yield { data, first, count: rows, sourceBytes: rows * width * numberBytes };
  }
}

/** Multiplies row i of a row-major matrix, or element i of a vector, by scale[i], in place. */
export function scaleRows(matrix: Float32Array, scale: Float32Array): void {
  const columns = matrix.length / scale.length;
  for (let i = 0; i < matrix.length; i++) matrix[i]! *= scale[Math.floor(i / columns)]!;
}

/** Rows of fp32 → the numbers of a tensor, fp32 itself or fp16 with the error it makes. */
class Encoder {
  readonly #tensor: StoredTensor;
  readonly #rows: SourceRows;
  readonly #errors: ErrorTally;
  readonly #scratch: Scratch;

  constructor(tensor: StoredTensor, rows: SourceRows, errors: ErrorTally, scratch: Scratch) {
    this.#tensor = tensor;
    this.#rows = rows;
    this.#errors = errors;
    this.#scratch = scratch;
  }

  encode({ data, first }: Piece): Float32Array | Uint16Array {
    if (this.#tensor.type === 'float32') return data;
    const { source, width, scale } = this.#rows;
    const encoded = this.#scratch.uint16('encoded', data.length);
    const wrong = float16FromFloat32(data, encoded);
    if (wrong !== -1) {
      const where = `${source.where}, row ${first + Math.floor(wrong / width)}`;
      throw new ModelError(where, String(data[wrong]), fits16);
    }
    const isExact = source.type === 'F16' && scale === undefined;
    if (!isExact) this.#tally(data, encoded, first);
    return encoded;
  }

  /** Null where fp32 was written. */
  report(): TensorError | null {
    return this.#tensor.type === 'float32' ? null : this.#errors.report();
  }

  #tally(data: Float32Array, encoded: Uint16Array, first: number): void {
    const { source, width } = this.#rows;
    const stored = this.#scratch.float32('stored', data.length);
    float32FromFloat16(encoded, stored);
    for (let from = 0; from < data.length; from += width) {
      let squaredError = 0;
      let squaredSum = 0;
      let largest = 0;
      for (let i = from; i < from + width; i++) {
        const off = Math.abs(data[i]! - stored[i]!);
        squaredError += off * off;
        squaredSum += data[i]! * data[i]!;
        if (off > largest) largest = off;
      }
      const row = first + from / width;
      this.#errors.add(source.key, row, squaredError, squaredSum, largest);
    }
  }
}

/** All of them are set in infinities and NaN, and in no other number. */
const exponentBits = { F32: 0x7f800000, F16: 0x7c00, BF16: 0x7f80 } as const;

/** @param at tensor, index of the first of these numbers in it, and numbers in a row of it. @throws ModelError */
function assertFinite(
  { buffer, byteOffset, length }: Uint8Array,
  type: SourceType,
  at: { readonly where: string; readonly first: number; readonly width: number },
): void {
  const words =
    type === 'F32'
      ? new Uint32Array(buffer, byteOffset, length / 4)
      : new Uint16Array(buffer, byteOffset, length / 2);
  const exponent = exponentBits[type];
  for (let i = 0; i < words.length; i++) {
    if ((words[i]! & exponent) !== exponent) continue;
    const where = `${at.where}, row ${Math.floor((at.first + i) / at.width)}`;
    throw new ModelError(where, 'a number that is not finite', 'finite weights');
  }
}

const fits16 = 'a number that fp16 has, at most ±65504';

function halves(data: Float32Array, tensor: StoredTensor, scratch: Scratch): Uint16Array {
  const encoded = scratch.uint16('encoded', data.length);
  const wrong = float16FromFloat32(data, encoded);
  if (wrong === -1) return encoded;
  throw new ModelError(tensor.name, String(data[wrong]), fits16);
}

/** rows [count, width] → [width, count], in blocks that fit a cache. */
function transpose<T extends Float32Array | Uint16Array>(
  rows: T,
  count: number,
  width: number,
  scratch: Scratch,
): T {
  const turned = (
    rows instanceof Float32Array
      ? scratch.float32('turned', rows.length)
      : scratch.uint16('turned', rows.length)
  ) as T;
  const block = 32;
  for (let r0 = 0; r0 < count; r0 += block) {
    for (let i0 = 0; i0 < width; i0 += block) {
      const rEnd = Math.min(r0 + block, count);
      const iEnd = Math.min(i0 + block, width);
      for (let r = r0; r < rEnd; r++) {
        for (let i = i0; i < iEnd; i++) turned[i * count + r] = rows[r * width + i]!;
      }
    }
  }
  return turned;
}

const bytesOfAll = (parts: readonly SourceRows[]): number =>
  parts.reduce((sum, { source }) => sum + source.bytes, 0);
