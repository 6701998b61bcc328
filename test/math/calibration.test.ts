import { describe, expect, it } from '@jest/globals';
import {
  calibrated,
  calibrationProblem,
  expectedCalibrationError,
  fitCalibration,
  type Outcome,
  reliability,
} from '../../src/math/calibration.js';
import { seededRandom } from '../../src/math/random.js';

describe('a table', () => {
  const table = [
    [0.1, 0.2],
    [0.3, 0.8],
  ] as const;

  it('is linear between its knots and flat outside', () => {
    expect(calibrated(table, 0.2)).toBeCloseTo(0.5, 12);
    expect(calibrated(table, 0.1)).toBe(0.2);
    expect(calibrated(table, 0)).toBe(0.2);
    expect(calibrated(table, 0.3)).toBe(0.8);
    expect(calibrated(table, 1)).toBe(0.8);
  });

  it('has at least two knots, rising scores and shares that do not fall', () => {
    expect(calibrationProblem(table)).toBeNull();
    expect(calibrationProblem([[0.1, 0.2]])).toBe('has 1 knots, expected at least 2');
    expect(
      calibrationProblem([
        [0.1, 0.5],
        [0.2, 0.4],
      ]),
    ).toContain('does not rise at its knot 1');
    expect(
      calibrationProblem([
        [0.1, 0.5],
        [0.1, 0.6],
      ]),
    ).toContain('does not rise at its knot 1');
  });
});

describe('a fit', () => {
  /** Scores 0 … 0.3; what is scored s comes true with probability min(1, 4 s). */
  const outcomes = (seed: number, count: number): Outcome[] => {
    const random = seededRandom(seed);
    return Array.from({ length: count }, () => {
      const score = random.between(0, 0.3);
      return { score, isTrue: random.between(0, 1) < Math.min(1, 4 * score) };
    });
  };

  it('finds the curve that made the outcomes', () => {
    const table = fitCalibration(outcomes(3, 20_000), 20)!;
    expect(calibrationProblem(table)).toBeNull();
    for (const score of [0.05, 0.1, 0.15, 0.2])
      expect(Math.abs(calibrated(table, score) - 4 * score)).toBeLessThan(0.04);
    expect(calibrated(table, 0.28)).toBeGreaterThan(0.98);
  });

  it('makes outcomes it has not seen reliable: the error of 0.4 falls below 0.03', () => {
    const table = fitCalibration(outcomes(4, 5000), 12)!;
    const fresh = outcomes(5, 5000);
    const before = expectedCalibrationError(reliability(fresh, 10));
    const told = fresh.map(({ score, isTrue }) => ({ score: calibrated(table, score), isTrue }));
    expect(before).toBeGreaterThan(0.35);
    expect(expectedCalibrationError(reliability(told, 10))).toBeLessThan(0.03);
  });

  it('pools what goes against the order: 3 of 4, then 1 of 4, become 4 of 8', () => {
    const made = (score: number, trues: number): Outcome[] =>
      Array.from({ length: 4 }, (_, i) => ({ score, isTrue: i < trues }));
    const table = fitCalibration([...made(0.1, 3), ...made(0.2, 1), ...made(0.3, 4)], 3);
    // The pooled knot lies at the mean score, 0.15.
    expect(table).toEqual([
      [0.15, 0.5],
      [0.3, 1],
    ]);
  });

  it('says nothing of scores that do not differ, or of nothing', () => {
    expect(fitCalibration([{ score: 0.5, isTrue: true }], 10)).toBeNull();
    expect(fitCalibration([], 10)).toBeNull();
  });
});

it('counts every outcome once in a reliability plot', () => {
  const outcomes = Array.from({ length: 103 }, (_, i) => ({ score: i / 103, isTrue: i % 2 === 0 }));
  const bins = reliability(outcomes, 10);
  expect(bins).toHaveLength(10);
  expect(bins.reduce((sum, { count }) => sum + count, 0)).toBe(103);
});
