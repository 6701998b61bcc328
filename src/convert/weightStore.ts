/**
 * From a checkpoint's tensors into one external data file, in the formats asked for. Towers, projector and decoder ask
 * for their weights by key and shape, in a fixed order, and get what a graph refers to; what lies on the disk, and how
 * precisely, is decided here alone.
 */
import type { Checkpoint } from './checkpoint.js';
import type { ExternalData } from './external.js';
import type { LinearWeight } from './linear.js';
import type { ElementType, StoredTensor } from './onnx.js';
import { blocksPerRow, packedBytesPerRow, type BlockLayout } from './quantise.js';
import type { SourceType } from './safetensors.js';
import { Scratch } from './scratch.js';
import {
  copyJob,
  dataJob,
  packedJob,
  rowsJob,
  runJob,
  transposedJob,
  type SourceRows,
  type TensorJob,
} from './tensorJob.js';

export { scaleRows } from './tensorJob.js';

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

export interface PlainOptions {
  /** Shape it is stored with, as many numbers; that of the checkpoint without it. */
  readonly as?: readonly number[];
  /** Multiplies row i, [i, …], by rowScale[i]. */
  readonly rowScale?: Float32Array;
}

/** Every method throws ModelError on a tensor that is missing or of another shape. */
export interface WeightStore {
  readonly format: WeightFormat;
  /** In the compute type, row-major. */
  plain(key: string, shape: readonly number[], options?: PlainOptions): StoredTensor;
  /** Reads a tensor to derive another from it (fp32; small ones only). */
  take(key: string, shape: readonly number[]): Float32Array;
  /** What was computed from taken tensors, in the compute type; small, it is held until it is written. */
  derived(name: string, shape: readonly number[], data: Float32Array): StoredTensor;
  /** Layers that read the same input, side by side: together [Σ out, inputs]. */
  linear(name: string, parts: readonly LinearRows[], inputs: number): LinearWeight;
  /** The decoder's last layer: where others are whole numbers it has 8 bits, for its errors are the answer's. */
  head(key: string, rows: number, inputs: number): LinearWeight;
  /** [rows, width] for Gather: 16-bit as in the checkpoint, fp32 only where weights are fp32. */
  table(key: string, shape: readonly [number, number]): StoredTensor;
}

/**
 * Gives every weight its place at once, and leaves the writing to whoever schedules it.
 * @param schedule told of each weight, in the order of asking.
 */
export function planWeights(
  checkpoint: Checkpoint,
  external: ExternalData,
  format: WeightFormat,
  schedule: (job: TensorJob) => void,
): WeightStore {
  const { compute } = format;
  const bits = { fp32: null, fp16: null, int8: 8, int4: 4 } as const;
  const linear = (
    name: string,
    parts: readonly LinearRows[],
    inputs: number,
    packing: 4 | 8 | null,
  ): LinearWeight => {
    const rows = parts.map(({ key, out, rowScale }) => {
      const source = checkpoint.source(key, [out, inputs]);
      return { source, count: out, width: inputs, scale: rowScale };
    });
    const outputs = parts.reduce((sum, { out }) => sum + out, 0);
    if (packing === null) {
      const type = format.weights === 'fp16' ? 'float16' : 'float32';
      const stored = external.allocate(name, type, [inputs, outputs]);
      schedule(transposedJob(external, stored, rows));
      return { kind: 'matrix', stored, compute };
    }
    const layout: BlockLayout = { bits: packing, block: format.block, inputs };
    const blocks = blocksPerRow(layout);
    const shape = [outputs, blocks, packedBytesPerRow(layout) / blocks];
    const packed = external.allocate(`${name}.packed`, 'uint8', shape);
    const scales = external.allocate(`${name}.scales`, compute, [outputs, blocks]);
    schedule(packedJob(external, packed, scales, layout, rows));
    return { kind: 'blocks', packed, scales, layout, accuracyLevel: format.accuracyLevel };
  };
  return {
    format,
    plain: (key, shape, { as = shape, rowScale } = {}) => {
      const stored = external.allocate(key, compute, as);
      schedule(rowsJob(external, stored, rowsOf(checkpoint, key, shape, rowScale)));
      return stored;
    },
    take: (key, shape) => checkpoint.take(key, shape),
    derived: (name, shape, data) => {
      const stored = external.allocate(name, compute, shape);
      schedule(dataJob(external, stored, data));
      return stored;
    },
    linear: (name, parts, inputs) => linear(name, parts, inputs, bits[format.weights]),
    head: (key, out, inputs) => {
      const packing = bits[format.weights] === null ? null : 8;
      return linear(key, [{ key, out }], inputs, packing);
    },
    table: (key, shape) => {
      const source = checkpoint.source(key, shape);
      const type = tableType(format, source.type);
      const stored = external.allocate(key, type, shape);
      const [count, width] = shape;
      schedule(
        type === elementTypeOf[source.type]
          ? copyJob(external, stored, source)
          : rowsJob(external, stored, { source, count, width }),
      );
      return stored;
    },
  };
}

/** Writes every weight as it is asked for. */
export function openWeightStore(
  checkpoint: Checkpoint,
  external: ExternalData,
  format: WeightFormat,
): WeightStore {
  const scratch = new Scratch();
  return planWeights(checkpoint, external, format, (job) => runJob(job, scratch));
}

const elementTypeOf = { F32: 'float32', F16: 'float16', BF16: 'bfloat16' } as const;

/** fp16 arithmetic reads an fp16 table; fp32 arithmetic reads whatever 16-bit numbers the checkpoint has. */
function tableType({ weights, compute }: WeightFormat, source: SourceType): ElementType {
  if (weights === 'fp32') return 'float32';
  return compute === 'float16' || source === 'F32' ? 'float16' : elementTypeOf[source];
}

/** A vector is one row, unless its elements are scaled each by its own. */
function rowsOf(
  checkpoint: Checkpoint,
  key: string,
  shape: readonly number[],
  scale: Float32Array | undefined,
): SourceRows {
  const source = checkpoint.source(key, shape);
  const numbers = shape.reduce((product, extent) => product * extent, 1);
  const count = shape.length > 1 || scale ? shape[0]! : 1;
  return { source, count, width: numbers / count, scale };
}
