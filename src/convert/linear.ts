/** Linear layers as nodes of a graph; how their weights are stored is weightStore.ts's business. */
import type { Graph, StoredTensor, Value } from './onnx.js';
import { matMul } from './ops.js';

/** A stored matrix [in, out]. */
export interface LinearWeight {
  readonly stored: StoredTensor;
}

/** x [.., in] → [.., out]. */
export function linear(g: Graph, x: Value, weight: LinearWeight): Value {
  return matMul(g, x, g.weight(weight.stored));
}
