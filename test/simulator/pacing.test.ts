import { describe, expect, it } from '@jest/globals';
import { GripperGoal } from '../../src/simulator/gripperGoal.js';
import { Pacing } from '../../src/simulator/pacing.js';

const ms = (n: number): bigint => BigInt(Math.round(n * 1e6));
const pacing = (factor = 1): Pacing =>
  new Pacing({ stepNs: ms(2.5), longestBacklogNs: ms(50), factor }, 0n);

describe('pacing', () => {
  it('owes one step per 2.5 ms, and says when the next is due', () => {
    const pace = pacing();
    expect(pace.due(ms(2.4))).toBe(0);
    expect(pace.nextNs).toBe(ms(2.5));
    expect(pace.due(ms(2.5))).toBe(1);
    expect(pace.due(ms(2.6))).toBe(0);
    expect(pace.due(ms(10))).toBe(3);
    expect(pace.nextNs).toBe(ms(12.5));
  });

  it('catches up with a short gap in full: no time is lost', () => {
    const pace = pacing();
    let steps = 0;
    for (const t of [1, 30, 31, 70, 100]) steps += pace.due(ms(t));
    expect(steps).toBe(40);
  });

  it('lets go of what is beyond 50 ms: time runs slower, and is not raced after', () => {
    const pace = pacing();
    expect(pace.due(ms(1000))).toBe(20);
    expect(pace.due(ms(1000))).toBe(0);
    expect(pace.due(ms(1002.5))).toBe(1);
    expect(pace.achieved(ms(1002.5))).toBeCloseTo(52.5 / 1002.5, 6);
  });

  it('never spirals on a machine that takes 4 ms for a step', () => {
    const pace = pacing();
    let [now, taken, most] = [0, 0, 0];
    while (now < 10_000) {
      const steps = pace.due(ms(now));
      most = Math.max(most, steps);
      taken += steps;
      now += Math.max(1, 4 * steps);
    }
    expect(most).toBeLessThanOrEqual(20);
    expect((taken * 2.5) / now).toBeCloseTo(2.5 / 4, 1);
  });

  it('runs at half and at double speed, and stands still at 0', () => {
    expect(pacing(0.5).due(ms(20))).toBe(4);
    expect(pacing(2).due(ms(20))).toBe(16);
    const paused = pacing(0);
    expect(paused.due(ms(1e6))).toBe(0);
    expect(paused.nextNs).toBeNull();
    paused.setFactor(1, ms(1e6));
    expect(paused.due(ms(1e6))).toBe(0);
    expect(paused.due(ms(1e6 + 5))).toBe(2);
  });

  it('reports what it achieved since it was last asked', () => {
    const pace = pacing();
    pace.due(ms(40));
    expect(pace.achieved(ms(40))).toBeCloseTo(1, 9);
    expect(pace.achieved(ms(60))).toBe(0);
  });
});

describe('a gripper goal', () => {
  const settings = { goalTolerance: 0.002, stallVelocity: 0.001, stallNs: ms(300) };

  it('is reached at its position', () => {
    const goal = new GripperGoal(0.04, 0n, settings);
    expect(goal.check(0.03, 0.1, ms(1))).toBe('moving');
    expect(goal.check(0.0385, 0.1, ms(2))).toBe('reached');
  });

  it('has stalled when the fingers stood still for 0.3 s on something', () => {
    const goal = new GripperGoal(0, 0n, settings);
    expect(goal.check(0.03, 0.1, ms(100))).toBe('moving');
    expect(goal.check(0.02, 0, ms(400))).toBe('moving');
    expect(goal.check(0.02, 0, ms(401))).toBe('stalled');
  });
});
