import { describe, expect, it } from '@jest/globals';
import { servoCommand } from '../../../src/robot/sim/simRobot.js';
import { Guard } from '../../../src/safety/guard.js';
import type { ArmCommand } from '../../../src/types.js';
import { jointConfig, jointInput, planarArm } from '../../safety/robots.js';

const { arm } = planarArm(2);
const limits = { lower: -2, upper: 2, velocity: 1, acceleration: 2, jerk: 20 };

/** A guard's command; before it was activated it names no joint. */
function commandOf(when: 'before' | 'after'): ArmCommand {
  const guard = new Guard(jointConfig(arm, limits), arm, null);
  const input = jointInput(arm.jointNames, [0.1, 0.2], [0.1, 0.2], 0n);
  if (when === 'after') expect(guard.activate(0n, input)).toBeNull();
  return guard.guard({ ...input, nowNs: 20_000_000n }).command;
}

describe('the simulated servos', () => {
  it('are told what a command for their joints says, and keep the gripper', () => {
    const last = { position: [0, 0], velocity: [0, 0], gripper: 1 };
    expect(servoCommand(commandOf('after'), ['j1', 'j2'], last)).toEqual({
      position: [0.1, 0.2],
      velocity: [0, 0],
      gripper: 1,
    });
  });

  it('are told nothing new by a command for no joints, as of a guard that was never activated', () => {
    const command = commandOf('before');
    expect(command).toMatchObject({ kind: 'joint', names: [], position: [] });
    const last = { position: [0, 0], velocity: [0, 0], gripper: 1 };
    expect(servoCommand(command, ['j1', 'j2'], last)).toBe(last);
    expect(servoCommand(command, ['j1', 'j2'], null)).toBeNull();
  });

  it('refuse a command for other joints, or in another order', () => {
    const command = commandOf('after');
    expect(() => servoCommand(command, ['j2', 'j1'], null)).toThrow(
      'simulation: got a command for j1, j2, expected j2, j1',
    );
    expect(() => servoCommand(command, ['j1'], null)).toThrow('expected j1');
  });
});
