/** The graphs against PyTorch: test/oracle/tiny_magma.py holds the reference arithmetic. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { buildGraphs } from '../../src/convert/build.js';
import { ModelError } from '../../src/errors.js';
import {
  emptyCache,
  joinSlices,
  loopDecoding,
  pickGreedy,
  stepDecoding,
  type Decoding,
  type Tokens,
} from '../../src/model/decoding.js';
import { ports } from '../../src/model/graphs.js';
import { openRuntime, type Runtime } from '../../src/model/runtime.js';
import {
  chooseProvider,
  float32Data,
  float32Tensor,
  int32Tensor,
  int64Tensor,
  openSession,
} from '../../src/model/session.js';
import {
  expectedCases,
  expectedCrops,
  expectedTensor,
  imageId,
  largestDifference,
  magmaLayout,
  temporaryFolder,
  tinyMagmaFolder,
  vocabulary,
} from '../support/tinyMagma.js';
import { actionIds, collect, tinyRequest } from '../support/tinyRequests.js';

const cpu = { provider: 'cpu', threads: 1 } as const;
const temporary = temporaryFolder();
let folder: string;
let runtime: Runtime;

beforeAll(async () => {
  ({ folder } = buildGraphs(tinyMagmaFolder, magmaLayout, temporary.path, () => undefined));
  runtime = await openRuntime(folder, cpu);
});

afterAll(async () => {
  await runtime.release();
  temporary.remove();
});

const requestOf = (name: string) => tinyRequest(runtime, name);

async function withDecodings(use: (step: Decoding, loop: Decoding) => Promise<void>) {
  const choice = chooseProvider('cpu');
  const sizes = runtime.manifest.decoder;
  const step = stepDecoding(await openSession(join(folder, 'step.onnx'), choice, 1), sizes);
  const loop = loopDecoding(await openSession(join(folder, 'decode.onnx'), choice, 1), sizes);
  try {
    await use(step, loop);
  } finally {
    await step.release();
    await loop.release();
  }
}

describe('the vision graph', () => {
  it.each([
    // 2 × 3 cells: two rows of three and a separator.
    ['oneCrop', 2 * (3 + 1)],
    // 2 × 3 crops of 2 × 3 cells each: four rows of nine and a separator.
    ['sixCrops', 4 * (9 + 1)],
  ])('gives the visual tokens of PyTorch for %s', async (name, count) => {
    const visual = await runtime.vision.encode(expectedCrops(name));
    expect(visual.count).toBe(count);
    expect(largestDifference(visual.data, expectedTensor(`${name}.visual`))).toBeLessThan(1e-5);
  });

  it('refuses crops whose sides the stride does not divide', async () => {
    const canvas = { height: 16, width: 24, rows: 1, cols: 1 };
    const crops = { pixels: new Float32Array(3 * 16 * 24), canvas };
    await expect(runtime.vision.encode(crops)).rejects.toThrow(
      'crop size: got 16×24, expected multiples of 16',
    );
  });

  it('refuses pixels that are not as many as the canvas says', async () => {
    const canvas = { height: 16, width: 32, rows: 1, cols: 1 };
    const crops = { pixels: new Float32Array(7), canvas };
    await expect(runtime.vision.encode(crops)).rejects.toThrow(ModelError);
  });
});

describe('the step graph', () => {
  it.each(Object.keys(expectedCases))('gives the logits of PyTorch for %s', async (name) => {
    const { tokens } = expectedCases[name]!;
    const expected = expectedTensor(`${name}.logits`);
    const request = await requestOf(name);
    const { layers, keyValueHeads, headDim, hiddenSize } = runtime.manifest.decoder;
    const session = await openSession(join(folder, 'step.onnx'), chooseProvider('cpu'), 1);

    // Text around the pictures, one position per visual token, as the decoder reads it.
    const ids: number[] = [];
    const rows: number[] = [];
    const visual: number[] = [];
    request.ids.forEach((id, position) => {
      const picture = request.pictures.find((entry) => entry.position === position);
      for (let i = 0; i < (picture?.visual.count ?? 1); i++) {
        if (picture) rows.push(ids.length);
        ids.push(id);
      }
      if (picture) visual.push(...picture.visual.data);
    });
    let past = emptyCache(runtime.manifest.decoder).past;
    let length = 0;
    let next: readonly number[] = ids;
    let largest = 0;
    for (let step = 0; step < tokens.length; step++) {
      const first = step === 0;
      const outputs = await session.run(
        {
          ...past,
          [ports.ids]: int64Tensor([next.length], next),
          [ports.visual]: float32Tensor(
            [first ? rows.length : 0, hiddenSize],
            Float32Array.from(first ? visual : []),
          ),
          [ports.visualPositions]: int64Tensor([first ? rows.length : 0, 1], first ? rows : []),
          [ports.lastPosition]: int32Tensor([1], [length + next.length - 1]),
          [ports.totalLength]: int32Tensor([], [length + next.length]),
        },
        [
          ports.logits,
          ...Array.from({ length: layers }, (_, l) => [ports.presentKey(l), ports.presentValue(l)]),
        ].flat(),
      );
      const logits = float32Data(outputs[ports.logits], ports.logits);
      const from = step * vocabulary;
      const reference = expected.subarray(from, from + vocabulary);
      largest = Math.max(largest, largestDifference(logits, reference));
      length += next.length;
      expect(outputs[ports.presentKey(0)]?.dims).toEqual([1, keyValueHeads, length, headDim]);
      past = Object.fromEntries(
        Array.from({ length: layers }, (_, l) => [
          [ports.pastKey(l), outputs[ports.presentKey(l)]!],
          [ports.pastValue(l), outputs[ports.presentValue(l)]!],
        ]).flat() as [string, (typeof past)[string]][],
      );
      next = [tokens[step]!];
    }
    await session.release();
    expect(largest).toBeLessThan(1e-4);
  });
});

describe('generation', () => {
  it('proves the loop equal to the step-by-step reference before it uses it', () => {
    expect(runtime.generator.decoding).toEqual({
      kind: 'loop',
      reason: 'gives the same tokens and scores as the step-by-step reference',
    });
  });

  it.each(Object.keys(expectedCases))('gives the tokens of PyTorch for %s', async (name) => {
    const answer = await runtime.generator.generate(await requestOf(name));
    expect(answer.tokens).toEqual(expectedCases[name]!.tokens);
    expect(answer.ended).toBe('length');
  });

  it.each([1, 5, 16, 24, 40])('gives the same answer in slices of %i tokens', async (size) => {
    const request = await requestOf('sixCrops');
    const whole = await runtime.generator.generate(request);
    const parts = await collect(runtime.generator.slices(request, size));
    expect(parts.map((part) => part.tokens.length)).toEqual(
      Array.from({ length: Math.ceil(24 / size) }, (_, i) => Math.min(size, 24 - i * size)),
    );
    const joined = joinSlices(parts);
    expect(joined.tokens).toEqual(whole.tokens);
    const difference = largestDifference(joined.logProbabilities, whole.logProbabilities);
    expect(difference).toBeLessThan(1e-5);
  });

  it('gives log-probabilities and action mass of the same logits, by step and by loop', async () => {
    const { tokens } = expectedCases['oneCrop']!;
    const logits = expectedTensor('oneCrop.logits');
    const picked = tokens.map((_, i) =>
      pickGreedy(logits.subarray(i * vocabulary, (i + 1) * vocabulary), actionIds),
    );
    const answer = await runtime.generator.generate(await requestOf('oneCrop'));
    const logProbabilities = picked.map((pick) => pick.logProbability);
    const mass = picked.map((pick) => pick.actionMass);
    expect(largestDifference(answer.logProbabilities, logProbabilities)).toBeLessThan(1e-4);
    expect(largestDifference(answer.actionMass, mass)).toBeLessThan(1e-4);
  });

  it('ends at the first token when that is the end of the sequence', async () => {
    const first = expectedCases['oneCrop']!.tokens[0]!;
    const request = { ...(await requestOf('oneCrop')), eosIds: [first] };
    const answer = await runtime.generator.generate(request);
    expect(answer.tokens).toEqual([first]);
    expect(answer.logProbabilities).toHaveLength(1);
    expect(answer.actionMass).toHaveLength(1);
    expect(answer.ended).toBe('eos');
  });

  it('ends with whichever end id comes first and keeps it as the last token', async () => {
    const { tokens } = expectedCases['oneCrop']!;
    const eosIds = [tokens[9]!, tokens[3]!];
    const firstHit = tokens.findIndex((token) => eosIds.includes(token));
    const request = { ...(await requestOf('oneCrop')), eosIds };
    const expected = tokens.slice(0, firstHit + 1);
    expect((await runtime.generator.generate(request)).tokens).toEqual(expected);
    const sliced = joinSlices(await collect(runtime.generator.slices(request, 2)));
    expect(sliced.tokens).toEqual(expected);
    expect(sliced.ended).toBe('eos');
  });

  it('lets something else run between slices and goes on unharmed', async () => {
    const request = await requestOf('sixCrops');
    const other = await requestOf('oneCrop');
    const parts: Tokens[] = [];
    for await (const part of runtime.generator.slices(request, 4)) {
      parts.push(part);
      const between = await runtime.generator.generate(other);
      expect(between.tokens).toEqual(expectedCases['oneCrop']!.tokens);
    }
    expect(joinSlices(parts).tokens).toEqual(expectedCases['sixCrops']!.tokens);
  });

  it('can be left after any slice', async () => {
    const request = await requestOf('sixCrops');
    for await (const part of runtime.generator.slices(request, 4)) {
      expect(part.tokens).toEqual(expectedCases['sixCrops']!.tokens.slice(0, 4));
      break;
    }
    const whole = await runtime.generator.generate(request);
    expect(whole.tokens).toEqual(expectedCases['sixCrops']!.tokens);
  });

  it.each([
    [{ ids: [] }, 'ids: got none, expected at least one'],
    [{ ids: [3, 160] }, 'ids: got 160, expected 0 to 159'],
    [{ ids: [3, -1] }, 'ids: got -1, expected 0 to 159'],
    [{ maxTokens: 0 }, 'maxTokens: got 0, expected a positive integer'],
    [{ maxTokens: 400 }, 'got 3 positions and 400 tokens, expected at most 256 together'],
    [{ actionIds: { first: 9, end: 161 } }, 'actionIds: got 9 to 161'],
    [
      { pictures: [{ position: 3, visual: { count: 0, data: new Float32Array(0) } }] },
      'picture positions: got 3 after -1, expected ascending, below 3',
    ],
    [
      { pictures: [{ position: 0, visual: { count: 2, data: new Float32Array(5) } }] },
      'visual tokens: got 5 numbers, expected 64',
    ],
  ])('refuses a request with %j', async (change, message) => {
    const request = { ids: [1, 2, 3], pictures: [], maxTokens: 4, eosIds: [], actionIds };
    await expect(runtime.generator.generate({ ...request, ...change })).rejects.toThrow(message);
  });
});

describe('a prefix', () => {
  it.each(Object.keys(expectedCases))('answers as the whole prompt of %s does', async (name) => {
    const request = await requestOf(name);
    const { tokens } = expectedCases[name]!;
    const cut = request.ids.indexOf(imageId) + 1;
    const beginning = { ids: request.ids.slice(0, cut), pictures: request.pictures.slice(0, 1) };
    const later = request.pictures.slice(1);
    const rest = {
      ...request,
      ids: request.ids.slice(cut),
      pictures: later.map(({ position, visual }) => ({ position: position - cut, visual })),
    };
    const prefix = await runtime.generator.prefix(beginning);
    expect(prefix.positions).toBe(cut - 1 + request.pictures[0]!.visual.count);
    const whole = await runtime.generator.generate(request);
    // Twice: the first question leaves nothing behind.
    for (let times = 0; times < 2; times++) {
      const answer = await prefix.generate(rest);
      expect(answer.tokens).toEqual(tokens);
      const difference = largestDifference(answer.logProbabilities, whole.logProbabilities);
      expect(difference).toBeLessThan(1e-4);
    }
    prefix.release();
  });

  it('goes on with any question, step by step as in one run', async () => {
    await withDecodings(async (step, loop) => {
      const visual = new Float32Array(0);
      const ids = Array.from({ length: 30 }, (_, i) => (7 * i) % vocabulary);
      const begin = { ids, visual, visualPositions: [] };
      const one = { maxTokens: 1, eosIds: [] };
      for (const decoding of [step, loop]) {
        const empty = emptyCache(runtime.manifest.decoder);
        const { cache } = await decoding.extend(empty, begin, one, actionIds);
        for (const question of [[3, 1, 4], [1, 5], [9, 2, 6, 5, 3, 5], [8]]) {
          const stop = { maxTokens: 9, eosIds: [] };
          const rest = { ids: question, visual, visualPositions: [] };
          const whole = { ids: [...ids, ...question], visual, visualPositions: [] };
          const after = await decoding.answer(rest, stop, actionIds, cache);
          const expected = await decoding.answer(whole, stop, actionIds);
          expect(after.tokens).toEqual(expected.tokens);
        }
        cache.release();
      }
    });
  });

  it('counts its positions into what a prompt may have', async () => {
    const request = await requestOf('sixCrops');
    const prefix = await runtime.generator.prefix(request);
    const question = { ids: [1, 2], pictures: [], maxTokens: 240, eosIds: [], actionIds };
    await expect(prefix.generate(question)).rejects.toThrow(
      `prompt, length: got ${prefix.positions + 2} positions and 240 tokens`,
    );
    prefix.release();
  });
});

describe('the two decodings', () => {
  it('agree token by token, also where the picture is missing', async () => {
    await withDecodings(async (step, loop) => {
      const input = { ids: [5, 9, 77], visual: new Float32Array(0), visualPositions: [] };
      const stop = { maxTokens: 40, eosIds: [] };
      const a = await step.answer(input, stop, actionIds);
      const b = await loop.answer(input, stop, actionIds);
      expect(b.tokens).toEqual(a.tokens);
      expect(largestDifference(a.logProbabilities, b.logProbabilities)).toBeLessThan(1e-5);
      expect(largestDifference(a.actionMass, b.actionMass)).toBeLessThan(1e-5);
    });
  });

  it('read a long prompt in pieces as in one run, wherever its picture lies', async () => {
    const session = await openSession(join(folder, 'step.onnx'), chooseProvider('cpu'), 1);
    const sizes = runtime.manifest.decoder;
    const visualPositions = [2, 3, 4, 5, 6, 7, 8, 21, 30];
    const input = {
      ids: Array.from({ length: 33 }, (_, i) => (11 * i) % vocabulary),
      visual: Float32Array.from({ length: 9 * sizes.hiddenSize }, (_, i) => Math.cos(i)),
      visualPositions,
    };
    const stop = { maxTokens: 12, eosIds: [] };
    const whole = await stepDecoding(session, sizes).answer(input, stop, actionIds);
    for (const most of [1, 7, 11, 32, 33]) {
      const answer = await stepDecoding(session, sizes, most).answer(input, stop, actionIds);
      expect(answer.tokens).toEqual(whole.tokens);
    }
    await session.release();
  });

  it('refuse to answer from a picture that is not a number', async () => {
    await withDecodings(async (step, loop) => {
      const visual = new Float32Array(32).fill(NaN);
      const input = { ids: [5, 9, 77], visual, visualPositions: [1] };
      for (const decoding of [step, loop]) {
        const answer = decoding.answer(input, { maxTokens: 4, eosIds: [] }, actionIds);
        await expect(answer).rejects.toThrow('scores of a token: got NaN, expected a number');
      }
    });
  });

  it('count the same positions into the cache', async () => {
    await withDecodings(async (step, loop) => {
      const input = { ids: [5, 9, 77], visual: new Float32Array(0), visualPositions: [] };
      const stop = { maxTokens: 4, eosIds: [] };
      for (const decoding of [step, loop]) {
        const empty = emptyCache(runtime.manifest.decoder);
        const { cache } = await decoding.extend(empty, input, stop, actionIds);
        // Three ids and the first three of four tokens; the fourth has not been read yet.
        expect(cache.length).toBe(6);
        expect(cache.past[ports.pastValue(2)]?.dims).toEqual([1, 2, 6, 16]);
        cache.release();
      }
    });
  });
});

describe('a session', () => {
  it('says which graph failed when it is fed something else than it expects', async () => {
    const path = join(folder, 'vision.onnx');
    const session = await openSession(path, chooseProvider('cpu'), 1);
    const feeds = {
      [ports.pixels]: float32Tensor([1, 1, 32, 48], new Float32Array(32 * 48)),
      [ports.grid]: int64Tensor([2], [1, 1]),
    };
    const failed = session.run(feeds, [ports.visual]);
    await expect(failed).rejects.toThrow(ModelError);
    await expect(failed).rejects.toThrow(/vision\.onnx: got .* expected a run without an error/s);
    await session.release();
  });
});
