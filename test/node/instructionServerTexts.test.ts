import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { goalFor, InstructionBench, outcome } from './instructionBench.js';

let bench: InstructionBench;
beforeEach(() => void (bench = new InstructionBench()));
afterEach(() => bench.server.dispose());

describe('~/instruction', () => {
  test('said again is no new episode; empty is rest', () => {
    bench.say('pick');
    bench.say('pick');
    bench.say(' pick ');
    expect(bench.calls).toEqual(['begin pick']);
    bench.say('');
    expect(bench.calls.at(-1)).toContain('rest');
    expect(bench.server.instruction).toBeNull();
    bench.say('pick');
    expect(bench.calls.filter((call) => call === 'begin pick')).toHaveLength(2);
  });

  test('empty ends a goal', () => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.say('');
    expect(goal.ended).toMatchObject({ result: { outcome: outcome.preempted, code: 'rest' } });
  });

  test('a publisher that goes on saying what a goal has ended does not end the goal', () => {
    bench.say('pick');
    const goal = bench.fake.sendGoal(goalFor('push'))!;
    bench.say('pick');
    bench.say('pick');
    expect(goal.ended).toBeNull();
    expect(bench.fake.logged.filter((line) => line.includes('repeats "pick"'))).toHaveLength(1);
    bench.say('stack');
    expect(goal.ended).not.toBeNull();
  });

  test('a publisher that goes on does not begin again after a stop', () => {
    bench.say('pick');
    bench.latched = { code: 'operatorStop', message: 'stopped by hand' };
    bench.wait(0.1);
    bench.latched = null;
    bench.say('pick');
    expect(bench.server.instruction).toBeNull();
    bench.say('');
    bench.say('pick');
    expect(bench.server.instruction).toBe('pick');
  });

  test.each(['push', ''])('what the application ended begins again only after "%s"', (between) => {
    bench.say('pick');
    bench.server.stop('the node was deactivated');
    bench.say('pick');
    bench.say('pick');
    bench.wait(1);
    expect(bench.calls).toEqual(['begin pick', 'end: the node was deactivated']);
    expect(bench.fake.logged.filter((line) => line.includes('repeats "pick"'))).toHaveLength(1);
    bench.say(between);
    bench.say('pick');
    expect(bench.server.instruction).toBe('pick');
  });

  test('a publisher that repeats what a goal did begins nothing when the goal has ended', () => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.say('pick');
    bench.judge('success');
    bench.wait(1);
    expect(goal.ended).toMatchObject({ status: 'succeeded' });
    bench.say('pick');
    expect(bench.server.instruction).toBeNull();
    expect(bench.calls).toEqual(['begin pick', 'end: judged done']);
  });

  test('empty is rest also where nothing runs, as on the way home', () => {
    bench.say('');
    expect(bench.calls).toEqual(['end: ~/instruction: empty, rest']);
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    bench.speed = 0.5;
    goal.requestCancel();
    bench.server.stop('the arm goes home');
    bench.say('');
    expect(bench.calls.slice(1)).toEqual([
      ...['begin pick', 'end: canceled by the client', 'end: ~/instruction: empty, rest'],
    ]);
    expect(goal.ended).toBeNull();
  });

  test('refused, it was said all the same', () => {
    bench.refusal = 'the node is inactive; activate it first';
    bench.say('pick');
    expect(bench.calls).toEqual([]);
    expect(bench.fake.logged.at(-1)).toBe(
      'warn: ~/instruction: refused: the node is inactive; activate it first',
    );
    bench.refusal = null;
    bench.say('pick');
    bench.say('pick');
    expect(bench.calls).toEqual([]);
    expect(bench.fake.logged.filter((line) => line.includes('repeats "pick"'))).toHaveLength(1);
    bench.say('');
    bench.say('pick');
    expect(bench.server.instruction).toBe('pick');
  });

  test('refused because a goal is being canceled, it does not begin by itself after that', () => {
    const goal = bench.fake.sendGoal(goalFor('pick'))!;
    goal.requestCancel();
    bench.say('push');
    bench.wait(1);
    expect(goal.ended).toMatchObject({ status: 'canceled' });
    bench.say('push');
    expect(bench.server.instruction).toBeNull();
  });
});
