/** A robot.yaml and messages for tests of control. Limits are generous: what is tested here is not the guard. */
import { parseConfig, type Config } from '../../src/config.js';
import { armFromUrdf, type Arm } from '../../src/arm/kinematics.js';
import { parseUrdf } from '../../src/arm/urdf.js';
import type { ActionChunk, ActionPrediction, CameraImage, Observation } from '../../src/types.js';
import { armUrdf } from './testArms.js';

export const JOINTS = [
  'yawJoint',
  'shoulderJoint',
  'elbowJoint',
  'forearmRollJoint',
  'wristJoint',
  'flangeJoint',
] as const;

/** Well away from limits and singularities. */
export const HOME = [0, -0.4, 2.2, 0.7, -1, 0] as const;

export const testArm: Arm = armFromUrdf(parseUrdf(armUrdf(6), 'test.urdf'), {
  baseLink: 'base',
  tipLink: 'tip',
});

const limits = JOINTS.map(
  (name) => `    ${name}: { lower: -3, upper: 3, velocity: 3, acceleration: 40, jerk: 4000 }`,
).join('\n');

/** `more` replaces or adds top-level keys. */
export function testConfig(more: Record<string, unknown> = {}): Config {
  const base = parseConfig(
    `
robot: test
description: { urdf: test.urdf, baseLink: base, tipLink: tip }
joints:
  topic: /joint_states
  limits:
${limits}
gripper: { topic: /joint_states, joint: leftJoint, closed: 0, open: 0.04 }
baseFrame: base
cameras:
  front: { topic: /front, type: image, modelKey: primary }
output: joint
control: { rateHz: 50, policyPeriod: 0.2, lockstepLatency: 0.04 }
guard:
  linearVelocity: 1
  linearAcceleration: 20
  linearJerk: 2000
  angularVelocity: 3
  angularAcceleration: 60
  angularJerk: 6000
  workspace: { min: [-1, -1, -0.2], max: [1, 1, 1.5] }
  maxStepTranslation: 0.2
  maxStepRotation: 1
  trackingError: 0.5
  rampIn: 0
dryRun: false
`,
    'test/robot.yaml',
  );
  return { ...base, ...more };
}

/** As testConfig, for a robot whose arm joints are not known: pose commands. */
export function cartesianConfig(): Config {
  return {
    ...without(testConfig(), 'description', 'joints'),
    output: 'pose',
    endEffector: { topic: '/pose', frameId: 'base' },
  };
}

export function without<T extends object, K extends keyof T>(from: T, ...keys: K[]): Omit<T, K> {
  const rest = { ...from };
  for (const key of keys) Reflect.deleteProperty(rest, key);
  return rest;
}

export function testImage(stampNs: bigint): CameraImage {
  return {
    kind: 'raw',
    stampNs,
    frameId: 'front_optical',
    height: 1,
    width: 1,
    encoding: 'rgb8',
    step: 3,
    isBigEndian: false,
    data: Uint8Array.of(10, 20, 30),
  };
}

/** An observation that holds an end-effector pose and nothing else. */
export function observationAt(
  stampNs: bigint,
  pose: NonNullable<Observation['endEffector']>['pose'],
): Observation {
  return {
    stampNs,
    episode: 0,
    instruction: 'move',
    images: {},
    joints: null,
    endEffector: { stampNs, frameId: 'base', pose },
    gripper: null,
  };
}

export function prediction(
  observation: Observation,
  chunk: ActionChunk,
  confidence = 0.9,
): ActionPrediction {
  return {
    observationStampNs: observation.stampNs,
    episode: observation.episode,
    chunk,
    confidence,
    timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
  };
}
