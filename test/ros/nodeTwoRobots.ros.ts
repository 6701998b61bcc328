/** Two robots on one machine, apart by namespace alone: what one is told, the other never hears. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { farthest, OUTCOME, pause, REST, Stage } from './stage.js';

let left: Stage;
let right: Stage;
beforeAll(async () => {
  left = await Stage.open({ namespace: '/left' });
  right = await Stage.open({ namespace: '/right' });
  await left.startNode();
  await right.startNode();
}, 240_000);
afterAll(async () => {
  await Promise.all([left.stopNode(), right.stopNode()]);
  await left.close();
  await right.close();
});

/** What `other` does while `one` moves: nothing. */
async function only(one: Stage, other: Stage): Promise<void> {
  const text = await one.scene(700_001);
  const before = other.arm;
  other.forget();
  one.forget();
  const goal = await one.goal(text);
  await one.moving(0.6);
  await one.status.waitFor((s) => s.instruction === text, 5000);
  expect((await other.watch(1000)).fastest).toBeLessThan(REST);
  expect(other.commands.messages.length).toBeGreaterThan(20);
  for (const { points } of other.commands.messages)
    for (const point of points) expect(farthest(point.positions, before)).toBeLessThan(0.02);
  expect(other.status.messages.every((s) => s.instruction === '' && s.state === 'holding')).toBe(
    true,
  );
  await goal.cancel();
  expect((await goal.result).status).toBe('canceled');
}

test('each has its own graph: nothing of either is outside its namespace', async () => {
  for (const stage of [left, right]) {
    const ns = stage.namespace;
    const topic = `${ns}/arm_controller/joint_trajectory`;
    expect((await stage.peer.publishersOf(topic)).map(({ node }) => node)).toEqual([
      `${ns}/magma_vla`,
    ]);
    const heard = await stage.peer.subscribersOf(`${ns}/joint_states`);
    expect(heard.map(({ node }) => node)).toContain(`${ns}/magma_vla`);
    const other = stage === left ? right : left;
    expect(heard.map(({ node }) => node)).not.toContain(`${other.namespace}/magma_vla`);
  }
  const outside = Object.keys(await left.peer.topics()).filter(
    (name) => !/^\/(left|right)\//.test(name),
  );
  // What all nodes of ROS 2 have in common.
  expect(outside.sort()).toEqual(['/diagnostics', '/parameter_events', '/rosout']);
});

test('a goal for one moves one', async () => {
  await only(left, right);
  await only(right, left);
}, 120_000);

test('a stop of one stops one', async () => {
  const text = await left.scene(700_001);
  const goal = await left.goal(text);
  await left.moving(0.6);
  expect(await right.trigger('stop')).toMatchObject({ success: true });
  await right.status.waitFor((s) => s.state === 'latched', 3000);
  await left.moving(0.3);
  expect(left.status.messages.every((s) => s.latched === '')).toBe(true);
  expect(await left.trigger('stop')).toMatchObject({ success: true });
  expect(await goal.result).toMatchObject({ result: { outcome: OUTCOME.stopped } });
  // An arm that still brakes is not re-armed.
  await pause(1000);
  for (const stage of [left, right])
    expect(await stage.trigger('rearm')).toMatchObject({ success: true });
}, 60_000);

test('one robot’s end leaves the other at work', async () => {
  left.node.kill('SIGKILL');
  await left.stopSimulator();
  await pause(500);
  const goal = await right.goal(await right.scene(700_002));
  await right.moving(0.6);
  await goal.cancel();
  expect((await goal.result).status).toBe('canceled');
}, 60_000);
