import { describe, expect, it } from '@jest/globals';
import { Guard, type GuardInput } from '../../src/safety/guard.js';
import type { Verdict } from '../../src/types.js';
import { builtinArm, jointConfig, jointInput, type Limits, MS, planarArm } from './robots.js';

const { arm, capsules } = planarArm(2);
const limits: Limits = { lower: -2, upper: 2, velocity: 1, acceleration: 2, jerk: 20, effort: 50 };
const TICK = 20n * MS;

/** A guard with a perfectly following arm, ticked at 50 Hz. */
class Bench {
  readonly guard: Guard;
  nowNs = 1000n * MS;
  position: readonly number[];
  velocity: readonly number[] = [0, 0];

  constructor(
    settings: Readonly<Record<string, unknown>> = {},
    start: readonly number[] = [0, 0],
    clearances: 'withCapsules' | 'withoutCapsules' = 'withoutCapsules',
  ) {
    this.guard = new Guard(
      jointConfig(arm, limits, settings),
      arm,
      clearances === 'withCapsules' ? capsules : null,
    );
    this.position = start;
    expect(this.guard.activate(this.nowNs, this.input(start))).toBeNull();
  }

  input(target: readonly number[]): GuardInput {
    return jointInput(arm.jointNames, this.position, target, this.nowNs);
  }

  tick(target: readonly number[], change: Partial<GuardInput> = {}, step = TICK): Verdict {
    this.nowNs += step;
    const verdict = this.guard.guard({ ...this.input(target), ...change });
    if (verdict.command.kind !== 'joint') throw new Error('expected a joint command');
    ({ position: this.position, velocity: this.velocity } = verdict.command);
    return verdict;
  }

  run(target: readonly number[], seconds: number): Verdict[] {
    return Array.from({ length: Math.round(seconds * 50) }, () => this.tick(target));
  }
}

const codesOf = (verdict: Verdict): string[] => verdict.reasons.map(({ code }) => code);

describe('the joint guard follows', () => {
  it('passes a target that rests where the arm is, unchanged', () => {
    const bench = new Bench({}, [0.3, -0.4]);
    const verdict = bench.tick([0.3, -0.4]);
    expect(verdict).toMatchObject({
      outcome: 'pass',
      reasons: [],
      command: { position: [0.3, -0.4], velocity: [0, 0], names: ['j1', 'j2'], gripper: null },
    });
  });

  it('passes a motion within all limits to the last bit', () => {
    const bench = new Bench();
    for (let tick = 1; tick <= 200; tick++) {
      // At most 0.2 rad/s, 0.2 rad/s², 0.2 rad/s³.
      const target = [0.2 * (1 - Math.cos(tick * 0.02)), 0.1 * (1 - Math.cos(tick * 0.02))];
      const verdict = bench.tick(target);
      expect(verdict.outcome).toBe('pass');
      expect(bench.position).toEqual(target);
    }
  });

  it('starts a jump with one tick of jerk: a = 20 · 0.02, v = a · 0.02', () => {
    const bench = new Bench();
    const verdict = bench.tick([1, 0]);
    expect(verdict.outcome).toBe('limited');
    expect(bench.velocity[0]).toBeCloseTo(0.008, 9);
    expect(bench.position[0]).toBeCloseTo(0.00016, 9);
  });

  it('comes to rest on a target that jumped, and then passes', () => {
    const bench = new Bench();
    const verdicts = bench.run([1, -0.5], 4);
    expect(bench.position[0]).toBeCloseTo(1, 9);
    expect(bench.position[1]).toBeCloseTo(-0.5, 9);
    expect(verdicts.at(-1)!.outcome).toBe('pass');
    expect(Math.max(...verdicts.map(({ reasons }) => reasons.length))).toBe(1);
  });

  it('keeps the direction of a jump: joints move together', () => {
    const bench = new Bench();
    for (let tick = 0; tick < 50; tick++) {
      bench.tick([1, -0.5]);
      expect(bench.position[1]! / bench.position[0]!).toBeCloseTo(-0.5, 6);
    }
  });

  it('says which limit holds it back, with name and numbers', () => {
    const bench = new Bench();
    expect(bench.tick([1, 0]).reasons).toEqual([
      {
        code: 'velocityLimit',
        message: 'Joint j1 needs 50.000 rad/s to reach the target now, the limit is 1 rad/s.',
      },
    ]);
    expect(codesOf(new Bench().tick([0.01, 0]))).toEqual(['accelerationLimit']);
    // 0.0004 rad in 0.02 s from rest: 0.02 rad/s, 1 rad/s², but only 0.4 rad/s² in the first tick.
    expect(codesOf(new Bench().tick([0.0004, 0]))).toEqual(['jerkLimit']);
  });

  it('changes nothing when a passed command is guarded again at the same time', () => {
    const bench = new Bench();
    bench.run([1, 0.3], 0.3);
    const [position, velocity] = [bench.position, bench.velocity];
    const again = bench.tick(position, {}, 0n);
    expect(again.outcome).toBe('pass');
    expect([bench.position, bench.velocity]).toEqual([position, velocity]);

    const other = new Bench();
    other.run([1, 0.3], 0.3);
    expect(bench.tick([1, 0.3]).command).toEqual(other.tick([1, 0.3]).command);
  });

  it('does not move in no time', () => {
    const bench = new Bench();
    expect(bench.tick([1, 0], {}, 0n)).toMatchObject({
      outcome: 'limited',
      command: { position: [0, 0], velocity: [0, 0] },
    });
  });
});

describe('the joint guard keeps position limits', () => {
  it('stops at the limit for a target beyond it', () => {
    const bench = new Bench({}, [1.5, 0]);
    const verdicts = bench.run([5, 0], 4);
    expect(verdicts.at(-1)!.reasons).toEqual([
      {
        code: 'positionLimit',
        message: 'The target of joint j1 is 5.000, its limits are -2 … 2.',
      },
    ]);
    expect(bench.position[0]).toBeCloseTo(2, 9);
    expect(bench.position[0]).toBeLessThanOrEqual(2);
  });

  it('moves inwards from outside, and never further out', () => {
    const bench = new Bench({}, [2.3, 0]);
    bench.tick([2.6, 0]);
    let last = 2.3;
    for (let tick = 0; tick < 50; tick++) {
      bench.tick([2.6, 0]);
      expect(bench.position[0]).toBeLessThanOrEqual(last);
      last = bench.position[0]!;
    }
    bench.run([1, 0], 4);
    expect(bench.position[0]).toBeCloseTo(1, 6);
  });

  it('takes the more cautious of configuration and description', () => {
    const wide = new Guard(jointConfig(arm, { ...limits, lower: -9, upper: 9 }), arm, null);
    let nowNs = 0n;
    let position: readonly number[] = [2.9, 0];
    wide.activate(nowNs, jointInput(arm.jointNames, position, position, nowNs));
    for (let tick = 0; tick < 200; tick++) {
      nowNs += TICK;
      const { command } = wide.guard(jointInput(arm.jointNames, position, [9, 0], nowNs));
      if (command.kind === 'joint') position = command.position;
    }
    // The description says ±3.
    expect(position[0]).toBeCloseTo(3, 9);
  });

  it('refuses limits that do not fit the arm', () => {
    const config = jointConfig(arm, limits);
    const { j1 } = config.joints!.limits;
    const withLimits = (named: Record<string, typeof j1>): typeof config =>
      ({
        ...config,
        joints: { topic: '/joint_states', limits: named as typeof config.joints.limits },
      }) as typeof config;
    expect(() => new Guard(withLimits({ j1 }), arm, null)).toThrow('joints.limits.j2: got nothing');
    expect(() => new Guard(withLimits({ j1, j2: j1, elbow: j1 }), arm, null)).toThrow('elbow');
    expect(() => new Guard(config, null, null)).toThrow('output: got joint');
  });
});

describe('the joint guard halts', () => {
  it('brakes in a straight line at the acceleration limit, jerk or no jerk', () => {
    const bench = new Bench();
    bench.run([1.5, -0.75], 0.6);
    const [v1, v2] = bench.velocity;
    const verdict = bench.tick([NaN, 0]);
    expect(verdict.outcome).toBe('halt');
    expect(verdict.reasons).toEqual([
      { code: 'targetInvalid', message: 'The target of joint j1 is NaN.' },
    ]);
    // 2 rad/s² for 0.02 s for the first joint, in proportion for the other.
    expect(bench.velocity[0]).toBeCloseTo(v1! - 0.04, 9);
    expect(bench.velocity[1]! / bench.velocity[0]!).toBeCloseTo(v2! / v1!, 9);
    bench.run([1.5, -0.75], v1! / 2 + 0.04);
    expect(bench.velocity).toEqual([0, 0]);
  });

  it('stays stopped until re-armed, even if all is well again', () => {
    const bench = new Bench();
    bench.tick([NaN, 0]);
    expect(bench.guard.latched?.code).toBe('targetInvalid');
    expect(bench.tick([0, 0]).outcome).toBe('halt');
    expect(bench.guard.activate(bench.nowNs, bench.input([0, 0]))?.code).toBe('targetInvalid');
    expect(bench.guard.rearm(bench.nowNs)).toBeNull();
    expect(bench.tick([0, 0]).outcome).toBe('pass');
    expect(bench.guard.counts.get('targetInvalid')).toBe(1);
  });

  it('is not re-armed while it brakes, or while the cause persists', () => {
    const bench = new Bench();
    bench.run([1, 0], 0.4);
    bench.tick([1, 0], { joints: null });
    expect(bench.guard.rearm(bench.nowNs)?.code).toBe('measurementMissing');
    for (let i = 0; i < 50; i++) bench.tick([1, 0], { joints: null });
    expect(bench.velocity).toEqual([0, 0]);
    expect(bench.guard.rearm(bench.nowNs)?.code).toBe('measurementMissing');
    bench.tick([1, 0]);
    expect(bench.guard.rearm(bench.nowNs)).toBeNull();
  });

  const late = (ms: bigint): Partial<GuardInput> => ({
    prediction: { observationStampNs: 1020n * MS - ms * MS, confidence: 1 },
  });
  const joints = (change: object): Partial<GuardInput> => ({
    joints: { ...jointInput(arm.jointNames, [0, 0], [0, 0], 1020n * MS).joints!, ...change },
  });
  it.each<[string, Partial<GuardInput>, string, 'latches' | 'recovers']>([
    [
      'a target of the wrong length',
      { target: { kind: 'joint', position: [0], gripper: null } },
      'targetInvalid',
      'latches',
    ],
    [
      'joints never heard of',
      { joints: null, jointsReceivedNs: null },
      'measurementMissing',
      'latches',
    ],
    ['joints received 101 ms ago', { jointsReceivedNs: 919n * MS }, 'measurementStale', 'latches'],
    ['joints stamped 101 ms ago', joints({ stampNs: 919n * MS }), 'measurementStale', 'latches'],
    ['joints stamped 51 ms from now', joints({ stampNs: 1071n * MS }), 'futureStamp', 'latches'],
    ['a joint at NaN', joints({ position: [NaN, 0] }), 'measurementInvalid', 'latches'],
    ['a joint without a name', joints({ names: ['j1', 'j3'] }), 'measurementInvalid', 'latches'],
    ['51 N·m', joints({ effort: [0, -51] }), 'effortLimit', 'latches'],
    ['an arm 1.01 rad away', joints({ position: [0, 1.01] }), 'trackingError', 'latches'],
    ['the ROS clock going back', { stampNs: 999n * MS }, 'stampBackwards', 'latches'],
    ['a steady clock going back', { nowNs: 999n * MS }, 'steadyClockBackwards', 'latches'],
    [
      'a confidence of NaN',
      { prediction: { observationStampNs: 1020n * MS, confidence: NaN } },
      'predictionInvalid',
      'latches',
    ],
    ['an observation from the future', late(-51n), 'futureStamp', 'latches'],
    ['an observation older than 400 ms + one period', late(601n), 'observationStale', 'recovers'],
    [
      'a confidence of 0.29',
      { prediction: { observationStampNs: 1020n * MS, confidence: 0.29 } },
      'lowConfidence',
      'recovers',
    ],
  ])('on %s', (_name, change, code, kind) => {
    const bench = new Bench({ minConfidence: 0.3 });
    const verdict = bench.tick([0, 0], change);
    expect(verdict.outcome).toBe('halt');
    expect(codesOf(verdict)).toContain(code);
    expect(bench.guard.latched?.code ?? null).toBe(kind === 'latches' ? code : null);
    if (kind === 'recovers') expect(bench.tick([0, 0]).outcome).toBe('pass');
  });

  it('on a tick that is 101 ms late, and moves no further than one watchdog time', () => {
    const bench = new Bench();
    bench.run([1.5, 0], 1);
    const [before, speed] = [bench.position[0]!, bench.velocity[0]!];
    const verdict = bench.tick([1.5, 0], {}, 5000n * MS);
    expect(verdict.reasons).toEqual([
      { code: 'tickGap', message: 'No control tick for 5.000 s, the watchdog allows 0.100 s.' },
    ]);
    // Braking at 2 rad/s² for 0.1 s.
    expect(bench.position[0]).toBeCloseTo(before + (speed - 0.2) * 0.1, 9);
  });

  it('accepts a late observation within its age and readings in another order', () => {
    const bench = new Bench({}, [0.1, 0.2]);
    const verdict = bench.tick([0.1, 0.2], {
      ...late(599n),
      ...joints({ names: ['gripper', 'j2', 'j1'], position: [NaN, 0.2, 0.1] }),
    });
    expect(verdict.outcome).toBe('pass');
  });

  it('starts anew from where the arm is, when re-armed after a tracking error', () => {
    const bench = new Bench();
    bench.tick([0, 0]);
    const moved = { ...jointInput(arm.jointNames, [0, 1.2], [0, 0], bench.nowNs + TICK).joints! };
    bench.tick([0, 0], { joints: moved });
    expect(bench.guard.latched?.message).toBe(
      'Joint j2 is at 1.200, commanded 0.000: more than 1 apart.',
    );
    expect(bench.guard.rearm(bench.nowNs)).toBeNull();
    bench.position = [0, 1.2];
    expect(bench.tick([0, 1.2])).toMatchObject({
      outcome: 'pass',
      command: { position: [0, 1.2] },
    });
  });

  it('moves nothing before it was ever activated', () => {
    const guard = new Guard(jointConfig(arm, limits), arm, null);
    const verdict = guard.guard(jointInput(arm.jointNames, [0, 0], [1, 1], 0n));
    expect(verdict).toMatchObject({ outcome: 'halt', command: { kind: 'joint', names: [] } });
    expect(codesOf(verdict)).toEqual(['notActive']);
  });

  it('brakes when deactivated, and takes over again only from rest', () => {
    const bench = new Bench();
    bench.run([1, 0], 0.5);
    bench.guard.deactivate(bench.nowNs);
    const speed = bench.velocity[0]!;
    bench.tick([1, 0]);
    expect(bench.velocity[0]).toBeCloseTo(speed - 0.04, 9);
    expect(bench.guard.activate(bench.nowNs, bench.input([0, 0]))?.code).toBe('stillMoving');
    bench.run([1, 0], 1);
    expect(bench.guard.activate(bench.nowNs, bench.input([0, 0]))).toBeNull();
  });

  it('does not look at the tracking error in a dry run, and says so', () => {
    const config = { ...jointConfig(arm, limits), dryRun: true };
    const guard = new Guard(config, arm, null);
    guard.activate(0n, jointInput(arm.jointNames, [0, 0], [0, 0], 0n));
    expect(guard.guard(jointInput(arm.jointNames, [1.5, 0], [0, 0], TICK)).outcome).toBe('pass');
    expect(guard.describe()).toContain('Dry run');
  });
});

describe('the joint guard slows down', () => {
  it('to rest within jerk, with a reason that does not halt', () => {
    const bench = new Bench();
    bench.run([1.5, 0], 1);
    const rest = { target: { kind: 'rest', because: 'no prediction', gripper: null } } as const;
    const speed = bench.velocity[0]!;
    const verdict = bench.tick([0, 0], rest);
    expect(verdict.outcome).toBe('limited');
    expect(verdict.reasons).toEqual([{ code: 'rest', message: 'Coming to rest: no prediction.' }]);
    // One tick of jerk: a = −20 · 0.02.
    expect(bench.velocity[0]).toBeCloseTo(speed - 0.4 * 0.02, 6);
    for (let i = 0; i < 60; i++) bench.tick([0, 0], rest);
    expect(bench.velocity[0]).toBeCloseTo(0, 9);
    expect(bench.guard.latched).toBeNull();
  });

  it('by the speed scale, times what is set at run time', () => {
    const bench = new Bench({ speedScale: 0.5 });
    bench.guard.setSpeedScale(0.5);
    const verdicts = bench.run([1.5, 0], 2);
    expect(Math.max(...bench.velocity)).toBeCloseTo(0.25, 6);
    expect(codesOf(verdicts.at(-1)!)).toEqual(['velocityLimit']);
    bench.guard.setSpeedScale(NaN);
    bench.run([1.5, 0], 1);
    expect(bench.velocity[0]).toBeCloseTo(0, 9);
  });

  it('after activation: speed grows with the ramp', () => {
    const bench = new Bench({ rampIn: 2 });
    let fastest = 0;
    for (let tick = 1; tick <= 50; tick++) {
      bench.tick([1.5, 0]);
      expect(bench.velocity[0]).toBeLessThanOrEqual(tick * 0.02 * 0.5 + 1e-9);
      fastest = Math.max(fastest, bench.velocity[0]!);
    }
    expect(fastest).toBeGreaterThan(0.4);
  });

  it('so that the tool keeps its speed', () => {
    // Two links of 0.5 m stretched out, turned by the shoulder: v = ω · 1 m.
    const bench = new Bench({ linearVelocity: 0.2 });
    const verdicts = bench.run([1.5, 0], 2);
    expect(bench.velocity[0]).toBeCloseTo(0.2, 6);
    expect(codesOf(verdicts.at(-1)!)).toEqual(['toolSpeed']);
  });

  it('before a target that moves too far in one policy step', () => {
    const bench = new Bench({ maxStepTranslation: 0.1 });
    const verdict = bench.tick([1, 0]);
    expect(codesOf(verdict)).toContain('stepClamp');
    // 0.1 m per 0.2 s, on a circle of 1 m: 0.5 rad/s.
    bench.run([1.5, 0], 1);
    expect(bench.position[0]).toBeGreaterThan(0.3);
    expect(bench.position[0]).toBeLessThan(0.62);
  });

  it('near a singularity, but not away from it', () => {
    const { arm: seven } = builtinArm();
    const config = jointConfig(
      seven,
      { lower: -4, upper: 4, velocity: 1, acceleration: 5, jerk: 100 },
      {
        singularity: { slow: 0.3, stop: 0.02 },
      },
    );
    const near = [0, 0.2, 0, -1, 0, 1.2, 0];
    // Stretching the elbow leads towards the singularity, bending it leads away.
    const speedTowards = (elbow: number): { speed: number; codes: Set<string> } => {
      const guard = new Guard(config, seven, null);
      let [nowNs, position]: [bigint, readonly number[]] = [0n, near];
      guard.activate(nowNs, jointInput(seven.jointNames, position, position, nowNs));
      const codes = new Set<string>();
      let speed = 0;
      const target = near.map((value, i) => (i === 3 ? elbow : value));
      for (let tick = 0; tick < 20; tick++) {
        nowNs += TICK;
        const verdict = guard.guard(jointInput(seven.jointNames, position, target, nowNs));
        codesOf(verdict).forEach((code) => codes.add(code));
        if (verdict.command.kind !== 'joint') throw new Error('expected a joint command');
        position = verdict.command.position;
        speed = Math.max(speed, Math.abs(verdict.command.velocity[3]!));
      }
      return { speed, codes };
    };
    const [inwards, outwards] = [speedTowards(-0.4), speedTowards(-2)];
    expect(inwards.codes).toContain('singularity');
    expect(outwards.codes).not.toContain('singularity');
    expect(inwards.speed).toBeLessThan(0.5 * outwards.speed);
  });
});

describe('the joint guard keeps clear', () => {
  it('of the workspace faces: it slows down and stops before', () => {
    // Stretched out, the tool is at x = 1 m; lifting the arm by the shoulder takes it to z = 0.5 + sin q.
    const bench = new Bench({ workspace: { min: [-2, -2, 0], max: [2, 2, 1] } });
    const verdicts = bench.run([1, 0], 5);
    const height = 0.5 + Math.sin(bench.position[0]!);
    expect(height).toBeLessThanOrEqual(1);
    expect(height).toBeGreaterThan(0.99);
    expect(codesOf(verdicts.at(-1)!)).toEqual(['workspace']);
  });

  it('of the table: it stops before contact and lets the arm lift off again', () => {
    const table = { tableHeight: 0, linkClearance: 0.03 };
    const bench = new Bench(table, [0, 0], 'withCapsules');
    const verdicts = bench.run([-1, 0], 5);
    // Lowest point of the tool's end, radius 0.05: z = 0.5 + sin q − 0.05.
    const gap = 0.5 + Math.sin(bench.position[0]!) - 0.05;
    expect(gap).toBeGreaterThanOrEqual(0.03);
    expect(gap).toBeLessThan(0.035);
    expect(
      verdicts
        .at(-1)!
        .reasons.map(({ message }) => message)
        .join(),
    ).toMatch(/link2|mm are left/);
    bench.run([0, 0], 4);
    expect(bench.position[0]).toBeCloseTo(0, 6);
  });

  it('of the table from inside: only outwards', () => {
    const bench = new Bench({ tableHeight: 0, linkClearance: 0.1 }, [-0.5, 0], 'withCapsules');
    bench.run([-0.6, 0], 1);
    expect(bench.position[0]).toBe(-0.5);
    bench.run([0.2, 0], 4);
    expect(bench.position[0]).toBeCloseTo(0.2, 6);
  });
});

describe('the gripper', () => {
  it.each([
    [0.4, 0.4, 'pass'],
    [1.5, 1, 'limited'],
    [-0.1, 0, 'limited'],
    [NaN, null, 'limited'],
    [Infinity, null, 'limited'],
  ] as const)('at %d is sent as %d', (wanted, sent, outcome) => {
    const bench = new Bench();
    const verdict = bench.tick([0, 0], {
      target: { kind: 'joint', position: [0, 0], gripper: wanted },
    });
    expect(verdict.command.gripper).toBe(sent);
    expect(verdict.outcome).toBe(outcome);
  });
});

describe('reasons', () => {
  it('are counted each time and handed on once', () => {
    const first: string[] = [];
    const guard = new Guard(jointConfig(arm, limits), arm, null, ({ code }) => first.push(code));
    guard.activate(0n, jointInput(arm.jointNames, [0, 0], [0, 0], 0n));
    for (const tick of [1n, 2n, 3n])
      guard.guard(jointInput(arm.jointNames, [0, 0], [1, 0], tick * TICK));
    expect(guard.counts).toEqual(new Map([['velocityLimit', 3]]));
    expect(first).toEqual(['velocityLimit']);
  });
});
