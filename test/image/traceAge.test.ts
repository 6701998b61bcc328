import { describe, expect, it } from '@jest/globals';
import { traceAge } from '../../src/image/traceAge.js';

const S = 1_000_000_000n;
const point = { x: 1, y: 2 };
/** Two marks; the longer trace has 8 steps of 0.2 s: 1.6 s. */
const prediction = {
  observationStampNs: 10n * S,
  stepPeriodNs: S / 5n,
  traces: [
    { id: 1, start: point, future: Array.from({ length: 3 }, () => point) },
    { id: 2, start: point, future: Array.from({ length: 8 }, () => point) },
  ],
};

describe('traces drawn over a newer picture', () => {
  it.each([
    [0, 1, false],
    [0.8, 0.75, false],
    [1.6, 0.5, false],
    [1.61, 0.25, true],
    [5, 0.25, true],
  ])('are %f s old: %f opaque, stale %s', (seconds, opacity, isStale) => {
    const stampNs = 10n * S + BigInt(Math.round(seconds * 1e9));
    const age = traceAge(prediction, stampNs);
    expect(age).toEqual({ seconds, opacity: expect.closeTo(opacity, 9), isStale });
  });

  it('that say nothing moves are stale after one step', () => {
    const none = { ...prediction, traces: [] };
    expect(traceAge(none, 10n * S + S / 5n).isStale).toBe(false);
    expect(traceAge(none, 10n * S + S / 4n).isStale).toBe(true);
  });
});
