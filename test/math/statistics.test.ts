import { describe, expect, it } from '@jest/globals';
import { mean, percentile, wilsonInterval } from '../../src/math/statistics.js';

describe('statistics', () => {
  it('finds percentiles between the neighbours, as numpy.percentile does', () => {
    const sample = [40, 15, 50, 20, 35];
    expect(percentile(sample, 0)).toBe(15);
    expect(percentile(sample, 0.5)).toBe(35);
    // 0.4 · 4 = 1.6: 20 + 0.6 · (35 − 20) = 29.
    expect(percentile(sample, 0.4)).toBeCloseTo(29, 12);
    expect(percentile(sample, 1)).toBe(50);
    expect(sample).toEqual([40, 15, 50, 20, 35]);
  });

  it('says NaN about nothing', () => {
    expect(percentile([], 0.5)).toBeNaN();
    expect(mean([])).toBeNaN();
    expect(mean([1, 2, 6])).toBe(3);
  });

  it('bounds a success rate by Wilson', () => {
    // z² = 3.8416: (0.8 + 0.19208 ± 1.96 · √(0.016 + 0.009604)) / 1.38416 = (0.99208 ± 0.31362) / 1.38416.
    const { low, high } = wilsonInterval(8, 10);
    expect(low).toBeCloseTo(0.49016, 4);
    expect(high).toBeCloseTo(0.94332, 4);
    expect(wilsonInterval(0, 0)).toEqual({ low: 0, high: 1 });
    expect(wilsonInterval(0, 20).low).toBeCloseTo(0, 12);
    expect(wilsonInterval(20, 20).high).toBeCloseTo(1, 12);
    expect(wilsonInterval(20, 20).low).toBeGreaterThan(0.8);
  });
});
