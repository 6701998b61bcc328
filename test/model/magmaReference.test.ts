/**
 * Magma's own modelling and processing code against ours, on a tiny checkpoint with the keys and files of Magma-8B:
 * prompt, pixels, visual tokens, merged embeddings, logits, and the tokens of whole answers.
 * test/oracle/magma_reference.py ran the public code; expected.json says which versions.
 */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { buildGraphs } from '../../src/convert/build.js';
import { openCheckpoint } from '../../src/convert/checkpoint.js';
import { parseContract, type Contract } from '../../src/model/contract.js';
import { loopDecoding, stepDecoding } from '../../src/model/decoding.js';
import type { GenerationRequest } from '../../src/model/generation.js';
import { graphFiles } from '../../src/model/graphs.js';
import { recipeOf, seePictures } from '../../src/model/pictures.js';
import {
  actionPrompt,
  questionPrompt,
  tracePrompt,
  type PromptIds,
} from '../../src/model/prompt.js';
import { openRuntime, type Runtime } from '../../src/model/runtime.js';
import { chooseProvider, openSession, type Session } from '../../src/model/session.js';
import { Stopwatch } from '../../src/model/stopwatch.js';
import { readTokenizer } from '../../src/model/tokenizer.js';
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
import { largestDifference, temporaryFolder } from '../support/tinyMagma.js';

const folder = fileURLToPath(new URL('../golden/magmaReference', import.meta.url));
const magma8b = fileURLToPath(new URL('../golden/magma8b', import.meta.url));

interface Case {
  /** Width, height of the camera's picture. */
  readonly size: readonly [number, number];
  readonly request: {
    readonly instruction: string;
    readonly marks?: readonly number[];
    readonly frames?: number;
  };
  readonly ids: readonly number[];
  /** Rows and columns of crops, per picture. */
  readonly grids: readonly (readonly [number, number])[];
  readonly positions: number;
  readonly tokens: readonly number[];
  readonly text: string;
}

const { cases } = readJson(folder, 'expected.json') as { cases: Record<string, Case> };
const names = Object.keys(cases);
const expected = openExpected(folder);
const tokenizer = readTokenizer(folder);
const contract = tinyContract();
const tolerance = 1e-4;

const temporary = temporaryFolder();
let runtime: Runtime;
let step: Session;
let loop: Session;
let table: Float32Array;
interface Asked {
  readonly request: GenerationRequest;
  /** Of all crops of all pictures. */
  readonly pixels: Float32Array;
}
const asked = new Map<string, Asked>();

/** Magma-8B's contract with the vocabulary of the tiny tokenizer. */
function tinyContract(): Contract {
  const model = readJson(magma8b, 'model.json') as { answers: { action: object } };
  const action = { ...model.answers.action, vocabulary: 512 };
  const text = JSON.stringify({ ...model, answers: { ...model.answers, action } });
  return parseContract(text, JSON.stringify(readJson(magma8b, 'dataset_statistics.json')), folder);
}

function promptOf(name: string): PromptIds {
  const { request } = cases[name]!;
  const prompt =
    name === 'action'
      ? actionPrompt(contract, tokenizer, request)
      : name === 'trace'
        ? tracePrompt(contract, tokenizer, request)
        : questionPrompt(name as 'question' | 'interface' | 'video', contract, tokenizer, request);
  if (!prompt.ok) throw new Error(prompt.refusal.message);
  return prompt.value;
}

/** Puts a case to our own code, up to the request that the decoder gets. */
async function ask(name: string): Promise<Asked> {
  const [width, height] = cases[name]!.size;
  const { ids, images } = promptOf(name);
  const shown = images.map(({ segment }, frame) => ({
    source: referencePicture(width, height, frame),
    segment,
  }));
  const { encoder, crops } = recordingEncoder(runtime.vision);
  // No marks are drawn: the oracle's pictures are made without them.
  const visual = await seePictures(shown, [], recipeOf(contract), encoder, new Stopwatch(() => 0));
  const pictures = images.map(({ position }, i) => ({ position, visual: visual[i]! }));
  const eosIds = [tokenizer.idOf(contract.tokens.eos)];
  const maxTokens = cases[name]!.tokens.length + 4;
  const request = { ids, pictures, maxTokens, eosIds, actionIds: { first: 256, end: 512 } };
  return { request, pixels: joined(crops.map(({ pixels }) => pixels)) };
}

beforeAll(async () => {
  const built = buildGraphs(folder, contract, temporary.path, () => undefined);
  runtime = await openRuntime(built.folder, { provider: 'cpu', threads: 1 });
  const cpu = chooseProvider('cpu');
  step = await openSession(join(built.folder, graphFiles.step), cpu, 1);
  loop = await openSession(join(built.folder, graphFiles.decode), cpu, 1);
  const { vocabulary, hiddenSize } = runtime.manifest.decoder;
  const checkpoint = openCheckpoint(folder);
  const key = 'language_model.model.embed_tokens.weight';
  table = checkpoint.take(key, [vocabulary, hiddenSize]);
  checkpoint.close();
  for (const name of names) asked.set(name, await ask(name));
});

afterAll(async () => {
  await runtime.release();
  await step.release();
  await loop.release();
  temporary.remove();
});

describe.each(names)("Magma's own code on %s", (name) => {
  const { ids, grids, positions, tokens, text } = cases[name]!;
  const request = () => asked.get(name)!.request;

  it('reads the same prompt, with both beginnings of text', () => {
    expect(promptOf(name).ids).toEqual(ids);
    expect(ids.slice(0, 2)).toEqual(Array(2).fill(tokenizer.idOf('<|begin_of_text|>')));
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
    const { hiddenSize } = runtime.manifest.decoder;
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
    const { hiddenSize } = runtime.manifest.decoder;
    const merged = mergedEmbeddings(mergedPrompt(request()), table, hiddenSize);
    expect(merged.length).toBe(positions * hiddenSize);
    const means = meansOf(merged, hiddenSize);
    expect(largestDifference(means, expected(`${name}.mergedMeans`))).toBeLessThan(tolerance);
  });

  it('comes to the same logits', async () => {
    const values = expected(`${name}.logits`);
    const { decoder } = runtime.manifest;
    const count = values.length / decoder.vocabulary;
    const logits = await stepLogits(step, decoder, mergedPrompt(request()), tokens, count);
    expect(largestDifference(logits, values)).toBeLessThan(tolerance);
  });

  it('gives the same answer, token by token, however it is decoded', async () => {
    const answer = await runtime.generator.generate(request());
    expect(answer.tokens).toEqual(tokens);
    expect(answer.ended).toBe('eos');
    if (name !== 'action') expect(tokenizer.decode(tokens.slice(0, -1))).toBe(text);
    const scores = expected(`${name}.logProbabilities`);
    expect(largestDifference(answer.logProbabilities, scores)).toBeLessThan(tolerance);
    const { decoder } = runtime.manifest;
    const input = mergedPrompt(request());
    const read = { ids: input.ids, visual: input.visual, visualPositions: input.rows };
    for (const decoding of [stepDecoding(step, decoder), loopDecoding(loop, decoder)]) {
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
