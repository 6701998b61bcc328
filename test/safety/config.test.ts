import { describe, expect, it } from '@jest/globals';
import { cartesianConfig } from './robots.js';

describe('a robot.yaml that could only be a mistake is refused', () => {
  it.each<[string, Record<string, unknown>, string]>([
    [
      'a workspace whose min is above its max',
      { workspace: { min: [0, 0.4, 0], max: [1, -0.4, 1] } },
      'guard.workspace: got {"min":[0,0.4,0],"max":[1,-0.4,1]}, expected min below max on every axis',
    ],
    [
      'a singularity that stops before it slows',
      { singularity: { slow: 0.02, stop: 0.05 } },
      'guard.singularity: got {"slow":0.02,"stop":0.05}, expected stop below slow',
    ],
    [
      'a watchdog that every tick at 50 Hz would meet',
      { watchdog: 0.02 },
      'guard.watchdog: got 0.02, expected a watchdog longer than a control period, 1 / rateHz',
    ],
  ])('%s', (_name, guard, message) => {
    expect(() => cartesianConfig('pose', guard)).toThrow(message);
  });

  it('a gripper whose closed position is its open one', () => {
    const gripper = { topic: '/g', joint: 'g', closed: 0.04, open: 0.04 };
    expect(() => cartesianConfig('pose', {}, { gripper })).toThrow(
      'expected closed and open to differ',
    );
  });
});
