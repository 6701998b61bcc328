import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Tick } from '../../src/control/loop.js';
import { InstructionServer } from '../../src/node/instructionServer.js';
import type { ActionPrediction, Reason, TracePrediction } from '../../src/types.js';
import { FakeNode } from './fakeNode.js';

const duration = (sec: number, nanosec = 0) => ({ sec, nanosec });
const goalFor = (instruction: string, limit = duration(0)) => ({ instruction, time_limit: limit });

/** Constants of the action. */
const outcome = { succeeded: 0, failed: 1, timeLimit: 2, canceled: 3, preempted: 4, stopped: 5 };

let fake: FakeNode;
let server: InstructionServer;
let now: number;
let episode: number;
let calls: string[];
let refusal: string | null;
let latched: Reason | null;
let isActive: boolean;
let speed: number;
let joint: number;

/** A tick of an arm of one joint, commanded and reported to move at `speed`. */
function tick(): Tick {
  const nowNs = BigInt(Math.round(now * 1e9));
  const command = { kind: 'joint', names: ['j'], position: [joint], velocity: [speed], nowNs };
  const joints = { stampNs: nowNs, names: ['j'], position: [joint], velocity: null, effort: null };
  return {
    ...{ nowNs, stampNs: nowNs, prediction: null, sent: true },
    target: { kind: 'rest', because: 'waiting for an action', gripper: null },
    verdict: { outcome: 'limited', reasons: [{ code: 'rest', message: 'rests' }], command },
    measured: { joints, jointsReceivedNs: nowNs, endEffector: null, endEffectorReceivedNs: null },
  } as unknown as Tick;
}

/** Time goes on as the server's own timer would have it: every 50 ms. */
function wait(seconds: number): void {
  for (let left = Math.round(seconds / 0.05); left > 0; left--) {
    now += 0.05;
    joint += speed * 0.05;
    server.check();
  }
}

beforeEach(() => {
  fake = new FakeNode();
  now = 100;
  episode = 7;
  calls = [];
  [refusal, latched, isActive, speed, joint] = [null, null, true, 0, 0.3];
  server = new InstructionServer(fake.node, {
    refusal: () => refusal,
    begin: (instruction) => {
      calls.push(`begin ${instruction}`);
      return ++episode;
    },
    end: (because) => void calls.push(`end: ${because}`),
    latched: () => latched,
    isActive: () => isActive,
    tick: () => (isActive ? tick() : null),
    now: () => ({ nowNs: BigInt(Math.round(now * 1e9)), stampNs: 5n }),
    config: { timeLimit: 60, outcome: { topic: '/outcome' } },
  });
});

afterEach(() => server.dispose());

const say = (data: string): void => fake.hear('~/instruction', { data });
const judge = (data: string): void => fake.hear('/outcome', { data });

describe('a goal', () => {
  test('begins an episode, and is told 5 times a second', () => {
    const goal = fake.sendGoal(goalFor(' pick up the red block '))!;
    expect(calls).toEqual(['begin pick up the red block']);
    wait(2);
    expect(goal.ended).toBeNull();
    expect(goal.feedbacks.length).toBeGreaterThanOrEqual(9);
    expect(goal.feedbacks.length).toBeLessThanOrEqual(11);
    expect(goal.feedbacks.at(-1)).toMatchObject({
      time_limit: { sec: 60, nanosec: 0 },
      outcome: 1,
      message: 'waiting for an action',
      actions: 0,
      confidence: NaN,
      traces: { mark_ids: [], trace_ids: [] },
    });
  });

  test('succeeds on the judge’s word, answered when the arm rests', () => {
    const goal = fake.sendGoal(goalFor('pick'))!;
    speed = 0.5;
    wait(1);
    judge('running');
    judge('success');
    wait(1);
    // Still moving: decided, not answered.
    expect(goal.ended).toBeNull();
    expect(calls.at(-1)).toBe('end: judged done');
    speed = 0;
    wait(0.5);
    expect(goal.ended).toMatchObject({
      status: 'succeeded',
      result: { outcome: outcome.succeeded, code: 'success', elapsed: { sec: 1, nanosec: 0 } },
    });
  });

  test('is answered although the arm never rests, after 5 s', () => {
    const goal = fake.sendGoal(goalFor('pick'))!;
    speed = 0.5;
    judge('success');
    wait(4.9);
    expect(goal.ended).toBeNull();
    wait(0.2);
    expect(goal.ended).toMatchObject({ status: 'succeeded' });
  });

  test.each([
    ['wrongObject', 'judged failed: wrongObject'],
    ['', 'judged failed: without a reason'],
    ['x'.repeat(5000), `judged failed: ${'x'.repeat(300)}`],
  ])('fails on any other word of the judge (%#)', (verdict, message) => {
    const goal = fake.sendGoal(goalFor('pick'))!;
    judge(verdict);
    wait(1);
    expect(goal.ended).toMatchObject({
      status: 'aborted',
      result: { outcome: outcome.failed, code: 'judgedFailed', message },
    });
  });

  test('is not judged by what came before it', () => {
    judge('success');
    const goal = fake.sendGoal(goalFor('pick'))!;
    wait(1);
    expect(goal.ended).toBeNull();
    // Said again after it began, it counts.
    judge('success');
    wait(1);
    expect(goal.ended).toMatchObject({ status: 'succeeded' });
  });

  test('the first verdict stands', () => {
    const goal = fake.sendGoal(goalFor('pick'))!;
    judge('success');
    judge('wrongObject');
    wait(1);
    expect(goal.ended).toMatchObject({ status: 'succeeded' });
  });

  test('ends at its own time limit, else at robot.yaml’s', () => {
    const short = fake.sendGoal(goalFor('pick', duration(2, 500_000_000)))!;
    wait(2.45);
    expect(short.ended).toBeNull();
    wait(0.5);
    expect(short.ended).toMatchObject({
      status: 'aborted',
      result: { outcome: outcome.timeLimit, code: 'timeLimit' },
    });
    const long = fake.sendGoal(goalFor('pick'))!;
    wait(59);
    expect(long.ended).toBeNull();
    wait(2);
    expect(long.ended).toMatchObject({ result: { outcome: outcome.timeLimit } });
  });

  test('counts what was played and what was not, of its own episode', () => {
    const goal = fake.sendGoal(goalFor('pick'))!;
    const seen = { episode, images: { front: { frameId: 'optical' } } };
    const answers = server.observer;
    const at = { nowNs: 0n, stampNs: 0n };
    const action = (confidence: number) =>
      ({ ok: true, value: { confidence } as ActionPrediction }) as const;
    const request = (e: number) =>
      ({ observation: { ...seen, episode: e }, requestedNs: 0n }) as never;
    answers.onAction?.(action(0.5), request(episode), null, at);
    answers.onAction?.(action(0.9), request(episode), null, at);
    answers.onAction?.(action(0.1), request(episode), { code: 'late', message: 'late' }, at);
    answers.onAction?.(
      { ok: false, refusal: { kind: 'deadline', message: '' } },
      request(episode),
      { code: 'deadline', message: '' },
      at,
    );
    answers.onAction?.(action(0.2), request(episode - 1), null, at);
    const traces: TracePrediction = {
      ...{ observationStampNs: 9n, episode, camera: 'front', stepPeriodNs: 200_000_000n },
      marks: [{ id: 3, at: { x: 1, y: 2 } }],
      ...{ traces: [], confidence: 0.7 },
      timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
    };
    answers.onTrace?.({ ok: true, value: traces }, seen as never, at);
    wait(0.2);
    expect(goal.feedbacks.at(-1)).toMatchObject({
      ...{ actions: 2, confidence: 0.9 },
      traces: { mark_ids: [3], mark_x: [1], camera: 'front', header: { frame_id: 'optical' } },
    });
    judge('success');
    wait(0.5);
    expect(goal.ended?.result).toMatchObject({ actions: 2, refusals: 2, mean_confidence: 0.7 });
  });
});

describe('a cancel', () => {
  test('is answered when the arm rests', () => {
    const goal = fake.sendGoal(goalFor('pick'))!;
    speed = 0.5;
    goal.requestCancel();
    wait(1);
    expect(goal.ended).toBeNull();
    expect(calls.at(-1)).toBe('end: canceled by the client');
    // The goal after it waits until then.
    expect(fake.refusalOf(goalFor('push'))).toContain('being canceled');
    say('push');
    expect(fake.logged.at(-1)).toContain('refused: a goal is being canceled');
    speed = 0;
    wait(0.5);
    expect(goal.ended).toMatchObject({
      status: 'canceled',
      result: { outcome: outcome.canceled, code: 'canceled' },
    });
    expect(fake.refusalOf(goalFor('push'))).toBeNull();
  });

  test('after the verdict does not change it', () => {
    const goal = fake.sendGoal(goalFor('pick'))!;
    judge('success');
    goal.requestCancel();
    wait(1);
    expect(goal.ended).toMatchObject({ status: 'succeeded' });
  });

  test('of a goal that has ended changes nothing', () => {
    const first = fake.sendGoal(goalFor('pick'))!;
    fake.sendGoal(goalFor('push'));
    first.requestCancel();
    expect(server.instruction).toBe('push');
  });
});

describe('a newer one', () => {
  test('goal ends the goal before it at once, without a rest between', () => {
    const first = fake.sendGoal(goalFor('pick'))!;
    const second = fake.sendGoal(goalFor('pick'))!;
    expect(first.ended).toMatchObject({
      status: 'aborted',
      result: { outcome: outcome.preempted, code: 'preempted' },
    });
    // The same text is a new episode: it is another goal.
    expect(calls).toEqual(['begin pick', 'begin pick']);
    expect(second.ended).toBeNull();
  });

  test('goal takes over from one that is judged and still moves; that one keeps its verdict', () => {
    const first = fake.sendGoal(goalFor('pick'))!;
    speed = 0.5;
    judge('success');
    fake.sendGoal(goalFor('push'));
    expect(first.ended).toMatchObject({ status: 'succeeded' });
    expect(server.instruction).toBe('push');
  });

  test('text on ~/instruction does too, and has no time limit', () => {
    const goal = fake.sendGoal(goalFor('pick'))!;
    say('push it');
    expect(goal.ended).toMatchObject({ result: { outcome: outcome.preempted } });
    judge('success');
    wait(500);
    expect(server.instruction).toBe('push it');
  });
});

describe('~/instruction', () => {
  test('said again is no new episode; empty is rest', () => {
    say('pick');
    say('pick');
    say(' pick ');
    expect(calls).toEqual(['begin pick']);
    say('');
    expect(calls.at(-1)).toContain('rest');
    expect(server.instruction).toBeNull();
    say('pick');
    expect(calls.filter((call) => call === 'begin pick')).toHaveLength(2);
  });

  test('empty ends a goal', () => {
    const goal = fake.sendGoal(goalFor('pick'))!;
    say('');
    expect(goal.ended).toMatchObject({ result: { outcome: outcome.preempted, code: 'rest' } });
  });

  test('a publisher that goes on saying what a goal has ended does not end the goal', () => {
    say('pick');
    const goal = fake.sendGoal(goalFor('push'))!;
    say('pick');
    say('pick');
    expect(goal.ended).toBeNull();
    expect(fake.logged.filter((line) => line.includes('repeats "pick"'))).toHaveLength(1);
    say('stack');
    expect(goal.ended).not.toBeNull();
  });

  test('a publisher that goes on does not begin again after a stop', () => {
    say('pick');
    latched = { code: 'operatorStop', message: 'stopped by hand' };
    wait(0.1);
    latched = null;
    say('pick');
    expect(server.instruction).toBeNull();
    say('');
    say('pick');
    expect(server.instruction).toBe('pick');
  });

  test('after a deactivation the same text begins again', () => {
    say('pick');
    server.stop('the node was deactivated');
    say('pick');
    expect(calls.filter((call) => call === 'begin pick')).toHaveLength(2);
  });

  test('refused, it is not taken for said', () => {
    refusal = 'the node is inactive; activate it first';
    say('pick');
    expect(calls).toEqual([]);
    expect(fake.logged.at(-1)).toBe(
      'warn: ~/instruction: refused: the node is inactive; activate it first',
    );
    refusal = null;
    say('pick');
    expect(calls).toEqual(['begin pick']);
  });
});

describe('what is not begun', () => {
  test.each([
    ['an empty instruction', goalFor('  '), 'empty'],
    ['one that is too long', goalFor('x'.repeat(1001)), '1001 characters'],
    ['a negative time limit', goalFor('pick', duration(-1)), 'time_limit'],
  ])('%s', (_, request, why) => {
    expect(fake.refusalOf(request)).toContain(why);
    expect(calls).toEqual([]);
  });

  test('anything while the node says no', () => {
    refusal = 'the node is inactive; activate it first';
    expect(fake.sendGoal(goalFor('pick'))).toBeNull();
    expect(fake.refusalOf(goalFor('pick'))).toBe(refusal);
  });
});

describe('a stop', () => {
  test('that latches ends the goal at once, with the reason', () => {
    const goal = fake.sendGoal(goalFor('pick'))!;
    speed = 0.5;
    latched = { code: 'trackingError', message: 'The arm is not where it was commanded to be.' };
    wait(0.05);
    expect(goal.ended).toMatchObject({
      status: 'aborted',
      result: { outcome: outcome.stopped, ...latched },
    });
    expect(calls.at(-1)).toBe(`end: ${latched.message}`);
  });

  test('while a verdict waits for rest answers it as it was decided', () => {
    const goal = fake.sendGoal(goalFor('pick'))!;
    speed = 0.5;
    judge('success');
    latched = { code: 'operatorStop', message: 'by hand' };
    wait(0.05);
    expect(goal.ended).toMatchObject({ status: 'succeeded' });
  });

  test('deactivation ends it, by word or when control is gone', () => {
    const first = fake.sendGoal(goalFor('pick'))!;
    server.stop('the node was deactivated');
    expect(first.ended).toMatchObject({
      result: { outcome: outcome.stopped, message: 'the node was deactivated' },
    });
    const second = fake.sendGoal(goalFor('pick'))!;
    isActive = false;
    wait(0.05);
    expect(second.ended).toMatchObject({ result: { outcome: outcome.stopped } });
  });

  test('a beginning that throws ends the goal and leaves nothing running', () => {
    const other = new FakeNode();
    const broken = new InstructionServer(other.node, {
      ...{ refusal: () => null, latched: () => null, isActive: () => true, tick: () => null },
      begin: () => {
        throw new Error('no such episode');
      },
      end: () => undefined,
      now: () => ({ nowNs: 0n, stampNs: 0n }),
      config: { timeLimit: 60 },
    });
    const goal = other.sendGoal(goalFor('pick'))!;
    expect(goal.ended).toMatchObject({
      status: 'aborted',
      result: { outcome: outcome.stopped, message: 'no such episode' },
    });
    expect(broken.instruction).toBeNull();
    broken.dispose();
  });
});
