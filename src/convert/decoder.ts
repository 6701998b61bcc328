/**
 * The Llama decoder (RMS norm, rotary attention with grouped key/value heads, SwiGLU) as Hugging Face's
 * `modeling_llama.py` computes it, in fp32. Weights are stored once and used by every graph that runs the decoder.
 */
import type { Checkpoint } from './checkpoint.js';
import type { DecoderConfig } from './checkpointConfig.js';
import { linear, storeLinear, type LinearWeight } from './linear.js';
import type { ExternalData, Graph, StoredTensor, Value } from './onnx.js';
import {
  gather,
  groupQueryAttention,
  multiply,
  rmsNormalization,
  silu,
  skipRmsNormalization,
  slice,
  split,
  squeeze,
  unsqueeze,
  type KeyValue,
} from './ops.js';

interface LayerWeights {
  readonly inputNorm: StoredTensor;
  readonly qkv: LinearWeight;
  readonly output: LinearWeight;
  readonly attentionNorm: StoredTensor;
  readonly gateUp: LinearWeight;
  readonly down: LinearWeight;
}

export interface DecoderWeights {
  readonly config: DecoderConfig;
  /** [vocabulary, hiddenSize] */
  readonly embedding: StoredTensor;
  /** [maxPositions, headDim/2] */
  readonly cos: StoredTensor;
  readonly sin: StoredTensor;
  readonly layers: readonly LayerWeights[];
  readonly finalNorm: StoredTensor;
  readonly head: LinearWeight;
}

/** Reads the decoder's tensors one after another into `external`. `onLayer` is called after each layer. */
export function storeDecoder(
  config: DecoderConfig,
  checkpoint: Checkpoint,
  external: ExternalData,
  onLayer: (done: number) => void,
): DecoderWeights {
  const { hiddenSize: d, vocabulary, keyPrefix } = config;
  const model = `${keyPrefix}model`;
  const plain = (key: string, shape: readonly number[]) =>
    external.store(key, shape, checkpoint.take(key, shape));
  const embedding = plain(`${model}.embed_tokens.weight`, [vocabulary, d]);
  const layers = Array.from({ length: config.layers }, (_, l) => {
    const layer = storeLayer(config, `${model}.layers.${l}`, checkpoint, external);
    onLayer(l + 1);
    return layer;
  });
  const finalNorm = plain(`${model}.norm.weight`, [d]);
  const headKey = `${keyPrefix}lm_head.weight`;
  const rows = [{ out: vocabulary, weight: checkpoint.take(headKey, [vocabulary, d]) }];
  const head = storeLinear(external, headKey, rows, d);
  return { config, embedding, ...storeRotary(config, external), layers, finalNorm, head };
}

function storeLayer(
  config: DecoderConfig,
  layer: string,
  checkpoint: Checkpoint,
  external: ExternalData,
): LayerWeights {
  const { hiddenSize: d, intermediateSize, heads, keyValueHeads, headDim } = config;
  const norm = (name: string) => {
    const key = `${layer}.${name}.weight`;
    return external.store(key, [d], checkpoint.take(key, [d]));
  };
  const rows = (name: string, out: number, inputs: number) => ({
    out,
    weight: checkpoint.take(`${layer}.${name}_proj.weight`, [out, inputs]),
  });
  const store = (name: string, inputs: number, ...parts: ReturnType<typeof rows>[]) =>
    storeLinear(external, `${layer}.${name}`, parts, inputs);
  const queries = heads * headDim;
  const keys = keyValueHeads * headDim;
  return {
    inputNorm: norm('input_layernorm'),
    qkv: store(
      'qkv',
      d,
      rows('self_attn.q', queries, d),
      rows('self_attn.k', keys, d),
      rows('self_attn.v', keys, d),
    ),
    output: store('output', queries, rows('self_attn.o', d, queries)),
    attentionNorm: norm('post_attention_layernorm'),
    gateUp: store(
      'gateUp',
      d,
      rows('mlp.gate', intermediateSize, d),
      rows('mlp.up', intermediateSize, d),
    ),
    down: store('down', intermediateSize, rows('mlp.down', d, intermediateSize)),
  };
}

/** Angle of pair i at position p is p · θ^(−2i/headDim) (arXiv 2104.09864, eq. 15). */
function storeRotary(config: DecoderConfig, external: ExternalData) {
  const { maxPositions, headDim, ropeTheta } = config;
  const half = headDim / 2;
  const cos = new Float32Array(maxPositions * half);
  const sin = new Float32Array(maxPositions * half);
  for (let p = 0; p < maxPositions; p++) {
    for (let i = 0; i < half; i++) {
      const angle = p * ropeTheta ** ((-2 * i) / headDim);
      cos[p * half + i] = Math.cos(angle);
      sin[p * half + i] = Math.sin(angle);
    }
  }
  return {
    cos: external.store('rotary.cos', [maxPositions, half], cos),
    sin: external.store('rotary.sin', [maxPositions, half], sin),
  };
}

/** ids int64 [S] → [S,d]. */
export function embed(g: Graph, ids: Value, weights: DecoderWeights): Value {
  return gather(g, g.weight(weights.embedding), ids, 0);
}

export interface Positions {
  /** int32 [1] */
  readonly lastPosition: Value;
  /** int32 scalar */
  readonly totalLength: Value;
}

/** x [S,d] after `past` → logits [1,V] of the last position, and the cache with x appended. */
export function decode(
  g: Graph,
  x: Value,
  positions: Positions,
  past: readonly KeyValue[],
  weights: DecoderWeights,
): { readonly logits: Value; readonly present: readonly KeyValue[] } {
  const { epsilon, heads, keyValueHeads, intermediateSize } = weights.config;
  const { layers } = weights;
  const cos = g.weight(weights.cos);
  const sin = g.weight(weights.sin);
  const present: KeyValue[] = [];
  let sum = unsqueeze(g, x, 0);
  let normalised = rmsNormalization(g, sum, g.weight(layers[0]!.inputNorm), epsilon);
  layers.forEach((layer, l) => {
    const qkv = linear(g, normalised, layer.qkv);
    const attention = groupQueryAttention(
      g,
      { qkv, past: past[l]!, ...positions, cos, sin },
      { query: heads, keyValue: keyValueHeads },
    );
    present.push(attention.present);
    const attended = linear(g, attention.output, layer.output);
    const middle = skipRmsNormalization(g, attended, sum, g.weight(layer.attentionNorm), epsilon);
    const gateUp = linear(g, middle.normalised, layer.gateUp);
    const [gate, up] = split(g, gateUp, [intermediateSize, intermediateSize]);
    const mlp = linear(g, multiply(g, silu(g, gate!), up!), layer.down);
    const nextNorm = layers[l + 1]?.inputNorm ?? weights.finalNorm;
    ({ normalised, sum } = skipRmsNormalization(g, mlp, middle.sum, g.weight(nextNorm), epsilon));
  });
  return { logits: linear(g, lastRow(g, normalised), weights.head), present };
}

/** [1,S,d] → [1,d] */
function lastRow(g: Graph, x: Value): Value {
  const last = g.constant('int64', [1], [-1]);
  const end = g.constant('int64', [1], [2 ** 31]);
  return squeeze(g, slice(g, x, last, end, 1), [1]);
}
