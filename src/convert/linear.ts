/**
 * Linear layers, in one place: today fp32 MatMul; a quantised form (MatMulNBits, packed at this same point from the
 * same [out, in] rows) would change these two functions and nothing else.
 */
import type { ExternalData, Graph, StoredTensor, Value } from './onnx.js';
import { matMul } from './ops.js';

/** A stored matrix [in, out]. */
export interface LinearWeight {
  readonly stored: StoredTensor;
}

/** Rows of one linear layer as PyTorch keeps them: [out, in], row-major. */
export interface LinearRows {
  readonly out: number;
  readonly weight: Float32Array;
}

/** Layers that read the same input are stored side by side as one matrix [in, Σ out]. */
export function storeLinear(
  external: ExternalData,
  name: string,
  layers: readonly LinearRows[],
  inputs: number,
): LinearWeight {
  const outputs = layers.reduce((sum, layer) => sum + layer.out, 0);
  const matrix = new Float32Array(inputs * outputs);
  let column = 0;
  for (const { out, weight } of layers) {
    transposeInto(matrix, column, outputs, weight, out, inputs);
    column += out;
  }
  return { stored: external.store(name, [inputs, outputs], matrix) };
}

/** x [.., in] → [.., out]. */
export function linear(g: Graph, x: Value, weight: LinearWeight): Value {
  return matMul(g, x, g.weight(weight.stored));
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
