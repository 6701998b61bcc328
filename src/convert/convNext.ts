/**
 * ConvNeXt (arXiv 2201.03545) as timm builds it: patch stem, stages of depthwise 7×7 blocks, no head.
 * The residual stream stays NCHW, where convolutions (1×1 ones included) are fastest; only the layer norms see
 * channels last.
 */
import type { ConvNextConfig } from './checkpointConfig.js';
import type { Graph, Value } from './onnx.js';
import { add, conv, gelu, layerNormalization, transpose } from './ops.js';
import { scaleRows, type WeightStore } from './weightStore.js';

const toChannelsLast = [0, 2, 3, 1] as const;
const toChannelsFirst = [0, 3, 1, 2] as const;

/** Pixels per cell of the features along each axis. */
export const convNextStride = (config: ConvNextConfig): number =>
  config.patchSize * 2 ** (config.widths.length - 1);

interface Builder {
  readonly graph: Graph;
  readonly store: WeightStore;
  readonly epsilon: number;
}

/** pixels [N,3,H,W] → features [N, last width, H/stride, W/stride]. */
export function convNextTower(
  graph: Graph,
  pixels: Value,
  config: ConvNextConfig,
  store: WeightStore,
): Value {
  const builder: Builder = { graph, store, epsilon: config.epsilon };
  const { keyPrefix, patchSize, widths, depths } = config;
  let x = plainConv(builder, pixels, `${keyPrefix}stem.0`, 3, widths[0]!, patchSize);
  x = norm(builder, x, `${keyPrefix}stem.1`, widths[0]!);
  widths.forEach((width, s) => {
    const stage = `${keyPrefix}stages.${s}`;
    if (s > 0) {
      const before = widths[s - 1]!;
      x = norm(builder, x, `${stage}.downsample.0`, before);
      x = plainConv(builder, x, `${stage}.downsample.1`, before, width, 2);
    }
    for (let b = 0; b < depths[s]!; b++) x = block(builder, x, `${stage}.blocks.${b}`, width);
  });
  return x;
}

/** x + γ · fc2(GELU(fc1(norm(depthwise 7×7 of x)))); the layer scale γ is folded into fc2. */
function block(builder: Builder, x: Value, prefix: string, width: number): Value {
  const { graph, store } = builder;
  const hidden = 4 * width;
  const gamma = store.take(`${prefix}.gamma`, [width]);
  const contractBias = store.take(`${prefix}.mlp.fc2.bias`, [width]);
  scaleRows(contractBias, gamma);

  let h = conv(
    graph,
    x,
    weight(builder, `${prefix}.conv_dw.weight`, [width, 1, 7, 7]),
    weight(builder, `${prefix}.conv_dw.bias`, [width]),
    { kernel: 7, stride: 1, padding: 3, groups: width },
  );
  h = norm(builder, h, `${prefix}.norm`, width);
  const expand = { as: [hidden, width, 1, 1] };
  h = pointwise(
    builder,
    h,
    graph.weight(store.plain(`${prefix}.mlp.fc1.weight`, [hidden, width], expand)),
    weight(builder, `${prefix}.mlp.fc1.bias`, [hidden]),
  );
  const contract = { as: [width, hidden, 1, 1], rowScale: gamma };
  h = pointwise(
    builder,
    gelu(graph, h),
    graph.weight(store.plain(`${prefix}.mlp.fc2.weight`, [width, hidden], contract)),
    graph.weight(store.derived(`${prefix}.mlp.fc2.bias`, [width], contractBias)),
  );
  return add(graph, x, h);
}

/** Convolution whose stride is its kernel: patches that do not overlap. */
function plainConv(
  builder: Builder,
  x: Value,
  prefix: string,
  from: number,
  to: number,
  kernel: number,
): Value {
  return conv(
    builder.graph,
    x,
    weight(builder, `${prefix}.weight`, [to, from, kernel, kernel]),
    weight(builder, `${prefix}.bias`, [to]),
    { kernel, stride: kernel, padding: 0, groups: 1 },
  );
}

function pointwise({ graph }: Builder, x: Value, kernel: Value, bias: Value): Value {
  return conv(graph, x, kernel, bias, { kernel: 1, stride: 1, padding: 0, groups: 1 });
}

/** Layer norm over the channels of an NCHW value. */
function norm(builder: Builder, x: Value, prefix: string, width: number): Value {
  const { graph, epsilon } = builder;
  const scale = weight(builder, `${prefix}.weight`, [width]);
  const bias = weight(builder, `${prefix}.bias`, [width]);
  const last = transpose(graph, x, toChannelsLast);
  return transpose(graph, layerNormalization(graph, last, scale, bias, epsilon), toChannelsFirst);
}

function weight({ graph, store }: Builder, key: string, shape: readonly number[]): Value {
  return graph.weight(store.plain(key, shape));
}
