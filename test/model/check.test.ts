import { describe, expect, it } from '@jest/globals';
import { parseConfig, readConfig, type Config } from '../../src/config.js';
import { checkContract, sentenceOf } from '../../src/model/check.js';
import { readContract } from '../../src/model/contract.js';

const nano = readContract('models/nano');

const simulation = parseConfig(
  `
robot: sim
baseFrame: base_link
endEffector: { topic: /ee_pose, frameId: base_link }
gripper: { topic: /joint_states, joint: finger, closed: 0, open: 0.04 }
cameras:
  front: { topic: /front, type: image, modelKey: primary }
  side: { topic: /side, type: image }
output: pose
control: { rateHz: 50, policyPeriod: 0.2 }
guard:
  linearVelocity: 0.5
  linearAcceleration: 2
  linearJerk: 20
  angularVelocity: 2
  angularAcceleration: 10
  angularJerk: 100
  workspace: { min: [0, -1, 0], max: [1, 1, 1] }
  maxStepTranslation: 0.1
  maxStepRotation: 0.5
  trackingError: 0.1
`,
  'robot.yaml',
);
const sentences = (config: Config, contract = nano): string[] =>
  checkContract(contract, config).map((m) => `${m.severity}: ${sentenceOf(m)}`);

describe('a contract and a robot', () => {
  it('fit where the model was trained for the robot', () => {
    expect(checkContract(nano, simulation)).toEqual([]);
  });

  it('do not fit where nobody taught it the robot: nano and BridgeData', () => {
    expect(sentences(readConfig('config/bridge.yaml'))).toEqual([
      'untrained: model nano, robot: got widowx250, expected a robot it is trained for: sim (sim)',
    ]);
  });

  it('fit for Magma-8B and BridgeData', () => {
    const magma = readContract('test/golden/magma8b');
    expect(checkContract(magma, readConfig('config/bridge.yaml'))).toEqual([]);
  });

  it('do not fit in another base frame', () => {
    expect(sentences({ ...simulation, baseFrame: 'world' })).toEqual([
      'untrained: model nano, base frame of sim: got world, expected base_link',
    ]);
  });

  it('do not fit without the camera, or with two for one picture', () => {
    const { front, side } = simulation.cameras;
    expect(sentences({ ...simulation, cameras: { side: side! } })).toEqual([
      'impossible: model nano, picture "primary": got no camera, expected one camera with modelKey: primary',
    ]);
    expect(sentences({ ...simulation, cameras: { front: front!, wrist: front! } })).toEqual([
      'impossible: model nano, picture "primary": got front, wrist, expected one camera with modelKey: primary',
    ]);
  });

  it('do not fit without the readings that the prompt tells the model', () => {
    const { endEffector, gripper, ...bare } = simulation;
    expect(endEffector && gripper).toBeDefined();
    expect(sentences(bare).map((sentence) => sentence.split(',')[1])).toEqual([
      ' robot state x',
      ' gripper: got a robot without one',
    ]);
    expect(sentences({ ...bare, gripper: gripper! })[0]).toMatch(
      /^impossible: .*neither description/,
    );
  });

  it('do not fit without a gripper to move, also where no prompt tells its state', () => {
    const { gripper, ...bare } = simulation;
    expect(gripper).toBeDefined();
    expect(sentences(bare, { ...nano, state: [] })).toEqual([
      'untrained: model nano, gripper: got a robot without one, expected a gripper to move',
    ]);
  });

  it('do not fit at another period', () => {
    const slow = { ...simulation, control: { ...simulation.control, policyPeriod: 0.5 } };
    expect(sentences(slow)).toEqual([
      'untrained: model nano, control.policyPeriod: got 0.5 s, expected 0.2 s',
    ]);
  });

  it('fit with chunks as long as a request comes before a chunk ends', () => {
    const action = { ...nano.answers.action, chunk: 8 };
    const chunked = { ...nano, answers: { ...nano.answers, action } };
    const at = (policyPeriod: number) =>
      sentences({ ...simulation, control: { ...simulation.control, policyPeriod } }, chunked);
    expect(at(1.6)).toEqual([]);
    expect(at(1.7)).toEqual([
      'untrained: model nano, control.policyPeriod: got 1.7 s, expected at most 8 steps of 0.2 s',
    ]);
  });
});
