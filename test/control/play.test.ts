import { describe, expect, it } from '@jest/globals';
import { type Commanded, Player } from '../../src/control/play.js';
import { poseAtRest } from '../../src/control/motion.js';
import * as quaternion from '../../src/math/quaternion.js';
import * as vec3 from '../../src/math/vec3.js';
import type {
  ActionChunk,
  ArmCommand,
  ArmTarget,
  EndEffectorDelta,
  Pose,
  Verdict,
} from '../../src/types.js';
import { cartesianConfig, observationAt, prediction, without } from '../support/controlRobot.js';

const MS = 1_000_000n;
const PERIOD = 200n * MS;
const START: Pose = { translation: [0.4, 0, 0.2], rotation: quaternion.identity };

const base = cartesianConfig();
const config = {
  ...base,
  gripper: { topic: '/g', joint: 'g', closed: 0, open: 1, hysteresis: 0.1 },
};
/** The same with patience for observations of 5 periods. */
const patient = { ...config, guard: { ...config.guard, maxObservationAge: 2 } };

function step(x: number, yaw = 0, gripper = 1): EndEffectorDelta {
  return { translation: [x, 0, 0], rotation: [0, 0, yaw], gripper };
}

function deltas(
  reference: 'lastTarget' | 'observedPose',
  steps: readonly EndEffectorDelta[],
  composition: 'base' | 'tool' = 'base',
): ActionChunk {
  return {
    kind: 'endEffectorDelta',
    stepPeriodNs: PERIOD,
    frameId: 'base',
    reference,
    composition,
    steps,
  };
}

/** Held here by the guard. */
function held(pose: Pose = START): Commanded {
  return { pose: poseAtRest(pose), joints: null, passed: false };
}

/** One clock for both: nowNs = stampNs. */
function at(ns: bigint): { nowNs: bigint; stampNs: bigint } {
  return { nowNs: ns, stampNs: ns };
}

function poseOf(target: ArmTarget): Pose {
  if (target.kind !== 'pose') throw new Error(`expected a pose, got ${JSON.stringify(target)}`);
  return target.pose;
}

/** What a guard that lets everything pass would say. */
function sending(gripper: number | null): Verdict {
  const command = { kind: 'twist', nowNs: 0n, gripper } as unknown as ArmCommand;
  return { outcome: 'pass', reasons: [], command };
}

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

describe('which step is played when', () => {
  const steps = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => step(0.01 * n));

  it('plays step k until stamp + (k + 1) · period: K = 8, observation 40 ms old', () => {
    const player = new Player(config, []);
    const seen = observationAt(0n, START);
    player.play(prediction(seen, deltas('observedPose', steps)), seen, at(40n * MS), held());
    const x = (ms: bigint): number => poseOf(player.target(ms * MS)).translation[0];
    expect(x(40n)).toBe(0.4);
    expect(x(200n)).toBeCloseTo(0.41, 12);
    expect(x(400n)).toBeCloseTo(0.43, 12);
    expect(x(1400n)).toBeCloseTo(0.68, 12);
    // Steps of 10, 20 … 80 mm: 0.36 m in all.
    expect(x(1600n)).toBeCloseTo(0.76, 12);
    player.confirm(sending(null));
    expect(player.target(1620n * MS)).toEqual({
      kind: 'rest',
      because: 'the last step is done and no newer action has come',
      gripper: null,
    });
  });

  it('skips elapsed steps but counts their deltas from the observed pose', () => {
    const player = new Player(config, []);
    const seen = observationAt(0n, START);
    // 410 ms old: steps 0 and 1 have elapsed, step 2 ends at 600 ms at 0.4 + 0.01 + 0.02 + 0.03.
    player.play(prediction(seen, deltas('observedPose', steps)), seen, at(410n * MS), held());
    expect(poseOf(player.target(600n * MS)).translation[0]).toBeCloseTo(0.46, 12);
  });

  it('leaves the deltas of elapsed steps out from the last target', () => {
    const player = new Player(config, []);
    const seen = observationAt(0n, START);
    player.play(prediction(seen, deltas('lastTarget', steps)), seen, at(410n * MS), held());
    expect(poseOf(player.target(600n * MS)).translation[0]).toBeCloseTo(0.43, 12);
  });

  it('does not race to a goal that is due at once: it goes for the one after', () => {
    const player = new Player(config, []);
    const seen = observationAt(0n, START);
    player.play(prediction(seen, deltas('observedPose', steps)), seen, at(199n * MS), held());
    expect(poseOf(player.target(200n * MS)).translation[0]).toBeLessThan(0.401);
    expect(poseOf(player.target(400n * MS)).translation[0]).toBeCloseTo(0.43, 12);
  });

  it('plays the last step in full, once, from now on when all else has elapsed', () => {
    const player = new Player(patient, []);
    const seen = observationAt(0n, START);
    player.play(prediction(seen, deltas('lastTarget', steps)), seen, at(1900n * MS), held());
    expect(poseOf(player.target(2000n * MS)).translation[0]).toBeCloseTo(0.44, 12);
    expect(poseOf(player.target(2100n * MS)).translation[0]).toBeCloseTo(0.48, 12);
    player.confirm(sending(null));
    expect(player.target(2120n * MS).kind).toBe('rest');
  });

  it('holds the last goal for an arm that lags behind, for one period at most', () => {
    const player = new Player(config, []);
    const seen = observationAt(0n, START);
    player.play(prediction(seen, deltas('lastTarget', [step(0.01)])), seen, at(0n), held());
    const limited = { ...sending(null), outcome: 'limited', reasons: [] } as const;
    for (const ms of [200n, 300n, 400n]) {
      expect(poseOf(player.target(ms * MS)).translation[0]).toBeCloseTo(0.41, 12);
      player.confirm(limited);
    }
    expect(player.target(401n * MS).kind).toBe('rest');
  });

  it('refuses an only step whose observation is as old as maxObservationAge, and rests', () => {
    const player = new Player(config, []);
    const seen = observationAt(0n, START);
    const chunk = deltas('lastTarget', [step(0.01)]);
    // maxObservationAge is 0.6 s by default.
    expect(player.play(prediction(seen, chunk), seen, at(599n * MS), held())).toBeNull();
    player.stop('again');
    expect(player.play(prediction(seen, chunk), seen, at(600n * MS), held())).toEqual({
      code: 'staleObservation',
      message: "the action's observation is 0.600 s old; at most 0.6 s is accepted",
    });
    expect(player.target(600n * MS)).toEqual({ kind: 'rest', because: 'again', gripper: null });
  });

  it('refuses an observation from the future', () => {
    const player = new Player(config, []);
    const seen = observationAt(100n * MS, START);
    const reason = player.play(
      prediction(seen, deltas('lastTarget', [step(0.01)])),
      seen,
      at(0n),
      held(),
    );
    expect(reason?.code).toBe('futureStamp');
  });
});

describe('what a delta is added to', () => {
  const turned: Pose = {
    translation: [0.4, 0, 0.2],
    rotation: quaternion.fromRotationVector([0, 0, Math.PI / 2]),
  };
  const chunkOf = (composition: 'base' | 'tool'): ActionChunk =>
    deltas(
      'observedPose',
      [{ translation: [0.1, 0, 0], rotation: [0.2, 0, 0], gripper: 1 }],
      composition,
    );
  const goalOf = (composition: 'base' | 'tool'): Pose => {
    const player = new Player(config, []);
    const seen = observationAt(0n, turned);
    player.play(prediction(seen, chunkOf(composition)), seen, at(0n), held(turned));
    return poseOf(player.target(200n * MS - 1n));
  };

  it('base: moves and turns about the axes of the base', () => {
    const goal = goalOf('base');
    expect(vec3.distance(goal.translation, [0.5, 0, 0.2])).toBeLessThan(1e-9);
    const expected = quaternion.multiply(
      quaternion.fromRotationVector([0.2, 0, 0]),
      turned.rotation,
    );
    expect(quaternion.angleBetween(goal.rotation, expected)).toBeLessThan(1e-9);
  });

  it('tool: moves and turns about the axes of the tool, x of which is y of the base here', () => {
    const goal = goalOf('tool');
    expect(vec3.distance(goal.translation, [0.4, 0.1, 0.2])).toBeLessThan(1e-9);
    const expected = quaternion.multiply(
      turned.rotation,
      quaternion.fromRotationVector([0.2, 0, 0]),
    );
    expect(quaternion.angleBetween(goal.rotation, expected)).toBeLessThan(1e-9);
  });

  it('last target: goals do not pile up where the guard did not let the arm follow', () => {
    const player = new Player(config, []);
    const chunk = deltas('lastTarget', [step(0.05)]);
    for (let n = 0n; n < 10n; n++) {
      const seen = observationAt(n * PERIOD, START);
      // The guard holds the arm at START: no target passes.
      player.play(prediction(seen, chunk), seen, at(n * PERIOD), held());
      player.target(n * PERIOD);
    }
    expect(poseOf(player.target(10n * PERIOD - 1n)).translation[0]).toBeLessThan(0.4501);
  });

  it('last target: what a limit left of a step is caught up, as long as it is little', () => {
    const reached = (short: number): number => {
      const player = new Player(config, []);
      const chunk = deltas('lastTarget', [step(0.05)]);
      const [first, second] = [observationAt(0n, START), observationAt(180n * MS, START)];
      player.play(prediction(first, chunk), first, at(0n), held());
      // The next action comes a tick early, when the guard has made the arm lag by so much.
      const translation = vec3.add(START.translation, [0.05 - short, 0, 0]);
      player.play(
        prediction(second, chunk),
        second,
        at(180n * MS),
        held({ ...START, translation }),
      );
      return poseOf(player.target(379n * MS)).translation[0] - START.translation[0];
    };
    expect(reached(0)).toBeCloseTo(0.1, 3);
    expect(reached(0.009)).toBeCloseTo(0.1, 3);
    expect(reached(0.011)).toBeCloseTo(0.089, 3);
  });

  it('goes on from the pose and the velocity that the guard commanded instead of the plan', () => {
    const player = new Player(config, []);
    const seen = observationAt(0n, START);
    player.play(prediction(seen, deltas('observedPose', [step(0.05)])), seen, at(0n), {
      pose: { ...poseAtRest(START), linear: [0, 0.1, 0] },
      joints: null,
      passed: false,
    });
    const after = poseOf(player.target(1n * MS)).translation;
    // 1 ms at 0.1 m/s in y; y returns to the goal's 0 at the end.
    expect(after[1]).toBeCloseTo(1e-4, 5);
    expect(poseOf(player.target(200n * MS - 1n)).translation[1]).toBeCloseTo(0, 9);
  });
});

describe('absolute chunks', () => {
  it('plays poses', () => {
    const player = new Player(config, []);
    const seen = observationAt(0n, START);
    const pose: Pose = { translation: [0.5, 0.1, 0.2], rotation: quaternion.identity };
    const chunk: ActionChunk = {
      kind: 'endEffectorPose',
      stepPeriodNs: PERIOD,
      frameId: 'base',
      steps: [{ pose, gripper: 0 }],
    };
    expect(player.play(prediction(seen, chunk), seen, at(0n), held())).toBeNull();
    expect(
      vec3.distance(poseOf(player.target(100n * MS)).translation, [0.45, 0.05, 0.2]),
    ).toBeLessThan(1e-9);
  });

  it('refuses poses in another frame, joints the arm does not have, and rotations that are none', () => {
    const player = new Player(config, []);
    const seen = observationAt(0n, START);
    const play = (chunk: ActionChunk): string | undefined =>
      player.play(prediction(seen, chunk), seen, at(0n), held())?.message;
    const poses = { kind: 'endEffectorPose', stepPeriodNs: PERIOD } as const;
    expect(play({ ...poses, frameId: 'camera', steps: [{ pose: START, gripper: 1 }] })).toBe(
      'the action is given in frame camera; the robot is driven in base',
    );
    expect(
      play({
        kind: 'jointPosition',
        stepPeriodNs: PERIOD,
        frameId: 'base',
        steps: [{ position: [1, 2], gripper: 1 }],
      }),
    ).toBe('the action moves 2 joints; the arm has 0');
    const none: Pose = { translation: [0.4, 0, 0.2], rotation: [0, 0, 0, 0] };
    expect(play({ ...poses, frameId: 'base', steps: [{ pose: none, gripper: 1 }] })).toContain(
      'a rotation that is none',
    );
  });

  it('refuses a chunk without steps and one that holds NaN', () => {
    const player = new Player(config, []);
    const seen = observationAt(0n, START);
    const play = (chunk: ActionChunk): string | undefined =>
      player.play(prediction(seen, chunk), seen, at(0n), held())?.code;
    expect(play(deltas('lastTarget', []))).toBe('malformedAction');
    expect(play(deltas('lastTarget', [step(0.01), step(NaN)]))).toBe('nonFiniteAction');
    expect(play(deltas('lastTarget', [step(0.01, 0, Infinity)]))).toBe('nonFiniteAction');
    expect(player.target(0n).kind).toBe('rest');
  });

  it.each<[string, ActionChunk]>([
    ['a step of 1.7e308 m', deltas('observedPose', [step(1.7e308)])],
    ['a turn of 1e300 rad', deltas('lastTarget', [step(0), step(0, 1e300)])],
    [
      'a pose 1e308 m away',
      {
        kind: 'endEffectorPose',
        stepPeriodNs: PERIOD,
        frameId: 'base',
        steps: [{ pose: { ...START, translation: [0, 1e308, 0] }, gripper: 1 }],
      },
    ],
    [
      'a joint at -1e301 rad',
      {
        kind: 'jointPosition',
        stepPeriodNs: PERIOD,
        frameId: 'base',
        steps: [{ position: [-1e301], gripper: 1 }],
      },
    ],
  ])('refuses %s, which is finite but of no arm', (_name, chunk) => {
    const player = new Player(config, []);
    const seen = observationAt(0n, START);
    expect(player.play(prediction(seen, chunk), seen, at(0n), held())?.code).toBe(
      'impossibleAction',
    );
  });

  it('refuses a chunk that spans more than 10 s', () => {
    const player = new Player(config, []);
    const seen = observationAt(0n, START);
    const chunk = (period: bigint): ActionChunk => ({
      ...deltas('lastTarget', [step(0.01), step(0.01)]),
      stepPeriodNs: period,
    });
    expect(player.play(prediction(seen, chunk(5001n * MS)), seen, at(0n), held())).toEqual({
      code: 'malformedAction',
      message: "the action's 2 steps span 10.002 s; at most 10 s is accepted",
    });
    expect(player.play(prediction(seen, chunk(5000n * MS)), seen, at(0n), held())).toBeNull();
  });

  it('refuses to go on from a pose that is none', () => {
    const chunk = deltas('observedPose', [step(0.01)]);
    const none: Pose = { translation: [NaN, 0, 0.2], rotation: quaternion.identity };
    const seen = observationAt(0n, none);
    const player = new Player(config, []);
    expect(player.play(prediction(seen, chunk), seen, at(0n), held())?.code).toBe('unknownPose');
    const fine = observationAt(0n, START);
    expect(player.play(prediction(fine, chunk), fine, at(0n), held(none))?.code).toBe(
      'unknownPose',
    );
  });
});

describe('the gripper', () => {
  const gripperAfter = (player: Player, opening: number, ms: bigint): number | null => {
    const seen = observationAt(ms * MS, START);
    const chunk = deltas('lastTarget', [step(0, 0, opening)]);
    player.play(prediction(seen, chunk), seen, at(ms * MS), held());
    return player.target(ms * MS).gripper;
  };

  it('is told where the opening crosses 0.5 ± 0.1, and only then', () => {
    const player = new Player(config, []);
    const told = [0.9, 0.55, 0.41, 0.39, 0.5, 0.59, 0.61].map((opening, i) => {
      const gripper = gripperAfter(player, opening, BigInt(i) * 200n);
      player.confirm(sending(gripper));
      return gripper;
    });
    expect(told).toEqual([1, null, null, 0, null, null, 1]);
    expect(player.gripper).toBe(1);
  });

  it('is told again until a command has carried it', () => {
    const player = new Player(config, []);
    expect(gripperAfter(player, 0, 0n)).toBe(0);
    player.confirm(sending(null));
    expect(player.target(20n * MS).gripper).toBe(0);
    player.confirm(sending(0));
    expect(player.target(40n * MS).gripper).toBeNull();
  });

  it('is told anew after a halt, which it did not outlive', () => {
    const player = new Player(config, []);
    player.confirm(sending(gripperAfter(player, 0, 0n)));
    expect(player.gripper).toBe(0);
    player.confirm({ ...sending(null), outcome: 'halt' });
    expect(player.gripper).toBeNull();
    // Neither open nor closed is wished for, until the opening says so.
    expect(gripperAfter(player, 0.5, 200n)).toBeNull();
    expect(gripperAfter(player, 0, 400n)).toBe(0);
  });

  it('is not told anything on a robot that has none', () => {
    expect(gripperAfter(new Player(without(config, 'gripper'), []), 0, 0n)).toBeNull();
  });
});
