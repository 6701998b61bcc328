import { describe, expect, it } from '@jest/globals';
import { Guard } from '../../src/safety/guard.js';
import { GuardLog } from '../../src/safety/guardLog.js';
import { cartesianConfig } from './robots.js';

describe('the log of the guard', () => {
  it('says once what is guaranteed, and each reason once, through all guards of a run', () => {
    const lines: string[] = [];
    const log = new GuardLog((line) => lines.push(line));
    for (let episode = 0; episode < 3; episode++) {
      const guard = new Guard(cartesianConfig('pose'), null, null, log.onFirst);
      log.opened(guard);
      guard.activate(0n, {
        stampNs: 0n,
        joints: null,
        jointsReceivedNs: null,
        endEffector: null,
        endEffectorReceivedNs: null,
      });
    }
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatch(/^guard: Cartesian guard for pose commands in base: /);
    expect(lines[1]).toBe('guard: measurementMissing: No end-effector reading has arrived.');
  });
});
