import { expect, test } from '@jest/globals';
import { type GraspFault, GraspWatch } from '../../src/control/graspWatch.js';

const TICK = 0.02;

/** What a gripper that closes within 0.5 s, with objects above 0.2, is said to do wrong, tick by tick. */
function watched() {
  const watch = new GraspWatch({ smallestObject: 0.2, closingTime: 0.5, patience: 0.3 });
  let now = 10;
  /** For `seconds` told `told` at `height` … `to`, opening as measured. The first fault, and after how long. */
  const go = (
    seconds: number,
    told: number | null,
    opening: number,
    height: number,
    to = height,
  ): readonly [GraspFault, number] | null => {
    const count = Math.round(seconds / TICK);
    for (let i = 1; i <= count; i++) {
      now += TICK;
      const at = height + ((to - height) * i) / count;
      const nowNs = BigInt(Math.round(now * 1e9));
      const fault = watch.watch({ nowNs, height: at, opening, told });
      if (fault) return [fault, Number((i * TICK).toFixed(2))];
    }
    return null;
  };
  return { go, watch };
}

test('closed on nothing and lifted by 3 cm is an empty grasp, 0.3 s after that can be seen', () => {
  const { go } = watched();
  expect(go(0.6, 0, 0, 0.02)).toBeNull();
  // At 0.1 m/s 3 cm are passed at 0.30 s; the policy gets 0.3 s more.
  const [fault, after] = go(1, 0, 0, 0.02, 0.12)!;
  expect(fault).toBe('emptyGrasp');
  expect(after).toBeGreaterThanOrEqual(0.6);
  expect(after).toBeLessThanOrEqual(0.64);
});

test('closed around something and lifted is none, and it is known to be held', () => {
  const { go, watch } = watched();
  expect(go(0.6, 0, 0.5, 0.02)).toBeNull();
  expect(watch.holds).toBe(true);
  expect(go(3, 0, 0.5, 0.02, 0.3)).toBeNull();
});

test('what was held and is gone is a lost grasp, at whatever height', () => {
  const { go, watch } = watched();
  go(1, 0, 0.5, 0.02);
  expect(go(1, 0, 0.05, 0.02)).toEqual(['lostGrasp', 0.32]);
  expect(watch.holds).toBe(false);
});

test('a policy that opens within its time is left alone', () => {
  const { go } = watched();
  go(1, 0, 0.5, 0.02);
  expect(go(0.28, 0, 0.05, 0.02)).toBeNull();
  expect(go(2, 1, 0.05, 0.02)).toBeNull();
});

test('a fist that goes down to push, and up again, is no grasp', () => {
  const { go } = watched();
  expect(go(1, 0, 0, 0.2, 0.02)).toBeNull();
  expect(go(2, 0, 0, 0.02)).toBeNull();
  expect(go(2, 0, 0, 0.02, 0.24)).toBeNull();
});

test('a gripper that still closes tells nothing: its opening passes through all sizes', () => {
  const { go, watch } = watched();
  go(0.4, 0, 0.6, 0.02);
  expect(watch.holds).toBe(false);
  // Had 0.6 counted as held, this would be lost.
  expect(go(1, 0, 0, 0.02)).toBeNull();
});

test('an opening that flickers about the limit does not add up', () => {
  const { go } = watched();
  go(1, 0, 0.5, 0.02);
  for (let i = 0; i < 20; i++) {
    expect(go(0.2, 0, 0.1, 0.05)).toBeNull();
    expect(go(0.04, 0, 0.5, 0.05)).toBeNull();
  }
});

test('told nothing, as after a halt, it knows nothing', () => {
  const { go, watch } = watched();
  go(1, 0, 0.5, 0.02);
  expect(go(2, null, 0, 0.02, 0.2)).toBeNull();
  expect(watch.holds).toBe(false);
});
