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
  agreementOf,
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
import { openSession, type ProviderChoice, type Session } from './session.js';

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

  const candidates = choice.provider === 'webgpu' ? [inPieces] : [loop, whole];

  // One session at a time: two need twice the memory.
  const failures: string[] = [];
  for (const { file, onDevice, decoding, proof } of candidates) {
    const path = join(folder, file);
    const open = async () =>
      decoding(await openSession(path, choice, threads, onDevice(sizes)), sizes);
    const prove = proof(isExact);
    const found = await trial(open, (opened) => prove(opened, sizes, reference, path));
    if (found instanceof ModelError) {
      failures.push(found.message);
      continue;
    }
    return { decoding: found.decoding, reason: [...failures, found.reason].join('; ') };
  }
  const expected = `the answers of the CPU, in ${referenceFile} beside the graphs`;
  throw new ModelError(`provider ${choice.provider}`, failures.join('; '), expected);
}

/** A way to decode, and what it must show. */
interface Candidate {
  readonly file: string;
  readonly onDevice: (sizes: DecoderSizes) => readonly string[];
  readonly decoding: (session: Session, sizes: DecoderSizes) => Decoding;
  readonly proof: (isExact: boolean) => Proof;
}
type Proof = (
  decoding: Decoding,
  sizes: DecoderSizes,
  reference: Reference,
  path: string,
) => Promise<string>;

const loop: Candidate = {
  file: graphFiles.decode,
  onDevice: () => [],
  decoding: loopDecoding,
  proof: (isExact) => (isExact ? proveRounded : proveNear),
};

const whole: Candidate = {
  file: graphFiles.step,
  onDevice: presentNames,
  decoding: (session, sizes) => stepDecoding(session, sizes),
  proof: () => proveTokens,
};

/**
 * WebGPU has no Loop: it would run on the CPU. And its attention over 32 positions or more in one run is wrong in ONNX
 * Runtime 1.30 (both software devices that were tried, fp32 as well: logits off by 1 and more; not tried on a GPU).
 */
const positionsPerPiece = 31;
const inPieces: Candidate = {
  ...whole,
  decoding: (session, sizes) => stepDecoding(session, sizes, positionsPerPiece),
  proof: () => async (decoding, sizes, reference, path) => {
    const reason = await proveTokens(decoding, sizes, reference, path);
    return `WebGPU has no Loop; reading at most ${positionsPerPiece} positions at once it ${reason}`;
  },
};

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
  const { scores } = agreementOf(sizes);
  await proveLoop(loop, sizes, asked, { ...asked, ended: 'length' }, scores, path);
  return 'gives the same tokens and scores as the step-by-step reference';
}

/** As exactly where scores are near enough, and otherwise as elsewhere: a near tie may have fallen the other way. */
const proveRounded: Proof = async (loop, sizes, reference, path) => {
  try {
    return await proveExact(loop, sizes, reference, path);
  } catch (error) {
    if (!(error instanceof ModelError) || agreementOf(sizes).scores <= exactScores) throw error;
    return proveNear(loop, sizes, reference, path);
  }
};

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
  await proveLoop(loop, sizes, asked, right, exactScores, path);
  return reason;
}

async function proveTokens(
  decoding: Decoding,
  sizes: DecoderSizes,
  reference: Reference,
  path: string,
): Promise<string> {
  const { clear, of, same, difference } = await reproduce(decoding, sizes, reference);
  if (difference) throw new ModelError(`${path}: self-test`, difference.got, difference.expected);
  return `gives the CPU's tokens where these are clear (${same} of ${clear}, ${of - clear} too close to tell)`;
}

/** In one piece and resumed half-way, wherever the answer ends. @param free the right answer without an end. */
async function proveLoop(
  loop: Decoding,
  sizes: DecoderSizes,
  asked: ReferencePrompt,
  free: Tokens,
  tolerance: number,
  path: string,
): Promise<void> {
  // No end; one at the first token, which the prompt's own round must see; one that a later round must see.
  const ends = [[], [free.tokens[0]!], [free.tokens[referenceTokens / 2]!]];
  for (const eosIds of ends) {
    const expected = upToEnd(free, eosIds);
    for (const answer of [answerInOne, answerInTwo]) {
      const got = await answer(loop, sizes, asked, eosIds);
      const difference = differenceOf(got, expected, tolerance);
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

/** Between two ways through one graph. */
const exactScores = 1e-3;

/** @param tolerance in a log-probability or a probability. */
function differenceOf(
  answer: Tokens,
  expected: Tokens,
  tolerance: number,
): { readonly got: string; readonly expected: string } | null {
  const tokens = ({ tokens: ids, ended }: Tokens): string =>
    `tokens ${ids.join(' ')} and then ${ended}`;
  if (tokens(answer) !== tokens(expected))
    return { got: tokens(answer), expected: tokens(expected) };
  for (const name of ['logProbabilities', 'actionMass'] as const) {
    const [a, b] = [answer[name], expected[name]];
    const isEqual = (value: number, i: number): boolean => Math.abs(value - a[i]!) <= tolerance;
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
