import { describe, expect, it } from '@jest/globals';
import { confidenceOf } from '../../src/commands/confidenceResult.js';
import type { EpisodeRecord } from '../../src/commands/episodeRecord.js';
import { seededRandom } from '../../src/math/random.js';

type Part = Pick<EpisodeRecord, 'outcome' | 'confidences' | 'uncalibrated'>;
const records = (parts: readonly Part[]): EpisodeRecord[] =>
  parts.map((part) => part as EpisodeRecord);

/** Ten actions an episode, all scored s in 0 … 0.3; it succeeds with probability min(1, 4 s). */
function underconfident(count: number): Part[] {
  const random = seededRandom(5);
  return Array.from({ length: count }, () => {
    const score = random.between(0, 0.3);
    const outcome = random.between(0, 1) < Math.min(1, 4 * score) ? 'success' : 'running';
    return { outcome, confidences: Array.from({ length: 10 }, () => score) };
  });
}

describe('What a confidence was worth', () => {
  it('is nothing where nothing was played', () => {
    expect(confidenceOf(records([{ outcome: 'running', confidences: [] }]))).toBeNull();
  });

  it('is how far it is from how often things ended well: 0.9 and 0.5', () => {
    const parts = [
      { outcome: 'success', confidences: [0.9, 0.9] },
      { outcome: 'running', confidences: [0.9, 0.9] },
    ] as const;
    const { error, uncalibrated, crossFitted, calibration } = confidenceOf(
      records(parts.map((part) => ({ ...part, confidences: [...part.confidences] }))),
    )!;
    // Four groups of one, in order: two came true, two did not.
    expect(error).toBeCloseTo((0.1 + 0.1 + 0.9 + 0.9) / 4, 12);
    expect([uncalibrated, crossFitted, calibration]).toEqual([null, null, null]);
  });

  it('gets better by a table of other episodes', () => {
    const { error, crossFitted } = confidenceOf(records(underconfident(2000)))!;
    // Mean of |4 s − s| up to s = 0.25, of 1 − s above: about 0.44.
    expect(error).toBeGreaterThan(0.35);
    expect(crossFitted!.error).toBeLessThan(0.06);
    expect(crossFitted!.bins.reduce((sum, { count }) => sum + count, 0)).toBe(20_000);
  });

  it('does not look better by a table of the same episodes than it is', () => {
    // What is told has nothing to do with what comes of it: no table can know more than the mean.
    const random = seededRandom(9);
    const parts = Array.from({ length: 40 }, (): Part => {
      const confidences = [random.between(0, 1)];
      return { outcome: random.between(0, 1) < 0.5 ? 'success' : 'running', confidences };
    });
    const { crossFitted, calibration } = confidenceOf(records(parts))!;
    expect(calibration).not.toBeNull();
    expect(crossFitted!.error).toBeGreaterThan(0.1);
  });

  it('of a model that calibrates is told with what it was before, and its table is for that', () => {
    const parts = underconfident(500).map((part) => ({
      ...part,
      uncalibrated: part.confidences,
      confidences: part.confidences.map((score) => Math.min(1, 4 * score)),
    }));
    const { error, uncalibrated, crossFitted, calibration } = confidenceOf(records(parts))!;
    expect(error).toBeLessThan(0.08);
    expect(uncalibrated!.error).toBeGreaterThan(0.35);
    expect(crossFitted).toBeNull();
    expect(calibration!.at(-1)![0]).toBeLessThan(0.3);
  });
});
