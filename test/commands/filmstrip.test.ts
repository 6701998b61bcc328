import { describe, expect, it } from '@jest/globals';
import { annotate, type Shot } from '../../src/commands/filmstrip.js';
import type { TracePrediction } from '../../src/types.js';

const prediction: TracePrediction = {
  ...{ observationStampNs: 0n, episode: 0, camera: 'front', stepPeriodNs: 200_000_000n },
  marks: [],
  traces: [{ id: 1, start: { x: 10, y: 30 }, future: [{ x: 50, y: 30 }] }],
  confidence: 1,
  timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
};
const shot: Shot = {
  picture: { height: 60, width: 60, data: new Uint8Array(60 * 60 * 3).fill(90) },
  ...{ path: [], prediction },
};

describe('a picture of an episode', () => {
  it('shows traces that were predicted on an earlier picture fainter', () => {
    const change = (more: Partial<Shot>): number =>
      Math.abs(annotate({ ...shot, ...more }, 60).data[(30 * 60 + 30) * 3]! - 90);
    expect(change({})).toBeGreaterThan(100);
    expect(change({ traceOpacity: 1 })).toBe(change({}));
    expect(change({ traceOpacity: 0.25 })).toBeGreaterThan(5);
    expect(change({ traceOpacity: 0.25 })).toBeLessThan(change({}) / 2);
    expect(change({ prediction: null })).toBe(0);
  });
});
