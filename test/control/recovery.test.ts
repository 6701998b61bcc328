import { describe, expect, it } from '@jest/globals';
import { forward } from '../../src/arm/kinematics.js';
import { type Config, parseConfig } from '../../src/config.js';
import { Aligner } from '../../src/control/align.js';
import { type Instant, nsFromSeconds } from '../../src/control/clock.js';
import { ControlLoop, type Tick } from '../../src/control/loop.js';
import { lockstepInstant, runLockstep } from '../../src/control/lockstep.js';
import type { RecoveryEvent } from '../../src/control/recovery.js';
import { Guard } from '../../src/safety/guard.js';
import { type GuardReason, reason } from '../../src/safety/reasons.js';
import type { ActionChunk, ActionPrediction, Answer, Observation, Vec3 } from '../../src/types.js';
import { FakeClock } from '../support/fakeClock.js';
import { prediction, testArm, testConfig } from '../support/controlRobot.js';
import { LaggingArm } from '../support/laggingArm.js';
import { ScriptedPolicy } from '../support/scriptedPolicy.js';

const RECOVERY = {
  ...{ retries: 2, smallestObject: 0.2, closingTime: 0.5, patience: 0.3, rise: 0.07, speed: 0.1 },
  noProgress: { after: 2, within: 0.06, turning: 0.5 },
};

/** s since the run began → what the policy asks for: m per step of 0.2 s, and the gripper. */
type Asking = (seconds: number) => { readonly by: Vec3; readonly gripper: number };

interface Options {
  readonly asking: Asking;
  readonly seconds?: number;
  readonly config?: Config;
  readonly recovery?: 'asConfigured' | 'off';
  /** Of a model's every answer; left out: none answers. */
  readonly confidence?: number;
  /** Before every tick. */
  readonly meddle?: (seconds: number, stage: Stage) => void;
  readonly holds?: (seconds: number) => readonly GuardReason[];
}

interface Stage {
  readonly robot: LaggingArm;
  readonly aligner: Aligner;
  readonly loop: ControlLoop;
  readonly events: readonly RecoveryEvent[];
}

async function run({
  asking,
  seconds = 12,
  config = testConfig({ recovery: RECOVERY }),
  recovery = 'asConfigured',
  confidence,
  meddle,
  holds,
}: Options) {
  const robot = new LaggingArm();
  const startNs = robot.stampNs;
  const since = ({ stampNs }: { readonly stampNs: bigint }): number =>
    Number(stampNs - startNs) / 1e9;
  const aligner = new Aligner({
    ...{ config, arm: testArm },
    nowNs: () => lockstepInstant(robot).nowNs,
  });
  const ticks: Tick[] = [];
  const events: (RecoveryEvent & { readonly time: number })[] = [];
  const refused = new Map<string, number[]>();
  const loop = new ControlLoop({
    ...{ config, arm: testArm, guard: new Guard(config, testArm, null), aligner, robot, recovery },
    observer: {
      onTick: (tick) => ticks.push(tick),
      onRecovery: (event, at) => events.push({ ...event, time: since(at) }),
    },
    holds: () => holds?.(since(robot)) ?? [],
  });
  await robot.start(aligner);
  aligner.onInstruction('pick it up');
  const policy = new ScriptedPolicy((observation) =>
    Promise.resolve(answerTo(observation, asking(since(observation)), confidence)),
  );
  const stage = { robot, aligner, loop, events };
  await runLockstep({
    ...{ robot, loop, policy, config, clock: new FakeClock() },
    maxTicks: seconds * config.control.rateHz,
    until: (at: Instant) => {
      meddle?.(since(at), stage);
      return null;
    },
    observer: {
      onAction: (_answer, { observation }, notPlayed) => {
        if (notPlayed)
          refused.set(notPlayed.code, [...(refused.get(notPlayed.code) ?? []), since(observation)]);
      },
    },
    restTime: 0,
  });
  const heightAt = (time: number): number => {
    const tick = ticks.findLast((t) => since(t) <= time)!;
    return tick.measured.endEffector!.pose.translation[2];
  };
  return { ...stage, ticks, events, refused, since, heightAt };
}

function answerTo(
  observation: Observation,
  { by, gripper }: ReturnType<Asking>,
  confidence: number | undefined,
): Answer<ActionPrediction> {
  const chunk: ActionChunk = {
    kind: 'endEffectorDelta',
    stepPeriodNs: nsFromSeconds(0.2),
    frameId: 'base',
    reference: 'observedPose',
    composition: 'base',
    steps: [{ translation: by, rotation: [0, 0, 0], gripper }],
  };
  const answer = prediction(observation, chunk, confidence);
  return { ok: true, value: confidence === undefined ? answer : { ...answer, tokens: [1] } };
}

/** Closes where it stands, and from 1 s on rises at 0.05 m/s, whatever is in its hand. */
const blindLift: Asking = (time) => ({ by: [0, 0, time < 1 ? 0 : 0.01], gripper: 0 });
/** To and fro, and nowhere. */
const dithering: Asking = (time) => ({
  by: [0.03 * Math.sign(Math.sin(8 * time)), 0, 0],
  gripper: 1,
});

const kinds = (events: readonly RecoveryEvent[]): readonly string[] =>
  events.map(({ kind, fault }) => `${kind} ${fault}`);

describe('an empty grasp', () => {
  it('is answered: rest, open, straight up by 7 cm; then the policy goes on', async () => {
    const { events, heightAt, ticks, since } = await run({ asking: blindLift, seconds: 5 });
    expect(kinds(events).slice(0, 2)).toEqual(['started emptyGrasp', 'ended emptyGrasp']);
    const [started, ended] = [events[0]!.time, events[1]!.time];
    // 3 cm at 0.05 m/s from 1 s on, and 0.3 s of patience; the arm follows with a lag.
    expect(started).toBeGreaterThan(1.8);
    expect(started).toBeLessThan(2.5);
    // It stands for 0.5 s, opens in 0.4 s, and climbs 0.07 m at 0.1 m/s.
    expect(heightAt(started + 0.49) - heightAt(started + 0.2)).toBeLessThan(2e-3);
    expect(ended - started).toBeGreaterThan(1.5);
    expect(ended - started).toBeLessThan(2);
    expect(heightAt(ended) - heightAt(started + 0.49)).toBeCloseTo(0.07, 2);
    const said = ticks.filter(({ verdict }) => verdict.command.gripper === 1).map(since);
    expect(said.every((time) => time >= started + 0.5)).toBe(true);
    expect(said.length).toBeGreaterThan(0);
  });

  it('again and again ends with a reason, and nothing moves any more', async () => {
    const { events, loop, heightAt, refused } = await run({ asking: blindLift, seconds: 25 });
    expect(kinds(events)).toEqual([
      ...['started emptyGrasp', 'ended emptyGrasp', 'started emptyGrasp', 'ended emptyGrasp'],
      'gaveUp emptyGrasp',
    ]);
    expect(loop.gaveUp).toEqual({
      code: 'gaveUp',
      message: 'gave up: emptyGrasp ×3 (the gripper closed on nothing)',
    });
    const end = events.at(-1)!.time;
    expect(heightAt(25) - heightAt(end + 0.3)).toBeCloseTo(0, 4);
    expect(refused.get('gaveUp')!.length).toBeGreaterThan(10);
  });

  it('plays nothing of the policy meanwhile, nor what it says of a picture from before the end', async () => {
    const { events, ticks, refused, since } = await run({ asking: blindLift, seconds: 6 });
    const [started, ended] = [events[0]!.time, events[1]!.time];
    const played = ticks.filter(
      (tick) => tick.prediction?.chunk.kind === 'endEffectorDelta' && since(tick) > started,
    );
    const first = played[0]!;
    expect(since(first)).toBeGreaterThan(ended);
    expect(since({ stampNs: first.prediction!.observationStampNs })).toBeGreaterThanOrEqual(ended);
    const late = refused.get('recovering')!.filter((time) => time >= ended && time < ended + 1);
    expect(late).toEqual([]);
  });

  it('opens where the workspace leaves no room to rise, and does not try to leave it', async () => {
    const base = testConfig({ recovery: RECOVERY });
    const top = forward(testArm, new LaggingArm().position).translation[2] + 0.06;
    const workspace = { min: base.guard.workspace.min, max: [1, 1, top] } as const;
    const config = { ...base, guard: { ...base.guard, workspace } };
    const { events, heightAt, ticks } = await run({ asking: blindLift, seconds: 6, config });
    expect(kinds(events).slice(0, 2)).toEqual(['started emptyGrasp', 'ended emptyGrasp']);
    expect(heightAt(events[1]!.time)).toBeLessThanOrEqual(top);
    expect(ticks.some(({ verdict }) => verdict.command.gripper === 1)).toBe(true);
  });
});

it('a lost grasp opens and rises too', async () => {
  const { events } = await run({
    asking: blindLift,
    seconds: 5,
    meddle: (time, { robot }) => (robot.between = time < 2 ? 0.5 : 0),
  });
  expect(kinds(events).slice(0, 2)).toEqual(['started lostGrasp', 'ended lostGrasp']);
});

describe('no progress', () => {
  it('rises with the gripper as it is', async () => {
    const { events, heightAt, ticks } = await run({ asking: dithering, seconds: 6 });
    expect(kinds(events).slice(0, 2)).toEqual(['started noProgress', 'ended noProgress']);
    expect(heightAt(events[1]!.time) - heightAt(events[0]!.time + 0.4)).toBeCloseTo(0.07, 2);
    expect(ticks.some(({ verdict }) => verdict.command.gripper === 0)).toBe(false);
  });

  it('with something in the gripper lets nothing go and pulls at nothing: it gives up', async () => {
    const { events, heightAt, ticks, loop } = await run({
      asking: (time) => ({ ...dithering(time), gripper: 0 }),
      seconds: 8,
      meddle: (_time, { robot }) => (robot.between = 0.5),
    });
    expect(kinds(events)).toEqual(['gaveUp noProgress']);
    expect(loop.gaveUp?.message).toBe(
      'gave up: noProgress ×1 (the arm gets nowhere with something in the gripper, which is kept)',
    );
    expect(heightAt(8) - heightAt(events[0]!.time)).toBeCloseTo(0, 3);
    expect(ticks.some(({ verdict }) => verdict.command.gripper === 1)).toBe(false);
  });

  it('of a policy that asks for nothing is rest by choice', async () => {
    const { events } = await run({ asking: () => ({ by: [0, 0, 0], gripper: 1 }), seconds: 15 });
    expect(events).toEqual([]);
  });
});

it('a policy that the guard finds unsure gets another look from above, and then control gives up', async () => {
  const base = testConfig({ recovery: RECOVERY });
  const config = { ...base, guard: { ...base.guard, unsure: { below: 0.5, over: 3 } } };
  const { events, loop, ticks, since } = await run({
    asking: (time) => ({ by: [0, 0, -0.01 * Math.cos(time)], gripper: 1 }),
    ...{ seconds: 12, config, confidence: 0.3 },
  });
  expect(kinds(events)).toEqual([
    ...['started unsure', 'ended unsure', 'started unsure', 'ended unsure', 'gaveUp unsure'],
  ]);
  // The third action, of the picture of 0.4 s, is the first that can be told unsure.
  expect(events[0]!.time).toBeGreaterThan(0.4);
  expect(events[0]!.time).toBeLessThan(0.8);
  expect(loop.gaveUp?.message).toBe('gave up: unsure ×3 (the policy is unsure)');
  const halted = ticks.filter(({ verdict }) => verdict.outcome === 'halt');
  expect(halted.map(since)).toHaveLength(3);
});

describe('nothing begins, or goes on,', () => {
  it('where the gripper is silent', async () => {
    const { events } = await run({
      asking: blindLift,
      meddle: (time, { robot }) => {
        if (time > 0.5) robot.silent.add('gripper');
      },
    });
    expect(events).toEqual([]);
  });

  it('when the gripper falls silent on the way: the motion is broken off', async () => {
    const { events, heightAt } = await run({
      asking: blindLift,
      seconds: 6,
      meddle: (_time, { robot, events: seen }) => {
        if (seen.length > 0) robot.silent.add('gripper');
      },
    });
    expect(kinds(events)).toEqual(['started emptyGrasp', 'ended emptyGrasp']);
    expect(events[1]!.message).toContain('not read any more');
    expect(heightAt(6) - heightAt(events[1]!.time + 0.3)).toBeCloseTo(0, 3);
  });

  it('after a new instruction: the motion ends at once, and the count begins anew', async () => {
    const { events, ticks, since } = await run({
      asking: (time) => (time < 3 ? blindLift(time) : { by: [0, 0, 0], gripper: 1 }),
      seconds: 8,
      meddle: (time, { aligner }) => {
        if (time > 3) aligner.onInstruction('something else');
      },
    });
    expect(kinds(events)).toEqual(['started emptyGrasp']);
    const scripted = ticks.filter((tick) => tick.prediction?.chunk.kind === 'endEffectorPose');
    expect(scripted.length).toBeGreaterThan(0);
    expect(scripted.every((tick) => since(tick) <= 3.04)).toBe(true);
  });

  it('where nothing is to be done any more, as after a cancel: who takes the object may have it', async () => {
    const { events } = await run({
      asking: blindLift,
      meddle: (time, { robot, aligner, loop }) => {
        robot.between = time < 3 ? 0.5 : 0;
        if (time < 2) return;
        aligner.beginEpisode(null, 'canceled');
        loop.stop('canceled');
      },
    });
    expect(events).toEqual([]);
  });

  it('after a hold: what is held up does not go on by itself', async () => {
    const hold = reason('notEnabled', 'Nobody enables motion.');
    const { events, ticks, since } = await run({
      asking: (time) => (time < 3.1 ? blindLift(time) : { by: [0, 0, 0], gripper: 0 }),
      seconds: 6,
      holds: (time) => (time > 3.1 && time < 3.5 ? [hold] : []),
    });
    expect(kinds(events)).toEqual(['started emptyGrasp']);
    const scripted = ticks.filter((tick) => tick.prediction?.chunk.kind === 'endEffectorPose');
    expect(scripted.length).toBeGreaterThan(0);
    expect(scripted.every((tick) => since(tick) <= 3.12)).toBe(true);
  });

  it('in a dry run, in which no arm follows', async () => {
    const config = testConfig({ recovery: RECOVERY, dryRun: true });
    expect((await run({ asking: blindLift, config })).events).toEqual([]);
  });
});

it('changes nothing, to the last bit, where nothing goes wrong or it is off', async () => {
  const reaching: Asking = (time) => ({ by: [0.02 * Math.cos(time), 0.02, 0], gripper: 1 });
  const commands = async (options: Omit<Options, 'asking'>): Promise<string> => {
    const { robot } = await run({ asking: reaching, seconds: 4, ...options });
    return JSON.stringify(robot.commands, (_key, value: unknown) =>
      typeof value === 'bigint' ? value.toString() : value,
    );
  };
  const plain = await commands({ config: testConfig(), recovery: 'off' });
  expect(await commands({})).toBe(plain);
  expect(await commands({ recovery: 'off' })).toBe(plain);
  expect(await commands({ config: testConfig() })).toBe(plain);
});

it('is refused for a robot whose gripper is not read', () => {
  const text = `
robot: r
cameras: {}
output: pose
control: { rateHz: 50, policyPeriod: 0.2 }
guard:
  { linearVelocity: 1, linearAcceleration: 1, linearJerk: 1, angularVelocity: 1, angularAcceleration: 1,
    angularJerk: 1, workspace: { min: [0, 0, 0], max: [1, 1, 1] }, maxStepTranslation: 1, maxStepRotation: 1,
    trackingError: 1 }
recovery: {}
`;
  expect(() => parseConfig(text, 'r.yaml')).toThrow('recovery only where a gripper is configured');
});
