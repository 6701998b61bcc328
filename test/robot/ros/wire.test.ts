import { describe, expect, it } from '@jest/globals';
import { parseConfig } from '../../../src/config.js';
import { type TopicCommand, wireOf } from '../../../src/robot/ros/outputs/wire.js';
import type { ArmCommand } from '../../../src/types.js';
import { jointConfig, planarArm } from '../../safety/robots.js';

const { arm } = planarArm(2);
/** j2 brakes half as hard as j1; robot.yaml names them the other way round than the arm does. */
const config = ((): ReturnType<typeof jointConfig> => {
  const given = jointConfig(arm, { lower: -2, upper: 2, velocity: 1, acceleration: 2, jerk: 20 });
  const { j1, j2 } = given.joints!.limits;
  const limits = { j2: { ...j2, acceleration: 1 }, j1 };
  return parseConfig(JSON.stringify({ ...given, joints: { ...given.joints, limits } }), 'test');
})();
const command = {
  ...{ kind: 'joint', names: ['j1', 'j2'], nowNs: 0n, gripper: null },
  ...{ position: [0.1, 0.2], velocity: [1, 0] },
} as unknown as ArmCommand;
const forward = (joints: readonly string[], type = 'forwardPosition'): TopicCommand =>
  ({ type, topic: '/t', joints }) as unknown as TopicCommand;

describe('a command on the wire', () => {
  it('carries the limits of each joint by its name, not by its place in robot.yaml', () => {
    const wire = wireOf({ type: 'jointTrajectory', topic: '/t', leadPeriods: 1 }, config, null);
    const { joint_names, points } = wire.message(command, 0n) as unknown as {
      joint_names: string[];
      points: { time_from_start: { sec: number; nanosec: number } }[];
    };
    expect(joint_names).toEqual(['j1', 'j2']);
    // j1 alone moves: 1 rad/s at 2 rad/s² takes 0.5 s, after a lead of one period of 20 ms.
    expect(points.map(({ time_from_start: { nanosec } }) => nanosec)).toEqual([
      20_000_000, 520_000_000,
    ]);
  });

  it('brakes within the more cautious of the limits of robot.yaml and of the description', () => {
    const narrow = { ...arm, lower: [-3, -0.25], upper: [0.2, 3] };
    const jointTrajectory = { type: 'jointTrajectory', topic: '/t', leadPeriods: 1 } as const;
    const endOf = (within: typeof arm | null, position: number[], velocity: number[]): number[] => {
      const { points } = wireOf(jointTrajectory, config, within).message(
        { ...command, position, velocity } as ArmCommand,
        0n,
      ) as unknown as { points: { positions: number[] }[] };
      return [...points.at(-1)!.positions];
    };
    // Alone, j1 brakes from 0.4 rad/s within 0.04 rad; beside j2, which takes 1 s, it takes as long as its limit lets it.
    const [to, from] = [endOf(null, [0.1, 0], [0.4, -1]), endOf(narrow, [0.1, 0], [0.4, -1])];
    expect([to[0], from[0]]).toEqual([expect.closeTo(0.3, 9), expect.closeTo(0.2, 9)]);
    expect(endOf(narrow, [0, -0.2], [1, -0.1])[1]).toBeCloseTo(-0.225, 9);
    expect(endOf(narrow, [0, -0.24], [1, -0.1])[1]).toBeCloseTo(-0.25, 9);
  });

  it('is in the order of the controller where it has no names', () => {
    const data = (given: TopicCommand): unknown =>
      wireOf(given, config, null).message(command, 0n)!['data'];
    expect(data(forward(['j2', 'j1']))).toEqual([0.2, 0.1]);
    expect(data(forward(['j1', 'j2'], 'forwardVelocity'))).toEqual([1, 0]);
  });

  it('needs each joint once', () => {
    for (const joints of [['j1'], ['j1', 'j1'], ['j1', 'j3'], ['j1', 'j2', 'j3']])
      expect(() => wireOf(forward(joints), config, null)).toThrow(
        `command.joints: got ${joints.join(', ')}, expected each of j2, j1 once`,
      );
  });

  it('of no joint moves nothing, and of other joints or another kind is a bug', () => {
    const wire = wireOf(forward(['j1', 'j2']), config, null);
    const change = (more: object): ArmCommand => ({ ...command, ...more });
    expect(wire.message(change({ names: [], position: [], velocity: [] }), 0n)).toBeNull();
    expect(() => wire.message(change({ names: ['j1', 'j3'] }), 0n)).toThrow(
      'command: got joints j1, j3, expected j2, j1',
    );
    expect(() => wire.message(change({ kind: 'twist' }), 0n)).toThrow(
      'command: got a twist command, expected joint',
    );
  });
});
