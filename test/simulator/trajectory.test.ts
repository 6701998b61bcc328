import { describe, expect, it } from '@jest/globals';
import { trajectoryFromMessage } from '../../src/simulator/trajectory.js';
import {
  judgeGoal,
  tolerancesFromGoal,
  defaultTolerances,
} from '../../src/simulator/tolerances.js';

const joints = ['a', 'b'];
const now = 100_000_000_000n;

interface Point {
  positions: number[];
  velocities: number[];
  accelerations: number[];
  effort: number[];
  time_from_start: { sec: number; nanosec: number };
}
const point = (nanosec: number, changes: Partial<Point> = {}): Point => ({
  positions: [1, 2],
  velocities: [0, 0],
  accelerations: [],
  effort: [],
  time_from_start: { sec: 0, nanosec },
  ...changes,
});
const message = (points: Point[], names = joints, sec = 0) => ({
  header: { stamp: { sec, nanosec: 0 }, frame_id: '' },
  joint_names: names,
  points,
});
const refusal = (points: Point[], names = joints, sec = 0): string => {
  const checked = trajectoryFromMessage(message(points, names, sec), joints, now);
  return checked.ok ? 'accepted' : checked.because;
};

describe('a JointTrajectory', () => {
  it('is put into the order of the arm', () => {
    const checked = trajectoryFromMessage(
      message([point(5e8, { positions: [10, 20], velocities: [0, 0] })], ['b', 'a']),
      joints,
      now,
    );
    expect(checked).toEqual({
      ok: true,
      value: {
        startNs: 0n,
        points: [
          { timeNs: 500_000_000n, position: [20, 10], velocity: [0, 0], acceleration: null },
        ],
      },
    });
  });

  it('is accepted with a first point at the start, and with a start to come', () => {
    expect(refusal([point(0), point(1)])).toBe('accepted');
    expect(refusal([point(5e8)], joints, 100)).toBe('accepted');
  });

  it.each([
    ['no points', refusal([]), 'no points'],
    ['a joint missing', refusal([point(1)], ['a']), 'expected a, b in any order'],
    ['no names', refusal([point(1)], []), 'got joints (none)'],
    ['a joint twice', refusal([point(1)], ['a', 'a']), 'got joints a, a'],
    ['another joint', refusal([point(1)], ['a', 'c']), 'got joints a, c'],
    ['one joint more', refusal([point(1)], ['a', 'b', 'c']), 'got joints a, b, c'],
    ['equal times', refusal([point(5), point(5)]), 'point 1 is at 0.000 s, expected later'],
    [
      'a time before the start',
      refusal([point(0, { time_from_start: { sec: -1, nanosec: 0 } })]),
      'later than the start',
    ],
    ['a last point that moves', refusal([point(1, { velocities: [0, 1e-6] })]), 'b at 0.000001'],
    ['NaN', refusal([point(1, { positions: [NaN, 0] })]), 'NaN among the positions'],
    ['a column too short', refusal([point(1, { velocities: [0] })]), '1 velocities, expected 2'],
    ['no positions', refusal([point(1, { positions: [] })]), 'no positions'],
    ['effort', refusal([point(1, { effort: [0, 0] })]), 'effort'],
    [
      'accelerations alone',
      refusal([point(1, { velocities: [], accelerations: [0, 0] })]),
      'accelerations without velocities',
    ],
    ['an end in the past', refusal([point(5e8)], joints, 99), 'in the past'],
  ])('is refused with %s', (_, got, expected) => {
    expect(got).toContain(expected);
  });

  it('is accepted with a last velocity below float epsilon, as the controller compares', () => {
    expect(refusal([point(1, { velocities: [0, 1e-7] })])).toBe('accepted');
  });
});

describe('a FollowJointTrajectory goal', () => {
  const none = { sec: 0, nanosec: 0 };
  const moving = (velocity: number, sinceEndNs: bigint) => ({
    positionError: [0, 0],
    velocityError: [0, velocity],
    sinceEndNs,
  });

  it('is reached by default once the joints stand still after the last point', () => {
    const byDefault = defaultTolerances(joints);
    expect(judgeGoal(byDefault, moving(0, -1n), joints).kind).toBe('moving');
    expect(judgeGoal(byDefault, moving(0.02, 10n ** 12n), joints).kind).toBe('moving');
    expect(judgeGoal(byDefault, moving(0.009, 0n), joints).kind).toBe('reached');
  });

  it('fails on its own tolerances: while moving, and too late at the end', () => {
    const checked = tolerancesFromGoal(
      {
        path_tolerance: [{ name: 'b', position: 0.1, velocity: 0, acceleration: 0 }],
        goal_tolerance: [{ name: 'b', position: 0.05, velocity: -1, acceleration: 0 }],
        goal_time_tolerance: { sec: 1, nanosec: 0 },
      },
      joints,
    );
    if (!checked.ok) throw new Error(checked.because);
    const off = (error: number, sinceEndNs: bigint) =>
      judgeGoal(
        checked.value,
        { positionError: [5, error], velocityError: [0, 9], sinceEndNs },
        joints,
      );
    expect(off(0.09, -1n).kind).toBe('moving');
    expect(off(0.11, -1n)).toEqual({
      kind: 'pathViolated',
      because: 'b is off by 0.1100, tolerance 0.1',
    });
    // At the end joint a (off by 5) has no position tolerance, and b's velocity tolerance (−1) is lifted; a stands still.
    expect(off(0.06, 500_000_000n).kind).toBe('moving');
    expect(off(0.06, 1_000_000_001n).kind).toBe('goalViolated');
    expect(off(0.04, 500_000_000n).kind).toBe('reached');
  });

  it('falls back to all defaults where a tolerance is for no joint of the arm or illegal', () => {
    const goal = (name: string, position: number) => ({
      path_tolerance: [{ name, position, velocity: 0, acceleration: 0 }],
      goal_tolerance: [],
      goal_time_tolerance: none,
    });
    expect(tolerancesFromGoal(goal('c', 1), joints).ok).toBe(false);
    expect(tolerancesFromGoal(goal('a', -2), joints).ok).toBe(false);
    expect(tolerancesFromGoal(goal('a', NaN), joints).ok).toBe(false);
  });
});
