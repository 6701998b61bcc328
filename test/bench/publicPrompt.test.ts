/** The length of a benchmark's prompt. */
import { expect, it } from '@jest/globals';
import { withTextTokens } from '../../src/bench/publicPrompt.js';
import type { GenerationRequest } from '../../src/model/generation.js';

const [first, second] = [1, 2].map((count) => ({ count, data: new Float32Array(count) }));
const request: GenerationRequest = {
  ids: [10, 11, 12, 900, 13, 14, 15, 901, 16],
  pictures: [
    { position: 3, visual: first! },
    { position: 7, visual: second! },
  ],
  ...{ maxTokens: 8, eosIds: [5], actionIds: { first: 0, end: 1 } },
};

it('leaves out text evenly, and no picture', () => {
  // Seven tokens of text, three of them due: the third, the fifth and the seventh (⌊3n/7⌋ grows there).
  expect(withTextTokens(request, 3)).toEqual({
    ...request,
    ids: [12, 900, 14, 901, 16],
    pictures: [
      { position: 1, visual: first },
      { position: 3, visual: second },
    ],
  });
});

it('leaves a prompt alone that is no longer than that', () => {
  expect(withTextTokens(request, 7)).toBe(request);
  expect(withTextTokens(request, 8)).toBe(request);
});
