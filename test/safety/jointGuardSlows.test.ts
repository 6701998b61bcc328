import { describe, expect, it } from '@jest/globals';
import { Guard } from '../../src/safety/guard.js';
import { arm, Bench, codesOf, limits, TICK } from './jointBench.js';
import { builtinArm, jointConfig, jointInput, planarPoints } from './robots.js';

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

  it('so that the tool keeps its speed where the same joint speed becomes a faster tool', () => {
    // Folded up, the tool is near the shoulder; unfolding while the shoulder turns takes it outwards.
    const bench = new Bench({ linearVelocity: 0.3 }, [-1.5, 1.95]);
    let [fastest, before] = [0, planarPoints(bench.position).at(-1)!];
    for (let tick = 0; tick < 200; tick++) {
      bench.tick([1.5, -1.5]);
      const after = planarPoints(bench.position).at(-1)!;
      fastest = Math.max(fastest, Math.hypot(after[0] - before[0], after[1] - before[1]) / 0.02);
      before = after;
    }
    expect(fastest).toBeGreaterThan(0.28);
    expect(fastest).toBeLessThanOrEqual(0.3 * 1.0001);
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
