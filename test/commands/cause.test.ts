import { describe, expect, it } from '@jest/globals';
import { causeOf } from '../../src/commands/cause.js';
import type { SceneState, Task } from '../../src/robot/sim/tasks.js';

const put: Task = { family: 'put', block: 'red', pad: 'teal' };
const push: Task = { family: 'push', block: 'red', side: 'right' };
const start: SceneState = {
  tcp: [0.45, 0, 0.2],
  tcpYaw: 0,
  gripperWidth: 0.08,
  blocks: { red: { position: [0.5, 0.1, 0.02], yaw: 0 } },
  pads: { teal: [0.4, -0.1, 0.001] },
};
const at = (x: number, y: number, z: number, gripperWidth: number): SceneState => ({
  ...start,
  ...{ tcp: [x, y, z], gripperWidth },
});
const carried = (x: number, y: number, z: number): SceneState => ({
  ...at(x, y, z, 0.04),
  blocks: { red: { position: [x, y, z], yaw: 0 } },
});
const lying = (state: SceneState, x: number, y: number): SceneState => ({
  ...state,
  blocks: { red: { position: [x, y, 0.02], yaw: 0 } },
});
const ended = { outcome: 'running', latched: null, gaveUp: null } as const;
const causeFor = (task: Task, ...course: SceneState[]) =>
  causeOf({ ...ended, task }, [start, ...course]);

describe('The cause of a failure', () => {
  it('is what ended the episode, where something did', () => {
    expect(causeOf({ ...ended, task: put, outcome: 'success' }, [start])).toBeNull();
    expect(causeOf({ ...ended, task: put, outcome: 'wrongObject' }, [start])).toBe('wrongObject');
    expect(causeOf({ ...ended, task: put, latched: 'effortLimit' }, [start])).toBe('guardStop');
    expect(causeOf({ ...ended, task: put, gaveUp: 'no progress' }, [start])).toBe('gaveUp');
  });

  it('of a carried block is how far it came', () => {
    const hand = carried(0.45, 0, 0.12);
    expect(causeFor(put, at(0.45, 0, 0.1, 0.08))).toBe('neverReached');
    expect(causeFor(put, at(0.5, 0.09, 0.03, 0.08))).toBe('neverGrasped');
    expect(causeFor(put, hand)).toBe('timeFar');
    expect(causeFor(put, hand, carried(0.4, -0.08, 0.05))).toBe('timeNearTarget');
    // Dropped on the way: 14 cm from the pad.
    expect(causeFor(put, hand, lying(at(0.45, 0, 0.2, 0.08), 0.45, 0.03))).toBe('lostGrasp');
    // Held until 5 cm from the pad's centre, and lying there.
    expect(
      causeFor(put, hand, carried(0.4, -0.05, 0.05), lying(at(0.4, -0.05, 0.1, 0.08), 0.4, -0.05)),
    ).toBe('releasedOffTarget');
  });

  it('of a pushed block is how much is left', () => {
    const near = at(0.5, 0.06, 0.02, 0);
    expect(causeFor(push, near, lying(near, 0.5, 0.15))).toBe('timeNearTarget');
    expect(causeFor(push, near, lying(near, 0.5, 0.11))).toBe('timeFar');
  });
});
