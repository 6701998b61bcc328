import { describe, expect, it } from '@jest/globals';
import { farthestFrom, motionOf } from '../../src/commands/checkMeasure.js';
import type { Tick } from '../../src/control/loop.js';
import * as quaternion from '../../src/math/quaternion.js';
import type { ArmCommand, Pose, Vec3 } from '../../src/types.js';

const at = (translation: Vec3, yaw = 0): Pose => ({
  translation,
  rotation: quaternion.fromRpy([0, 0, yaw]),
});

/** Ticks of 20 ms of a robot that is commanded poses. */
function ticksOf(commanded: (t: number) => Pose, measured: (t: number) => Pose): Tick[] {
  return Array.from({ length: 200 }, (_, k) => {
    const nowNs = BigInt(k) * 20_000_000n;
    const t = 0.02 * k;
    const command = {
      ...{ kind: 'pose', nowNs, frameId: 'base_link', pose: commanded(t), gripper: null },
      ...{ linear: [0, 0, 0], angular: [0, 0, 0] },
    } as unknown as ArmCommand;
    return {
      ...{ nowNs, stampNs: nowNs, prediction: null, sent: true },
      target: { kind: 'rest', because: '', gripper: null },
      verdict: { outcome: 'pass', reasons: [], command },
      measured: {
        ...{ joints: null, jointsReceivedNs: null, endEffectorReceivedNs: nowNs },
        endEffector: { stampNs: nowNs, frameId: 'base_link', pose: measured(t) },
      },
    };
  });
}

/** From 0 at 0.5 s to 1 at 2.5 s. */
const progress = (t: number): number => Math.min(1, Math.max(0, (t - 0.5) / 2));
const alongX = (metres: number) => (t: number) => at([metres * progress(t), 0, 0]);

describe('a measured motion', () => {
  it('that is the commanded one 100 ms later lags by 100 ms', () => {
    const motion = motionOf(
      ticksOf(alongX(0.01), (t) => alongX(0.01)(t - 0.1)),
      null,
    )!;
    expect(motion.lag).toBeCloseTo(0.1, 6);
    expect(motion.commanded!.translation[0]).toBeCloseTo(0.01, 12);
    expect(motion.measured.translation[0]).toBeCloseTo(0.01, 12);
  });

  it('that goes only half the way lags by its time all the same', () => {
    const motion = motionOf(
      ticksOf(alongX(0.01), (t) => alongX(0.005)(t - 0.06)),
      null,
    )!;
    expect(motion.lag).toBeCloseTo(0.06, 6);
    expect(motion.measured.translation[0]).toBeCloseTo(0.005, 12);
  });

  it('in another direction than commanded is told as it was, without a lag', () => {
    const sideways = (t: number) => at([0, 0.01 * progress(t), 0]);
    const motion = motionOf(ticksOf(alongX(0.01), sideways), null)!;
    expect(motion.measured.translation).toEqual([0, 0.01, 0]);
    expect(motion.lag).toBeNull();
  });

  it('of a rotation lags by the turning', () => {
    const turn = (t: number) => at([0, 0, 0], 0.1 * progress(t));
    const motion = motionOf(
      ticksOf(turn, (t) => turn(t - 0.04)),
      null,
    )!;
    expect(motion.measured.rotation[2]).toBeCloseTo(0.1, 9);
    expect(motion.lag).toBeCloseTo(0.04, 6);
  });

  it('is not known without a pose', () => {
    const [tick] = ticksOf(alongX(1), alongX(1));
    expect(motionOf([{ ...tick!, measured: { ...tick!.measured, endEffector: null } }], null)).toBe(
      null,
    );
  });
});

describe('an arm that is held', () => {
  it('moved as far as it was ever away, not as far as it is at the end', () => {
    const bump = (t: number) => at([t > 1 && t < 1.1 ? 0.004 : 0, 0, 0]);
    const ticks = ticksOf(bump, bump);
    expect(farthestFrom(at([0, 0, 0]), ticks)).toEqual({ translation: 0.004, rotation: 0 });
  });
});
