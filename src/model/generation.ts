/** Prompt and pictures → greedy tokens, whole or in slices. */
import { InputError, ModelError } from '../errors.js';
import {
  borrowed,
  emptyCache,
  textInput,
  type Cache,
  type Decoding,
  type DecoderInput,
  type DecoderSizes,
  type IdRange,
  type StopRule,
  type Tokens,
} from './decoding.js';
import { chooseDecoding } from './decodingChoice.js';
import type { GraphManifest } from './graphs.js';
import type { ProviderChoice } from './session.js';
import type { VisualTokens } from './vision.js';

/** Longest slice of an answer that lets something more urgent pass. */
export const maxSliceTokens = 16;

export interface GenerationRequest extends StopRule {
  /** Prompt with one placeholder id per picture; a placeholder's own embedding is never used. */
  readonly ids: readonly number[];
  /** By ascending position of their placeholder in `ids`. */
  readonly pictures: readonly { readonly position: number; readonly visual: VisualTokens }[];
  /** Ids whose probability mass is reported per token. */
  readonly actionIds: IdRange;
}

/** A prompt's beginning in the cache: what several questions about the same pictures share. */
export interface PromptPrefix {
  /** Of the cache: ids, and visual tokens in place of the placeholders. */
  readonly positions: number;
  /** The answer to the prefix followed by `request`, whose pictures lie after it. As often as there are questions. */
  generate(request: GenerationRequest): Promise<Tokens>;
  /** The same answer as it comes: see TokenGenerator. */
  slices(request: GenerationRequest, sliceTokens: number): AsyncGenerator<Tokens, void, undefined>;
  /** Frees the cache. */
  release(): void;
}

export interface TokenGenerator {
  /** How answers are decoded, and one sentence why. */
  readonly decoding: { readonly kind: 'loop' | 'step'; readonly reason: string };
  /**
   * The whole answer. @throws InputError on a prompt that is too long, ModelError on any other request that does not
   * fit the decoder's sizes, and where the graphs fail.
   */
  generate(request: GenerationRequest): Promise<Tokens>;
  /**
   * The answer in slices of at most `sliceTokens`; joined they are what `generate` returns. Nothing runs between
   * slices: the caller may run something else there, or stop by leaving its `for await`, which frees the cache.
   */
  slices(request: GenerationRequest, sliceTokens: number): AsyncGenerator<Tokens, void, undefined>;
  /** Reads the beginning of a prompt once, for every question that begins so. */
  prefix(beginning: Pick<GenerationRequest, 'ids' | 'pictures'>): Promise<PromptPrefix>;
  release(): Promise<void>;
}

/** @param folder holds the graphs. @throws ModelError when not even the reference graph can be used. */
export async function openGenerator(
  folder: string,
  manifest: GraphManifest,
  choice: ProviderChoice,
  threads: number,
): Promise<TokenGenerator> {
  const sizes = manifest.decoder;
  const { decoding, reason } = await chooseDecoding(folder, manifest, choice, threads);
  return {
    decoding: { kind: decoding.kind, reason },
    generate: async (request) =>
      decoding.answer(decoderInput(request, sizes), request, request.actionIds),
    slices: (request, sliceTokens) => slices(decoding, sizes, request, sliceTokens),
    prefix: (beginning) => openPrefix(decoding, sizes, beginning),
    release: () => decoding.release(),
  };
}

async function openPrefix(
  decoding: Decoding,
  sizes: DecoderSizes,
  { ids, pictures }: Pick<GenerationRequest, 'ids' | 'pictures'>,
): Promise<PromptPrefix> {
  // One token follows every run of the graphs: this one answers no question and is not in the cache.
  const one = { maxTokens: 1, eosIds: [], actionIds: { first: 0, end: 1 } };
  const input = decoderInput({ ids, pictures, ...one }, sizes);
  const { cache } = await decoding.extend(emptyCache(sizes), input, one, one.actionIds);
  return {
    positions: cache.length,
    generate: async (request) => {
      const rest = decoderInput(request, sizes, cache.length);
      return decoding.answer(rest, request, request.actionIds, cache);
    },
    slices: (request, sliceTokens) => slices(decoding, sizes, request, sliceTokens, cache),
    release: () => cache.release(),
  };
}

async function* slices(
  decoding: Decoding,
  sizes: DecoderSizes,
  request: GenerationRequest,
  sliceTokens: number,
  after?: Cache,
): AsyncGenerator<Tokens, void, undefined> {
  let input = decoderInput(request, sizes, after?.length);
  let cache = after ? borrowed(after) : emptyCache(sizes);
  let left = request.maxTokens;
  try {
    while (left > 0) {
      const stop = { maxTokens: Math.min(sliceTokens, left), eosIds: request.eosIds };
      const result = await decoding.extend(cache, input, stop, request.actionIds);
      ({ cache } = result);
      yield result.answer;
      if (result.answer.ended === 'eos') return;
      left -= result.answer.tokens.length;
      input = textInput(result.answer.tokens.slice(-1));
    }
  } finally {
    cache.release();
  }
}

/**
 * Every placeholder becomes as many positions as its picture has visual tokens.
 * @param before positions that are in the cache already.
 */
function decoderInput(request: GenerationRequest, sizes: DecoderSizes, before = 0): DecoderInput {
  checkRequest(request, sizes);
  const { ids, pictures } = request;
  const count = pictures.reduce((sum, { visual }) => sum + visual.count, 0);
  const merged: number[] = [];
  const visualPositions: number[] = [];
  const visual = new Float32Array(count * sizes.hiddenSize);
  let from = 0;
  for (const picture of pictures) {
    const placeholder = ids[picture.position]!;
    merged.push(...ids.slice(from, picture.position));
    visual.set(picture.visual.data, visualPositions.length * sizes.hiddenSize);
    for (let i = 0; i < picture.visual.count; i++) {
      visualPositions.push(merged.length);
      merged.push(placeholder);
    }
    from = picture.position + 1;
  }
  merged.push(...ids.slice(from));
  const prompt = before + merged.length;
  if (prompt + request.maxTokens - 1 > sizes.maxPositions) {
    const got = `${prompt} positions and ${request.maxTokens} tokens`;
    throw new InputError('prompt, length', got, `at most ${sizes.maxPositions} together`);
  }
  return { ids: merged, visual, visualPositions };
}

function checkRequest(request: GenerationRequest, sizes: DecoderSizes): void {
  const { ids, pictures, maxTokens, actionIds } = request;
  if (ids.length === 0) fail('ids', 'none', 'at least one');
  const strange = ids.find((id) => !Number.isInteger(id) || id < 0 || id >= sizes.vocabulary);
  if (strange !== undefined) fail('ids', String(strange), `0 to ${sizes.vocabulary - 1}`);
  if (!Number.isInteger(maxTokens) || maxTokens < 1) {
    fail('maxTokens', String(maxTokens), 'a positive integer');
  }
  if (!(
    0 <= actionIds.first &&
    actionIds.first <= actionIds.end &&
    actionIds.end <= sizes.vocabulary
  )) {
    const expected = `a range within 0 to ${sizes.vocabulary}`;
    fail('actionIds', `${actionIds.first} to ${actionIds.end}`, expected);
  }
  let before = -1;
  for (const { position, visual } of pictures) {
    if (!Number.isInteger(position) || position <= before || position >= ids.length) {
      const expected = `ascending, below ${ids.length}`;
      fail('picture positions', `${position} after ${before}`, expected);
    }
    if (visual.data.length !== visual.count * sizes.hiddenSize) {
      const expected = String(visual.count * sizes.hiddenSize);
      fail('visual tokens', `${visual.data.length} numbers`, expected);
    }
    before = position;
  }
}

function fail(what: string, got: string, expected: string): never {
  throw new ModelError(`generation: ${what}`, got, expected);
}
