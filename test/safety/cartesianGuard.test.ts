import { describe, expect, it } from '@jest/globals';
import * as quaternion from '../../src/math/quaternion.js';
import * as vec3 from '../../src/math/vec3.js';
import { assertGuarded, Guard, type GuardInput } from '../../src/safety/guard.js';
import type { Pose, Vec3, Verdict } from '../../src/types.js';
import { builtinArm, cartesianConfig, cartesianInput, jointInput, MS } from './robots.js';

const LIMITS = {
  linearVelocity: 0.25,
  linearAcceleration: 1,
  linearJerk: 10,
  angularVelocity: 1,
  angularAcceleration: 4,
  angularJerk: 40,
  workspace: { min: [-0.5, -0.5, 0], max: [0.5, 0.5, 0.5] },
  trackingError: 0.1,
};
const TICK = 20n * MS;
const at = (translation: Vec3, turn: Vec3 = [0, 0, 0]): Pose => ({
  translation,
  rotation: quaternion.fromRotationVector(turn),
});
const HOME = at([0.2, 0, 0.2]);

/** A guard ticked at 50 Hz, with an arm that follows its pose commands perfectly. */
class Bench {
  readonly guard: Guard;
  nowNs = 1000n * MS;
  pose: Pose;
  linear: Vec3 = [0, 0, 0];
  angular: Vec3 = [0, 0, 0];

  constructor(settings: Readonly<Record<string, unknown>> = {}, start = HOME) {
    this.guard = new Guard(cartesianConfig('pose', { ...LIMITS, ...settings }), null, null);
    this.pose = start;
    expect(this.guard.activate(this.nowNs, this.input(start))).toBeNull();
  }

  input(target: Pose): GuardInput {
    return cartesianInput(this.pose, target, this.nowNs);
  }

  tick(target: Pose, change: Partial<GuardInput> = {}, step = TICK): Verdict {
    this.nowNs += step;
    const verdict = this.guard.guard({ ...this.input(target), ...change });
    if (verdict.command.kind !== 'pose') throw new Error('expected a pose command');
    ({ pose: this.pose, linear: this.linear, angular: this.angular } = verdict.command);
    return verdict;
  }

  run(target: Pose, seconds: number): Verdict[] {
    return Array.from({ length: Math.round(seconds * 50) }, () => this.tick(target));
  }
}

/** Where one tick of a twist takes a pose. */
function integrated({ translation, rotation }: Pose, linear: Vec3, angular: Vec3): Pose {
  const turn = quaternion.fromRotationVector(vec3.scale(angular, 0.02));
  return {
    translation: vec3.addScaled(translation, linear, 0.02),
    rotation: quaternion.normalise(quaternion.multiply(turn, rotation)),
  };
}

const codesOf = (verdict: Verdict): string[] => verdict.reasons.map(({ code }) => code);

describe('the Cartesian guard', () => {
  it('says what it does not guard', () => {
    expect(new Bench().guard.kind).toBe('cartesian');
    expect(new Bench().guard.describe()).toContain('NOT guarded');
  });

  it('passes a motion within all limits to the last bit', () => {
    const bench = new Bench();
    for (let tick = 1; tick <= 150; tick++) {
      const far = 0.1 * (1 - Math.cos(tick * 0.02));
      const target = at([0.2 + far, -far, 0.2], [0, 0, far]);
      expect(bench.tick(target).outcome).toBe('pass');
      expect(bench.pose.translation).toEqual(target.translation);
      expect(quaternion.angleBetween(bench.pose.rotation, target.rotation)).toBeLessThan(1e-12);
    }
  });

  it('comes to rest on a pose that jumped, within norms of velocity', () => {
    const bench = new Bench();
    const target = at([-0.2, 0.3, 0.4], [0.5, -0.3, 0.8]);
    let [fastest, fastestTurn] = [0, 0];
    for (let tick = 0; tick < 250; tick++) {
      bench.tick(target);
      fastest = Math.max(fastest, Math.hypot(...bench.linear));
      fastestTurn = Math.max(fastestTurn, Math.hypot(...bench.angular));
    }
    bench.pose.translation.forEach((value, i) => {
      expect(value).toBeCloseTo(target.translation[i]!, 6);
    });
    expect(quaternion.angleBetween(bench.pose.rotation, target.rotation)).toBeLessThan(1e-6);
    expect(fastest).toBeLessThanOrEqual(0.25 * (1 + 1e-9));
    expect(fastest).toBeGreaterThan(0.22);
    expect(fastestTurn).toBeLessThanOrEqual(1 + 1e-9);
    expect(codesOf(bench.tick(target))).toEqual([]);
  });

  it('stops at the face of the workspace for a target beyond it, and slides along it', () => {
    const bench = new Bench();
    const verdicts = bench.run(at([0.9, 0.3, 0.2]), 6);
    expect(bench.pose.translation[0]).toBeCloseTo(0.5, 6);
    expect(bench.pose.translation[0]).toBeLessThanOrEqual(0.5 + 1e-12);
    expect(bench.pose.translation[1]).toBeCloseTo(0.3, 6);
    expect(verdicts.at(-1)!.reasons).toEqual([
      {
        code: 'workspace',
        message: 'The target is 0.400 m outside the workspace, at [0.900, 0.300, 0.200] m.',
      },
    ]);
  });

  it('moves only inwards from outside the workspace', () => {
    const bench = new Bench({}, at([0.7, 0, 0.2]));
    bench.run(at([0.8, 0, 0.2]), 0.2);
    expect(bench.pose.translation[0]).toBeLessThan(0.7);
  });

  it('brakes straight on at the acceleration limit when it halts, and holds the pose', () => {
    const bench = new Bench();
    bench.run(at([-0.4, 0.3, 0.2]), 0.6);
    const before = bench.linear;
    const verdict = bench.tick(at([NaN, 0, 0]));
    expect(verdict).toMatchObject({ outcome: 'halt', reasons: [{ code: 'targetInvalid' }] });
    const [speed, left] = [Math.hypot(...before), Math.hypot(...bench.linear)];
    // 1 m/s² for 0.02 s.
    expect(left).toBeCloseTo(speed - 0.02, 9);
    expect(bench.linear[0] / left).toBeCloseTo(before[0] / speed, 9);
    bench.run(HOME, 0.5);
    const held = bench.pose;
    expect([bench.linear, bench.angular]).toEqual([
      [0, 0, 0],
      [0, 0, 0],
    ]);
    bench.run(HOME, 0.5);
    expect(bench.pose).toEqual(held);
  });

  it('changes nothing when a passed command is guarded again at the same time', () => {
    const bench = new Bench();
    bench.run(at([0.3, 0.1, 0.3], [0, 0, 0.5]), 0.3);
    const { pose, linear, angular } = bench;
    expect(bench.tick(pose, {}, 0n).outcome).toBe('pass');
    expect([bench.pose, bench.linear, bench.angular]).toEqual([pose, linear, angular]);
  });

  it('clamps a target that jumps further than one policy step', () => {
    const bench = new Bench({ maxStepTranslation: 0.02 });
    expect(codesOf(bench.tick(at([0.4, 0, 0.2])))).toContain('stepClamp');
    bench.run(at([0.4, 0, 0.2]), 0.9);
    // At most 0.02 m per 0.2 s.
    expect(bench.pose.translation[0]).toBeLessThan(0.2 + 0.1 + 1e-9);
  });

  it.each<[string, Partial<GuardInput>, string]>([
    [
      'a pose in another frame',
      { target: { kind: 'pose', pose: HOME, frameId: 'camera', gripper: null } },
      'targetInvalid',
    ],
    [
      'a joint target',
      { target: { kind: 'joint', position: [0], gripper: null } },
      'targetInvalid',
    ],
    [
      'a quaternion that is no rotation',
      {
        target: {
          kind: 'pose',
          pose: { translation: [0, 0, 0], rotation: [0, 0, 0, 0] },
          frameId: 'base',
          gripper: null,
        },
      },
      'targetInvalid',
    ],
    ['no end-effector reading', { endEffector: null }, 'measurementMissing'],
    [
      'a reading 0.11 m away',
      {
        endEffector: { stampNs: 1020n * MS, frameId: 'base', pose: at([0.31, 0, 0.2]) },
      },
      'trackingError',
    ],
  ])('halts on %s', (_name, change, code) => {
    const bench = new Bench();
    const verdict = bench.tick(HOME, change);
    expect(verdict.outcome).toBe('halt');
    expect(codesOf(verdict)).toEqual([code]);
    expect(bench.guard.latched?.code).toBe(code);
  });

  it('notices a wrist that does not turn with its commands, and starts anew from there when re-armed', () => {
    const bench = new Bench({ trackingErrorRotation: 0.2 });
    const target = at([0.2, 0, 0.2], [0, 0, 1]);
    const jammed = (): Partial<GuardInput> => ({
      endEffector: { stampNs: bench.nowNs + TICK, frameId: 'base', pose: HOME },
    });
    let ticks = 0;
    while (bench.guard.latched === null && ticks++ < 100) bench.tick(target, jammed());
    expect(bench.guard.latched?.message).toMatch(
      /^The tool is turned by 0\.2\d\d rad from where it was commanded to be, 0\.2 rad is allowed\.$/,
    );
    for (let i = 0; i < 50; i++) bench.tick(target, jammed());
    expect(bench.guard.rearm(bench.nowNs)).toBeNull();
    bench.tick(HOME, jammed());
    expect(quaternion.angleBetween(bench.pose.rotation, HOME.rotation)).toBeLessThan(1e-9);
  });

  it('keeps the speed scale as a norm while the way to the target turns', () => {
    const bench = new Bench();
    bench.guard.setSpeedScale(0.2);
    let fastest = 0;
    // Goals that jump between the axes: 0.2 of 0.25 m/s are allowed.
    for (let tick = 0; tick < 300; tick++) {
      const way = Math.floor(tick / 4) % 3;
      bench.tick(at([way === 0 ? 0.5 : 0.2, way === 1 ? 0.3 : 0, way === 2 ? 0.5 : 0.2]));
      fastest = Math.max(fastest, Math.hypot(...bench.linear));
    }
    expect(fastest).toBeGreaterThan(0.045);
    // An acceleration that is being let go of may carry it over by a hair; axes on their own carried it to 0.060.
    expect(fastest).toBeLessThan(0.0505);
  });

  it('sends a twist of 0 at rest and before it was activated', () => {
    const guard = new Guard(cartesianConfig('twist', LIMITS), null, null);
    const still = { kind: 'twist', linear: [0, 0, 0], angular: [0, 0, 0], frameId: 'base' };
    const before = guard.guard(cartesianInput(HOME, at([0.4, 0, 0.2]), 0n));
    expect(before).toMatchObject({ outcome: 'halt', command: still });
    guard.activate(TICK, cartesianInput(HOME, HOME, TICK));
    expect(guard.guard(cartesianInput(HOME, HOME, 2n * TICK))).toMatchObject({
      outcome: 'pass',
      command: still,
    });
  });

  it('holds a twist to the workspace from where the arm is measured, too', () => {
    const guard = new Guard(cartesianConfig('twist', LIMITS), null, null);
    const target = at([0.6, 0, 0.2]);
    guard.activate(0n, cartesianInput(at([0.45, 0, 0.2]), target, 0n));
    // The arm drifted to the face: the integral alone would still allow 5 cm.
    const verdict = guard.guard(cartesianInput(at([0.5, 0, 0.2]), target, TICK));
    expect(codesOf(verdict)).toEqual(['workspace']);
    expect(verdict.command).toMatchObject({ kind: 'twist', linear: [0, 0, 0] });
  });

  it('leaves an arm that was pushed where it is, for twists of zero actions', () => {
    const guard = new Guard(cartesianConfig('twist', LIMITS), null, null);
    let [nowNs, measured, target] = [0n, HOME, HOME];
    guard.activate(nowNs, cartesianInput(measured, target, nowNs));
    for (let tick = 0; tick < 200; tick++) {
      nowNs += TICK;
      // Pushed once by 3 cm and 0.1 rad; every 0.2 s an action of zero: stay where you are seen.
      if (tick === 20) measured = at([0.23, 0, 0.2], [0, 0, 0.1]);
      if (tick % 10 === 0) target = measured;
      const { command } = guard.guard(cartesianInput(measured, target, nowNs));
      if (command.kind !== 'twist') throw new Error('expected a twist');
      measured = integrated(measured, command.linear, command.angular);
    }
    expect(measured.translation[0]).toBeCloseTo(0.23, 9);
    expect(quaternion.angleBetween(measured.rotation, HOME.rotation)).toBeCloseTo(0.1, 9);
  });

  it('takes a twist to a target from where the arm is measured, about the axes of the base', () => {
    const guard = new Guard(
      cartesianConfig('twist', { ...LIMITS, trackingError: 0.2 }),
      null,
      null,
    );
    guard.activate(0n, cartesianInput(HOME, HOME, 0n));
    let [nowNs, measured] = [0n, at([0.1, 0, 0.2], [0, 0, 0.2])];
    const target = at([0.1, 0.2, 0.2], [0, 0.2, 0.2]);
    for (let tick = 0; tick < 250; tick++) {
      nowNs += TICK;
      const { command } = guard.guard(cartesianInput(measured, target, nowNs));
      if (command.kind !== 'twist') throw new Error('expected a twist');
      measured = integrated(measured, command.linear, command.angular);
    }
    measured.translation.forEach((value, i) => {
      expect(value).toBeCloseTo(target.translation[i]!, 6);
    });
    expect(quaternion.angleBetween(measured.rotation, target.rotation)).toBeLessThan(1e-6);
  });

  it('slows down near a singularity where the joints are known', () => {
    const { arm } = builtinArm();
    const config = cartesianConfig('twist', {
      ...LIMITS,
      workspace: { min: [-2, -2, -2], max: [2, 2, 2] },
      singularity: { slow: 0.3, stop: 0.02 },
    });
    const elbow = [0, 0.2, 0, -0.4, 0, 0.6, 0];
    const guard = new Guard(config, arm, null);
    const codes = new Set<string>();
    const input = (nowNs: bigint): GuardInput => ({
      ...cartesianInput(HOME, at([0.2, 0, 0.4]), nowNs),
      joints: jointInput(arm.jointNames, elbow, elbow, nowNs).joints,
      jointsReceivedNs: nowNs,
    });
    guard.activate(0n, input(0n));
    for (let nowNs = TICK; nowNs < 10n * TICK; nowNs += TICK)
      codesOf(guard.guard(input(nowNs))).forEach((code) => codes.add(code));
    expect(codes).toContain('singularity');
    // So is one that pushes harder than the description allows.
    const { joints } = input(10n * TICK);
    const strained = new Guard(config, arm, null);
    const pushing = { ...joints!, effort: elbow.map((_, i) => (i === 6 ? 81 : 79)) };
    expect(strained.activate(10n * TICK, { ...input(10n * TICK), joints: pushing })?.message).toBe(
      'Joint joint7 pushes with 81.0 N·m, the limit is 80 N·m.',
    );
    // Joints that fall silent are noticed where they are relied on.
    const silent = guard.guard({ ...input(10n * TICK), joints: null });
    expect(codesOf(silent)).toEqual(['measurementMissing']);
  });
});

describe('assertGuarded', () => {
  it('knows the guard’s commands, and no copy, cast or nothing', () => {
    const { command } = new Bench().tick(HOME);
    expect(() => assertGuarded(command)).not.toThrow();
    for (const other of [{ ...command }, structuredClone(command), {}, null, undefined, 'halt', 3])
      expect(() => assertGuarded(other)).toThrow('got a command that the guard did not make');
  });

  it('knows only the last one of a guard: an old command is not sent again', () => {
    const bench = new Bench();
    const old = bench.tick(HOME).command;
    const { command } = bench.tick(HOME);
    expect(() => assertGuarded(old)).toThrow('got a command that the guard did not make');
    expect(() => assertGuarded(command)).not.toThrow();
  });

  it('can rely on commands not changing after they were made', () => {
    const { command } = new Bench().tick(HOME);
    if (command.kind !== 'pose') throw new Error('expected a pose');
    expect(() => Object.assign(command, { gripper: 2 })).toThrow(TypeError);
    expect(() => Object.assign(command.pose.translation, { 0: 9 })).toThrow(TypeError);
  });
});
