import { describe, expect, it } from '@jest/globals';
import { readContract } from '../../src/model/contract.js';
import { decodeState, encodeState, stateFromReadings } from '../../src/model/stateTokens.js';

const nano = readContract('models/nano');
const lowest = { x: 0.28, y: -0.32, z: 0, yaw: -1.2, gripper: 0 };

describe('robot state in a prompt', () => {
  it('is one action id per field, from V − 1 at the lowest value to V − 256 at the highest', () => {
    expect(encodeState(lowest, nano)).toEqual({ ok: true, value: [1007, 1007, 1007, 1007, 1007] });
    const highest = { x: 0.68, y: 0.32, z: 0.4, yaw: 1.2, gripper: 1 };
    expect(encodeState(highest, nano)).toEqual({ ok: true, value: [752, 752, 752, 752, 752] });
  });

  it('is clipped to the range', () => {
    const outside = { ...lowest, x: -3, z: 9 };
    expect(encodeState(outside, nano)).toEqual({ ok: true, value: [1007, 1007, 752, 1007, 1007] });
  });

  it('comes back within half a bin', () => {
    const state = { x: 0.4711, y: 0.1234, z: 0.2022, yaw: -0.345, gripper: 0.5 };
    const ids = encodeState(state, nano);
    const back = decodeState(ids.ok ? ids.value : [], nano);
    nano.state.forEach(({ name, min, max }, index) => {
      const halfBin = (max - min) / 255 / 2;
      expect(Math.abs(back[index]! - state[name as keyof typeof state])).toBeLessThanOrEqual(
        halfBin + 1e-12,
      );
    });
  });

  it('is refused where a field is missing or no number', () => {
    const message = 'robot state gripper: got nothing, expected a finite number';
    const { x, y, z, yaw } = lowest;
    expect(encodeState({ x, y, z, yaw }, nano)).toEqual({
      ok: false,
      refusal: { kind: 'badObservation', message },
    });
    expect(encodeState({ ...lowest, y: NaN }, nano)).toMatchObject({
      ok: false,
      refusal: { message: 'robot state y: got NaN, expected a finite number' },
    });
  });
});

describe('robot state from readings', () => {
  it('is the pose as x y z roll pitch yaw, and the opening', () => {
    // A half turn about x (the tool looks down), then yaw 0.4 about z: q = qz · qx.
    const rotation = [Math.cos(0.2), Math.sin(0.2), 0, 0] as const;
    const pose = { translation: [0.5, 0.1, 0.2], rotation } as const;
    const state = stateFromReadings(
      { stampNs: 1n, frameId: 'base_link', pose },
      { stampNs: 1n, opening: 0.25 },
    );
    expect(state).toMatchObject({ x: 0.5, y: 0.1, z: 0.2, gripper: 0.25 });
    expect(Math.abs(state.roll!)).toBeCloseTo(Math.PI, 12);
    expect(state.pitch).toBeCloseTo(0, 12);
    expect(state.yaw).toBeCloseTo(0.4, 12);
  });

  it('lacks what is not reported', () => {
    expect(stateFromReadings(null, null)).toEqual({});
  });
});
