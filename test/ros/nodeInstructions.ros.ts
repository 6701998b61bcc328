/** Tasks in words for the whole node: what the arm does, when each is answered, and with what. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Message } from './peer.js';
import { MOVING, OUTCOME, REST, Stage } from './stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
  await stage.startNode();
}, 180_000);
afterAll(async () => {
  await stage.stopNode();
  await stage.close();
});

const seconds = (d: { readonly sec: number; readonly nanosec: number }): number =>
  d.sec + d.nanosec / 1e9;

describe('ExecuteInstruction', () => {
  test('is told 5 times a second how it goes, and succeeds when the judge says so', async () => {
    const judged = await stage.peer.subscribe('/simulator/outcome', 'std_msgs/msg/String');
    // The model does not do every scene: of five, one at least.
    for (const seed of [700_000, 700_003, 700_006, 700_009, 700_012]) {
      const text = await stage.scene(seed);
      judged.clear();
      const said = stage.node.output.length;
      const goal = await stage.goal(text, 25);
      expect(goal.accepted).toBe(true);
      const { status, result } = await goal.result;
      const told: Message = goal.feedback.at(-1);
      const span = seconds(told.elapsed) - seconds(goal.feedback[0].elapsed);
      const rate = (goal.feedback.length - 1) / span;
      expect(rate).toBeGreaterThan(4.5);
      expect(rate).toBeLessThan(5.3);
      expect(seconds(result.elapsed)).toBeGreaterThan(span - 1);
      expect(told.actions).toBeGreaterThan(3);
      expect(told.confidence).toBeGreaterThan(0);
      expect(told.time_limit).toEqual({ sec: 25, nanosec: 0 });
      if (result.outcome !== OUTCOME.succeeded) continue;
      expect(status).toBe('succeeded');
      expect(judged.messages.map(({ data }) => data as string)).toContain('success');
      expect(await stage.speedFrom(await stage.logged(/: judged done/, said))).toBeLessThan(REST);
      return;
    }
    throw new Error('none of five scenes succeeded');
  }, 240_000);

  test('cancel in mid-motion is answered when the arm rests', async () => {
    const goal = await stage.goal(await stage.scene(700_001));
    await stage.moving(0.6);
    const said = stage.node.output.length;
    const asked = Date.now();
    expect(await goal.cancel()).toBe(1);
    const { status, result } = await goal.result;
    const answered = await stage.logged(/: canceled by the client/, said);
    expect(await stage.speedFrom(answered)).toBeLessThan(REST);
    expect([status, result.outcome, result.code]).toEqual([
      'canceled',
      OUTCOME.canceled,
      'canceled',
    ]);
    expect(stage.restAfter(asked).fastest).toBeGreaterThan(MOVING);
    expect((await stage.watch(1000)).fastest).toBeLessThan(REST);
  }, 60_000);

  test('a newer goal ends the one before it, and its own text is what is done', async () => {
    await stage.scene(700_001);
    const first = await stage.goal('pick the red block');
    await stage.moving();
    const second = await stage.goal('pick the green block');
    expect(second.accepted).toBe(true);
    expect(await first.result).toMatchObject({
      ...{ status: 'aborted', result: { outcome: OUTCOME.preempted, code: 'preempted' } },
    });
    await stage.status.waitFor((s) => s.instruction === 'pick the green block', 2000);
    await stage.moving();
    await second.cancel();
    expect((await second.result).status).toBe('canceled');
  }, 60_000);

  test('time runs out: the arm is brought to rest, then it is answered', async () => {
    await stage.scene(700_001);
    // A block that is not there is not picked up.
    const said = stage.node.output.length;
    const goal = await stage.goal('push the purple block to the left', 1.5);
    const { status, result } = await goal.result;
    const answered = await stage.logged(/: not judged done within 1\.5 s/, said);
    expect(await stage.speedFrom(answered)).toBeLessThan(REST);
    expect([status, result.outcome, result.code]).toEqual([
      'aborted',
      OUTCOME.timeLimit,
      'timeLimit',
    ]);
    expect(seconds(result.elapsed)).toBeGreaterThanOrEqual(1.5);
    expect(seconds(result.elapsed)).toBeLessThan(1.7);
  }, 60_000);

  test('nothing to do, and less than no time to do it in, are refused', async () => {
    expect((await stage.goal('')).accepted).toBe(false);
    expect((await stage.goal('  \n')).accepted).toBe(false);
    expect((await stage.goal('pick the red block', -1)).accepted).toBe(false);
    expect((await stage.goal('x'.repeat(1001))).accepted).toBe(false);
    expect((await stage.watch(500)).fastest).toBeLessThan(REST);
  });

  test('an inactive node refuses', async () => {
    expect(await stage.change('deactivate')).toBe(true);
    expect((await stage.goal('pick the red block')).accepted).toBe(false);
    expect(await stage.change('activate')).toBe(true);
  }, 60_000);
});

test('a text on ~/instruction begins, an empty one rests; said again, it begins again', async () => {
  const text = await stage.scene(700_002);
  stage.forget();
  await stage.instruct(text);
  await stage.moving();
  await stage.status.waitFor((s) => s.instruction === text, 2000);
  const asked = Date.now();
  await stage.peer.publish(`${stage.name}/instruction`, 'std_msgs/msg/String', { data: '' });
  await stage.status.waitFor((s) => s.instruction === '' && s.state === 'holding', 5000);
  await stage.watch(700);
  // The text's way there, a soft stop, and watching it.
  expect(stage.restAfter(asked).seconds).toBeLessThan(0.6);
  expect((await stage.watch(1000)).fastest).toBeLessThan(REST);
  await stage.instruct(text);
  await stage.moving();
  await stage.instruct('');
}, 60_000);

test('a text that is repeated begins nothing by itself: not after a new activation, not after a takeover', async () => {
  const text = await stage.scene(700_002);
  const takenUpAgain = [
    async () => {
      expect(await stage.change('deactivate')).toBe(true);
      await stage.instruct(text);
      expect(await stage.change('activate')).toBe(true);
    },
    async () => {
      expect((await stage.takeover(true)).success).toBe(true);
      expect((await stage.takeover(false)).success).toBe(true);
    },
  ];
  for (const takeUpAgain of takenUpAgain) {
    await stage.instruct('');
    await stage.instruct(text);
    await stage.moving();
    await takeUpAgain();
    stage.forget();
    await stage.instruct(text);
    await stage.instruct(text);
    expect((await stage.watch(1000)).fastest).toBeLessThan(REST);
    const { instruction } = await stage.status.waitFor(() => true, 2000);
    expect(instruction).toBe('');
  }
}, 90_000);
