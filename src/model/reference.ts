/**
 * What the CPU's step-by-step decoder answers to made-up prompts, kept beside the graphs: recorded at conversion or at
 * the first load, reproduced at every load by whatever is to decode. So a new runtime, a provider nobody has run or a
 * damaged weight is found before an arm moves, and the step graph need not be loaded where another one does the work.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import {
  emptyCache,
  joinSlices,
  stepDecoding,
  textInput,
  type Decoding,
  type DecoderInput,
  type DecoderSizes,
  type IdRange,
  type Tokens,
} from './decoding.js';
import { graphFiles, type GraphManifest } from './graphs.js';
import { parseJson } from './parseJson.js';
import { processorName } from './processor.js';
import { chooseProvider, openSession, runtimeVersion } from './session.js';

const prompt = z.strictObject({
  ids: z.array(z.int().nonnegative()).min(1),
  /** Rows of waves, see `visualRows`, in place of the embeddings at these positions. */
  visual: z.strictObject({ seed: z.int(), positions: z.array(z.int().nonnegative()) }),
  tokens: z.array(z.int().nonnegative()).min(1),
  logProbabilities: z.array(z.number()),
  actionMass: z.array(z.number()),
  /** How far each token's logit lies above the second highest. */
  margins: z.array(z.number().nonnegative()),
});

const referenceSchema = z.strictObject({
  version: z.literal(1),
  /** Of the graphs' manifest. */
  sha256: z.string(),
  recordedBy: z.strictObject({ runtime: z.string(), processor: z.string() }),
  prompts: z.array(prompt).min(1),
});

/** Lies beside the graphs; not part of their manifest, because it may come later. */
export const referenceFile = 'reference.json';

export type Reference = z.infer<typeof referenceSchema>;
export type ReferencePrompt = Reference['prompts'][number];

/** Even: half of them are a slice. */
export const referenceTokens = 12;
/**
 * Positions of the prompts: providers read short and long ones by different kernels, and divide a long cache among several;
 * so one is longer than what an action asks (Magma 313, OpenVLA about 280). More where ties are many.
 */
const promptLengths = [16, 48, 320, 16, 320, 16, 320, 16] as const;
const fewestPrompts = 3;

/** The one beside the graphs; null: none, or of other graphs. @throws ConfigError where it is not one. */
export function readReference(folder: string, { sha256 }: GraphManifest): Reference | null {
  const path = join(folder, referenceFile);
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch {
    return null;
  }
  const reference = parseJson(referenceSchema, text, path);
  return reference.sha256 === sha256 ? reference : null;
}

/**
 * Asks the step graph on the CPU, and keeps what it answers beside the graphs where that folder can be written.
 * Opens a session and closes it again. @throws ModelError when the graph cannot be used.
 */
export async function recordReference(
  folder: string,
  manifest: GraphManifest,
  threads: number,
): Promise<Reference> {
  const sizes = manifest.decoder;
  const path = join(folder, graphFiles.step);
  const step = stepDecoding(await openSession(path, chooseProvider('cpu'), threads), sizes);
  try {
    const prompts: ReferencePrompt[] = [];
    for (const [seed, length] of promptLengths.entries()) {
      if (seed >= fewestPrompts && isClear({ prompts }, sizes)) break;
      const most = sizes.maxPositions - referenceTokens;
      prompts.push(await recordPrompt(step, sizes, seed, Math.min(length, most)));
    }
    const reference: Reference = {
      ...{ version: 1, sha256: manifest.sha256, recordedBy: recorder(), prompts },
    };
    keep(reference, folder);
    return reference;
  } finally {
    await step.release();
  }
}

/** Same runtime, same kind of processor: the CPU gives the same scores again, not only nearly. */
export function isOfThisMachine({ recordedBy }: Reference): boolean {
  const here = recorder();
  return recordedBy.runtime === here.runtime && recordedBy.processor === here.processor;
}

function recorder(): Reference['recordedBy'] {
  return { runtime: runtimeVersion, processor: processorName() };
}

async function recordPrompt(
  step: Decoding,
  sizes: DecoderSizes,
  seed: number,
  length: number,
): Promise<ReferencePrompt> {
  const { vocabulary } = sizes;
  const spread = (i: number): number => Math.floor((i * vocabulary) / length);
  const ids = Array.from({ length }, (_, i) => (spread(i) + seed) % vocabulary);
  const asked = { ids, visual: { seed, positions: [1, 2] } };
  const stop = { maxTokens: referenceTokens, eosIds: [] };
  const answer = await step.answer(referenceInput(asked, sizes), stop, referenceActionIds(sizes));
  return {
    ...asked,
    tokens: [...answer.tokens],
    logProbabilities: [...answer.logProbabilities],
    actionMass: [...answer.actionMass],
    margins: [...answer.margins!],
  };
}

/** Whole or not at all; a folder that cannot be written to is asked again at the next load. */
function keep(reference: Reference, folder: string): void {
  const path = join(folder, referenceFile);
  const temporary = `${path}.${process.pid}`;
  try {
    writeFileSync(temporary, `${JSON.stringify(reference, null, 1)}\n`);
    renameSync(temporary, path);
  } catch {
    rmSync(temporary, { force: true });
  }
}

/** What the decoder reads for a prompt: ids spread over the vocabulary around rows of waves reach every weight. */
export function referenceInput(
  { ids, visual }: Pick<ReferencePrompt, 'ids' | 'visual'>,
  { hiddenSize }: DecoderSizes,
): DecoderInput {
  const rows = visual.positions.length * hiddenSize;
  const wave = (_: unknown, i: number): number => Math.sin(1 + i + 97 * visual.seed);
  return {
    ids,
    visual: Float32Array.from({ length: rows }, wave),
    visualPositions: visual.positions,
  };
}

/** The second quarter of the vocabulary: a mass that leaves ids out on both sides. */
export const referenceActionIds = ({ vocabulary }: DecoderSizes): IdRange => ({
  first: vocabulary >> 2,
  end: vocabulary >> 1,
});

// ── Comparing ───────────────────────────────────────────────────────────────────────────────────────────────────────

interface Agreement {
  /** Tokens whose margin is thinner are not compared: rounding may decide them. */
  readonly thinnest: number;
  /** Share of the others that must be the same; of the first ones, which need the whole prompt, all must. */
  readonly least: number;
  /** By how much log-probabilities and probabilities of two graphs of the same decoder may differ on one processor. */
  readonly scores: number;
}

/**
 * How closely two providers, or two processors, must agree. Measured on a small random model, logits of rms 1.8: fp32 and
 * exact int4 differ by 1e-5; where the CPU multiplies whole numbers with 8-bit activations (accuracy level 4) and the other
 * does not, by 0.1 to 0.3, seldom 0.65. A wrong kernel differs by 1 and more, and gets most tokens wrong.
 */
export function agreementOf({ keyValueType, weights }: DecoderSizes): Agreement {
  // 32 layers of int4, loop against step: 0.025 in a log-probability. A rounding that falls the other way goes through all.
  if (weights === 'int4' || weights === 'int8') return { thinnest: 0.3, least: 0.85, scores: 0.1 };
  const isExact = keyValueType === 'float32' && weights === 'fp32';
  return isExact
    ? { thinnest: 0.01, least: 1, scores: 1e-3 }
    : { thinnest: 0.05, least: 1, scores: 0.02 };
}

/** So many tokens at least must be clear enough to tell right from wrong. */
const fewestClear = 8;
/** And of the longest prompts, which providers read by other kernels. */
const fewestClearLong = 2;

/** Whether there is enough in it for a provider or processor whose scores are only nearly the same. */
export function isClear({ prompts }: Pick<Reference, 'prompts'>, sizes: DecoderSizes): boolean {
  const { thinnest } = agreementOf(sizes);
  const clear = (margins: readonly number[]): number =>
    margins.filter((margin) => margin >= thinnest).length;
  const longest = Math.max(...prompts.map(({ ids }) => ids.length));
  const long = prompts.filter(({ ids }) => ids.length === longest);
  const [all, ofLong] = [prompts, long].map((some) => clear(some.flatMap((p) => p.margins)));
  return all! >= fewestClear && ofLong! >= fewestClearLong;
}

export interface Reproduction {
  /** Tokens whose margin was wide enough to be compared, of how many; and how many of them were the reference's. */
  readonly clear: number;
  readonly of: number;
  readonly same: number;
  /** null: close enough. */
  readonly difference: { readonly got: string; readonly expected: string } | null;
}

/** Reads every prompt and the reference's own tokens one by one: a near tie at one position spoils no other. */
export async function reproduce(
  decoding: Decoding,
  sizes: DecoderSizes,
  { prompts }: Reference,
): Promise<Reproduction> {
  const { thinnest, least } = agreementOf(sizes);
  const wrong: string[] = [];
  let isPromptWrong = false;
  let clear = 0;
  for (const [p, asked] of prompts.entries()) {
    const { tokens } = await tokenByToken(decoding, sizes, asked);
    const before = { clear, wrong: wrong.length };
    for (const [i, margin] of asked.margins.entries()) {
      if (margin < thinnest) continue;
      clear += 1;
      if (tokens[i] === asked.tokens[i]) continue;
      isPromptWrong ||= i === 0;
      const right = `${asked.tokens[i]} with a margin of ${margin.toFixed(3)}`;
      wrong.push(`token ${tokens[i]} at place ${i} of prompt ${p}, where the CPU gives ${right}`);
    }
    // However well others were read: this one was not.
    isPromptWrong ||= 2 * (wrong.length - before.wrong) > clear - before.clear;
  }
  const of = prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const same = clear - wrong.length;
  const result = { clear, of, same };
  if (clear < fewestClear) {
    const got = `${clear} tokens with a margin of ${thinnest} or more`;
    return { ...result, difference: { got, expected: `${fewestClear}, to tell right from wrong` } };
  }
  if (same >= least * clear && !isPromptWrong) return { ...result, difference: null };
  const others = wrong.length > 1 ? `, and ${wrong.length - 1} more of ${clear}` : '';
  const expected = `the CPU's tokens, ${Math.ceil(least * clear)} of ${clear} clear ones`;
  return { ...result, difference: { got: `${wrong[0]}${others}`, expected } };
}

/** What follows the prompt, and each of `tokens` but the last. */
export async function tokenByToken(
  decoding: Decoding,
  sizes: DecoderSizes,
  asked: Pick<ReferencePrompt, 'ids' | 'visual'> & { readonly tokens: readonly number[] },
): Promise<Tokens> {
  const parts: Tokens[] = [];
  let cache = emptyCache(sizes);
  let input = referenceInput(asked, sizes);
  try {
    for (const token of asked.tokens) {
      const one = { maxTokens: 1, eosIds: [] };
      const next = await decoding.extend(cache, input, one, referenceActionIds(sizes));
      ({ cache } = next);
      parts.push(next.answer);
      input = textInput([token]);
    }
  } finally {
    cache.release();
  }
  return joinSlices(parts);
}
