/**
 * Two ways to decode greedily over the same cache. `stepDecoding` runs the decoder once per token and picks in
 * JavaScript: the reference. `loopDecoding` leaves prefill, picking and stopping to one run of a graph. Both append ids
 * to a cache and return the tokens that follow; the last of them is not in the cache yet.
 */
import { ModelError } from '../errors.js';
import { ports, type GraphManifest } from './graphs.js';
import {
  emptyTensor,
  float32Data,
  float32Tensor,
  int32Tensor,
  int64Data,
  int64Tensor,
  type Feeds,
  type OpaqueTensor,
  type Session,
} from './session.js';

export type DecoderSizes = GraphManifest['decoder'];

/** Ids [first, end). */
export interface IdRange {
  readonly first: number;
  readonly end: number;
}

export interface StopRule {
  /** At least 1. */
  readonly maxTokens: number;
  /** Any of them ends the answer and is its last token. */
  readonly eosIds: readonly number[];
}

/** What a decoder reads: ids, with rows of `visual` in place of the embeddings at `visualPositions`. */
export interface DecoderInput {
  readonly ids: readonly number[];
  /** [visualPositions.length, hiddenSize] */
  readonly visual: Float32Array;
  readonly visualPositions: readonly number[];
}

/** The tokens of an answer, or of a slice of it; the three lists are equally long. */
export interface Tokens {
  readonly tokens: readonly number[];
  /** Natural logarithm of each token's probability. */
  readonly logProbabilities: readonly number[];
  /** 0 … 1: probability that each token would be any of the action ids. */
  readonly actionMass: readonly number[];
  /** How far each token's logit lies above the second highest; by step only. */
  readonly margins?: readonly number[];
  readonly ended: 'eos' | 'length';
}

/** Keys and values of the positions decoded so far. Owned by whoever holds it: `release` frees device memory. */
export interface Cache {
  readonly length: number;
  /** By input name. */
  readonly past: Feeds;
  release(): void;
}

export interface Decoding {
  readonly kind: 'loop' | 'step';
  /** Consumes `cache`: it is released, or part of the one returned. */
  extend(
    cache: Cache,
    input: DecoderInput,
    stop: StopRule,
    actionIds: IdRange,
  ): Promise<{ readonly answer: Tokens; readonly cache: Cache }>;
  /** As `extend`, without handing the cache out. `after` is borrowed, and as it was afterwards; default: empty. */
  answer(input: DecoderInput, stop: StopRule, actionIds: IdRange, after?: Cache): Promise<Tokens>;
  release(): Promise<void>;
}

export function loopDecoding(session: Session, sizes: DecoderSizes): Decoding {
  const empty = emptyCache(sizes);
  const answers = [ports.tokens, ports.logProbabilities, ports.actionMass];
  const run = async (
    cache: Cache,
    input: DecoderInput,
    stop: StopRule,
    actionIds: IdRange,
    extra: readonly string[],
  ) => {
    // Comparing with no id at all crashes ONNX Runtime 1.30; −1 is no token's id.
    const endIds = stop.eosIds.length > 0 ? stop.eosIds : [-1];
    const outputs = await session.run(
      {
        ...inputFeeds(input, cache, sizes),
        [ports.maxTokens]: int64Tensor([], [stop.maxTokens]),
        [ports.eos]: int64Tensor([endIds.length], endIds),
        [ports.actionRange]: int64Tensor([2], [actionIds.first, actionIds.end]),
      },
      [...answers, ...extra],
    );
    cache.release();
    const tokens = int64Data(outputs[ports.tokens], ports.tokens);
    const answer: Tokens = {
      tokens,
      logProbabilities: numbers(outputs, ports.logProbabilities),
      actionMass: numbers(outputs, ports.actionMass),
      ended: endOf(tokens, stop),
    };
    answer.logProbabilities.forEach(assertFinite);
    answer.actionMass.forEach(assertFinite);
    return { answer, outputs };
  };
  return {
    kind: 'loop',
    extend: async (cache, input, stop, actionIds) => {
      const presents = presentNames(sizes);
      const { answer, outputs } = await run(cache, input, stop, actionIds, presents);
      const length = cache.length + input.ids.length + answer.tokens.length - 1;
      return { answer, cache: cacheOf(outputs, length, sizes) };
    },
    answer: async (input, stop, actionIds, after = empty) =>
      (await run(borrowed(after), input, stop, actionIds, [])).answer,
    release: () => session.release(),
  };
}

/** @param mostPositions that one run reads; a longer prompt is read in pieces. */
export function stepDecoding(
  session: Session,
  sizes: DecoderSizes,
  mostPositions = Infinity,
): Decoding {
  const wanted = [ports.logits, ...presentNames(sizes)];
  const extend: Decoding['extend'] = async (start, input, stop, actionIds) => {
    const picked: Picked[] = [];
    let cache = start;
    const [first, ...others] = piecesOf(input, mostPositions, sizes);
    let next = first!;
    for (const piece of others) {
      const outputs = await session.run(inputFeeds(next, cache, sizes), wanted);
      cache.release();
      cache = cacheOf(outputs, cache.length + next.ids.length, sizes);
      next = piece;
    }
    do {
      const outputs = await session.run(inputFeeds(next, cache, sizes), wanted);
      cache.release();
      cache = cacheOf(outputs, cache.length + next.ids.length, sizes);
      const token = pickGreedy(float32Data(outputs[ports.logits], ports.logits), actionIds);
      picked.push(token);
      next = textInput([token.token]);
    } while (picked.length < stop.maxTokens && !stop.eosIds.includes(picked.at(-1)!.token));
    const tokens = picked.map((pick) => pick.token);
    const answer: Tokens = {
      tokens,
      logProbabilities: picked.map((pick) => pick.logProbability),
      actionMass: picked.map((pick) => pick.actionMass),
      margins: picked.map((pick) => pick.margin),
      ended: endOf(tokens, stop),
    };
    return { answer, cache };
  };
  return {
    kind: 'step',
    extend,
    answer: async (input, stop, actionIds, after = emptyCache(sizes)) => {
      const { answer, cache } = await extend(borrowed(after), input, stop, actionIds);
      cache.release();
      return answer;
    },
    release: () => session.release(),
  };
}

/** Slices of an answer, joined in order. */
export function joinSlices(parts: readonly Tokens[]): Tokens {
  return {
    tokens: parts.flatMap((part) => part.tokens),
    logProbabilities: parts.flatMap((part) => part.logProbabilities),
    actionMass: parts.flatMap((part) => part.actionMass),
    ended: parts.at(-1)?.ended ?? 'length',
  };
}

/** Ids alone. */
export function textInput(ids: readonly number[]): DecoderInput {
  return { ids, visual: new Float32Array(0), visualPositions: [] };
}

/** No position yet: what a prompt is appended to. */
export function emptyCache(sizes: DecoderSizes): Cache {
  const { layers, keyValueHeads, headDim, keyValueType } = sizes;
  const none = () => emptyTensor(keyValueType, [1, keyValueHeads, 0, headDim]);
  const past: Record<string, OpaqueTensor> = {};
  for (let l = 0; l < layers; l++) {
    past[ports.pastKey(l)] = none();
    past[ports.pastValue(l)] = none();
  }
  return { length: 0, past, release: () => undefined };
}

/** In order, each of at most so many positions, with the rows of `visual` that lie in it. */
function piecesOf(
  input: DecoderInput,
  most: number,
  { hiddenSize }: DecoderSizes,
): readonly DecoderInput[] {
  const { ids, visual, visualPositions } = input;
  if (ids.length <= most) return [input];
  return Array.from({ length: Math.ceil(ids.length / most) }, (_, i) => {
    const [from, to] = [i * most, (i + 1) * most];
    const before = visualPositions.filter((position) => position < from).length;
    const inside = visualPositions.filter((position) => position >= from && position < to);
    const rows = visual.subarray(before * hiddenSize, (before + inside.length) * hiddenSize);
    const positions = inside.map((position) => position - from);
    return { ids: ids.slice(from, to), visual: rows, visualPositions: positions };
  });
}

/** The same cache, for what would release its own. */
export function borrowed(cache: Cache): Cache {
  return { ...cache, release: () => undefined };
}

/** Outputs that hold the cache. */
export function presentNames({ layers }: DecoderSizes): readonly string[] {
  return Array.from({ length: layers }, (_, l) => [
    ports.presentKey(l),
    ports.presentValue(l),
  ]).flat();
}

export interface Picked {
  readonly token: number;
  readonly logProbability: number;
  readonly actionMass: number;
  /** ≥ 0: its logit minus the second highest. */
  readonly margin: number;
}

/** The likeliest id (the lowest of equals) of logits [V], and its scores. */
export function pickGreedy(logits: Float32Array, actionIds: IdRange): Picked {
  let token = 0;
  for (let i = 1; i < logits.length; i++) if (logits[i]! > logits[token]!) token = i;
  const highest = logits[token]!;
  let second = -Infinity;
  let total = 0;
  let action = 0;
  for (let i = 0; i < logits.length; i++) {
    if (i !== token) second = Math.max(second, logits[i]!);
    const weight = Math.exp(logits[i]! - highest);
    total += weight;
    if (i >= actionIds.first && i < actionIds.end) action += weight;
  }
  assertFinite(total);
  const margin = highest - second;
  return { token, logProbability: -Math.log(total), actionMass: action / total, margin };
}

/** A NaN anywhere in weights or pictures ends here, in both decodings: it must never look like an answer. */
function assertFinite(score: number): void {
  if (!Number.isFinite(score)) throw new ModelError('scores of a token', String(score), 'a number');
}

function inputFeeds(input: DecoderInput, cache: Cache, { hiddenSize }: DecoderSizes): Feeds {
  const { ids, visual, visualPositions } = input;
  const total = cache.length + ids.length;
  return {
    ...cache.past,
    [ports.ids]: int64Tensor([ids.length], ids),
    [ports.visual]: float32Tensor([visualPositions.length, hiddenSize], visual),
    [ports.visualPositions]: int64Tensor([visualPositions.length, 1], visualPositions),
    [ports.lastPosition]: int32Tensor([1], [total - 1]),
    [ports.totalLength]: int32Tensor([], [total]),
  };
}

/** Outputs of one run become inputs of the next. */
function cacheOf(outputs: Feeds, length: number, { layers }: DecoderSizes): Cache {
  const past: Record<string, OpaqueTensor> = {};
  for (let l = 0; l < layers; l++) {
    past[ports.pastKey(l)] = outputs[ports.presentKey(l)]!;
    past[ports.pastValue(l)] = outputs[ports.presentValue(l)]!;
  }
  return {
    length,
    past,
    release: () => Object.values(past).forEach((tensor) => tensor.dispose()),
  };
}

function endOf(tokens: readonly number[], { eosIds }: StopRule): Tokens['ended'] {
  return eosIds.includes(tokens.at(-1)!) ? 'eos' : 'length';
}

function numbers(outputs: Feeds, name: string): readonly number[] {
  return Array.from(float32Data(outputs[name], name));
}
