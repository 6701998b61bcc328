/** What a benchmark says of its slow answers. */
import { expect, it } from '@jest/globals';
import { larger, slowest, spreadOf, spreadOfSamples } from '../../src/bench/spread.js';
import { Samples } from '../../src/control/samples.js';

const upTo = (count: number): readonly number[] => Array.from({ length: count }, (_, i) => i + 1);

it('has a p99 of a hundred, and of fewer only the longest', () => {
  // Linear between neighbours: position 0.99 · 99 = 98.01 of 1 … 100.
  expect(spreadOf(upTo(100))).toEqual({
    ...{ count: 100, p50: 50.5, max: 100 },
    p99: expect.closeTo(99.01, 9),
  });
  expect(spreadOf(upTo(99))).toEqual({ count: 99, p50: 50, p99: null, max: 99 });
  expect(slowest(spreadOf(upTo(100)))).toBe('p99 99.0 ms');
  expect(slowest(spreadOf(upTo(99)))).toBe('max 99.0 ms');
});

it('says the same of samples, by nearest rank', () => {
  const samples = new Samples();
  upTo(99).forEach((value) => samples.add(value));
  expect(spreadOfSamples(samples)).toEqual({ count: 99, p50: 50, p99: null, max: 99 });
  samples.add(100);
  expect(spreadOfSamples(samples)).toEqual({ count: 100, p50: 50, p99: 99, max: 100 });
});

it('of two phases is the larger of each, without a p99 where one of them has none', () => {
  const [short, long] = [spreadOf([5, 7, 9]), spreadOf(upTo(200))];
  expect(larger(short, long)).toEqual({ count: 203, p50: 100.5, p99: null, max: 200 });
  expect(larger(long, long).p99).toBe(long.p99);
});
