/**
 * Magma's own modelling and processing code against ours, on a tiny checkpoint with the keys and files of Magma-8B:
 * prompt, pixels, visual tokens, merged embeddings, logits, and the tokens of whole answers.
 * test/oracle/magma_reference.py ran the public code; expected.json says which versions.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/convert/checkpoint.js';
import { decodeAction } from '../../src/model/actionTokens.js';
import { Predictor, readModelParts } from '../../src/model/predictor.js';
import type { ModelSettings } from '../../src/model/protocol.js';
import { parseTrace } from '../../src/model/traceGrammar.js';
import {
  askMagma,
  convertMagma,
  expectedOfMagma as expected,
  magmaCases as cases,
  magmaFolder,
  magmaPrompt,
  type Asked,
} from '../support/magmaReference.js';
import {
  everyRow,
  meansOf,
  mergedEmbeddings,
  mergedPrompt,
  referencePicture,
  sampled,
  stepLogits,
} from '../support/reference.js';
import type { ReferenceModel } from '../support/referenceModel.js';
import { largestDifference, temporaryFolder } from '../support/tinyMagma.js';

const names = Object.keys(cases);
const tolerance = 1e-4;

const temporary = temporaryFolder();
let model: ReferenceModel;
let table: Float32Array;
const asked = new Map<string, Asked>();

beforeAll(async () => {
  model = await convertMagma(join(temporary.path, 'magma'));
  const { vocabulary, hiddenSize } = model.runtime.manifest.decoder;
  const checkpoint = openCheckpoint(magmaFolder);
  const key = 'language_model.model.embed_tokens.weight';
  table = checkpoint.take(key, [vocabulary, hiddenSize]);
  checkpoint.close();
  for (const name of names) asked.set(name, await askMagma(name, model));
});

afterAll(async () => {
  await model.release();
  temporary.remove();
});

describe.each(names)("Magma's own code on %s", (name) => {
  const { ids, grids, positions, tokens, text } = cases[name]!;
  const request = () => asked.get(name)!.request;

  it('reads the same prompt, with both beginnings of text', () => {
    expect(magmaPrompt(name, model).ids).toEqual(ids);
    expect(ids.slice(0, 2)).toEqual(Array(2).fill(model.tokenizer.idOf('<|begin_of_text|>')));
  });

  it('sees the same pixels', () => {
    const { pixels } = asked.get(name)!;
    const crops = grids.reduce((sum, [rows, cols]) => sum + rows * cols, 0);
    expect(pixels.length).toBe(crops * 3 * 512 * 512);
    const values = expected(`${name}.pixels`);
    expect(largestDifference(sampled(pixels, values.length), values)).toBeLessThan(tolerance);
    const means = meansOf(pixels, 512 * 512);
    expect(largestDifference(means, expected(`${name}.pixelMeans`))).toBeLessThan(tolerance);
  });

  it('makes the same visual tokens, in the same order', () => {
    const { hiddenSize } = model.runtime.manifest.decoder;
    const { visual, rows } = mergedPrompt(request());
    const cells = grids.map(([down, across]) => down * 16 * (across * 16 + 1));
    expect(rows.length).toBe(cells.reduce((sum, count) => sum + count, 0));
    const values = expected(`${name}.visual`);
    const every = Math.max(1, Math.floor(rows.length / 24));
    const some = everyRow(visual, hiddenSize, every);
    expect(largestDifference(some, values)).toBeLessThan(tolerance);
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
    const values = expected(`${name}.logits`);
    const { decoder } = model.runtime.manifest;
    const count = values.length / decoder.vocabulary;
    const logits = await stepLogits(model.step, decoder, mergedPrompt(request()), tokens, count);
    expect(largestDifference(logits, values)).toBeLessThan(tolerance);
  });

  it('gives the same answer, token by token, however it is decoded', async () => {
    const answer = await model.runtime.generator.generate(request());
    expect(answer.tokens).toEqual(tokens);
    expect(answer.ended).toBe('eos');
    if (name !== 'action') expect(model.tokenizer.decode(tokens.slice(0, -1))).toBe(text);
    const scores = expected(`${name}.logProbabilities`);
    expect(largestDifference(answer.logProbabilities, scores)).toBeLessThan(tolerance);
    const input = mergedPrompt(request());
    const read = { ids: input.ids, visual: input.visual, visualPositions: input.rows };
    for (const decoding of model.decodings) {
      const { tokens: got } = await decoding.answer(read, request(), request().actionIds);
      expect(got).toEqual(tokens);
    }
  });
});

describe('the layouts of Magma-8B', () => {
  it('are among the cases: 272, 528 and 1056 visual tokens', () => {
    const counts = names.flatMap((name) =>
      asked.get(name)!.request.pictures.map(({ visual }) => visual.count),
    );
    expect(new Set(counts)).toEqual(new Set([272, 528, 1056]));
  });
});

describe('what the answers mean', () => {
  it('is one action: Magma, its processor and its program come to the same tokens as a Predictor', async () => {
    const settings: ModelSettings = {
      folder: model.folder,
      cache: '',
      robot: { robot: 'widowx250', baseFrame: 'base_link' },
      cameras: { front: 'primary' },
      provider: 'cpu',
      threads: 1,
      sliceTokens: 16,
    };
    const { size, request, tokens } = cases['action']!;
    const predictor = new Predictor(readModelParts(settings), model.runtime, settings, () => 0);
    const { width, height, data } = referencePicture(...size);
    const { answer } = await predictor.predictAction({
      stampNs: 5n,
      episode: 1,
      instruction: request.instruction,
      images: {
        front: {
          kind: 'raw',
          stampNs: 5n,
          frameId: 'camera',
          encoding: 'rgb8',
          step: width * 3,
          isBigEndian: false,
          ...{ width, height, data },
        },
      },
      joints: null,
      endEffector: null,
      gripper: null,
    });
    if (!answer.ok) throw new Error(answer.refusal.message);
    expect(answer.value.tokens).toEqual(tokens);
    expect(answer.value.chunk.kind).toBe('endEffectorDelta');
    const endId = model.tokenizer.idOf('<|eot_id|>');
    const decoded = decodeAction(tokens, model.contract.answers.action, endId);
    // Centre i of 255 between edges at linspace(−1, 1, 256) lies at (2i + 1)/255 − 1; i = 512 − id − 1.
    const centres = tokens.slice(0, 7).map((id) => (2 * Math.min(511 - id, 254) + 1) / 255 - 1);
    expect(decoded.ok && largestDifference(decoded.value[0]!, centres)).toBeLessThan(1e-12);
  });

  it('is two traces', () => {
    const { text } = cases['trace']!;
    const traces = parseTrace(text, [1, 2, 3], model.contract.answers.trace!);
    if (!traces.ok) throw new Error(traces.refusal.message);
    expect(traces.value.length).toBe(2);
  });
});
