import { describe, expect, it } from '@jest/globals';
import { Player } from '../../src/control/play.js';
import { poseAtRest } from '../../src/control/motion.js';
import * as quaternion from '../../src/math/quaternion.js';
import * as vec3 from '../../src/math/vec3.js';
import type { ActionChunk, Pose } from '../../src/types.js';
import { observationAt, prediction, without } from '../support/controlRobot.js';
import {
  MS,
  PERIOD,
  START,
  at,
  config,
  deltas,
  held,
  patient,
  poseOf,
  sending,
  step,
} from '../support/playing.js';

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
