import { describe, expect, it } from '@jest/globals';
import { Guard, type GuardReason } from '../../src/safety/guard.js';
import type { ArmTarget, Verdict } from '../../src/types.js';
import { HOME, testArm, testConfig } from '../support/controlRobot.js';

const MS = 1_000_000n;
const PERIOD = 20n * MS;
/** s */
const RAMP = 0.5;
const hold = (code: GuardReason['code']): GuardReason => ({ code, message: 'somebody says so' });

/** A guard that moves joint 1 at up to its limit; the arm is taken to be where it is commanded. */
class Scene {
  readonly guard: Guard;
  nowNs = 0n;
  position: readonly number[] = HOME;

  constructor(leadPeriods: number | null = null) {
    const config = testConfig();
    const command =
      leadPeriods === null
        ? {}
        : {
            command: {
              type: 'jointTrajectory' as const,
              topic: '/arm/joint_trajectory',
              controller: 'arm',
              leadPeriods,
            },
          };
    this.guard = new Guard(
      { ...config, ...command, guard: { ...config.guard, rampIn: RAMP } },
      testArm,
      null,
    );
    expect(this.guard.activate(0n, this.measured())).toBeNull();
  }

  measured() {
    const { nowNs: stampNs, position } = this;
    const joints = {
      stampNs,
      names: testArm.jointNames,
      position,
      velocity: position.map(() => 0),
      effort: null,
    };
    return {
      stampNs,
      joints,
      jointsReceivedNs: stampNs,
      endEffector: null,
      endEffectorReceivedNs: null,
    };
  }

  tick(holds: readonly GuardReason[] = [], afterNs = PERIOD): Verdict {
    this.nowNs += afterNs;
    const target: ArmTarget = {
      kind: 'joint',
      position: this.position.map((q, i) => (i === 0 ? q + 0.04 : q)),
      gripper: null,
    };
    const measured = this.measured();
    const verdict = this.guard.guard({
      ...measured,
      nowNs: this.nowNs,
      target,
      prediction: null,
      holds,
    });
    this.position = jointsOf(verdict).position;
    return verdict;
  }

  run(ticks: number): Verdict {
    for (let i = 1; i < ticks; i++) this.tick();
    return this.tick();
  }
}

function jointsOf({ command }: Verdict) {
  if (command.kind !== 'joint') throw new Error('expected joints');
  return command;
}

describe('what is around the arm holds it', () => {
  it('a missing consent brakes the arm, and motion that comes back with it begins slowly', () => {
    const scene = new Scene();
    const speed = jointsOf(scene.run(60)).velocity[0]!;
    expect(speed).toBeGreaterThan(0.3);
    for (let i = 0; i < 50; i++)
      expect(scene.tick([hold('notEnabled')])).toMatchObject({
        outcome: 'halt',
        reasons: [{ code: 'notEnabled' }],
      });
    expect(jointsOf(scene.tick([hold('notEnabled')])).velocity[0]).toBe(0);
    expect(scene.guard.latched).toBeNull();
    const first = jointsOf(scene.tick()).velocity[0]!;
    expect(first).toBeLessThan((0.02 / RAMP) * testArm.velocity[0]! + 1e-9);
  });

  it.each(['operatorStop', 'outputGone', 'commandRefused', 'clockJump', 'controlFailed'] as const)(
    '%s latches: gone again, it still needs a re-arm',
    (code) => {
      const scene = new Scene();
      scene.run(30);
      scene.tick([hold(code)]);
      expect(scene.guard.latched).toMatchObject({ code });
      expect(scene.run(60)).toMatchObject({ outcome: 'halt', reasons: [{ code }] });
      expect(scene.guard.rearm(scene.nowNs)).toBeNull();
      expect(scene.tick().outcome).not.toBe('halt');
    },
  );
});

describe('a tick that comes after the last command has ended in its braking path', () => {
  it('goes on from where that led: at most the braking distance further, and never faster', () => {
    const scene = new Scene(2);
    const before = jointsOf(scene.run(60));
    const [q, v] = [before.position[0]!, before.velocity[0]!];
    const a = testConfig().joints!.limits[testArm.jointNames[0]!]!.acceleration;
    // 60 ms of silence are more than the lead of 40 ms: by then the receiver has braked along v − a·t.
    const gap = 0.06;
    const after = jointsOf(scene.tick([], 60n * MS));
    const left = Math.max(0, v - a * gap);
    const way = (v * v - left * left) / (2 * a);
    expect(after.position[0]! - q).toBeGreaterThan(way - v * 2e-3);
    expect(after.position[0]! - q).toBeLessThan(way + 1e-6);
    expect(after.velocity[0]).toBeLessThan(left + a * 1e-3);
  });

  it('a lateness within the lead is no end: motion goes on at its speed', () => {
    const scene = new Scene(2);
    scene.run(60);
    const after = jointsOf(scene.tick([], 38n * MS));
    // The target is 0.04 rad away.
    expect(after.velocity[0]).toBeCloseTo(0.04 / 0.038, 6);
  });
});
