import { describe, expect, it } from '@jest/globals';
import type { Config } from '../../src/config.js';
import { Guard, type GuardInput } from '../../src/safety/guard.js';
import { arm, Bench, codesOf, limits, TICK } from './jointBench.js';
import { jointConfig, jointInput, type Limits, MS } from './robots.js';

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
    const withLimits = (named: Readonly<Record<string, Limits>>): Config => ({
      ...config,
      joints: { topic: '/joint_states', limits: named },
    });
    const j1 = limits;
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
    ['an observation older than 400 ms + two periods', late(801n), 'observationStale', 'recovers'],
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

  it('on a row of unsure actions, each of which alone would do', () => {
    const bench = new Bench({ minConfidence: 0.1, unsure: { below: 0.4, over: 3 } });
    const act = (confidence: number, episode = 1): string[] => {
      const prediction = { observationStampNs: bench.nowNs, confidence, episode, tokens: [1] };
      const codes = codesOf(bench.tick([0, 0], { prediction }));
      // The same action at another tick is no other action.
      expect(codesOf(bench.tick([0, 0], { prediction }))).toEqual(codes);
      return codes;
    };
    expect(act(0.2)).toEqual([]);
    expect(act(0.2)).toEqual([]);
    // (0.2 + 0.2 + 0.8) / 3 = 0.4
    expect(act(0.8)).toEqual([]);
    // (0.2 + 0.8 + 0.19) / 3 < 0.4
    expect(act(0.19)).toEqual(['unsure']);
    expect(bench.guard.latched).toBeNull();
    // It goes on by itself: (0.8 + 0.19 + 0.9) / 3 = 0.63; another instruction begins anew.
    expect(act(0.9)).toEqual([]);
    expect(act(0.15, 2)).toEqual([]);
    expect(act(0.15, 2)).toEqual([]);
    expect(act(0.15, 2)).toEqual(['unsure']);
    // Where no model answered, nobody is unsure.
    const scripted = { observationStampNs: bench.nowNs, confidence: 0.15, episode: 2 };
    expect(codesOf(bench.tick([0, 0], { prediction: scripted }))).toEqual([]);
    expect(act(0.15, 2)).toEqual([]);
  });

  it('on a tick that is 101 ms late, and moves no further than one watchdog time', () => {
    const bench = new Bench();
    bench.run([1.5, 0], 1);
    const [before, speed] = [bench.position[0]!, bench.velocity[0]!];
    const verdict = bench.tick([1.5, 0], {}, 5000n * MS);
    expect(verdict.reasons).toEqual([
      {
        code: 'tickGap',
        message:
          'No control tick for 5.000 s, the watchdog allows 0.100 s: the computer was too busy.',
      },
    ]);
    // Braking at 2 rad/s² for 0.1 s.
    expect(bench.position[0]).toBeCloseTo(before + (speed - 0.2) * 0.1, 9);
  });

  it('accepts a late observation within its age and readings in another order', () => {
    const bench = new Bench({}, [0.1, 0.2]);
    const verdict = bench.tick([0.1, 0.2], {
      ...late(799n),
      ...joints({ names: ['gripper', 'j2', 'j1'], position: [NaN, 0.2, 0.1] }),
    });
    expect(verdict.outcome).toBe('pass');
  });

  it('on a chunk of 8 steps of 0.2 s only when the last one is over and rested on', () => {
    const bench = new Bench();
    const chunk = { stepPeriodNs: 200n * MS, steps: Array.from({ length: 8 }, () => ({})) };
    const observationStampNs = bench.nowNs;
    for (let ms = 20n; ms <= 1800n; ms += 20n)
      expect(
        bench.tick([0, 0], { prediction: { observationStampNs, confidence: 1, chunk } }).outcome,
      ).toBe('pass');
    const late = bench.tick([0, 0], { prediction: { observationStampNs, confidence: 1, chunk } });
    expect(late.reasons).toEqual([
      {
        code: 'observationStale',
        message: 'The policy acts on an observation 1.820 s old, 1.800 s is allowed.',
      },
    ]);
  });

  it.each([[0.06], [-0.06], [NaN]])(
    'does not take over an arm that reports %d rad/s, and takes over one at 0.05 rad/s',
    (speed) => {
      const guard = new Guard(jointConfig(arm, limits), arm, null);
      const input = jointInput(arm.jointNames, [0, 0], [0, 0], 0n);
      const moving = { ...input, joints: { ...input.joints!, velocity: [0, speed] } };
      expect(guard.activate(0n, moving)).toEqual({
        code: 'stillMoving',
        message: 'The arm reports that it still moves.',
      });
      const resting = { ...input, joints: { ...input.joints!, velocity: [0.05, -0.05] } };
      expect(guard.activate(0n, resting)).toBeNull();
    },
  );

  it('on effort above the description’s limit where the configuration names none, or a higher one', () => {
    // The planar arm's URDF says 100 N·m.
    for (const effort of [undefined, 150]) {
      const own = { lower: -2, upper: 2, velocity: 1, acceleration: 2, jerk: 20 };
      const config = jointConfig(arm, effort === undefined ? own : { ...own, effort });
      const guard = new Guard(config, arm, null);
      const input = jointInput(arm.jointNames, [0, 0], [0, 0], 0n);
      const pushing = (newtonMetres: number): GuardInput => ({
        ...input,
        joints: { ...input.joints!, effort: [0, newtonMetres] },
      });
      guard.activate(0n, input);
      expect(guard.guard(pushing(-100)).outcome).toBe('pass');
      expect(guard.guard(pushing(-101)).reasons).toEqual([
        { code: 'effortLimit', message: 'Joint j2 pushes with 101.0 N·m, the limit is 100 N·m.' },
      ]);
    }
  });

  it('is not re-armed while the arm reports that it moves', () => {
    const bench = new Bench();
    bench.tick([NaN, 0]);
    const { joints: seen } = bench.input([0, 0]);
    bench.tick([0, 0], {
      joints: { ...seen!, stampNs: bench.nowNs + TICK, velocity: [0, 0.3] },
    });
    expect(bench.guard.rearm(bench.nowNs)?.code).toBe('stillMoving');
    expect(bench.guard.latched).not.toBeNull();
    bench.tick([0, 0]);
    expect(bench.guard.rearm(bench.nowNs)).toBeNull();
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
