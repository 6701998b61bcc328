/**
 * What the CPU's step-by-step decoder answers to made-up prompts, kept beside the graphs: recorded at conversion or at
 * the first load, reproduced at every load by whatever is to decode. So a new runtime, a provider nobody has run or a
 * damaged weight is found before an arm moves, and the step graph need not be loaded where another one does the work.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
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
const promptCount = 3;

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
    for (let seed = 0; seed < promptCount; seed++)
      prompts.push(await recordPrompt(step, sizes, seed));
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
  return { runtime: runtimeVersion, processor: cpus()[0]?.model ?? process.arch };
}

async function recordPrompt(
  step: Decoding,
  sizes: DecoderSizes,
  seed: number,
): Promise<ReferencePrompt> {
  const { vocabulary } = sizes;
  const spread = (i: number): number => Math.floor((i * vocabulary) / 16);
  const ids = Array.from({ length: 16 }, (_, i) => (spread(i) + seed) % vocabulary);
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

/**
 * Logits of two providers, or of two processors, differ by so much at most, and so may tokens whose margin is thinner.
 * Measured: 1e-4 for fp32, 0.02 for int4 with 8-bit activations (accuracy level 4) on random weights; the rest is room.
 */
const thinnestMargin = ({ keyValueType, weights }: DecoderSizes): number =>
  keyValueType === 'float32' && weights === 'fp32' ? 0.01 : 0.1;

/** So many tokens at least must be clear enough to tell right from wrong. */
const fewestClear = 8;

/** Whether there is enough in it for a provider or processor whose scores are only nearly the same. */
export const isClear = ({ prompts }: Reference, sizes: DecoderSizes): boolean =>
  prompts.flatMap(({ margins }) => margins).filter((margin) => margin >= thinnestMargin(sizes))
    .length >= fewestClear;

export interface Reproduction {
  /** Tokens whose margin was wide enough to be compared, of how many. */
  readonly clear: number;
  readonly of: number;
  /** null: all of them are the reference's. */
  readonly difference: { readonly got: string; readonly expected: string } | null;
}

/** Reads every prompt and the reference's own tokens one by one: a near tie at one position spoils no other. */
export async function reproduce(
  decoding: Decoding,
  sizes: DecoderSizes,
  { prompts }: Reference,
): Promise<Reproduction> {
  const of = prompts.reduce((sum, { tokens }) => sum + tokens.length, 0);
  const thinnest = thinnestMargin(sizes);
  let clear = 0;
  for (const [p, asked] of prompts.entries()) {
    const answer = await tokenByToken(decoding, sizes, asked);
    for (const [i, margin] of asked.margins.entries()) {
      if (margin < thinnest) continue;
      clear += 1;
      if (answer.tokens[i] === asked.tokens[i]) continue;
      const got = `token ${answer.tokens[i]} at place ${i} of prompt ${p}`;
      const expected = `${asked.tokens[i]}, as the CPU answers with a margin of ${margin.toFixed(3)}`;
      return { clear, of, difference: { got, expected } };
    }
  }
  if (clear >= fewestClear) return { clear, of, difference: null };
  const got = `${clear} tokens with a margin of ${thinnest} or more`;
  return { clear, of, difference: { got, expected: `${fewestClear}, to tell right from wrong` } };
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
