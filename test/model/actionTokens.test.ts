import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import {
  binEdge,
  decodeAction,
  decodeBin,
  encodeAction,
  encodeBin,
} from '../../src/model/actionTokens.js';
import { readContract } from '../../src/model/contract.js';

const golden = JSON.parse(readFileSync('test/golden/bins.json', 'utf8')) as {
  values: number[];
  k: number[];
  centres: number[];
};
const magma = readContract('test/golden/magma8b').answers.action;
const endId = 128009;
// microsoft/Magma issue 36.
const answer = [127857, 127873, 127868, 127904, 127861, 127874, 127744, 128009];

describe('bins', () => {
  it('are those of numpy.digitize, on every edge and one double to either side', () => {
    expect(golden.values.map((value) => 128000 - encodeBin(value, magma))).toEqual(golden.k);
  });

  it("decode to numpy's centres, and the highest two to the same", () => {
    const decoded = Array.from({ length: 256 }, (_, n) => decodeBin(127999 - n, magma));
    expect(decoded.slice(0, 255)).toEqual(golden.centres);
    expect(decoded[255]).toBe(golden.centres[254]);
  });

  it('give a number back within half a bin, for both ends and both sides of every edge', () => {
    const halfBin = 1 / 255;
    for (const value of golden.values.filter((x) => Math.abs(x) <= 1)) {
      const back = decodeBin(encodeBin(value, magma), magma);
      expect(Math.abs(back - value)).toBeLessThanOrEqual(halfBin + 1e-15);
    }
  });

  it('give every id back but the one that shares its centre', () => {
    for (let id = 127745; id < 128000; id += 1) {
      expect(encodeBin(decodeBin(id, magma), magma)).toBe(id);
    }
    expect(encodeBin(decodeBin(127744, magma), magma)).toBe(127745);
  });

  it('end exactly at −1 and 1', () => {
    expect([binEdge(0, 256), binEdge(255, 256)]).toEqual([-1, 1]);
    expect([encodeBin(-1, magma), encodeBin(1, magma)]).toEqual([127999, 127744]);
    expect([encodeBin(-7, magma), encodeBin(7, magma)]).toEqual([127999, 127744]);
  });

  it('refuse numbers that are none', () => {
    expect(() => encodeBin(NaN, magma)).toThrow(/got NaN, expected a finite number/);
    expect(() => encodeBin(Infinity, magma)).toThrow(/got Infinity/);
  });
});

describe('an action answer', () => {
  it('of the public golden vector decodes to its published numbers', () => {
    const decoded = decodeAction(answer, magma, endId);
    if (!decoded.ok) throw new Error(decoded.refusal.message);
    const rounded = decoded.value[0]!.map((x) => Number(x.toFixed(5)));
    expect(rounded).toEqual([0.11765, -0.00784, 0.03137, -0.25098, 0.08627, -0.01569, 0.99608]);
  });

  it('is written as ids and the end', () => {
    const step = [0.11765, -0.00784, 0.03137, -0.25098, 0.08627, -0.01569, 1];
    expect(encodeAction([step], magma, endId)).toEqual(answer);
  });

  it('of a chunk is read step by step', () => {
    const chunked = { ...magma, chunk: 2 };
    const steps = [
      [-1, -1, -1, -1, -1, -1, -1],
      [0, 0, 0, 0, 0, 0, 0],
    ];
    const decoded = decodeAction(encodeAction(steps, chunked, endId), chunked, endId);
    expect(decoded.ok && decoded.value.map((step) => step.length)).toEqual([7, 7]);
    expect(decoded.ok && decoded.value[1]).toEqual([0, 0, 0, 0, 0, 0, 0]);
  });

  it('cannot be written with another number of values', () => {
    expect(() => encodeAction([[0, 0, 0]], magma, endId)).toThrow(/expected 1 × 7 values/);
    expect(() => encodeAction([], magma, endId)).toThrow(/steps of nothing values/);
  });

  it.each([
    ['nothing', [], 'only 0 tokens'],
    ['too few', answer.slice(0, 6), 'only 6 tokens'],
    ['no end', answer.slice(0, 7), 'no end'],
    ['an early end', [...answer.slice(0, 5), endId], 'the end at position 5'],
    [
      'prose',
      [791, 12585, 1288, 3820, 279, 2654, 2565, endId],
      'token 791, which is no action, at',
    ],
    ['an id just below the range', [127743, ...answer.slice(1)], 'token 127743'],
    ['an id just above the range', [128000, ...answer.slice(1)], 'token 128000'],
    ['a word in the middle', [...answer.slice(0, 3), 13, ...answer.slice(4)], 'at position 3'],
    ['an eighth action', [...answer.slice(0, 7), 127900, endId], 'token 127900 instead of the end'],
    ['more after the end', [...answer, 127900, 5], '2 tokens after the end'],
    ['a fraction', [127857.5, ...answer.slice(1)], 'token 127857.5'],
  ])('with %s is refused', (_, ids, got) => {
    const decoded = decodeAction(ids, magma, endId);
    expect(decoded).toEqual({
      ok: false,
      refusal: {
        kind: 'malformedAnswer',
        message: expect.stringContaining(got),
      },
    });
  });
});
