/** The decoder in other element types than float32, on the CPU: the same answers where these are clear. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import type { WeightFormat } from '../../src/convert/weightStore.js';
import { openRuntime, type Runtime } from '../../src/model/runtime.js';
import {
  expectedCases,
  expectedCrops,
  expectedTensor,
  imageId,
  largestDifference,
  temporaryFolder,
  vocabulary,
} from '../support/tinyMagma.js';
import { writeTinyMagma } from '../support/tinyGraphs.js';

const temporary = temporaryFolder();
afterAll(() => temporary.remove());

const formats: Readonly<Record<string, Partial<WeightFormat>>> = {
  'fp16 throughout': { weights: 'fp16', compute: 'float16' },
  'fp16 weights, computed in fp32': { weights: 'fp16' },
  'int8 weights, computed in fp32': { weights: 'int8', accuracyLevel: 0 },
  'int8 weights, computed in fp16': { weights: 'int8', compute: 'float16' },
  'int4 weights, computed in fp32': { weights: 'int4' },
  'int4 weights, computed in fp16': { weights: 'int4', compute: 'float16' },
};

describe.each(Object.entries(formats))('%s', (name, format) => {
  let runtime: Runtime;
  beforeAll(async () => {
    const folder = join(temporary.path, name);
    mkdirSync(folder);
    writeTinyMagma(folder, format);
    runtime = await openRuntime(folder, { provider: 'cpu', threads: 1 });
  });
  afterAll(() => runtime.release());

  it('decodes in one run, with a cache of its type, as step by step', async () => {
    const { keyValueType, weights } = runtime.manifest.decoder;
    expect({ keyValueType, weights }).toEqual({
      keyValueType: format.compute ?? 'float32',
      weights: format.weights,
    });
    expect(runtime.generator.decoding).toEqual({
      kind: 'loop',
      reason: 'gives the same tokens and scores as the step-by-step reference',
    });
    const ids = [5, 9, 77, 120];
    const request = { ids, pictures: [], maxTokens: 20, eosIds: [] };
    const actionIds = { first: 100, end: 140 };
    const whole = await runtime.generator.generate({ ...request, actionIds });
    const prefix = await runtime.generator.prefix({ ids: ids.slice(0, 2), pictures: [] });
    const rest = await prefix.generate({ ...request, ids: ids.slice(2), actionIds });
    expect(rest.tokens.slice(0, 4)).toEqual(whole.tokens.slice(0, 4));
    prefix.release();
  });

  it('sees and answers as PyTorch does in fp32, as far as its rounding allows', async () => {
    // Of numbers around 1: fp16 has 11 bits of them, 8-bit weights in blocks lose about 1 in 250, 4-bit ones 1 in 15.
    const lost = { fp32: 0, fp16: 0.01, int8: 0.05, int4: 0.6 }[format.weights!];
    let compared = 0;
    for (const [golden, { ids, tokens, grid }] of Object.entries(expectedCases)) {
      const visual = await runtime.vision.encode(expectedCrops(golden));
      const expected = expectedTensor(`${golden}.visual`).subarray(0, visual.data.length);
      expect(largestDifference(visual.data, expected)).toBeLessThan(lost);
      // Four bits say nothing about single tokens of a model this small.
      if (ids.filter((id) => id === imageId).length !== 1 || format.weights === 'int4') continue;
      expect(visual.count).toBe(2 * grid[0] * (3 * grid[1] + 1));
      const pictures = [{ position: ids.indexOf(imageId), visual }];
      const request = { ids, pictures, maxTokens: 24, eosIds: [] };
      const range = { first: 0, end: 1 };
      const answer = await runtime.generator.generate({ ...request, actionIds: range });
      const clear = clearTokens(golden, format.weights === 'fp16' ? 0.02 : 0.1);
      expect(answer.tokens.slice(0, clear)).toEqual(tokens.slice(0, clear));
      compared += clear;
    }
    if (format.weights !== 'int4') expect(compared).toBeGreaterThan(4);
  });
});

/** How many tokens PyTorch answers before the first whose logit is not `margin` above the second. */
function clearTokens(name: string, margin: number): number {
  const logits = expectedTensor(`${name}.logits`);
  const count = logits.length / vocabulary;
  for (let i = 0; i < count; i++) {
    const row = [...logits.subarray(i * vocabulary, (i + 1) * vocabulary)].sort((a, b) => b - a);
    if (row[0]! - row[1]! < margin) return i;
  }
  return count;
}
