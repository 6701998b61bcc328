import { describe, expect, it } from '@jest/globals';
import { forward } from '../../src/arm/kinematics.js';
import type { Config } from '../../src/config.js';
import { Aligner } from '../../src/control/align.js';
import type { Instant } from '../../src/control/clock.js';
import { ControlLoop } from '../../src/control/loop.js';
import * as quaternion from '../../src/math/quaternion.js';
import * as vec3 from '../../src/math/vec3.js';
import { Guard } from '../../src/safety/guard.js';
import type { ActionChunk, ArmCommand, Observation } from '../../src/types.js';
import {
  cartesianConfig,
  HOME,
  observationAt,
  prediction,
  testArm,
  testConfig,
} from '../support/controlRobot.js';
import { LaggingArm } from '../support/laggingArm.js';

const MS = 1_000_000n;
const PERIOD = 200n * MS;

/** A loop that has taken up the arm, ticked once. */
async function begin(config: Config, arm: typeof testArm | null = testArm) {
  const robot = new LaggingArm();
  const now = (): Instant => ({ nowNs: robot.stampNs, stampNs: robot.stampNs });
  const aligner = new Aligner({ config, arm, nowNs: () => robot.stampNs });
  const loop = new ControlLoop({
    config,
    arm,
    guard: new Guard(config, arm, null),
    aligner,
    robot,
  });
  await robot.start(aligner);
  aligner.onInstruction('move');
  const tick = () => {
    robot.step(20n * MS);
    if (!arm) {
      const pose = forward(testArm, HOME);
      aligner.onEndEffector({ stampNs: robot.stampNs, frameId: 'base', pose });
    }
    return loop.tick(now());
  };
  robot.step(20n * MS);
  if (!arm) {
    const pose = forward(testArm, HOME);
    aligner.onEndEffector({ stampNs: robot.stampNs, frameId: 'base', pose });
  }
  expect(loop.activate(now())).toBeNull();
  tick();
  const observe = (): Observation => {
    const observed = aligner.observe();
    if (!observed.ok) throw new Error(observed.reason.message);
    return observed.observation;
  };
  return { robot, loop, now, tick, observe };
}

function deltas(x: number, gripper = 1): ActionChunk {
  return {
    kind: 'endEffectorDelta',
    stepPeriodNs: PERIOD,
    frameId: 'base',
    reference: 'observedPose',
    composition: 'base',
    steps: [{ translation: [x, 0, 0], rotation: [0, 0, 0], gripper }],
  };
}

describe('answers', () => {
  it('that come after their deadline are dropped and counted: 1001 ms of 1000', async () => {
    const { loop, now, observe, tick } = await begin(testConfig());
    const observation = observe();
    const at = now();
    const late = { observation, requestedNs: at.nowNs - 1001n * MS };
    expect(
      loop.deliver({ ok: true, value: prediction(observation, deltas(0.02)) }, late, at),
    ).toEqual({
      code: 'deadline',
      message: 'an action came 1001 ms after its request; at most 1000 ms is accepted',
    });
    expect(loop.counts.get('deadline')).toBe(1);
    tick();
    expect(loop.last!.target.kind).toBe('rest');
    const just = { observation, requestedNs: at.nowNs - 1000n * MS };
    expect(
      loop.deliver({ ok: true, value: prediction(observation, deltas(0.02)) }, just, at),
    ).toBeNull();
  });

  it('are dropped in flight by a new instruction, and what is being played ends', async () => {
    const { loop, now, observe, tick } = await begin(testConfig());
    const observation = observe();
    const request = { observation, requestedNs: now().nowNs };
    loop.deliver({ ok: true, value: prediction(observation, deltas(0.02)) }, request, now());
    tick();
    expect(loop.last!.target.kind).toBe('joint');
    loop.aligner.onInstruction('something else');
    tick();
    expect(loop.last!.target).toEqual({
      kind: 'rest',
      because: 'new instruction: something else',
      gripper: null,
    });
    const reason = loop.deliver(
      { ok: true, value: prediction(observation, deltas(0.02)) },
      request,
      now(),
    );
    expect(reason?.code).toBe('staleEpisode');
  });
});

it('ends an action that the guard halts: the arm moves again with the next one only', async () => {
  const base = testConfig();
  const { loop, now, observe, tick } = await begin({
    ...base,
    guard: { ...base.guard, minConfidence: 0.5 },
  });
  const observation = observe();
  const request = { observation, requestedNs: now().nowNs };
  const unsure = prediction(observation, deltas(0.02), 0.3);
  expect(loop.deliver({ ok: true, value: unsure }, request, now())).toBeNull();
  expect(tick().outcome).toBe('halt');
  tick();
  expect(loop.last!.target).toEqual({
    kind: 'rest',
    because: "halted: The policy's confidence is 0.300, at least 0.5 is required",
    gripper: null,
  });
  const sure = prediction(observation, deltas(0.02), 0.8);
  expect(loop.deliver({ ok: true, value: sure }, request, now())).toBeNull();
  expect(tick().outcome).not.toBe('halt');
  expect(loop.last!.target.kind).toBe('joint');
});

it('is taken up again after a pause, even where the clock of the simulation began anew', async () => {
  const { loop, now, tick, robot } = await begin(testConfig());
  loop.deactivate(now());
  robot.jump(-9_000n * MS);
  loop.aligner.onReset('next scene');
  robot.step(20n * MS);
  expect(loop.activate(now())).toBeNull();
  expect(tick().outcome).toBe('limited');
  expect(loop.last!.verdict.reasons.map(({ code }) => code)).toEqual(['rest']);
  expect(loop.counts.size).toBe(0);
});

describe('joint actions', () => {
  const steps = [{ position: HOME.map((q) => q + 0.05), gripper: 1 }];
  const chunk: ActionChunk = {
    kind: 'jointPosition',
    stepPeriodNs: PERIOD,
    frameId: 'base',
    steps,
  };

  it('go to a robot driven by joints as they are', async () => {
    const { loop, now, observe, tick, robot } = await begin(testConfig());
    const observation = observe();
    const request = { observation, requestedNs: now().nowNs };
    expect(
      loop.deliver({ ok: true, value: prediction(observation, chunk) }, request, now()),
    ).toBeNull();
    for (let n = 0; n < 20; n++) tick();
    const last = robot.commands.at(-1)!;
    expect(last.kind).toBe('joint');
    if (last.kind !== 'joint') return;
    last.position.forEach((q, i) => expect(q).toBeCloseTo(HOME[i]! + 0.05, 3));
  });

  it('go to a robot driven by poses through forward kinematics', async () => {
    const config = testConfig({ output: 'pose' });
    const { loop, now, observe, tick } = await begin(config);
    const observation = observe();
    const request = { observation, requestedNs: now().nowNs };
    loop.deliver({ ok: true, value: prediction(observation, chunk) }, request, now());
    for (let n = 0; n < 10; n++) tick();
    const { target } = loop.last!;
    if (target.kind !== 'pose') throw new Error('expected a pose target');
    const goal = forward(
      testArm,
      HOME.map((q) => q + 0.05),
    );
    expect(vec3.distance(target.pose.translation, goal.translation)).toBeLessThan(1e-9);
  });
});

it('drops an action that leads out of reach, comes to rest, and says by how much', async () => {
  const { loop, now, observe, tick } = await begin(testConfig());
  const observation = observe();
  const request = { observation, requestedNs: now().nowNs };
  const far = { ...forward(testArm, HOME), translation: [1.5, 0, 0.5] as const };
  const chunk: ActionChunk = {
    kind: 'endEffectorPose',
    stepPeriodNs: PERIOD,
    frameId: 'base',
    steps: [{ pose: far, gripper: 1 }],
  };
  loop.deliver({ ok: true, value: prediction(observation, chunk) }, request, now());
  for (let n = 0; n < 10; n++) tick();
  expect(loop.counts).toEqual(new Map([['outOfReach', 1]]));
  const { target } = loop.last!;
  if (target.kind !== 'rest') throw new Error('expected rest');
  expect(target.because).toMatch(
    /^the target is out of the arm's reach by 0\.\d+ m and \d\.\d+ rad$/,
  );
});

describe('a robot without arm joints', () => {
  it('is driven by poses: a delta of 2 cm moves the commanded pose by 2 cm', async () => {
    const { loop, now, tick, robot, observe } = await begin(cartesianConfig(), null);
    const observation = observe();
    const request = { observation, requestedNs: now().nowNs };
    loop.deliver({ ok: true, value: prediction(observation, deltas(0.02)) }, request, now());
    for (let n = 0; n < 20; n++) tick();
    const last = robot.commands.at(-1)!;
    if (last.kind !== 'pose') throw new Error('expected a pose command');
    const start = forward(testArm, HOME);
    const expected = vec3.add(start.translation, [0.02, 0, 0]);
    expect(vec3.distance(last.pose.translation, expected)).toBeLessThan(1e-4);
    expect(quaternion.angleBetween(last.pose.rotation, start.rotation)).toBeLessThan(1e-6);
  });
});

describe('a halt', () => {
  it.each([
    ['stops what is not the arm’s motion too, before its command', false, ['hold', 'send']],
    ['does nothing in a dry run', true, []],
  ])('%s', async (_, dryRun, expected) => {
    const { robot, loop, tick } = await begin({ ...testConfig(), dryRun });
    const calls: string[] = [];
    const send = robot.send.bind(robot);
    Object.assign(robot, {
      hold: () => calls.push('hold'),
      send: (command: ArmCommand) => {
        calls.push('send');
        send(command);
      },
    });
    expect(tick().outcome).not.toBe('halt');
    expect(calls.splice(0)).toEqual(expected.slice(1));
    loop.deactivate({ nowNs: robot.stampNs, stampNs: robot.stampNs });
    expect(tick().outcome).toBe('halt');
    expect(calls).toEqual(expected);
  });
});

describe('every tick', () => {
  it('is told whole: target, verdict, prediction, measurement, whether it was sent', async () => {
    const { loop, now, observe, tick } = await begin(testConfig());
    const observation = observe();
    const answer = prediction(observation, deltas(0.02, 0));
    const request = { observation, requestedNs: now().nowNs };
    loop.deliver({ ok: true, value: answer }, request, now());
    const verdict = tick();
    expect(loop.last).toMatchObject({ ...now(), verdict, prediction: answer, sent: true });
    expect(loop.last!.measured.joints!.names).toHaveLength(6);
    expect(loop.last!.target).toMatchObject({ kind: 'joint', gripper: 0 });
  });
});

it('goes on from a measured pose where nothing has been commanded yet', () => {
  const config = cartesianConfig();
  const robot = new LaggingArm();
  const aligner = new Aligner({ config, arm: null, nowNs: () => 0n });
  const guard = new Guard(config, null, null);
  const loop = new ControlLoop({ config, arm: null, guard, aligner, robot });
  const seen = observationAt(0n, forward(testArm, HOME));
  const at = { nowNs: 0n, stampNs: 0n };
  const deliver = () =>
    loop.deliver(
      { ok: true, value: prediction(seen, deltas(0.02)) },
      { observation: seen, requestedNs: 0n },
      at,
    );
  expect(deliver()?.code).toBe('unknownPose');
  aligner.onEndEffector(seen.endEffector!);
  expect(deliver()).toBeNull();
});
