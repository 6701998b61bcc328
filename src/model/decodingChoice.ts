/**
 * How to decode: by the one-run loop where it proves itself equal to the step-by-step reference, by that reference
 * otherwise. The proof is made at every load, because a new version of the runtime or of a provider may break either.
 */
import { join } from 'node:path';
import { ModelError } from '../errors.js';
import {
  emptyCache,
  joinSlices,
  loopDecoding,
  presentNames,
  stepDecoding,
  textInput,
  type Decoding,
  type DecoderInput,
  type DecoderSizes,
  type IdRange,
  type Tokens,
} from './decoding.js';
import { graphFiles } from './graphs.js';
import { openSession, type ProviderChoice } from './session.js';

export interface DecodingChoice {
  readonly decoding: Decoding;
  /** One sentence for the operator. */
  readonly reason: string;
}

/** @throws ModelError when not even the reference can be used. */
export async function chooseDecoding(
  folder: string,
  sizes: DecoderSizes,
  choice: ProviderChoice,
  threads: number,
): Promise<DecodingChoice> {
  const openStep = async () => {
    const path = join(folder, graphFiles.step);
    return stepDecoding(await openSession(path, choice, threads, presentNames(sizes)), sizes);
  };
  // 1. The reference answers a made-up prompt. It is closed before the loop opens: together they need twice the memory.
  const step = await openStep();
  if (choice.provider === 'webgpu') {
    return { decoding: step, reason: 'the WebGPU provider has no Loop: it would run on the CPU' };
  }
  const expected = await answerInOne(step, sizes, []);
  await step.release();

  // 2. The loop must give the same tokens and scores, in one piece and resumed half-way, wherever the answer ends.
  const path = join(folder, graphFiles.decode);
  const loop = await openLoop(path, sizes, choice, threads);
  if (!(loop instanceof ModelError)) {
    const mismatch = await findMismatch(loop, expected, sizes, path);
    if (mismatch === null) {
      return {
        decoding: loop,
        reason: 'gives the same tokens and scores as the step-by-step reference',
      };
    }
    await loop.release();
    return { decoding: await openStep(), reason: mismatch.message };
  }
  return { decoding: await openStep(), reason: loop.message };
}

async function openLoop(
  path: string,
  sizes: DecoderSizes,
  choice: ProviderChoice,
  threads: number,
): Promise<Decoding | ModelError> {
  try {
    return loopDecoding(await openSession(path, choice, threads), sizes);
  } catch (error) {
    return modelError(error);
  }
}

/** null, or where the loop parts from the reference's answer without an end. */
async function findMismatch(
  loop: Decoding,
  free: Tokens,
  sizes: DecoderSizes,
  path: string,
): Promise<ModelError | null> {
  // No end; one at the first token, which the prompt's own pass must see; one that a round of the loop must see.
  const ends = [[], [free.tokens[0]!], [free.tokens[probeTokens / 2]!]];
  try {
    for (const eosIds of ends) {
      const expected = upToEnd(free, eosIds);
      for (const answer of [answerInOne, answerInTwo]) {
        const difference = differenceOf(await answer(loop, sizes, eosIds), expected);
        if (!difference) continue;
        const end = eosIds.length > 0 ? `, end at ${eosIds.join()}` : '';
        const reference = `${difference.expected} as from ${graphFiles.step}`;
        return new ModelError(`${path}: self-test${end}`, difference.got, reference);
      }
    }
    return null;
  } catch (error) {
    return modelError(error);
  }
}

/** What the reference would have answered with these ends: it picks greedily, so an end only cuts. */
function upToEnd(free: Tokens, eosIds: readonly number[]): Tokens {
  const end = free.tokens.findIndex((token) => eosIds.includes(token));
  if (end < 0) return free;
  return {
    tokens: free.tokens.slice(0, end + 1),
    logProbabilities: free.logProbabilities.slice(0, end + 1),
    actionMass: free.actionMass.slice(0, end + 1),
    ended: 'eos',
  };
}

/** Scores of the two graphs differ by rounding: at most so much in a log-probability or a probability. */
const scoreTolerance = 1e-3;

function differenceOf(answer: Tokens, expected: Tokens): { got: string; expected: string } | null {
  const tokens = ({ tokens: ids, ended }: Tokens): string =>
    `tokens ${ids.join(' ')} and then ${ended}`;
  if (tokens(answer) !== tokens(expected))
    return { got: tokens(answer), expected: tokens(expected) };
  for (const name of ['logProbabilities', 'actionMass'] as const) {
    const [a, b] = [answer[name], expected[name]];
    const isEqual = (value: number, i: number): boolean =>
      Math.abs(value - a[i]!) <= scoreTolerance;
    if (a.length === b.length && b.every(isEqual)) continue;
    const digits = (values: readonly number[]): string =>
      `${name} ${values.map((value) => value.toFixed(4)).join(' ')}`;
    return { got: digits(a), expected: digits(b) };
  }
  return null;
}

/** Even: half of them are a slice. */
const probeTokens = 12;

async function answerInOne(
  decoding: Decoding,
  sizes: DecoderSizes,
  eosIds: readonly number[],
): Promise<Tokens> {
  const stop = { maxTokens: probeTokens, eosIds };
  return decoding.answer(probeInput(sizes), stop, probedActionIds(sizes));
}

async function answerInTwo(
  decoding: Decoding,
  sizes: DecoderSizes,
  eosIds: readonly number[],
): Promise<Tokens> {
  const stop = { maxTokens: probeTokens / 2, eosIds };
  const actionIds = probedActionIds(sizes);
  const first = await decoding.extend(emptyCache(sizes), probeInput(sizes), stop, actionIds);
  if (first.answer.ended === 'eos') {
    first.cache.release();
    return first.answer;
  }
  const last = textInput(first.answer.tokens.slice(-1));
  const second = await decoding.extend(first.cache, last, stop, actionIds);
  second.cache.release();
  return joinSlices([first.answer, second.answer]);
}

/** Ids spread over the vocabulary around two rows of waves: anything that reaches every weight will do. */
function probeInput({ vocabulary, hiddenSize }: DecoderSizes): DecoderInput {
  const ids = Array.from({ length: 16 }, (_, i) => Math.floor((i * vocabulary) / 16));
  const visual = Float32Array.from({ length: 2 * hiddenSize }, (_, i) => Math.sin(1 + i));
  return { ids, visual, visualPositions: [1, 2] };
}

/** The second quarter of the vocabulary: a mass that leaves ids out on both sides. */
const probedActionIds = ({ vocabulary }: DecoderSizes): IdRange => ({
  first: vocabulary >> 2,
  end: vocabulary >> 1,
});

/** A ModelError is an answer here; anything else is a bug and goes on. */
function modelError(error: unknown): ModelError {
  if (error instanceof ModelError) return error;
  throw error;
}
