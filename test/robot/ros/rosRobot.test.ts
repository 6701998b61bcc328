import { expect, it } from '@jest/globals';
import { type Config, readConfig, takenAtOnce } from '../../../src/config.js';
import { RosRobot } from '../../../src/robot/ros/rosRobot.js';
import { Guard } from '../../../src/safety/guard.js';
import { readArm } from '../../../src/commands/arm.js';
import type { ArmCommand } from '../../../src/types.js';
import { FakeNode } from '../../node/fakeNode.js';

/** Where commands go is not the matter here. */
const config = Object.fromEntries(
  Object.entries(takenAtOnce(readConfig('config/sim.yaml'))).filter(([key]) => key !== 'gripper'),
) as unknown as Config;
const arm = readArm(config)!;
const MS = 1_000_000n;

/** What the guard makes of an arm of which nothing is known. */
const restingAt = (nowNs: bigint, guard: Guard): ArmCommand =>
  guard.guard({
    ...{ nowNs, stampNs: nowNs, joints: null, jointsReceivedNs: null, endEffector: null },
    ...{ endEffectorReceivedNs: null, target: { kind: 'rest', because: 'test', gripper: null } },
    prediction: null,
  }).command;

it('does not send a command that waited longer than the watchdog allows, nor any more until that is acknowledged', () => {
  const fake = new FakeNode();
  let nowNs = 1_000n * MS;
  const now = () => ({ nowNs, stampNs: nowNs });
  const robot = new RosRobot({ node: fake.node, config, arm: arm.arm, now, onRefused: () => 0 });
  const guard = new Guard(config, arm.arm, arm.capsules, () => undefined);
  const made = () => restingAt(nowNs, guard);
  robot.open();

  // 100 ms are allowed (config/sim.yaml): 101 ms pass between the making and the sending.
  const frozen = made();
  nowNs += 101n * MS;
  robot.send(frozen);
  expect(robot.problem()).toEqual({
    code: 'commandRefused',
    message:
      'A command waited 0.101 s before it could be sent, at most 0.1 s is allowed: it was not sent.',
  });
  robot.send(made());
  expect(robot.withheld).toBe(2);

  robot.acknowledge();
  const prompt = made();
  nowNs += 99n * MS;
  robot.send(prompt);
  expect(robot.withheld).toBe(2);
  expect(robot.problem()).toBeNull();
});

it('lets brake what sends speeds, which do not end by themselves, and only withholds what is late', () => {
  const fake = new FakeNode();
  let nowNs = 1_000n * MS;
  const now = () => ({ nowNs, stampNs: nowNs });
  const joints = arm.arm.jointNames;
  const command = { type: 'forwardVelocity', topic: '/velocities', timeout: 0.2, joints };
  const robot = new RosRobot({
    ...{ node: fake.node, arm: arm.arm, now, onRefused: () => 0 },
    config: { ...config, command } as unknown as Config,
  });
  const guard = new Guard(config, arm.arm, arm.capsules, () => undefined);
  const made = () => restingAt(nowNs, guard);
  robot.open();
  const frozen = made();
  nowNs += 101n * MS;
  robot.send(frozen);
  expect(robot.withheld).toBe(1);
  robot.send(made());
  expect(robot.withheld).toBe(1);
  expect(robot.problem()).toMatchObject({ code: 'commandRefused' });
});
