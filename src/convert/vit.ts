/**
 * A Vision Transformer (arXiv 2010.11929) as timm 0.9.10 builds it (`vision_transformer.py`), up to one of its blocks:
 * what `get_intermediate_layers` gives of it, patch tokens only, without the final norm. DINOv2 with registers and SigLIP
 * differ in sizes, prefix tokens and layer scale only.
 */
import type { VitConfig } from './checkpointConfig.js';
import { linear } from './linear.js';
import type { Graph, Value } from './onnx.js';
import {
  add,
  concat,
  conv,
  expand,
  gelu,
  geluTanh,
  layerNormalization,
  multiHeadAttention,
  reshape,
  shapeOf,
  slice,
  split,
  transpose,
} from './ops.js';
import { scaleRows, type LinearRows, type WeightStore } from './weightStore.js';

interface Builder {
  readonly graph: Graph;
  readonly store: WeightStore;
  readonly config: VitConfig;
}

const activations = { gelu, gelu_tanh: geluTanh };

/** pixels [N,3,imageSize,imageSize] → features [N, s, s, width], s = imageSize / patchSize. */
export function vitTower(
  graph: Graph,
  pixels: Value,
  config: VitConfig,
  store: WeightStore,
): Value {
  const { keyPrefix, imageSize, patchSize, width, depth, prefixTokens } = config;
  const side = imageSize / patchSize;
  const builder: Builder = { graph, store, config };
  let x = withPrefix(builder, patches(builder, pixels, side));
  for (let b = 0; b < depth; b++) x = block(builder, x, `${keyPrefix}blocks.${b}.`);
  const first = graph.constant('int64', [1], [prefixTokens]);
  const end = graph.constant('int64', [1], [prefixTokens + side ** 2]);
  const features = slice(graph, x, first, end, 1);
  return reshape(graph, features, graph.constant('int64', [4], [0, side, side, width]));
}

/** pixels → [N, s², width]: one token per patch, row by row, with its position. */
function patches(builder: Builder, pixels: Value, side: number): Value {
  const { graph } = builder;
  const { keyPrefix, patchSize, width } = builder.config;
  const map = conv(
    graph,
    pixels,
    plain(builder, `${keyPrefix}patch_embed.proj.weight`, [width, 3, patchSize, patchSize]),
    plain(builder, `${keyPrefix}patch_embed.proj.bias`, [width]),
    { kernel: patchSize, stride: patchSize, padding: 0, groups: 1 },
  );
  // 0 keeps N: pixels of another size have another number of patches, and are an error.
  const flat = reshape(graph, map, graph.constant('int64', [3], [0, width, side ** 2]));
  const position = plain(builder, `${keyPrefix}pos_embed`, [1, side ** 2, width]);
  return add(graph, transpose(graph, flat, [0, 2, 1]), position);
}

/** tokens [N, s², width] → [N, prefixTokens + s², width]: class token, registers, patches. */
function withPrefix(builder: Builder, tokens: Value): Value {
  const { graph, store } = builder;
  const { keyPrefix, prefixTokens, width } = builder.config;
  if (prefixTokens === 0) return tokens;
  const learned = new Float32Array(prefixTokens * width);
  learned.set(store.take(`${keyPrefix}cls_token`, [1, 1, width]));
  if (prefixTokens > 1) {
    learned.set(store.take(`${keyPrefix}reg_token`, [1, prefixTokens - 1, width]), width);
  }
  const shape = [1, prefixTokens, width];
  const prefix = graph.weight(store.derived(`${keyPrefix}prefix`, shape, learned));
  const size = graph.constant('int64', [2], [prefixTokens, width]);
  const everywhere = expand(graph, prefix, concat(graph, [shapeOf(graph, tokens, 0, 1), size], 0));
  return concat(graph, [everywhere, tokens], 1);
}

/** x + γ₁ · attention(norm1(x)), then the same with γ₂ · MLP(norm2(x)); γ is folded into the last layer of its branch. */
function block(builder: Builder, x: Value, prefix: string): Value {
  const { graph, config } = builder;
  const { width, mlpWidth, heads, activation } = config;
  const qkv = layer(builder, norm(builder, x, `${prefix}norm1`), `${prefix}attn.qkv`, {
    inputs: width,
    outputs: 3 * width,
  });
  const [query, key, value] = split(graph, qkv, [width, width, width]);
  const attention = multiHeadAttention(graph, query!, key!, value!, heads);
  const attended = add(
    graph,
    x,
    layer(builder, attention, `${prefix}attn.proj`, {
      ...{ inputs: width, outputs: width },
      scale: layerScale(builder, `${prefix}ls1`),
    }),
  );
  const hidden = layer(builder, norm(builder, attended, `${prefix}norm2`), `${prefix}mlp.fc1`, {
    inputs: width,
    outputs: mlpWidth,
  });
  return add(
    graph,
    attended,
    layer(builder, activations[activation](graph, hidden), `${prefix}mlp.fc2`, {
      ...{ inputs: mlpWidth, outputs: width },
      scale: layerScale(builder, `${prefix}ls2`),
    }),
  );
}

interface LayerShape {
  readonly inputs: number;
  readonly outputs: number;
  /** Multiplies output i. */
  readonly scale?: Float32Array | null;
}

/** x [.., inputs] → scale · (W x + b) [.., outputs]. */
function layer(
  builder: Builder,
  x: Value,
  key: string,
  { inputs, outputs, scale }: LayerShape,
): Value {
  const { graph, store } = builder;
  const rows: LinearRows = {
    ...{ key: `${key}.weight`, out: outputs },
    ...(scale ? { rowScale: scale } : {}),
  };
  const product = linear(graph, x, store.linear(`${key}.weight`, [rows], inputs));
  if (!scale) return add(graph, product, plain(builder, `${key}.bias`, [outputs]));
  const bias = store.take(`${key}.bias`, [outputs]);
  scaleRows(bias, scale);
  return add(graph, product, graph.weight(store.derived(`${key}.bias`, [outputs], bias)));
}

function layerScale({ store, config }: Builder, key: string): Float32Array | null {
  const { layerScaleName, width } = config;
  return layerScaleName === null ? null : store.take(`${key}.${layerScaleName}`, [width]);
}

function norm(builder: Builder, x: Value, key: string): Value {
  const { width, epsilon } = builder.config;
  const scale = plain(builder, `${key}.weight`, [width]);
  const bias = plain(builder, `${key}.bias`, [width]);
  return layerNormalization(builder.graph, x, scale, bias, epsilon);
}

function plain({ graph, store }: Builder, key: string, shape: readonly number[]): Value {
  return graph.weight(store.plain(key, shape));
}
