import { describe, expect, it } from '@jest/globals';
import { Player } from '../../src/control/play.js';
import * as quaternion from '../../src/math/quaternion.js';
import * as vec3 from '../../src/math/vec3.js';
import type { ActionChunk, Pose } from '../../src/types.js';
import { observationAt, prediction } from '../support/controlRobot.js';
import { MS, PERIOD, START, at, deltas, held, patient, sending, step } from '../support/playing.js';

interface Sample {
  readonly ns: bigint;
  readonly pose: Pose;
  readonly resting: boolean;
}

/**
 * A policy asked each time it is free and a period has passed, whose answers come `latency` after the observation and move
 * on by `chunk`. The arm follows exactly. Played for 4 s, sampled every `tick`.
 */
function run(latency: bigint, tick: bigint, chunk: ActionChunk, gapAfter = 20): Sample[] {
  const player = new Player(patient, []);
  const samples: Sample[] = [];
  let pose = START;
  let pending: ReturnType<typeof observationAt> | null = null;
  let [nextRequest, asked, passed] = [0n, 0, false];
  for (let now = 0n; now <= 4000n * MS; now += tick) {
    if (pending && now >= pending.stampNs + latency) {
      const commanded = { ...held(pose), passed };
      expect(player.play(prediction(pending, chunk), pending, at(now), commanded)).toBeNull();
      pending = null;
    }
    if (!pending && now >= nextRequest && asked < gapAfter) {
      pending = observationAt(now, pose);
      nextRequest = now + PERIOD;
      asked++;
    }
    const target = player.target(now);
    player.confirm(sending(target.gripper));
    passed = target.kind !== 'rest';
    if (target.kind === 'pose') pose = target.pose;
    samples.push({ ns: now, pose, resting: target.kind === 'rest' });
  }
  return samples;
}

/** Largest |Δp|/tick and |Δv| between ticks, linear and angular. */
function jumps(samples: readonly Sample[]): {
  speed: number;
  speedJump: number;
  turn: number;
  turnJump: number;
} {
  const worst = { speed: 0, speedJump: 0, turn: 0, turnJump: 0 };
  let before: { linear: readonly number[]; angular: readonly number[] } | null = null;
  for (let i = 1; i < samples.length; i++) {
    const [a, b] = [samples[i - 1]!, samples[i]!];
    const dt = Number(b.ns - a.ns) / 1e9;
    const linear = vec3.scale(vec3.sub(b.pose.translation, a.pose.translation), 1 / dt);
    const turned = quaternion.toRotationVector(
      quaternion.multiply(b.pose.rotation, quaternion.conjugate(a.pose.rotation)),
    );
    const angular = vec3.scale(turned, 1 / dt);
    worst.speed = Math.max(worst.speed, vec3.norm(linear));
    worst.turn = Math.max(worst.turn, vec3.norm(angular));
    if (before) {
      const jump = Math.hypot(...linear.map((v, k) => v - before!.linear[k]!));
      const turnJump = Math.hypot(...angular.map((v, k) => v - before!.angular[k]!));
      worst.speedJump = Math.max(worst.speedJump, jump);
      worst.turnJump = Math.max(worst.turnJump, turnJump);
    }
    before = { linear, angular };
  }
  return worst;
}

describe('continuity across chunks', () => {
  const cases = [
    { name: 'K = 1, latency 0.2 periods', latency: 40n * MS, steps: [step(0.02, 0.1)] },
    { name: 'K = 1, latency 1 period', latency: 200n * MS, steps: [step(0.02, 0.1)] },
    { name: 'K = 1, latency 5 periods', latency: 1000n * MS, steps: [step(0.02, 0.1)] },
    {
      name: 'K = 8, latency 0.2 periods',
      latency: 40n * MS,
      steps: Array.from({ length: 8 }, (_, k) => step(0.02 * Math.cos(k), 0.02)),
    },
    {
      name: 'K = 8, latency 1 period',
      latency: 200n * MS,
      steps: Array.from({ length: 8 }, (_, k) => step(0.02 * Math.cos(k), 0.02)),
    },
    {
      name: 'K = 8, latency 5 periods',
      latency: 1000n * MS,
      steps: Array.from({ length: 8 }, (_, k) => step(0.02 * Math.cos(k), 0.02)),
    },
  ];
  for (const { name, latency, steps } of cases) {
    for (const reference of ['observedPose', 'lastTarget'] as const) {
      it(`${name}, ${reference}: neither position nor velocity jumps`, () => {
        const coarse = run(latency, 20n * MS, deltas(reference, steps));
        const fine = run(latency, 1n * MS, deltas(reference, steps));
        // 0.02 m in 0.2 s from rest to rest peaks at 1.5 · 0.1 m/s; turning round between chunks at most twice that.
        expect(jumps(coarse).speed).toBeLessThan(0.3);
        expect(jumps(coarse).turn).toBeLessThan(1.5);
        // A blend of T s over d m at end speeds ≤ v accelerates by at most 6 d/T² + 6 v/T: 3 + 3·… < 12 m/s², so that
        // speed moves by < 0.24 m/s in 20 ms and by < 0.012 m/s in 1 ms. A jump would not shrink with the tick.
        expect(jumps(coarse).speedJump).toBeLessThan(0.24);
        expect(jumps(fine).speedJump).toBeLessThan(0.012);
        expect(jumps(coarse).turnJump).toBeLessThan(1.2);
        expect(jumps(fine).turnJump).toBeLessThan(0.06);
        expect(jumps(fine).speed).toBeGreaterThan(0.05);
      });
    }
  }

  it('is tested by a measure that sees a jump of 0.05 m/s', () => {
    const samples = run(40n * MS, 1n * MS, deltas('lastTarget', [step(0.02)]));
    const kinked = samples.map((sample, i) =>
      i < 500
        ? sample
        : {
            ...sample,
            pose: {
              ...sample.pose,
              translation: vec3.add(sample.pose.translation, [0, 5e-5 * (i - 499), 0]),
            },
          },
    );
    expect(jumps(kinked).speedJump).toBeGreaterThan(0.012);
  });

  it('flows from step to step when answers keep up, and does not stop in between', () => {
    const samples = run(40n * MS, 20n * MS, deltas('lastTarget', [step(0.02)]));
    const speeds = samples
      .slice(1)
      .map((b, i) => (b.pose.translation[0] - samples[i]!.pose.translation[0]) / 0.02)
      // From the third answer to the last: 0.1 m/s is the mean.
      .slice(30, 180);
    expect(Math.min(...speeds)).toBeGreaterThan(0.09);
    expect(Math.max(...speeds)).toBeLessThan(0.11);
  });

  it('comes to rest on the goal where answers do not keep up: K = 1 at 5 periods', () => {
    const samples = run(1000n * MS, 20n * MS, deltas('lastTarget', [step(0.02)]));
    const x = (ms: number): number => samples[ms / 20]!.pose.translation[0];
    expect(samples[980 / 20]!.resting).toBe(true);
    // First answer at 1.0 s: played over one period from then on, and held until the second, at 2.0 s.
    expect(x(1000)).toBe(0.4);
    expect(x(1100)).toBeCloseTo(0.41, 12);
    expect(x(1180)).toBeLessThan(0.42);
    expect(x(1200)).toBeCloseTo(0.42, 12);
    expect(samples[1220 / 20]!.resting).toBe(true);
    expect(x(2000)).toBeCloseTo(0.42, 12);
    expect(x(2200)).toBeCloseTo(0.44, 12);
  });

  it('swings back to the last goal and rests there when answers stop', () => {
    // The 5th and last answer comes at 840 ms and is played until 1040 ms at 0.1 m/s; then one period to settle.
    const samples = run(40n * MS, 20n * MS, deltas('lastTarget', [step(0.02)]), 5);
    const x = (ms: number): number => samples[ms / 20]!.pose.translation[0];
    expect(x(1040)).toBeCloseTo(0.5, 9);
    // A Hermite blend that starts with v and returns overshoots by 4/27 · v · T = 0.148 · 0.1 · 0.2 = 3 mm.
    expect(x(1100)).toBeGreaterThan(0.502);
    expect(Math.max(...samples.map(({ pose }) => pose.translation[0]))).toBeLessThan(0.503);
    expect(x(1240)).toBeCloseTo(0.5, 12);
    expect(samples[1260 / 20]!.resting).toBe(true);
  });
});
