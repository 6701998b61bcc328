/**
 * From a checkpoint's tensors into one external data file, in the formats asked for. Towers, projector and decoder ask
 * for their weights by key and shape, in a fixed order, and get what a graph refers to; what lies on the disk, and how
 * precisely, is decided here alone.
 */
import type { Checkpoint } from './checkpoint.js';
import type { ExternalData } from './external.js';
import type { LinearWeight } from './linear.js';
import type { StoredTensor } from './onnx.js';

/** Element type of activations, norms, biases, convolutions and the key/value cache. */
export type ComputeType = 'float32' | 'float16';

export interface WeightFormat {
  /** How linear layers are stored. */
  readonly weights: 'fp32' | 'fp16' | 'int8' | 'int4';
  /** Inputs that share one scale, where weights are int8 or int4. */
  readonly block: 32 | 128;
  readonly compute: ComputeType;
  /** Of MatMulNBits: 0 computes in the compute type, 4 with 8-bit activations. */
  readonly accuracyLevel: 0 | 4;
}

export const plainFormat: WeightFormat = {
  weights: 'fp32',
  block: 32,
  compute: 'float32',
  accuracyLevel: 4,
};

/** Rows of one linear layer as PyTorch keeps them: [out, in], row-major. */
export interface LinearRows {
  readonly key: string;
  readonly out: number;
  /** Multiplies row i by rowScale[i]: a layer scale that follows the layer. */
  readonly rowScale?: Float32Array;
}

/** Every method throws ModelError on a tensor that is missing or of another shape. */
export interface WeightStore {
  readonly format: WeightFormat;
  /** In the compute type, row-major. */
  plain(key: string, shape: readonly number[]): StoredTensor;
  /** Reads a tensor to derive another from it (fp32; small ones only). */
  take(key: string, shape: readonly number[]): Float32Array;
  /** What was computed from taken tensors, in the compute type. */
  derived(name: string, shape: readonly number[], data: Float32Array): StoredTensor;
  /** Layers that read the same input, side by side: together [Σ out, inputs]. */
  linear(name: string, parts: readonly LinearRows[], inputs: number): LinearWeight;
  /** [rows, width], for Gather. */
  table(key: string, shape: readonly [number, number]): StoredTensor;
}

export function openWeightStore(
  checkpoint: Checkpoint,
  external: ExternalData,
  format: WeightFormat,
): WeightStore {
  const plain = (key: string, shape: readonly number[]) =>
    external.store(key, shape, checkpoint.take(key, shape));
  return {
    format,
    plain,
    take: (key, shape) => checkpoint.take(key, shape),
    derived: (name, shape, data) => external.store(name, shape, data),
    linear: (name, parts, inputs) => ({
      stored: storeTransposed(checkpoint, external, name, parts, inputs),
    }),
    table: plain,
  };
}

/** As one matrix [inputs, Σ out]. */
function storeTransposed(
  checkpoint: Checkpoint,
  external: ExternalData,
  name: string,
  parts: readonly LinearRows[],
  inputs: number,
): StoredTensor {
  const outputs = parts.reduce((sum, { out }) => sum + out, 0);
  const matrix = new Float32Array(inputs * outputs);
  let column = 0;
  for (const { key, out, rowScale } of parts) {
    const rows = checkpoint.take(key, [out, inputs]);
    if (rowScale) scaleRows(rows, rowScale);
    transposeInto(matrix, column, outputs, rows, out, inputs);
    column += out;
  }
  return external.store(name, [inputs, outputs], matrix);
}

/** Multiplies row i of a row-major matrix, or element i of a vector, by scale[i], in place. */
export function scaleRows(matrix: Float32Array, scale: Float32Array): void {
  const columns = matrix.length / scale.length;
  for (let i = 0; i < matrix.length; i++) matrix[i]! *= scale[Math.floor(i / columns)]!;
}

/** target[i, column + o] = rows[o, i], in blocks that fit a cache. */
function transposeInto(
  target: Float32Array,
  column: number,
  stride: number,
  rows: Float32Array,
  outputs: number,
  inputs: number,
): void {
  const block = 32;
  for (let o0 = 0; o0 < outputs; o0 += block) {
    for (let i0 = 0; i0 < inputs; i0 += block) {
      const oEnd = Math.min(o0 + block, outputs);
      const iEnd = Math.min(i0 + block, inputs);
      for (let o = o0; o < oEnd; o++) {
        for (let i = i0; i < iEnd; i++) target[i * stride + column + o] = rows[o * inputs + i]!;
      }
    }
  }
}
