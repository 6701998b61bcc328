/**
 * The decoder's two graphs (ports and shapes: model/graphs.ts). `step` is the reference: one forward pass, the caller
 * picks the token. `decode` is the optimisation: prefill and the whole greedy answer inside one run.
 */
import { ports } from '../model/graphs.js';
import { decode, embed, type DecoderWeights } from './decoder.js';
import { Graph, type Value } from './onnx.js';
import {
  add,
  argMax,
  cast,
  concat,
  equal,
  exp,
  less,
  logSoftmax,
  loop,
  reduceMax,
  reduceSum,
  rename,
  reshape,
  scatterNd,
  slice,
  subtract,
  type KeyValue,
} from './ops.js';

export function stepGraph(weights: DecoderWeights): Graph {
  const g = new Graph('step');
  const { x, past, ...positions } = decoderInputs(g, weights);
  const { logits, present } = decode(g, x, positions, past, weights);
  rename(g, logits, ports.logits);
  g.output(ports.logits, 'float32', [1, weights.config.vocabulary]);
  presentOutputs(g, present, weights);
  return g;
}

export function decodeGraph(weights: DecoderWeights): Graph {
  const g = new Graph('decode');
  const { x, past, ...positions } = decoderInputs(g, weights);
  const maxTokens = g.input(ports.maxTokens, 'int64', []);
  const eos = g.input(ports.eos, 'int64', ['E']);
  const actionRange = g.input(ports.actionRange, 'int64', [2]);
  const choice: Choice = { eos, ...rangeEnds(g, actionRange) };

  // 1. The prompt, or the last token of the slice before: the first token of the answer.
  const prefill = decode(g, x, positions, past, weights);
  const first = pickGreedy(g, prefill.logits, choice);

  // 2. The others: each round feeds the token before and grows the cache by one position.
  const one = g.constant('int64', [], [1]);
  const carried = [first.token, positions.totalLength, ...flatten(prefill.present)];
  const start = { trips: subtract(g, maxTokens, one), condition: first.goOn, carried };
  const results = loop(g, start, decodeBody(g, weights, choice), 3);

  // 3. First and others together.
  const [, , ...rest] = results;
  const cache = rest.slice(0, -3);
  const scanned = rest.slice(-3);
  const firsts = [first.token, first.logProbability, first.actionMass];
  const outputs = [ports.tokens, ports.logProbabilities, ports.actionMass];
  outputs.forEach((name, i) => {
    const others = reshape(g, scanned[i]!, g.constant('int64', [1], [-1]));
    rename(g, concat(g, [firsts[i]!, others], 0), name);
    g.output(name, name === ports.tokens ? 'int64' : 'float32', ['n']);
  });
  presentOutputs(g, pairUp(cache), weights);
  return g;
}

/** One round: carries token int64 [1], length int32 [] (positions in the cache), cache; scans token and its scores. */
function decodeBody(parent: Graph, weights: DecoderWeights, choice: Choice): Graph {
  const g = new Graph('round', parent);
  g.input('round', 'int64', []);
  g.input('goingOn', 'bool', []);
  const token = g.input('token', 'int64', [1]);
  const length = g.input('length', 'int32', []);
  const past = weights.layers.map((_, l) => ({
    key: g.input(`roundKey.${l}`, 'float32', cacheShape(weights, 'P')),
    value: g.input(`roundValue.${l}`, 'float32', cacheShape(weights, 'P')),
  }));
  const lastPosition = reshape(g, length, g.constant('int64', [1], [1]));
  const totalLength = add(g, length, g.constant('int32', [], [1]));
  const x = embed(g, token, weights);
  const { logits, present } = decode(g, x, { lastPosition, totalLength }, past, weights);
  const next = pickGreedy(g, logits, choice);

  g.output(next.goOn, 'bool', []);
  g.output(next.token, 'int64', [1]);
  g.output(totalLength, 'int32', []);
  flatten(present).forEach((value) => g.output(value, 'float32', cacheShape(weights, 'Q')));
  g.output(copy(g, next.token), 'int64', [1]);
  g.output(next.logProbability, 'float32', [1]);
  g.output(next.actionMass, 'float32', [1]);
  return g;
}

interface Choice {
  /** int64 [E] */
  readonly eos: Value;
  /** int64 [1] each: the action ids are [first, end). */
  readonly first: Value;
  readonly end: Value;
}

/** logits [1,V] → the likeliest token int64 [1], its log-probability [1], P(action ids) [1], goOn bool []. */
function pickGreedy(g: Graph, logits: Value, { eos, first, end }: Choice) {
  const token = argMax(g, logits);
  const logProbabilities = logSoftmax(g, logits);
  const logProbability = reduceMax(g, logProbabilities);
  const actionMass = reduceSum(g, exp(g, slice(g, logProbabilities, first, end, 1)));
  const hits = reduceSum(g, cast(g, equal(g, token, eos), 'int32'));
  const goOn = less(g, hits, g.constant('int32', [], [1]));
  return { token, logProbability, actionMass, goOn };
}

function decoderInputs(g: Graph, weights: DecoderWeights) {
  const ids = g.input(ports.ids, 'int64', ['S']);
  const visual = g.input(ports.visual, 'float32', ['T', weights.config.hiddenSize]);
  const places = g.input(ports.visualPositions, 'int64', ['T', 1]);
  const lastPosition = g.input(ports.lastPosition, 'int32', [1]);
  const totalLength = g.input(ports.totalLength, 'int32', []);
  const past = weights.layers.map((_, l) => ({
    key: g.input(ports.pastKey(l), 'float32', cacheShape(weights, 'P')),
    value: g.input(ports.pastValue(l), 'float32', cacheShape(weights, 'P')),
  }));
  const x = scatterNd(g, embed(g, ids, weights), places, visual);
  return { x, lastPosition, totalLength, past };
}

function presentOutputs(g: Graph, present: readonly KeyValue[], weights: DecoderWeights): void {
  present.forEach(({ key, value }, l) => {
    rename(g, key, ports.presentKey(l));
    g.output(ports.presentKey(l), 'float32', cacheShape(weights, 'Q'));
    rename(g, value, ports.presentValue(l));
    g.output(ports.presentValue(l), 'float32', cacheShape(weights, 'Q'));
  });
}

const cacheShape = ({ config }: DecoderWeights, positions: string) =>
  [1, config.keyValueHeads, positions, config.headDim] as const;

const flatten = (cache: readonly KeyValue[]): readonly Value[] =>
  cache.flatMap(({ key, value }) => [key, value]);

function pairUp(values: readonly Value[]): readonly KeyValue[] {
  return Array.from({ length: values.length / 2 }, (_, l) => ({
    key: values[2 * l]!,
    value: values[2 * l + 1]!,
  }));
}

/** int64 [2] → its two elements as [1] each. */
function rangeEnds(g: Graph, range: Value): { readonly first: Value; readonly end: Value } {
  const at = (index: number) => g.constant('int64', [1], [index]);
  return { first: slice(g, range, at(0), at(1), 0), end: slice(g, range, at(1), at(2), 0) };
}

/** A second name for a value: a subgraph may list each of its outputs only once. */
function copy(g: Graph, value: Value): Value {
  const name = g.newName('copy');
  rename(g, value, name);
  return name;
}
