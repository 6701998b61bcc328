import { afterAll, describe, expect, it } from '@jest/globals';
import { buildGraphs } from '../../src/convert/build.js';
import { compareDecodingRates } from '../../src/model/decodingBench.js';
import { magmaLayout, temporaryFolder, tinyMagmaFolder } from '../support/tinyMagma.js';

const temporary = temporaryFolder();
afterAll(() => temporary.remove());

/** A clock that is read before and after each measured thing, which took the next of `durationsMs`. */
function scriptedClock(durationsMs: readonly number[]): () => bigint {
  let now = 0n;
  let reads = 0;
  return () => {
    if (reads % 2 === 1) now += BigInt(durationsMs[(reads - 1) / 2]! * 1e6);
    reads++;
    return now;
  };
}

describe('the decoding benchmark', () => {
  it('counts the tokens after the first, takes medians and leaves the first round out', async () => {
    const { folder } = buildGraphs(tinyMagmaFolder, magmaLayout, temporary.path, () => undefined);
    // Per round: step prefill, step answer, loop prefill, loop answer.
    const warmUp = [900, 900, 900, 900];
    const rounds = [
      [2, 10, 2, 6],
      [3, 50, 2, 5],
      [2, 10, 3, 6],
    ].flat();
    const result = await compareDecodingRates(
      folder,
      { provider: 'cpu', threads: 1 },
      { promptLength: 20, answerLength: 9, rounds: 3 },
      scriptedClock([...warmUp, ...rounds]),
    );
    // Eight tokens in 10 − 2 ms and in 6 − 2 ms.
    expect(result.step).toEqual({ prefillMs: 2, answerMs: 10, tokensPerSecond: 1000 });
    expect(result.loop).toEqual({ prefillMs: 2, answerMs: 6, tokensPerSecond: 2000 });
    expect(result.speedUp).toBe(2);
  });
});
