import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { InstructionServer } from '../../src/node/instructionServer.js';
import type { ActionPrediction, TracePrediction } from '../../src/types.js';
import { FakeNode } from './fakeNode.js';
import { duration, goalFor, InstructionBench, notAtRest, outcome } from './instructionBench.js';

let bench: InstructionBench;
beforeEach(() => void (bench = new InstructionBench()));
afterEach(() => bench.server.dispose());

describe('a goal', () => {
  test('begins an episode, and is told 5 times a second', () => {
    const goal = bench.fake.sendGoal(goalFor(' pick up the red block '))!;
    expect(bench.calls).toEqual(['begin pick up the red block']);
    bench.wait(2);
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
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.speed = 0.5;
    bench.wait(1);
    bench.judge('running');
    bench.judge('success');
    bench.wait(1);
    // Still moving: decided, not answered.
    expect(goal.ended).toBeNull();
    expect(bench.calls.at(-1)).toBe('end: judged done');
    bench.speed = 0;
    bench.wait(0.5);
    expect(goal.ended).toMatchObject({
      status: 'succeeded',
      result: { outcome: outcome.succeeded, code: 'success', elapsed: { sec: 1, nanosec: 0 } },
    });
  });

  test('whose arm is not seen to rest has not succeeded: said after 5 s', () => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.speed = 0.5;
    bench.judge('success');
    bench.wait(4.9);
    expect(goal.ended).toBeNull();
    bench.wait(0.2);
    expect(goal.ended).toMatchObject({ status: 'aborted', result: notAtRest('judged done') });
  });

  test('whose control ended at rest is answered as decided, and only then', () => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.speed = 0.5;
    bench.judge('success');
    bench.wait(0.5);
    [bench.isActive, bench.isRestless] = [false, true];
    bench.wait(1);
    expect(goal.ended).toBeNull();
    bench.isRestless = false;
    bench.wait(0.05);
    expect(goal.ended).toMatchObject({ status: 'succeeded' });
  });

  test('whose control ended without rest being seen has not succeeded', () => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.judge('success');
    [bench.isActive, bench.isRestless] = [false, true];
    bench.wait(4.9);
    expect(goal.ended).toBeNull();
    bench.wait(0.2);
    expect(goal.ended).toMatchObject({ status: 'aborted', result: notAtRest('judged done') });
  });

  test.each([
    ['wrongObject', 'judged failed: wrongObject'],
    ['', 'judged failed: without a reason'],
    ['x'.repeat(5000), `judged failed: ${'x'.repeat(300)}`],
  ])('fails on any other word of the judge (%#)', (verdict, message) => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.judge(verdict);
    bench.wait(1);
    expect(goal.ended).toMatchObject({
      status: 'aborted',
      result: { outcome: outcome.failed, code: 'judgedFailed', message },
    });
  });

  test('is not judged by what came before it', () => {
    bench.judge('success');
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.wait(1);
    expect(goal.ended).toBeNull();
    // Said again after it began, it counts.
    bench.judge('success');
    bench.wait(1);
    expect(goal.ended).toMatchObject({ status: 'succeeded' });
  });

  test('the first verdict stands', () => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.judge('success');
    bench.judge('wrongObject');
    bench.wait(1);
    expect(goal.ended).toMatchObject({ status: 'succeeded' });
  });

  test('ends at its own time limit, else at robot.yaml’s', () => {
    const short = bench.fake.sendGoal(goalFor('pick', duration(2, 500_000_000)))!;
    bench.wait(2.45);
    expect(short.ended).toBeNull();
    bench.wait(0.5);
    expect(short.ended).toMatchObject({
      status: 'aborted',
      result: { outcome: outcome.timeLimit, code: 'timeLimit' },
    });
    const long = bench.fake.sendGoal(goalFor('pick'))!;
    bench.wait(59);
    expect(long.ended).toBeNull();
    bench.wait(2);
    expect(long.ended).toMatchObject({ result: { outcome: outcome.timeLimit } });
  });

  test('counts what was played and what was not, of its own episode', () => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    const { episode } = bench;
    const seen = { episode, images: { front: { frameId: 'optical' } } };
    const answers = bench.server.observer;
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
    bench.wait(0.2);
    expect(goal.feedbacks.at(-1)).toMatchObject({
      ...{ actions: 2, confidence: 0.9 },
      traces: { mark_ids: [3], mark_x: [1], camera: 'front', header: { frame_id: 'optical' } },
    });
    bench.judge('success');
    bench.wait(0.5);
    expect(goal.ended?.result).toMatchObject({ actions: 2, refusals: 2, mean_confidence: 0.7 });
  });
});

describe('a cancel', () => {
  test('is answered when the arm rests', () => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.speed = 0.5;
    goal.requestCancel();
    bench.wait(1);
    expect(goal.ended).toBeNull();
    expect(bench.calls.at(-1)).toBe('end: canceled by the client');
    // The goal after it waits until then.
    expect(bench.fake.refusalOf(goalFor('push'))).toContain('being canceled');
    bench.say('push');
    expect(bench.fake.logged.at(-1)).toContain('refused: a goal is being canceled');
    bench.speed = 0;
    bench.wait(0.5);
    expect(goal.ended).toMatchObject({
      status: 'canceled',
      result: { outcome: outcome.canceled, code: 'canceled' },
    });
    expect(bench.fake.refusalOf(goalFor('push'))).toBeNull();
  });

  test.each(['moves on', 'ticks no more'])('is not answered as one where the arm %s', (how) => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.speed = 0.5;
    goal.requestCancel();
    [bench.isActive, bench.isRestless] = how === 'moves on' ? [true, false] : [false, true];
    bench.wait(5.1);
    expect(goal.ended).toMatchObject({
      status: 'aborted',
      result: notAtRest('canceled by the client'),
    });
  });

  test('after the verdict does not change it', () => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.judge('success');
    goal.requestCancel();
    bench.wait(1);
    expect(goal.ended).toMatchObject({ status: 'succeeded' });
  });

  test('of a goal that has ended changes nothing', () => {
    const first = bench.fake.sendGoal(goalFor('pick'))!;
    bench.fake.sendGoal(goalFor('push'));
    first.requestCancel();
    expect(bench.server.instruction).toBe('push');
  });
});

describe('a newer one', () => {
  test('goal ends the goal before it at once, without a rest between', () => {
    const first = bench.fake.sendGoal(goalFor('pick'))!;
    const second = bench.fake.sendGoal(goalFor('pick'))!;
    expect(first.ended).toMatchObject({
      status: 'aborted',
      result: { outcome: outcome.preempted, code: 'preempted' },
    });
    // The same text is a new episode: it is another goal.
    expect(bench.calls).toEqual(['begin pick', 'begin pick']);
    expect(second.ended).toBeNull();
  });

  test('goal takes over from one that is judged and still moves; that one keeps its verdict', () => {
    const first = bench.fake.sendGoal(goalFor('pick'))!;
    bench.speed = 0.5;
    bench.judge('success');
    bench.fake.sendGoal(goalFor('push'));
    expect(first.ended).toMatchObject({ status: 'succeeded' });
    expect(bench.server.instruction).toBe('push');
  });

  test('text on ~/instruction does too, and has no time limit', () => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.say('push it');
    expect(goal.ended).toMatchObject({ result: { outcome: outcome.preempted } });
    bench.judge('success');
    bench.wait(500);
    expect(bench.server.instruction).toBe('push it');
  });
});

describe('what is not begun', () => {
  test.each([
    ['an empty instruction', goalFor('  '), 'empty'],
    ['one that is too long', goalFor('x'.repeat(1001)), '1001 characters'],
    ['a negative time limit', goalFor('pick', duration(-1)), 'time_limit'],
  ])('%s', (_, request, why) => {
    expect(bench.fake.refusalOf(request)).toContain(why);
    expect(bench.calls).toEqual([]);
  });

  test('anything while the node says no', () => {
    bench.refusal = 'the node is inactive; activate it first';
    expect(bench.fake.sendGoal(goalFor('pick'))).toBeNull();
    expect(bench.fake.refusalOf(goalFor('pick'))).toBe(bench.refusal);
  });
});

describe('a stop', () => {
  test('that latches ends the goal at once, with the reason', () => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.speed = 0.5;
    bench.latched = {
      code: 'trackingError',
      message: 'The arm is not where it was commanded to be.',
    };
    bench.wait(0.05);
    expect(goal.ended).toMatchObject({
      status: 'aborted',
      result: { outcome: outcome.stopped, ...bench.latched },
    });
    expect(bench.calls.at(-1)).toBe(`end: ${bench.latched.message}`);
  });

  test.each(['latches', 'is the application’s'])(
    'that %s while a verdict waits leaves it as decided, answered at rest',
    (kind) => {
      const goal = bench.fake.sendGoal(goalFor('pick'))!;
      bench.speed = 0.5;
      bench.judge('success');
      if (kind === 'latches') bench.latched = { code: 'operatorStop', message: 'by hand' };
      else bench.server.stop('A person takes over.');
      bench.wait(1);
      expect(goal.ended).toBeNull();
      bench.speed = 0;
      bench.wait(0.5);
      expect(goal.ended).toMatchObject({ status: 'succeeded' });
    },
  );

  test.each([true, false])('for good answers what waits, restless: %s', (restless) => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    goal.requestCancel();
    [bench.isActive, bench.isRestless] = [false, restless];
    bench.server.dispose();
    expect(goal.ended).toMatchObject(
      restless
        ? { status: 'aborted', result: notAtRest('canceled by the client') }
        : { status: 'canceled', result: { outcome: outcome.canceled } },
    );
  });

  test('of control itself, which gives up, is a failure with its reason, answered at rest', () => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.speed = 0.5;
    bench.gaveUp = { code: 'gaveUp', message: 'gave up: emptyGrasp ×3' };
    bench.wait(0.1);
    expect(goal.ended).toBeNull();
    bench.speed = 0;
    bench.wait(1);
    expect(goal.ended).toMatchObject({
      status: 'aborted',
      result: { outcome: outcome.failed, code: 'gaveUp', message: 'gave up: emptyGrasp ×3' },
    });
    expect(bench.calls).toEqual(['begin pick', 'end: gave up: emptyGrasp ×3']);
  });

  test('deactivation ends it, by word or when control is gone', () => {
    const first = bench.fake.sendGoal(goalFor('pick'))!;
    bench.server.stop('the node was deactivated');
    expect(first.ended).toMatchObject({
      result: { outcome: outcome.stopped, message: 'the node was deactivated' },
    });
    const second = bench.fake.sendGoal(goalFor('pick'))!;
    bench.isActive = false;
    bench.wait(0.05);
    expect(second.ended).toMatchObject({ result: { outcome: outcome.stopped } });
  });

  test('a beginning that throws ends the goal and leaves nothing running', () => {
    const other = new FakeNode();
    const broken = new InstructionServer(other.node, {
      ...{ refusal: () => null, latched: () => null, isActive: () => true, tick: () => null },
      restless: () => false,
      gaveUp: () => null,
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
