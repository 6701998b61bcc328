import { describe, expect, it } from '@jest/globals';
import { homingAction } from '../../src/control/homing.js';
import { HOME, testArm, testConfig } from '../support/controlRobot.js';

const config = testConfig();
const way = (to: readonly number[]) => ({
  from: HOME,
  to,
  gripper: 0.25,
  stampNs: 5n,
  episode: 3,
  speedScale: 1,
});
const stepsOf = (to: readonly number[]) => {
  const action = homingAction(config, testArm, way(to));
  if (action?.chunk.kind !== 'jointPosition') throw new Error('expected joint positions');
  return action.chunk.steps;
};

describe('the way home', () => {
  it('ends exactly there, with the gripper as it is', () => {
    const to = HOME.map((q, i) => (i === 0 ? q + 1 : q));
    const steps = stepsOf(to);
    expect(steps.at(-1)).toEqual({ position: to, gripper: 0.25 });
  });

  it("takes every joint at most 15/8 of a fifth of its velocity limit: minimum jerk's peak", () => {
    const steps = stepsOf(HOME.map((q, i) => (i === 0 ? q + 1 : q)));
    const positions = [HOME[0], ...steps.map(({ position }) => position[0]!)];
    const speeds = positions
      .slice(1)
      .map((q, k) => (q - positions[k]!) / config.control.policyPeriod);
    const limit = config.joints!.limits[testArm.jointNames[0]!]!.velocity;
    expect(Math.max(...speeds)).toBeLessThan((15 / 8) * 0.2 * limit);
    expect(Math.max(...speeds)).toBeGreaterThan(0.2 * limit);
    expect(Math.min(...speeds)).toBeGreaterThan(0);
  });

  it('is as much slower as the speed scale says, and refused where that takes too long', () => {
    const to = HOME.map((q, i) => (i === 0 ? q + 1 : q));
    const half = homingAction(config, testArm, { ...way(to), speedScale: 0.5 });
    expect(half!.chunk.steps.length).toBeGreaterThan(1.8 * stepsOf(to).length);
    expect(homingAction(config, testArm, { ...way(to), speedScale: 0 })).toBeNull();
  });

  it('is refused where one slow motion does not reach it, or it is no number', () => {
    expect(
      homingAction(config, testArm, way(HOME.map((q, i) => (i === 0 ? q + 100 : q)))),
    ).toBeNull();
    expect(homingAction(config, testArm, way(HOME.map(() => Number.NaN)))).toBeNull();
  });
});
