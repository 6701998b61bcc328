/** Robots for the guard's tests: a planar arm whose kinematics anyone can redo on paper, and the built-in 7-DoF arm. */
import { readFileSync } from 'node:fs';
import { type ArmCapsules, capsulesFromUrdf } from '../../src/arm/clearance.js';
import { type Arm, armFromUrdf } from '../../src/arm/kinematics.js';
import { parseUrdf } from '../../src/arm/urdf.js';
import { type Config, parseConfig } from '../../src/config.js';
import type { GuardInput } from '../../src/safety/guard.js';
import type { Pose } from '../../src/types.js';

export const MS = 1_000_000n;
export const S = 1_000_000_000n;

/**
 * Links of 0.5 m in the x–z plane, shoulder at z = 0.5. Joint angles 0 stretch the arm along x; positive turns lift it
 * (axis −y). Cylinders of radius 0.05 around the links.
 */
const LINK = 0.5;
const SHOULDER = 0.5;
export const RADIUS = 0.05;

function planarUrdf(joints: number): string {
  const link = (name: string): string =>
    `<link name="${name}"><collision><origin xyz="${LINK / 2} 0 0" rpy="0 1.5707963267948966 0"/><geometry><cylinder radius="${RADIUS}" length="${LINK}"/></geometry></collision></link>`;
  const names = Array.from({ length: joints }, (_, i) => i + 1);
  return `<robot name="planar"><link name="base"/>${names.map((i) => link(`link${i}`)).join('')}<link name="tip"/>${names
    .map(
      (i) =>
        `<joint name="j${i}" type="revolute"><parent link="${i === 1 ? 'base' : `link${i - 1}`}"/><child link="link${i}"/><origin xyz="${i === 1 ? `0 0 ${SHOULDER}` : `${LINK} 0 0`}"/><axis xyz="0 -1 0"/><limit lower="-3" upper="3" velocity="100" effort="100"/></joint>`,
    )
    .join(
      '',
    )}<joint name="tip_fixed" type="fixed"><parent link="link${joints}"/><child link="tip"/><origin xyz="${LINK} 0 0"/></joint></robot>`;
}

/** Joint centres and tip of the planar arm, [x, z], by trigonometry. */
export function planarPoints(q: readonly number[]): readonly (readonly [number, number])[] {
  const points: [number, number][] = [[0, SHOULDER]];
  let angle = 0;
  for (const turn of q) {
    angle += turn;
    const [x, z] = points.at(-1)!;
    points.push([x + LINK * Math.cos(angle), z + LINK * Math.sin(angle)]);
  }
  return points;
}

export interface TestRobot {
  readonly arm: Arm;
  readonly capsules: ArmCapsules;
}

export function planarArm(joints: number): TestRobot {
  const urdf = parseUrdf(planarUrdf(joints), 'planar.urdf');
  const arm = armFromUrdf(urdf, { baseLink: 'base', tipLink: 'tip' });
  return { arm, capsules: capsulesFromUrdf(urdf, arm) };
}

export function builtinArm(): TestRobot {
  const urdf = parseUrdf(readFileSync('config/builtin_arm.urdf', 'utf8'), 'builtin_arm.urdf');
  const arm = armFromUrdf(urdf, { baseLink: 'link0', tipLink: 'tcp' });
  return { arm, capsules: capsulesFromUrdf(urdf, arm) };
}

export interface Limits {
  readonly lower: number;
  readonly upper: number;
  readonly velocity: number;
  readonly acceleration: number;
  readonly jerk: number;
  readonly effort?: number;
}

export const WIDE_GUARD = {
  linearVelocity: 100,
  linearAcceleration: 1000,
  linearJerk: 10000,
  angularVelocity: 100,
  angularAcceleration: 1000,
  angularJerk: 10000,
  workspace: { min: [-10, -10, -10], max: [10, 10, 10] },
  maxStepTranslation: 100,
  maxStepRotation: 100,
  trackingError: 1,
  maxJointAge: 0.1,
  maxObservationAge: 0.4,
  maxFutureStamp: 0.05,
  watchdog: 0.1,
  rampIn: 0,
  singularity: { slow: 1e-9, stop: 1e-10 },
} as const;

/** A robot.yaml through the parser that real ones go through. Not a dry run. */
export function jointConfig(
  arm: Arm,
  limits: readonly Limits[] | Limits,
  guard: Readonly<Record<string, unknown>> = {},
): Config {
  const all: readonly Limits[] = 'lower' in limits ? arm.jointNames.map(() => limits) : limits;
  const each = arm.jointNames.map((name, i) => [name, all[i]] as const);
  return parseConfig(
    JSON.stringify({
      robot: 'test',
      joints: { topic: '/joint_states', limits: Object.fromEntries(each) },
      cameras: {},
      output: 'joint',
      control: { rateHz: 50, policyPeriod: 0.2 },
      guard: { ...WIDE_GUARD, ...guard },
      dryRun: false,
    }),
    'test',
  );
}

export function cartesianConfig(
  output: 'twist' | 'pose',
  guard: Readonly<Record<string, unknown>> = {},
  more: Readonly<Record<string, unknown>> = {},
): Config {
  return parseConfig(
    JSON.stringify({
      robot: 'test',
      endEffector: { topic: '/pose', frameId: 'base' },
      cameras: {},
      output,
      control: { rateHz: 50, policyPeriod: 0.2 },
      guard: { ...WIDE_GUARD, ...guard },
      dryRun: false,
      ...more,
    }),
    'test',
  );
}

/** Everything fresh and well: the arm is at `position`, both clocks show `nowNs`, and a confident policy looks just now. */
export function jointInput(
  names: readonly string[],
  position: readonly number[],
  target: readonly number[],
  nowNs: bigint,
): GuardInput {
  return {
    nowNs,
    stampNs: nowNs,
    target: { kind: 'joint', position: target, gripper: null },
    prediction: { observationStampNs: nowNs, confidence: 1 },
    joints: { stampNs: nowNs, names, position, velocity: null, effort: null },
    jointsReceivedNs: nowNs,
    endEffector: null,
    endEffectorReceivedNs: null,
  };
}

export function cartesianInput(measured: Pose, target: Pose, nowNs: bigint): GuardInput {
  return {
    nowNs,
    stampNs: nowNs,
    target: { kind: 'pose', pose: target, frameId: 'base', gripper: null },
    prediction: { observationStampNs: nowNs, confidence: 1 },
    joints: null,
    jointsReceivedNs: null,
    endEffector: { stampNs: nowNs, frameId: 'base', pose: measured },
    endEffectorReceivedNs: nowNs,
  };
}
