/**
 * How to decode: by the one-run loop where it proves itself equal to the step-by-step reference, by that reference
 * otherwise. The proof is made at every load, because a new version of the runtime or of a provider may break either.
 */
import { join } from 'node:path';
import { ModelError } from '../errors.js';
import {
  emptyCache,
  loopDecoding,
  presentNames,
  stepDecoding,
  textInput,
  type Decoding,
  type DecoderInput,
  type DecoderSizes,
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
  const expected = await answerInOne(step, sizes);
  await step.release();

  // 2. The loop must give the same tokens, in one piece and resumed half-way.
  const path = join(folder, graphFiles.decode);
  const loop = await openLoop(path, sizes, choice, threads);
  if (!(loop instanceof ModelError)) {
    const mismatch = await findMismatch(loop, expected, sizes, path);
    if (mismatch === null) {
      return { decoding: loop, reason: 'gives the same tokens as the step-by-step reference' };
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

/** null, or where the loop parts from the reference. */
async function findMismatch(
  loop: Decoding,
  expected: readonly number[],
  sizes: DecoderSizes,
  path: string,
): Promise<ModelError | null> {
  try {
    const answers = [await answerInOne(loop, sizes), await answerInTwo(loop, sizes)];
    const different = answers.find((tokens) => tokens.join() !== expected.join());
    if (!different) return null;
    const reference = `${expected.join(' ')} as from ${graphFiles.step}`;
    return new ModelError(`${path}: self-test`, `tokens ${different.join(' ')}`, reference);
  } catch (error) {
    return modelError(error);
  }
}

const probeTokens = 12;

async function answerInOne(decoding: Decoding, sizes: DecoderSizes): Promise<readonly number[]> {
  const stop = { maxTokens: probeTokens, eosIds: [] };
  return (await decoding.answer(probeInput(sizes), stop, everyId(sizes))).tokens;
}

async function answerInTwo(decoding: Decoding, sizes: DecoderSizes): Promise<readonly number[]> {
  const stop = { maxTokens: probeTokens / 2, eosIds: [] };
  const start = emptyCache(sizes);
  const first = await decoding.extend(start, probeInput(sizes), stop, everyId(sizes));
  const last = textInput(first.answer.tokens.slice(-1));
  const second = await decoding.extend(first.cache, last, stop, everyId(sizes));
  second.cache.release();
  return [...first.answer.tokens, ...second.answer.tokens];
}

/** Ids spread over the vocabulary around two rows of waves: anything that reaches every weight will do. */
function probeInput({ vocabulary, hiddenSize }: DecoderSizes): DecoderInput {
  const ids = Array.from({ length: 16 }, (_, i) => Math.floor((i * vocabulary) / 16));
  const visual = Float32Array.from({ length: 2 * hiddenSize }, (_, i) => Math.sin(1 + i));
  return { ids, visual, visualPositions: [1, 2] };
}

const everyId = ({ vocabulary }: DecoderSizes) => ({ first: 0, end: vocabulary });

/** A ModelError is an answer here; anything else is a bug and goes on. */
function modelError(error: unknown): ModelError {
  if (error instanceof ModelError) return error;
  throw error;
}
