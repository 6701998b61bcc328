/**
 * From the towers' channels to the decoder's width: an MLP with GELU between its layers; for Magma then one learned
 * separator after every row. Several crops of a canvas are first stitched back into one map, so that rows run across them.
 */
import type { ProjectorConfig } from './checkpointConfig.js';
import { linear } from './linear.js';
import type { Graph, Value } from './onnx.js';
import { add, concat, expand, gelu, multiply, reshape, shapeOf, transpose } from './ops.js';
import type { WeightStore } from './weightStore.js';

/**
 * features [R·C, h, w, channels] of crops in row-major order, grid int64 [2] = (R, C)
 * → visual tokens [R·h·(C·w + 1), hiddenSize]; without a separator, R·h·C·w of them.
 */
export function projector(
  g: Graph,
  features: Value,
  grid: Value,
  { keyPrefix, layers, rowSeparator }: ProjectorConfig,
  store: WeightStore,
): Value {
  const hiddenSize = layers.at(-1)!.outputs;
  const stored = layers.map(({ key, inputs, outputs }) => ({
    weight: store.linear(`${key}.weight`, [{ key: `${key}.weight`, out: outputs }], inputs),
    bias: g.weight(store.plain(`${key}.bias`, [outputs])),
  }));
  let tokens = features;
  stored.forEach(({ weight, bias }, index) => {
    const x = index === 0 ? tokens : gelu(g, tokens);
    tokens = add(g, linear(g, x, weight), bias);
  });

  let map = stitch(g, tokens, grid, hiddenSize);
  if (rowSeparator !== null) {
    const separator = g.weight(store.plain(`${keyPrefix}${rowSeparator}`, [1, 1, hiddenSize]));
    map = withSeparators(g, map, separator, hiddenSize);
  }
  return reshape(g, map, g.constant('int64', [2], [-1, hiddenSize]));
}

/** [R·C, h, w, d] → [R·h, C·w, d]: element (r·h + y, c·w + x) is element (y, x) of crop r·C + c. */
function stitch(g: Graph, crops: Value, grid: Value, depth: number): Value {
  const cropSize = shapeOf(g, crops, 1, 3);
  const channels = g.constant('int64', [1], [depth]);
  const apart = reshape(g, crops, concat(g, [grid, cropSize, channels], 0));
  const together = transpose(g, apart, [0, 2, 1, 3, 4]);
  return reshape(g, together, concat(g, [multiply(g, grid, cropSize), channels], 0));
}

/** map [H, W, d] → [H, W + 1, d], the separator last in every row. */
function withSeparators(g: Graph, map: Value, separator: Value, depth: number): Value {
  const tail = g.constant('int64', [2], [1, depth]);
  const column = expand(g, separator, concat(g, [shapeOf(g, map, 0, 1), tail], 0));
  return concat(g, [map, column], 1);
}
