/**
 * The Llama decoder (RMS norm, rotary attention with grouped key/value heads, SwiGLU) as Hugging Face's
 * `modeling_llama.py` computes it. Weights are stored once and used by every graph that runs the decoder.
 */
import type { DecoderConfig } from './checkpointConfig.js';
import { linear, type LinearWeight } from './linear.js';
import type { Graph, StoredTensor, Value } from './onnx.js';
import {
  cast,
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
import type { ComputeType, WeightStore } from './weightStore.js';

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
  readonly compute: ComputeType;
  /** [vocabulary, hiddenSize] */
  readonly embedding: StoredTensor;
  /** [maxPositions, headDim/2] */
  readonly cos: StoredTensor;
  readonly sin: StoredTensor;
  readonly layers: readonly LayerWeights[];
  readonly finalNorm: StoredTensor;
  readonly head: LinearWeight;
}

/** Stores the decoder's tensors one after another. */
export function storeDecoder(config: DecoderConfig, store: WeightStore): DecoderWeights {
  const { hiddenSize: d, vocabulary, keyPrefix } = config;
  const model = `${keyPrefix}model`;
  const embedding = store.table(`${model}.embed_tokens.weight`, [vocabulary, d]);
  const layers = Array.from({ length: config.layers }, (_, l) =>
    storeLayer(config, `${model}.layers.${l}`, store),
  );
  const finalNorm = store.plain(`${model}.norm.weight`, [d]);
  const head = store.head(`${keyPrefix}lm_head.weight`, vocabulary, d);
  const compute = store.format.compute;
  return { config, compute, embedding, ...storeRotary(config, store), layers, finalNorm, head };
}

function storeLayer(config: DecoderConfig, layer: string, store: WeightStore): LayerWeights {
  const { hiddenSize: d, intermediateSize, heads, keyValueHeads, headDim } = config;
  const norm = (name: string) => store.plain(`${layer}.${name}.weight`, [d]);
  const rows = (name: string, out: number) => ({ key: `${layer}.${name}_proj.weight`, out });
  const queries = heads * headDim;
  const keys = keyValueHeads * headDim;
  const qkv = [rows('self_attn.q', queries), rows('self_attn.k', keys), rows('self_attn.v', keys)];
  const gateUp = [rows('mlp.gate', intermediateSize), rows('mlp.up', intermediateSize)];
  return {
    inputNorm: norm('input_layernorm'),
    qkv: store.linear(`${layer}.qkv`, qkv, d),
    output: store.linear(`${layer}.output`, [rows('self_attn.o', d)], queries),
    attentionNorm: norm('post_attention_layernorm'),
    gateUp: store.linear(`${layer}.gateUp`, gateUp, d),
    down: store.linear(`${layer}.down`, [rows('mlp.down', d)], intermediateSize),
  };
}

/** Angle of pair i at position p is p · θ^(−2i/headDim) (arXiv 2104.09864, eq. 15). */
function storeRotary(config: DecoderConfig, store: WeightStore) {
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
    cos: store.derived('rotary.cos', [maxPositions, half], cos),
    sin: store.derived('rotary.sin', [maxPositions, half], sin),
  };
}

/** ids int64 [S] → [S,d]. The rows are cast, not the table. */
export function embed(g: Graph, ids: Value, { embedding, compute }: DecoderWeights): Value {
  const rows = gather(g, g.weight(embedding), ids, 0);
  return embedding.type === compute ? rows : cast(g, rows, compute);
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
