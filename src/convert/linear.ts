/** Linear layers as nodes of a graph; how their weights are stored is weightStore.ts's business. */
import type { Graph, StoredTensor, Value } from './onnx.js';
import { matMul, matMulNBits } from './ops.js';
import type { BlockLayout } from './quantise.js';

export type LinearWeight = MatrixWeight | BlocksWeight;

/** A stored matrix [in, out]. */
export interface MatrixWeight {
  readonly kind: 'matrix';
  readonly stored: StoredTensor;
  /** Of the product. */
  readonly compute: 'float32' | 'float16';
}

/** Whole numbers [out, blocks, bytes] and their scales [out, blocks]: quantise.ts. */
export interface BlocksWeight {
  readonly kind: 'blocks';
  readonly packed: StoredTensor;
  readonly scales: StoredTensor;
  readonly layout: BlockLayout;
  readonly accuracyLevel: 0 | 4;
}

/** x [.., in] → [.., out]. */
export function linear(g: Graph, x: Value, weight: LinearWeight): Value {
  if (weight.kind === 'matrix') return matMul(g, x, g.weight(weight.stored, weight.compute));
  const { packed, scales, layout, accuracyLevel } = weight;
  return matMulNBits(g, x, g.weight(packed), g.weight(scales), {
    ...{ inputs: layout.inputs, outputs: packed.shape[0]!, accuracyLevel },
    ...{ bits: layout.bits, block: layout.block },
  });
}
