/**
 * The whole vocabulary of operators the graphs are built from: one function per operator, one table of names. What is
 * not here is not in any graph, so a new execution provider is judged against this list.
 * Contrib operators are described in github.com/microsoft/onnxruntime, docs/ContribOperators.md.
 */
import { elementTypes, type Attribute, type ElementType, type Graph, type Value } from './onnx.js';

const standard = (name: string) => ({ domain: '', name });
const contrib = (name: string) => ({ domain: 'com.microsoft', name });

/** Operator with one output. */
function apply(
  g: Graph,
  operator: { readonly domain: string; readonly name: string },
  inputs: readonly Value[],
  attributes: Readonly<Record<string, Attribute>> = {},
): Value {
  const output = g.newName(operator.name);
  g.node(operator, inputs, [output], attributes);
  return output;
}

// ── Elementwise, broadcasting ───────────────────────────────────────────────────────────────────────────────────────

export const add = (g: Graph, a: Value, b: Value): Value => apply(g, standard('Add'), [a, b]);
export const subtract = (g: Graph, a: Value, b: Value): Value => apply(g, standard('Sub'), [a, b]);
export const multiply = (g: Graph, a: Value, b: Value): Value => apply(g, standard('Mul'), [a, b]);
export const equal = (g: Graph, a: Value, b: Value): Value => apply(g, standard('Equal'), [a, b]);
export const less = (g: Graph, a: Value, b: Value): Value => apply(g, standard('Less'), [a, b]);
export const exp = (g: Graph, a: Value): Value => apply(g, standard('Exp'), [a]);

export const cast = (g: Graph, x: Value, to: ElementType): Value =>
  apply(g, standard('Cast'), [x], { to: { int: elementTypes[to] } });

/** x · Φ(x) with the error function, as torch.nn.GELU; neither the tanh nor the sigmoid approximation. */
export const gelu = (g: Graph, x: Value): Value =>
  apply(g, standard('Gelu'), [x], { approximate: { text: 'none' } });

/** x · ½(1 + tanh(√(2/π)(x + 0.044715 x³))), as torch.nn.GELU(approximate="tanh"). */
export const geluTanh = (g: Graph, x: Value): Value =>
  apply(g, standard('Gelu'), [x], { approximate: { text: 'tanh' } });

/** x · σ(x). QuickGelu with alpha 1 is SiLU in one operator. */
export const silu = (g: Graph, x: Value): Value =>
  apply(g, contrib('QuickGelu'), [x], { alpha: { float: 1 } });

// ── Shapes and indices ──────────────────────────────────────────────────────────────────────────────────────────────

/** Extents [start, end) of the shape of x, int64. */
export const shapeOf = (g: Graph, x: Value, start: number, end: number): Value =>
  apply(g, standard('Shape'), [x], { start: { int: start }, end: { int: end } });
export const reshape = (g: Graph, x: Value, shape: Value): Value =>
  apply(g, standard('Reshape'), [x, shape]);
export const transpose = (g: Graph, x: Value, order: readonly number[]): Value =>
  apply(g, standard('Transpose'), [x], { perm: { ints: order } });
export const expand = (g: Graph, x: Value, shape: Value): Value =>
  apply(g, standard('Expand'), [x, shape]);
export const concat = (g: Graph, xs: readonly Value[], axis: number): Value =>
  apply(g, standard('Concat'), xs, { axis: { int: axis } });
export const squeeze = (g: Graph, x: Value, axes: readonly number[]): Value =>
  apply(g, standard('Squeeze'), [x, g.constant('int64', [axes.length], axes)]);
export const unsqueeze = (g: Graph, x: Value, axis: number): Value =>
  apply(g, standard('Unsqueeze'), [x, g.constant('int64', [1], [axis])]);
export const gather = (g: Graph, x: Value, indices: Value, axis: number): Value =>
  apply(g, standard('Gather'), [x, indices], { axis: { int: axis } });
/** float32 zeros. */
export const constantOfShape = (g: Graph, shape: Value): Value =>
  apply(g, standard('ConstantOfShape'), [shape]);
/** starts, ends: int64 [1]; one axis. */
export const slice = (g: Graph, x: Value, starts: Value, ends: Value, axis: number): Value =>
  apply(g, standard('Slice'), [x, starts, ends, g.constant('int64', [1], [axis])]);
/** x with x[indices[k]] = updates[k]; indices int64 [count, 1] for rows. */
export const scatterNd = (g: Graph, x: Value, indices: Value, updates: Value): Value =>
  apply(g, standard('ScatterND'), [x, indices, updates]);

/** Splits the last axis into pieces of the given sizes. */
export function split(g: Graph, x: Value, sizes: readonly number[]): readonly Value[] {
  const outputs = sizes.map(() => g.newName('Split'));
  const lengths = g.constant('int64', [sizes.length], sizes);
  g.node(standard('Split'), [x, lengths], outputs, { axis: { int: -1 } });
  return outputs;
}

// ── Reductions ──────────────────────────────────────────────────────────────────────────────────────────────────────

export const argMax = (g: Graph, x: Value): Value =>
  apply(g, standard('ArgMax'), [x], { axis: { int: -1 }, keepdims: { int: 0 } });
/** Over the last axis, which is dropped. */
export const reduceMax = (g: Graph, x: Value): Value =>
  apply(g, standard('ReduceMax'), [x, g.constant('int64', [1], [-1])], { keepdims: { int: 0 } });
export const reduceSum = (g: Graph, x: Value): Value =>
  apply(g, standard('ReduceSum'), [x, g.constant('int64', [1], [-1])], { keepdims: { int: 0 } });
export const logSoftmax = (g: Graph, x: Value): Value =>
  apply(g, standard('LogSoftmax'), [x], { axis: { int: -1 } });

// ── Layers ──────────────────────────────────────────────────────────────────────────────────────────────────────────

export const matMul = (g: Graph, a: Value, b: Value): Value => apply(g, standard('MatMul'), [a, b]);

/** x [.., inputs] · Wᵀ, W [outputs, inputs] as blocks of whole numbers with scales (quantise.ts). */
export const matMulNBits = (
  g: Graph,
  x: Value,
  packed: Value,
  scales: Value,
  sizes: {
    readonly inputs: number;
    readonly outputs: number;
    readonly bits: 4 | 8;
    readonly block: number;
    readonly accuracyLevel: 0 | 4;
  },
): Value =>
  apply(g, contrib('MatMulNBits'), [x, packed, scales], {
    K: { int: sizes.inputs },
    N: { int: sizes.outputs },
    bits: { int: sizes.bits },
    block_size: { int: sizes.block },
    accuracy_level: { int: sizes.accuracyLevel },
  });

export interface ConvShape {
  readonly kernel: number;
  readonly stride: number;
  /** Zeros on every side. */
  readonly padding: number;
  readonly groups: number;
}

/** x [N,C,H,W], kernel [O,C/groups,k,k], bias [O]. */
export const conv = (g: Graph, x: Value, kernel: Value, bias: Value, shape: ConvShape): Value =>
  apply(g, standard('Conv'), [x, kernel, bias], {
    kernel_shape: { ints: [shape.kernel, shape.kernel] },
    strides: { ints: [shape.stride, shape.stride] },
    pads: { ints: [shape.padding, shape.padding, shape.padding, shape.padding] },
    group: { int: shape.groups },
  });

/** Over the last axis. */
export const layerNormalization = (
  g: Graph,
  x: Value,
  scale: Value,
  bias: Value,
  epsilon: number,
): Value =>
  apply(g, standard('LayerNormalization'), [x, scale, bias], {
    axis: { int: -1 },
    epsilon: { float: epsilon },
  });

/** x / √(mean(x²) + ε) · scale over the last axis. */
export const rmsNormalization = (g: Graph, x: Value, scale: Value, epsilon: number): Value =>
  apply(g, standard('SimplifiedLayerNormalization'), [x, scale], {
    axis: { int: -1 },
    epsilon: { float: epsilon },
    stash_type: { int: 1 },
  });

/** sum = x + skip; normalised = RMS normalisation of the sum. */
export function skipRmsNormalization(
  g: Graph,
  x: Value,
  skip: Value,
  scale: Value,
  epsilon: number,
): { readonly normalised: Value; readonly sum: Value } {
  const normalised = g.newName('normalised');
  const sum = g.newName('sum');
  const outputs = [normalised, '', '', sum];
  g.node(contrib('SkipSimplifiedLayerNormalization'), [x, skip, scale], outputs, {
    epsilon: { float: epsilon },
  });
  return { normalised, sum };
}

/**
 * softmax(q kᵀ / √headDim) v for every head, each position seeing every other.
 * query, key, value [N, S, heads·headDim], head after head → [N, S, heads·headDim].
 */
export const multiHeadAttention = (
  g: Graph,
  query: Value,
  key: Value,
  value: Value,
  heads: number,
): Value =>
  apply(g, contrib('MultiHeadAttention'), [query, key, value], { num_heads: { int: heads } });

export interface KeyValue {
  /** [1, kvHeads, positions, headDim], rotated. */
  readonly key: Value;
  readonly value: Value;
}

export interface AttentionInputs {
  /** [1, S, (heads + 2·kvHeads)·headDim]: queries, keys and values side by side. */
  readonly qkv: Value;
  readonly past: KeyValue;
  /** int32 [1]: index of the last position, past + S − 1. */
  readonly lastPosition: Value;
  /** int32 scalar: past + S. */
  readonly totalLength: Value;
  /** [maxPositions, headDim/2] each. */
  readonly cos: Value;
  readonly sin: Value;
}

/** Causal attention with rotary embedding (halves, not interleaved) and a growing key/value cache. */
export function groupQueryAttention(
  g: Graph,
  inputs: AttentionInputs,
  heads: { readonly query: number; readonly keyValue: number },
): { readonly output: Value; readonly present: KeyValue } {
  const output = g.newName('attention');
  const present = { key: g.newName('presentKey'), value: g.newName('presentValue') };
  const { qkv, past, lastPosition, totalLength, cos, sin } = inputs;
  g.node(
    contrib('GroupQueryAttention'),
    [qkv, '', '', past.key, past.value, lastPosition, totalLength, cos, sin],
    [output, present.key, present.value],
    {
      num_heads: { int: heads.query },
      kv_num_heads: { int: heads.keyValue },
      do_rotary: { int: 1 },
      rotary_interleaved: { int: 0 },
    },
  );
  return { output, present };
}

// ── Control flow and names ──────────────────────────────────────────────────────────────────────────────────────────

/**
 * Runs `body` at most `trips` times (int64 scalar), while `condition` (bool scalar) holds.
 * The body's inputs are iteration, condition, carried…; its outputs condition, carried…, scanned….
 * Returns carried… as the last round left them, then scanned… stacked along a new first axis.
 */
export function loop(
  g: Graph,
  start: {
    readonly trips: Value;
    readonly condition: Value;
    readonly carried: readonly Value[];
  },
  body: Graph,
  scanned: number,
): readonly Value[] {
  const outputs = Array.from({ length: start.carried.length + scanned }, () => g.newName('Loop'));
  g.node(standard('Loop'), [start.trips, start.condition, ...start.carried], outputs, {
    body: { graph: body },
  });
  return outputs;
}

/** Gives a value the name the outside knows it by. */
export function rename(g: Graph, from: Value, to: Value): void {
  g.node(standard('Identity'), [from], [to]);
}
