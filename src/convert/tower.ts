/**
 * ConvNeXt (arXiv 2201.03545) as timm builds it: patch stem, stages of depthwise 7×7 blocks, no head.
 * The residual stream stays NCHW, where convolutions (1×1 ones included) are fastest; only the layer norms see
 * channels last.
 */
import type { Checkpoint } from './checkpoint.js';
import type { ConvNextConfig } from './checkpointConfig.js';
import type { ExternalData, Graph, Value } from './onnx.js';
import { add, conv, gelu, layerNormalization, transpose } from './ops.js';

const toChannelsLast = [0, 2, 3, 1] as const;
const toChannelsFirst = [0, 3, 1, 2] as const;

/** Pixels per visual token along each axis. */
export const towerStride = (config: ConvNextConfig): number =>
  config.patchSize * 2 ** (config.widths.length - 1);

interface Builder {
  readonly graph: Graph;
  readonly external: ExternalData;
  readonly checkpoint: Checkpoint;
  readonly epsilon: number;
}

/** pixels [N,3,H,W] → features [N, last width, H/stride, W/stride]. */
export function convNextTower(
  graph: Graph,
  pixels: Value,
  config: ConvNextConfig,
  checkpoint: Checkpoint,
  external: ExternalData,
): Value {
  const builder: Builder = { graph, external, checkpoint, epsilon: config.epsilon };
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
  const { graph, checkpoint } = builder;
  const hidden = 4 * width;
  const gamma = checkpoint.take(`${prefix}.gamma`, [width]);
  const contract = checkpoint.take(`${prefix}.mlp.fc2.weight`, [width, hidden]);
  const contractBias = checkpoint.take(`${prefix}.mlp.fc2.bias`, [width]);
  scaleRows(contract, gamma);
  scaleRows(contractBias, gamma);

  let h = conv(
    graph,
    x,
    weight(builder, `${prefix}.conv_dw.weight`, [width, 1, 7, 7]),
    weight(builder, `${prefix}.conv_dw.bias`, [width]),
    { kernel: 7, stride: 1, padding: 3, groups: width },
  );
  h = norm(builder, h, `${prefix}.norm`, width);
  const expand = checkpoint.take(`${prefix}.mlp.fc1.weight`, [hidden, width]);
  h = pointwise(
    builder,
    h,
    store(builder, `${prefix}.mlp.fc1.weight`, [hidden, width, 1, 1], expand),
    weight(builder, `${prefix}.mlp.fc1.bias`, [hidden]),
  );
  h = pointwise(
    builder,
    gelu(graph, h),
    store(builder, `${prefix}.mlp.fc2.weight`, [width, hidden, 1, 1], contract),
    store(builder, `${prefix}.mlp.fc2.bias`, [width], contractBias),
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

function weight(builder: Builder, key: string, shape: readonly number[]): Value {
  return store(builder, key, shape, builder.checkpoint.take(key, shape));
}

function store(
  builder: Builder,
  name: string,
  shape: readonly number[],
  data: Float32Array,
): Value {
  return builder.graph.weight(builder.external.store(name, shape, data));
}

/** Multiplies row i of a row-major matrix, or element i of a vector, by scale[i], in place. */
function scaleRows(matrix: Float32Array, scale: Float32Array): void {
  const columns = matrix.length / scale.length;
  for (let i = 0; i < matrix.length; i++) matrix[i]! *= scale[Math.floor(i / columns)]!;
}
