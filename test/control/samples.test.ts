import { expect, it } from '@jest/globals';
import { Samples } from '../../src/control/samples.js';

it('gives nearest-rank percentiles: of 1 … 100, p50 is 50 and p99 is 99', () => {
  const samples = new Samples();
  for (let n = 100; n >= 1; n--) samples.add(n);
  expect([0, 1, 50, 95, 99, 100].map((p) => samples.percentile(p))).toEqual([
    1, 1, 50, 95, 99, 100,
  ]);
});

it('has no percentile without samples', () => {
  expect(new Samples().percentile(50)).toBeNull();
});

it('keeps the latest 65 536 and counts all', () => {
  const samples = new Samples();
  for (let n = 0; n < 100_000; n++) samples.add(n);
  expect(samples.count).toBe(100_000);
  expect(samples.percentile(0)).toBe(100_000 - 65_536);
  expect(samples.percentile(100)).toBe(99_999);
});
