import { expect, it } from '@jest/globals';
import { TraceScore } from '../../src/commands/traceScore.js';
import type { Frame } from '../../src/robot/sim/protocol.js';
import type { MarkTrace, Pixel, TracePrediction } from '../../src/types.js';

/** Half a pixel per unit of the 256 grid. */
const size = { width: 128, height: 128 };
const horizon = 8;

/** Points by frame: `at(k)` of each at 0.2 s · k. */
function framesOf(count: number, ...points: readonly ((k: number) => Pixel)[]): Frame[] {
  return Array.from({ length: count }, (_, k) => ({
    stampNs: BigInt(k) * 200_000_000n,
    points: points.map((at, i) => ({ name: `point ${i}`, at: at(k) })),
  })) as unknown as Frame[];
}

function predicted(marks: readonly number[], traces: readonly MarkTrace[]): TracePrediction {
  return {
    ...{ observationStampNs: 0n, episode: 0, camera: 'front', stepPeriodNs: 200_000_000n },
    ...{ marks: marks.map((id) => ({ id, at: { x: 10, y: 10 } })), traces, confidence: 1 },
    timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
  };
}

/** 2 px = 4 units per step to the right: 4, 8 … 32 units from the start, 18 on average. */
const moving = (k: number): Pixel => ({ x: 10 + 2 * k, y: 10 });
const resting = (): Pixel => ({ x: 50, y: 50 });
const futureOf = (at: (k: number) => Pixel, steps = horizon): Pixel[] =>
  Array.from({ length: steps }, (_, k) => at(k + 1));

it('measures a predicted trace by its mean and its last distance', () => {
  const score = new TraceScore(horizon);
  // Half as fast as the truth: off by 2, 4 … 16 units.
  const future = futureOf((k) => ({ x: 10 + k, y: 10 }));
  const trace = { id: 1, start: { x: 10, y: 10 }, future };
  score.add(predicted([1], [trace]), framesOf(9, moving), size);
  expect(score.error()).toEqual({
    ...{
      ade: 9,
      fde: 16,
      stayStill: 18,
      constantVelocity: 18,
      traces: 1,
      missed: 0,
      refusedShare: 0,
    },
    allMarks: { ade: 9, marks: 1 },
  });
});

it('counts a mark that moved and was said to rest, as far as it went', () => {
  const score = new TraceScore(horizon);
  const trace = { id: 1, start: { x: 10, y: 10 }, future: futureOf(moving) };
  score.add(predicted([1, 2], [trace]), framesOf(9, moving, moving), size);
  expect(score.error()).toMatchObject({ ade: 9, fde: 16, stayStill: 18, traces: 2, missed: 1 });
});

it('compares with marks that go on as they came', () => {
  const score = new TraceScore(horizon);
  // 4 units a step up to frame 3, then at rest: from frame 1 on the truth is 4, 8, 8 … 8 units, the straight line 4, 8 … 32.
  const stopping = (k: number): Pixel => moving(Math.min(k, 3));
  const prediction = { ...predicted([1], []), observationStampNs: 200_000_000n };
  score.add(prediction, framesOf(10, stopping), size);
  expect(score.error()?.constantVelocity).toBe((4 + 8 + 12 + 16 + 20 + 24) / 8);
});

it('leaves marks that rested to the figure of all marks', () => {
  const score = new TraceScore(horizon);
  // The mark at rest is predicted to go 3 px = 6 units away and stay there.
  const away = { id: 2, start: resting(), future: futureOf(() => ({ x: 53, y: 50 })) };
  const frames = framesOf(9, moving, resting, resting);
  score.add(predicted([1, 2, 3], [away]), frames, size);
  expect(score.error()).toMatchObject({
    ...{ ade: 18, fde: 32, traces: 1, missed: 1 },
    allMarks: { ade: (18 + 6 + 0) / 3, marks: 3 },
  });
});

it('lets a mark that got exactly 4 units away count as one that rested', () => {
  const score = new TraceScore(horizon);
  score.add(
    predicted([1], []),
    framesOf(9, (k) => ({ x: Math.min(10 + k, 12), y: 10 })),
    size,
  );
  expect(score.error()).toMatchObject({ traces: 0, missed: 0, ade: null, allMarks: { marks: 1 } });
});

it('leaves out what happened after the horizon, and truths shorter than four steps', () => {
  const score = new TraceScore(horizon);
  const late = (k: number): Pixel => (k > horizon ? { x: 100, y: 10 } : { x: 10, y: 10 });
  score.add(predicted([1], []), framesOf(20, late), size);
  score.add(predicted([1], []), framesOf(4, moving), size);
  expect(score.error()).toMatchObject({ traces: 0, allMarks: { ade: 0, marks: 1 } });
});

it('says which share of its requests were refused', () => {
  const score = new TraceScore(horizon);
  expect(score.error()).toBeNull();
  score.addRefusal();
  expect(score.error()).toMatchObject({ refusedShare: 1, ade: null, traces: 0 });
  score.add(predicted([1], []), framesOf(9, moving), size);
  score.addRefusal();
  score.add(predicted([1], []), framesOf(9, moving), size);
  expect(score.error()).toMatchObject({ refusedShare: 0.5, ade: 18 });
});
