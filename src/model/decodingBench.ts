/** How much faster the one-run loop decodes than the step-by-step reference, on the same weights and prompt. */
import { join } from 'node:path';
import { percentile } from '../math/statistics.js';
import { loopDecoding, presentNames, stepDecoding, type Decoding } from './decoding.js';
import { graphFiles } from './graphs.js';
import { readGraphManifest } from './runtime.js';
import { chooseProvider, openSession, type SessionSettings } from './session.js';

export interface DecodingLoad {
  /** Positions before the answer. */
  readonly promptLength: number;
  /** At least 2. */
  readonly answerLength: number;
  readonly rounds: number;
}

export interface DecodingRate {
  /** Prompt and first token, ms. */
  readonly prefillMs: number;
  /** Prompt and whole answer, ms. */
  readonly answerMs: number;
  /** Of the tokens after the first. */
  readonly tokensPerSecond: number;
}

export interface DecodingComparison {
  readonly step: DecodingRate;
  readonly loop: DecodingRate;
  /** Ratio of their tokens per second. */
  readonly speedUp: number;
}

/** Medians over `rounds`, the two taking turns so that a busy machine burdens both. @param nowNs steady clock. */
export async function compareDecodingRates(
  folder: string,
  settings: SessionSettings,
  load: DecodingLoad,
  nowNs: () => bigint,
): Promise<DecodingComparison> {
  const sizes = readGraphManifest(folder).decoder;
  const choice = chooseProvider(settings.provider);
  const open = (file: string, onDevice: readonly string[]) =>
    openSession(join(folder, file), choice, settings.threads, onDevice);
  const step = stepDecoding(await open(graphFiles.step, presentNames(sizes)), sizes);
  const loop = loopDecoding(await open(graphFiles.decode, []), sizes);
  const spread = (_: unknown, i: number) => (i * 37) % sizes.vocabulary;
  const ids = Array.from({ length: load.promptLength }, spread);
  const timeMs = async (decoding: Decoding, maxTokens: number): Promise<number> => {
    const start = nowNs();
    const input = { ids, visual: new Float32Array(0), visualPositions: [] };
    await decoding.answer(input, { maxTokens, eosIds: [] }, { first: 0, end: 1 });
    return Number(nowNs() - start) / 1e6;
  };

  // The first round of each warms up and is not counted.
  const samples = { step: newSamples(), loop: newSamples() };
  for (let round = 0; round <= load.rounds; round++) {
    for (const decoding of [step, loop]) {
      const prefill = await timeMs(decoding, 1);
      const answer = await timeMs(decoding, load.answerLength);
      if (round === 0) continue;
      samples[decoding.kind].prefill.push(prefill);
      samples[decoding.kind].answer.push(answer);
    }
  }
  await step.release();
  await loop.release();
  const rates = {
    step: rateOf(samples.step, load.answerLength),
    loop: rateOf(samples.loop, load.answerLength),
  };
  return { ...rates, speedUp: rates.loop.tokensPerSecond / rates.step.tokensPerSecond };
}

interface Samples {
  readonly prefill: number[];
  readonly answer: number[];
}

const newSamples = (): Samples => ({ prefill: [], answer: [] });

function rateOf({ prefill, answer }: Samples, answerLength: number): DecodingRate {
  const prefillMs = percentile(prefill, 0.5);
  const answerMs = percentile(answer, 0.5);
  const tokensPerSecond = ((answerLength - 1) * 1000) / (answerMs - prefillMs);
  return { prefillMs, answerMs, tokensPerSecond };
}
