/**
 * OpenVLA's own modelling and processing code against ours, on a tiny checkpoint with the keys of openvla-7b: prompt,
 * pixels for both towers, visual tokens, merged embeddings, logits, tokens, and the action that comes of them.
 * test/oracle/openvla_reference.py ran the public code; expected.json says which versions.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { cpSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { decodeAction } from '../../src/model/actionTokens.js';
import { unnormalise } from '../../src/model/actionUnits.js';
import type { GenerationRequest } from '../../src/model/generation.js';
import { recipeOf, seePictures } from '../../src/model/pictures.js';
import { actionPrompt, type PromptIds } from '../../src/model/prompt.js';
import { Stopwatch } from '../../src/model/stopwatch.js';
import { hashedValues, writeHashedWeights, type HashedWeight } from '../support/hashedWeights.js';
import {
  everyRow,
  joined,
  meansOf,
  mergedEmbeddings,
  mergedPrompt,
  openExpected,
  readJson,
  recordingEncoder,
  referencePicture,
  sampled,
  stepLogits,
} from '../support/reference.js';
import { convertReference, type ReferenceModel } from '../support/referenceModel.js';
import { largestDifference, temporaryFolder } from '../support/tinyMagma.js';

const golden = fileURLToPath(new URL('../golden/openvlaReference', import.meta.url));

interface Case {
  /** Width, height of the camera's picture. */
  readonly size: readonly [number, number];
  readonly instruction: string;
  readonly unnormKey: string;
  /** The processor's, before 29871 is appended. */
  readonly promptIds: readonly number[];
  readonly ids: readonly number[];
  readonly positions: number;
  readonly tokens: readonly number[];
  readonly action: readonly number[];
}

const record = readJson(golden, 'expected.json') as {
  cases: Record<string, Case>;
  weights: Record<string, HashedWeight>;
};
const names = Object.keys(record.cases);
const expected = openExpected(golden);
const patches = 256;
const actionIds = { first: 31744, end: 32000 };
const tolerance = 1e-4;
const table = hashedValues(record.weights['language_model.model.embed_tokens.weight']!);

const temporary = temporaryFolder();
let model: ReferenceModel;

interface Asked {
  readonly request: GenerationRequest;
  /** Six channels: DINOv2's normalisation, then SigLIP's. */
  readonly pixels: Float32Array;
}
const asked = new Map<string, Asked>();

function promptOf(name: string): PromptIds {
  const { instruction } = record.cases[name]!;
  const prompt = actionPrompt(model.contract, model.tokenizer, { instruction });
  if (!prompt.ok) throw new Error(prompt.refusal.message);
  return prompt.value;
}

/** Puts a case to our own code, up to the request that the decoder gets. */
async function ask(name: string): Promise<Asked> {
  const [width, height] = record.cases[name]!.size;
  const { ids, images } = promptOf(name);
  const shown = images.map(({ segment }) => ({ source: referencePicture(width, height), segment }));
  const { contract, tokenizer, runtime } = model;
  const { encoder, crops } = recordingEncoder(runtime.vision);
  const visual = await seePictures(shown, [], recipeOf(contract), encoder, new Stopwatch(() => 0));
  const pictures = images.map(({ position }, i) => ({ position, visual: visual[i]! }));
  const request = { ids, pictures, maxTokens: 7, eosIds: [tokenizer.idOf('</s>')], actionIds };
  return { request, pixels: joined(crops.map(({ pixels }) => pixels)) };
}

beforeAll(async () => {
  const source = join(temporary.path, 'checkpoint');
  cpSync(golden, source, { recursive: true, filter: (path) => !path.includes('expected.') });
  writeHashedWeights(join(source, 'model.safetensors'), record.weights);
  model = await convertReference(source, join(temporary.path, 'openvla'), {
    unnormKey: 'bridge_orig',
  });
  for (const name of names) asked.set(name, await ask(name));
});

afterAll(async () => {
  await model.release();
  temporary.remove();
});

describe.each(names)("OpenVLA's own code on %s", (name) => {
  const { promptIds, ids, positions, tokens, action, unnormKey } = record.cases[name]!;
  const request = () => asked.get(name)!.request;

  it('reads the same prompt, with 29871 at its end and the picture after the beginning', () => {
    const { ids: ours, images } = promptOf(name);
    expect(images.map(({ position }) => position)).toEqual([1]);
    expect([...ours.slice(0, 1), ...ours.slice(2)]).toEqual(ids);
    expect(ids).toEqual([...promptIds, 29871]);
  });

  it('sees the same pixels in both towers', () => {
    const { pixels } = asked.get(name)!;
    expect(pixels.length).toBe(6 * 224 * 224);
    const values = expected(`${name}.pixels`);
    expect(largestDifference(sampled(pixels, values.length), values)).toBeLessThan(tolerance);
    const means = meansOf(pixels, 224 * 224);
    expect(largestDifference(means, expected(`${name}.pixelMeans`))).toBeLessThan(tolerance);
  });

  it('makes the same visual tokens, in the same order', () => {
    const { hiddenSize } = model.runtime.manifest.decoder;
    const { visual, rows } = mergedPrompt(request());
    expect(rows.length).toBe(patches);
    const some = everyRow(visual, hiddenSize, 16);
    expect(largestDifference(some, expected(`${name}.visual`))).toBeLessThan(tolerance);
    const means = meansOf(visual, hiddenSize);
    expect(largestDifference(means, expected(`${name}.visualMeans`))).toBeLessThan(tolerance);
  });

  it('merges them with the text at the same positions', () => {
    const { hiddenSize } = model.runtime.manifest.decoder;
    const merged = mergedEmbeddings(mergedPrompt(request()), table, hiddenSize);
    expect(merged.length).toBe(positions * hiddenSize);
    const means = meansOf(merged, hiddenSize);
    expect(largestDifference(means, expected(`${name}.mergedMeans`))).toBeLessThan(tolerance);
  });

  it('comes to the same logits', async () => {
    const { decoder } = model.runtime.manifest;
    const logits = await stepLogits(
      model.step,
      decoder,
      mergedPrompt(request()),
      tokens,
      tokens.length,
    );
    // The oracle kept those of every 128th id, and of all action ids.
    const kept = Array.from({ length: decoder.vocabulary }, (_, id) => id).filter(
      (id) =>
        (id < actionIds.first && id % 128 === 0) || (id >= actionIds.first && id < actionIds.end),
    );
    const some = tokens.flatMap((_, n) => kept.map((id) => logits[n * decoder.vocabulary + id]!));
    expect(largestDifference(some, expected(`${name}.logits`))).toBeLessThan(tolerance);
  });

  it('gives the same tokens, however they are decoded', async () => {
    const answer = await model.runtime.generator.generate(request());
    expect(answer.tokens).toEqual(tokens);
    const scores = expected(`${name}.logProbabilities`);
    expect(largestDifference(answer.logProbabilities, scores)).toBeLessThan(tolerance);
    const input = mergedPrompt(request());
    const read = { ids: input.ids, visual: input.visual, visualPositions: input.rows };
    for (const decoding of model.decodings) {
      const { tokens: got } = await decoding.answer(read, request(), actionIds);
      expect(got).toEqual(tokens);
    }
  });

  it('makes the same action of them', () => {
    const { contract, tokenizer } = model;
    const endId = tokenizer.idOf('</s>');
    const decoded = decodeAction([...tokens, endId], contract.answers.action, endId);
    if (!decoded.ok) throw new Error(decoded.refusal.message);
    const ours = unnormalise(decoded.value[0]!, contract.statistics[unnormKey]!);
    expect(largestDifference(ours, action)).toBeLessThan(1e-12);
  });
});
