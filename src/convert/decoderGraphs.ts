/**
 * The decoder's two graphs (ports and shapes: model/graphs.ts). `step` is the reference: one forward pass, the caller
 * picks the token. `decode` is the optimisation: prompt and whole greedy answer inside one run, as rounds of one loop.
 */
import { ports } from '../model/graphs.js';
import { decode, embed, type DecoderWeights } from './decoder.js';
import { Graph, type Value } from './onnx.js';
import {
  add,
  argMax,
  cast,
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
  type KeyValue,
} from './ops.js';

export function stepGraph(weights: DecoderWeights): Graph {
  const g = new Graph('step');
  const { ids, visual, places, positions, past } = inputs(g, weights);
  const x = embedWithPictures(g, ids, visual, places, weights);
  const { logits, present } = decode(g, x, positions, past, weights);
  rename(g, asFloat32(g, logits, weights), ports.logits);
  g.output(ports.logits, 'float32', [1, weights.config.vocabulary]);
  presentOutputs(g, present, weights);
  return g;
}

export function decodeGraph(weights: DecoderWeights): Graph {
  const g = new Graph('decode');
  const { ids, visual, places, positions, past } = inputs(g, weights);
  const maxTokens = g.input(ports.maxTokens, 'int64', []);
  const eos = g.input(ports.eos, 'int64', ['E']);
  const actionRange = g.input(ports.actionRange, 'int64', [2]);
  const choice: Choice = { eos, ...rangeEnds(g, actionRange) };

  // 1. Round 0 reads the prompt, or the last token of the slice before; each other one the token before it.
  const { lastPosition, totalLength } = positions;
  const carried = [ids, visual, places, lastPosition, totalLength, ...flatten(past)];
  const start = { trips: maxTokens, condition: g.constant('bool', [], [1]), carried };
  const results = loop(g, start, decodeBody(g, weights, choice), 3);

  // 2. The cache as the last round left it; what every round picked.
  const cache = results.slice(carried.length - 2 * past.length, carried.length);
  const scanned = results.slice(carried.length);
  const outputs = [ports.tokens, ports.logProbabilities, ports.actionMass];
  outputs.forEach((name, i) => {
    rename(g, reshape(g, scanned[i]!, g.constant('int64', [1], [-1])), name);
    g.output(name, name === ports.tokens ? 'int64' : 'float32', ['n']);
  });
  presentOutputs(g, pairUp(cache), weights);
  return g;
}

/**
 * One round. Carries ids int64 [S], visual rows and their positions, lastPosition and totalLength of the cache with
 * these ids appended, and the cache; scans the token that follows and its scores. The whole decoder is in here once:
 * what lies both before and inside a loop is packed twice while a session opens.
 */
function decodeBody(parent: Graph, weights: DecoderWeights, choice: Choice): Graph {
  const g = new Graph('round', parent);
  const { hiddenSize } = weights.config;
  g.input('round', 'int64', []);
  g.input('goingOn', 'bool', []);
  const ids = g.input('roundIds', 'int64', ['roundS']);
  const visual = g.input('roundVisual', 'float32', ['roundT', hiddenSize]);
  const places = g.input('roundPlaces', 'int64', ['roundT', 1]);
  const lastPosition = g.input('roundLastPosition', 'int32', [1]);
  const totalLength = g.input('roundTotalLength', 'int32', []);
  const past = weights.layers.map((_, l) => ({
    key: g.input(`roundKey.${l}`, weights.compute, cacheShape(weights, 'roundP')),
    value: g.input(`roundValue.${l}`, weights.compute, cacheShape(weights, 'roundP')),
  }));
  const x = embedWithPictures(g, ids, visual, places, weights);
  const { logits, present } = decode(g, x, { lastPosition, totalLength }, past, weights);
  const next = pickGreedy(g, asFloat32(g, logits, weights), choice);
  const one = (shape: readonly number[]) => g.constant('int32', shape, [1]);

  g.output(next.goOn, 'bool', []);
  g.output(next.token, 'int64', [1]);
  g.output(noRows(g, visual), 'float32', [0, hiddenSize]);
  g.output(noRows(g, places), 'int64', [0, 1]);
  g.output(add(g, lastPosition, one([1])), 'int32', [1]);
  g.output(add(g, totalLength, one([])), 'int32', []);
  flatten(present).forEach((value) =>
    g.output(value, weights.compute, cacheShape(weights, 'roundQ')),
  );
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

/** The inputs that both graphs have. */
function inputs(g: Graph, weights: DecoderWeights) {
  const ids = g.input(ports.ids, 'int64', ['S']);
  const visual = g.input(ports.visual, 'float32', ['T', weights.config.hiddenSize]);
  const places = g.input(ports.visualPositions, 'int64', ['T', 1]);
  const lastPosition = g.input(ports.lastPosition, 'int32', [1]);
  const totalLength = g.input(ports.totalLength, 'int32', []);
  const past = weights.layers.map((_, l) => ({
    key: g.input(ports.pastKey(l), weights.compute, cacheShape(weights, 'P')),
    value: g.input(ports.pastValue(l), weights.compute, cacheShape(weights, 'P')),
  }));
  return { ids, visual, places, positions: { lastPosition, totalLength }, past };
}

/** ids [S], visual float32 [T,d] → [S,d] in the compute type, visual rows at their places. */
function embedWithPictures(
  g: Graph,
  ids: Value,
  visual: Value,
  places: Value,
  weights: DecoderWeights,
): Value {
  const { compute } = weights;
  const rows = compute === 'float32' ? visual : cast(g, visual, compute);
  return scatterNd(g, embed(g, ids, weights), places, rows);
}

/** Scores are compared and summed in float32, whatever the decoder computes in. */
function asFloat32(g: Graph, logits: Value, { compute }: DecoderWeights): Value {
  return compute === 'float32' ? logits : cast(g, logits, 'float32');
}

function presentOutputs(g: Graph, present: readonly KeyValue[], weights: DecoderWeights): void {
  present.forEach(({ key, value }, l) => {
    rename(g, key, ports.presentKey(l));
    g.output(ports.presentKey(l), weights.compute, cacheShape(weights, 'Q'));
    rename(g, value, ports.presentValue(l));
    g.output(ports.presentValue(l), weights.compute, cacheShape(weights, 'Q'));
  });
}

/** x [k, …] → [0, …]: later rounds have no picture. */
function noRows(g: Graph, x: Value): Value {
  const zero = g.constant('int64', [1], [0]);
  return slice(g, x, zero, zero, 0);
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
