/**
 * The same answers where weights are stored in fewer bits: a checkpoint whose language model was fitted to answer, so
 * that its tokens win by a margin (expected.json: smallestMargin) as a trained model's mostly do. Whole numbers of 4 bits
 * are not among them: rows of 32 numbers, all this model has, do not carry its longer answers through them.
 */
import { afterAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { askMagma, convertMagma, magmaCases } from '../support/magmaReference.js';
import { temporaryFolder } from '../support/tinyMagma.js';

const temporary = temporaryFolder();
afterAll(() => temporary.remove());

describe("Magma's answers", () => {
  it.each([
    ['fp16', 'fp16'],
    ['fp16', 'fp32'],
    ['int8', 'fp32'],
    ['int8', 'fp16'],
  ] as const)('are the same with weights in %s, computed in %s', async (weights, compute) => {
    const format = { weights, compute };
    const model = await convertMagma(join(temporary.path, `${weights}-${compute}`), format);
    try {
      for (const [name, { tokens }] of Object.entries(magmaCases)) {
        const { request } = await askMagma(name, model);
        const answer = await model.runtime.generator.generate(request);
        expect([name, answer.tokens]).toEqual([name, tokens]);
      }
    } finally {
      await model.release();
    }
  });
});
