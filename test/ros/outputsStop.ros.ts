/** What a stop does to the outputs that do not end by themselves: goals of a gripper, and of an arm. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { setTimeout as pause } from 'node:timers/promises';
import { stopAll } from './child.js';
import { type Fields, Peer } from './peer.js';
import { JOINTS, robotYaml, run, said, START, type Step } from './sender.js';

const still = JOINTS.map(() => 0);
let peer: Peer;
beforeAll(async () => {
  peer = await Peer.start();
  await peer.publishRate(
    '/joint_states',
    'sensor_msgs/msg/JointState',
    { name: JOINTS, position: START, velocity: still },
    100,
    { stamp: 'now' },
  );
  await peer.subscribe('/arm/joint_trajectory', 'trajectory_msgs/msg/JointTrajectory');
});
afterEach(() => stopAll());
afterAll(() => peer.stop());

describe('a gripper', () => {
  const type = 'control_msgs/action/GripperCommand';
  const gripper = (action: string): Fields =>
    robotYaml({
      command: { type: 'jointTrajectory', topic: '/arm/joint_trajectory' },
      gripper: {
        ...{ topic: '/joint_states', joint: 'joint7', closed: 0, open: 0.04 },
        command: { type: 'gripperCommand', action, maxEffort: 12 },
      },
    });
  const want = (opening: number): Step => [
    'move',
    { delta: still, seconds: 0.5, gripper: opening },
  ];
  const begin: readonly Step[] = [['heard'], ['check'], ['open']];
  const tick: Step = ['move', { delta: still, seconds: 0.5 }];

  test.each(['hold', 'close'])(
    'that opens is stopped by %s, and what it was to do is not done later',
    async (how) => {
      const action = `/opening_${how}/gripper_cmd`;
      const server = await peer.serveAction(action, type);
      const child = run(gripper(action), [
        ...begin,
        want(1),
        [how],
        tick,
        ['wait', { seconds: 1 }],
      ]);
      const goal = await server.waitForGoal(1, 20_000);
      await said(child, 'move');
      for (let left = 200; left > 0 && !goal.isCancelRequested; left--) await pause(10);
      expect(goal.isCancelRequested).toBe(true);
      await goal.end('canceled');
      await said(child, 'wait');
      expect(server.goals).toHaveLength(1);
    },
  );

  test('that closes goes on, is not asked a second time, and does not open later', async () => {
    const action = '/closing/gripper_cmd';
    const server = await peer.serveAction(action, type);
    const steps = [...begin, want(0), ['hold'], want(0), ['close'], ['wait', { seconds: 1 }]];
    const child = run(gripper(action), steps as Step[]);
    const goal = await server.waitForGoal(1, 20_000);
    expect(goal.request.command).toEqual({ position: 0, max_effort: 12 });
    await said(child, 'wait');
    expect([goal.isCancelRequested, server.goals.length]).toEqual([false, 1]);
    await goal.end('succeeded');
  });

  test('whose closing was being ended for an opening stays there', async () => {
    const action = '/changing/gripper_cmd';
    const server = await peer.serveAction(action, type);
    const steps = [...begin, want(0), want(1), ['hold'], ['wait', { seconds: 0.5 }], tick];
    const child = run(gripper(action), steps as Step[]);
    const goal = await server.waitForGoal(1, 20_000);
    await said(child, 'hold');
    expect(goal.isCancelRequested).toBe(true);
    await goal.end('canceled');
    await said(child, 'move', 3);
    expect(server.goals).toHaveLength(1);
  });
});

test('goals answered later than their lead are a halt, and none follows', async () => {
  const server = await peer.serveAction(
    '/slow/follow',
    'control_msgs/action/FollowJointTrajectory',
    { acceptMs: 400 },
  );
  const config = robotYaml({
    command: { type: 'followJointTrajectory', action: '/slow/follow' },
    control: { rateHz: 10, policyPeriod: 0.2 },
  });
  const delta = [0.6, 0, 0, 0, 0, 0, -0.6];
  const child = run(config, [['heard'], ['check'], ['open'], ['move', { delta, seconds: 1.5 }]]);
  expect((await said(child, 'move')).problem).toEqual({
    code: 'commandRefused',
    message: 'action /slow/follow: no answer to a goal within the lead of 0.200 s.',
  });
  expect(server.goals).toHaveLength(1);
  await server.goals[0]!.end('succeeded');
});
