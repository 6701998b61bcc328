/** What an operator can do: stop, re-arm, take over, send the arm home. Judged by what the arm does. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  farthest,
  JOINTS,
  MOVING,
  OUTCOME,
  pause,
  positions,
  REST,
  restsWithin,
  Stage,
  TRAJECTORY,
} from './stage.js';

const commandTopic = '/arm_controller/joint_trajectory';
const home = [0, -0.25, 0, -2.15, 0, 1.9, 0.785];
let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
  await stage.startNode();
}, 180_000);
afterAll(async () => {
  await stage.stopNode();
  await stage.close();
});

test('~/stop in mid-motion: at rest within the braking time; ~/rearm begins nothing by itself', async () => {
  for (const seed of [700_001, 700_002, 700_003]) {
    const text = await stage.scene(seed);
    const goal = await stage.goal(text);
    await stage.moving(0.8);
    const asked = Date.now();
    expect(await stage.trigger('stop')).toMatchObject({ success: true });
    expect(await goal.result).toMatchObject({
      ...{ status: 'aborted', result: { outcome: OUTCOME.stopped, code: 'operatorStop' } },
    });
    await pause(700);
    const stopped = stage.restAfter(asked);
    expect(stopped.fastest).toBeGreaterThan(MOVING);
    // Two ticks: the service's answer and the next one.
    expect(stopped.seconds).toBeLessThan(restsWithin(stopped.fastest, 2));

    await stage.status.waitFor((s) => s.state === 'latched' && s.latched !== '', 2000);
    expect((await stage.goal(text)).accepted).toBe(false);
    expect((await stage.trigger('go_home')).message).toContain('Call ~/rearm when it is safe');
    expect(await stage.trigger('rearm')).toMatchObject({ success: true });
    expect((await stage.watch(1500)).fastest).toBeLessThan(REST);
    expect(stage.status.messages.at(-1)).toMatchObject({
      ...{ state: 'holding', latched: '', instruction: '' },
    });
  }
  const again = await stage.goal(await stage.scene(700_001));
  await stage.moving();
  await again.cancel();
}, 120_000);

test('~/stop works in every state, and twice', async () => {
  expect(await stage.change('deactivate')).toBe(true);
  expect(await stage.trigger('stop')).toMatchObject({ success: true });
  expect(await stage.trigger('stop')).toMatchObject({ success: true });
  expect(await stage.change('activate')).toBe(false);
  expect(await stage.trigger('rearm')).toMatchObject({ success: true });
  expect(await stage.change('activate')).toBe(true);
}, 60_000);

test('takeover: the arm rests and is let go, others move it, and it is taken up where it then is', async () => {
  const text = await stage.scene(700_002);
  const goal = await stage.goal(text);
  await stage.moving(0.6);
  stage.status.clear();
  expect(await stage.takeover(true)).toMatchObject({ success: true });
  // Said by the status right after it is true.
  await stage.status.waitFor((s) => s.state === 'takeover', 2000);
  const takenOver = stage.status.messages.findIndex((s) => s.state === 'takeover');
  expect(await stage.speedFrom(stage.status.sentNs[takenOver]!)).toBeLessThan(REST);
  expect(await goal.result).toMatchObject({ result: { outcome: OUTCOME.stopped } });

  stage.commands.clear();
  const from = stage.arm;
  const to = from.map((q, i) => (i === 0 ? q + (q > 0 ? -0.4 : 0.4) : q));
  await stage.peer.advertise(commandTopic, TRAJECTORY);
  await pause(500);
  await stage.peer.publish(commandTopic, TRAJECTORY, {
    joint_names: JOINTS,
    points: [
      { positions: to, velocities: JOINTS.map(() => 0), time_from_start: { sec: 2, nanosec: 0 } },
    ],
  });
  expect((await stage.goal(text)).accepted).toBe(false);
  expect((await stage.trigger('go_home')).success).toBe(false);
  await pause(3000);
  expect(farthest(stage.arm, to)).toBeLessThan(0.02);
  // Only what this test itself has sent.
  for (const { points } of stage.commands.messages) expect([...points[0].positions]).toEqual(to);
  expect(stage.commands.messages.length).toBeLessThanOrEqual(1);

  stage.forget();
  expect(await stage.takeover(false)).toMatchObject({ success: true });
  await stage.commands.waitFor(() => stage.commands.messages.length >= 25, 5000);
  for (const { points } of stage.commands.messages)
    for (const point of points) expect(farthest(point.positions, to)).toBeLessThan(0.02);
  expect((await stage.watch(500)).fastest).toBeLessThan(REST);
  expect(farthest(stage.arm, to)).toBeLessThan(0.02);
  const next = await stage.goal(text);
  await stage.moving();
  await next.cancel();
  await next.result;
}, 90_000);

test('a stop during takeover keeps the arm from being taken up', async () => {
  expect(await stage.takeover(true)).toMatchObject({ success: true });
  await stage.trigger('stop');
  const refused = await stage.takeover(false);
  expect(refused.success).toBe(false);
  expect(refused.message).toContain('Call ~/rearm');
  expect(await stage.watch(500)).toMatchObject({ commands: 0 });
  expect(await stage.trigger('rearm')).toMatchObject({ success: true });
  expect(await stage.takeover(false)).toMatchObject({ success: true });
}, 60_000);

test('~/go_home reaches the home pose of robot.yaml, slowly, and ends a task', async () => {
  const goal = await stage.goal(await stage.scene(700_003, 'push'));
  await stage.moving(0.6);
  await pause(1500);
  expect(farthest(stage.arm, home)).toBeGreaterThan(0.1);
  const asked = stage.states.messages.length;
  expect(await stage.trigger('go_home')).toMatchObject({ success: true });
  expect(await goal.result).toMatchObject({ result: { outcome: OUTCOME.stopped } });
  await stage.states.waitFor((s) => farthest(positions(s), home) < 0.01, 15_000);
  await pause(1000);
  expect(farthest(stage.arm, home)).toBeLessThan(0.01);
  expect((await stage.watch(500)).fastest).toBeLessThan(REST);
  expect(stage.states.messages.length - asked).toBeGreaterThan(100);
}, 60_000);

test('~/go_home of an inactive node is refused', async () => {
  expect(await stage.change('deactivate')).toBe(true);
  expect(await stage.trigger('go_home')).toEqual({
    ...{ success: false, message: 'the node is inactive, expected active' },
  });
  expect(await stage.change('activate')).toBe(true);
}, 60_000);
