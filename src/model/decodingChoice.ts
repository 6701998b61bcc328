/**
 * How to decode: by the one-run loop where it answers as the reference does (reference.ts), step by step otherwise. The
 * proof is made at every load, because a new version of the runtime or of a provider may break either.
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
  type DecoderSizes,
  type Tokens,
} from './decoding.js';
import { graphFiles, type GraphManifest } from './graphs.js';
import {
  isClear,
  isOfThisMachine,
  readReference,
  recordReference,
  referenceActionIds,
  referenceFile,
  referenceInput,
  referenceTokens,
  reproduce,
  tokenByToken,
  type Reference,
  type ReferencePrompt,
} from './reference.js';
import { openSession, type ProviderChoice } from './session.js';

export interface DecodingChoice {
  readonly decoding: Decoding;
  /** One sentence for the operator. */
  readonly reason: string;
}

/** What is known of one that might decode. */
type Trial = { readonly decoding: Decoding; readonly reason: string } | ModelError;

/**
 * @throws ModelError when the provider does not answer as the CPU does, whichever way it decodes: it is not used.
 */
export async function chooseDecoding(
  folder: string,
  manifest: GraphManifest,
  choice: ProviderChoice,
  threads: number,
): Promise<DecodingChoice> {
  const sizes = manifest.decoder;
  const isCpu = choice.provider === 'cpu';
  const kept = readReference(folder, manifest);
  // Of another machine and full of near ties: the CPU, which defines what is right, says it anew.
  const isUsable = kept && (!isCpu || isOfThisMachine(kept) || isClear(kept, sizes));
  const reference = isUsable ? kept : await recordReference(folder, manifest, threads);
  const isExact = isCpu && isOfThisMachine(reference);

  // 1. The loop. One session at a time: two need twice the memory.
  let why = 'the WebGPU provider has no Loop: it would run on the CPU';
  if (choice.provider !== 'webgpu') {
    const path = join(folder, graphFiles.decode);
    const open = async () => loopDecoding(await openSession(path, choice, threads), sizes);
    const prove = isExact ? proveExact : proveNear;
    const loop = await trial(open, (decoding) => prove(decoding, sizes, reference, path));
    if (!(loop instanceof ModelError)) return loop;
    why = loop.message;
  }

  // 2. Step by step.
  const path = join(folder, graphFiles.step);
  const open = async () =>
    stepDecoding(await openSession(path, choice, threads, presentNames(sizes)), sizes);
  const step = await trial(open, (decoding) => proveTokens(decoding, sizes, reference, path));
  if (step instanceof ModelError) {
    const got = choice.provider === 'webgpu' ? step.message : `${why}; ${step.message}`;
    const expected = `the answers of the CPU, in ${referenceFile} beside the graphs`;
    throw new ModelError(`provider ${choice.provider}`, got, expected);
  }
  return { decoding: step.decoding, reason: `${why}; ${step.reason}` };
}

/** Opens a decoding and keeps it if it proves itself. What is no ModelError is a bug and goes on. */
async function trial(
  open: () => Promise<Decoding>,
  prove: (decoding: Decoding) => Promise<string>,
): Promise<Trial> {
  let decoding: Decoding | null = null;
  try {
    decoding = await open();
    return { decoding, reason: await prove(decoding) };
  } catch (error) {
    await decoding?.release();
    if (error instanceof ModelError) return error;
    throw error;
  }
}

// ── Proofs: each gives a reason for trust, or throws a ModelError ───────────────────────────────────────────────────

/** Where the reference was recorded the same way: the loop's answers are its answers, scores included. */
async function proveExact(
  loop: Decoding,
  sizes: DecoderSizes,
  { prompts }: Reference,
  path: string,
): Promise<string> {
  const asked = prompts[0]!;
  await proveLoop(loop, sizes, asked, { ...asked, ended: 'length' }, path);
  return 'gives the same tokens and scores as the step-by-step reference';
}

/** Elsewhere: tokens where they are clear; and the loop goes round as it goes one token at a time. */
async function proveNear(
  loop: Decoding,
  sizes: DecoderSizes,
  reference: Reference,
  path: string,
): Promise<string> {
  const reason = await proveTokens(loop, sizes, reference, path);
  const asked = reference.prompts[0]!;
  const { tokens } = await answerInOne(loop, sizes, asked, []);
  const right = await tokenByToken(loop, sizes, { ...asked, tokens });
  await proveLoop(loop, sizes, asked, right, path);
  return reason;
}

async function proveTokens(
  decoding: Decoding,
  sizes: DecoderSizes,
  reference: Reference,
  path: string,
): Promise<string> {
  const { clear, of, difference } = await reproduce(decoding, sizes, reference);
  if (difference) throw new ModelError(`${path}: self-test`, difference.got, difference.expected);
  return `gives the CPU's tokens wherever these are clear (${clear} of ${of})`;
}

/** In one piece and resumed half-way, wherever the answer ends. @param free the right answer without an end. */
async function proveLoop(
  loop: Decoding,
  sizes: DecoderSizes,
  asked: ReferencePrompt,
  free: Tokens,
  path: string,
): Promise<void> {
  // No end; one at the first token, which the prompt's own round must see; one that a later round must see.
  const ends = [[], [free.tokens[0]!], [free.tokens[referenceTokens / 2]!]];
  for (const eosIds of ends) {
    const expected = upToEnd(free, eosIds);
    for (const answer of [answerInOne, answerInTwo]) {
      const difference = differenceOf(await answer(loop, sizes, asked, eosIds), expected);
      if (!difference) continue;
      const end = eosIds.length > 0 ? `, end at ${eosIds.join()}` : '';
      const right = `${difference.expected} as from ${graphFiles.step}`;
      throw new ModelError(`${path}: self-test${end}`, difference.got, right);
    }
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

async function answerInOne(
  decoding: Decoding,
  sizes: DecoderSizes,
  asked: ReferencePrompt,
  eosIds: readonly number[],
): Promise<Tokens> {
  const stop = { maxTokens: referenceTokens, eosIds };
  return decoding.answer(referenceInput(asked, sizes), stop, referenceActionIds(sizes));
}

async function answerInTwo(
  decoding: Decoding,
  sizes: DecoderSizes,
  asked: ReferencePrompt,
  eosIds: readonly number[],
): Promise<Tokens> {
  const stop = { maxTokens: referenceTokens / 2, eosIds };
  const actionIds = referenceActionIds(sizes);
  const input = referenceInput(asked, sizes);
  const first = await decoding.extend(emptyCache(sizes), input, stop, actionIds);
  if (first.answer.ended === 'eos') {
    first.cache.release();
    return first.answer;
  }
  const last = textInput(first.answer.tokens.slice(-1));
  const second = await decoding.extend(first.cache, last, stop, actionIds);
  second.cache.release();
  return joinSlices([first.answer, second.answer]);
}
