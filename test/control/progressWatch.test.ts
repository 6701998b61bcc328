import { expect, test } from '@jest/globals';
import { type ProgressReading, ProgressWatch } from '../../src/control/progressWatch.js';
import * as quaternion from '../../src/math/quaternion.js';

const TICK = 0.02;

/** Stuck: 2 s at full speed within 0.1 m and 0.5 rad. Returns after how many s it says so; null: not in `seconds`. */
function stuckAfter(
  seconds: number,
  at: (time: number) => Partial<Omit<ProgressReading, 'tool'>> & {
    readonly x?: number;
    readonly angle?: number;
  },
): number | null {
  const watch = new ProgressWatch({ after: 2, within: 0.1, turning: 0.5 });
  for (let i = 1; i * TICK <= seconds; i++) {
    const { x = 0, angle = 0, ...more } = at(i * TICK);
    const stuck = watch.watch({
      ...{ elapsed: TICK, opening: 1, told: 1, intended: 0.2, pace: 1 },
      ...more,
      tool: { translation: [x, 0.1, 0.2], rotation: quaternion.fromRotationVector([0, 0, angle]) },
    });
    if (stuck) return Number((i * TICK).toFixed(2));
  }
  return null;
}

test('pushing against a limit is noticed after its 2 s', () => {
  expect(stuckAfter(5, () => ({}))).toBeCloseTo(2, 1);
});

test('so is swinging to and fro within the box, however fast', () => {
  expect(stuckAfter(5, (t) => ({ x: 0.045 * Math.sin(6 * t) }))).toBeCloseTo(2, 1);
});

test('it is noticed at most a quarter of the time late when it begins in the midst of motion', () => {
  const after = stuckAfter(6, (t) => ({ x: Math.min(t, 1.3) * 0.2 }))!;
  // The last 0.1 m of the way are within the box already: from 0.8 s on.
  expect(after).toBeGreaterThanOrEqual(2.8);
  expect(after).toBeLessThanOrEqual(3.4);
});

test('going on slowly is progress: 0.06 m/s leave a box of 0.1 m in 1.7 s', () => {
  expect(stuckAfter(20, (t) => ({ x: 0.06 * t }))).toBeNull();
});

test('turning is progress, and so is a gripper that opens, closes or gives way', () => {
  expect(stuckAfter(20, (t) => ({ angle: 0.4 * t }))).toBeNull();
  expect(stuckAfter(20, (t) => ({ told: Math.floor(t / 1.9) % 2 }))).toBeNull();
  expect(stuckAfter(20, (t) => ({ opening: 0.5 + 0.3 * Math.sin(2 * t) }))).toBeNull();
});

test('a policy that asks for next to nothing rests by its own choice', () => {
  expect(stuckAfter(60, () => ({ intended: 0.005 }))).toBeNull();
});

test('at a tenth of the speed it takes ten times as long, and while motion is not allowed for ever', () => {
  expect(stuckAfter(15, () => ({ pace: 0.1 }))).toBeNull();
  // Asked for is counted at that pace too: 0.2 m/s · 0.1 · 20 s = 0.4 m, more than three boxes.
  expect(stuckAfter(30, () => ({ pace: 0.1 }))).toBeCloseTo(20, 0);
  expect(stuckAfter(60, () => ({ pace: 0 }))).toBeNull();
});
