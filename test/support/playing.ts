/** What tests of playing chunks share: a Cartesian robot, chunks of deltas, and a guard that holds or lets pass. */
import type { Commanded } from '../../src/control/play.js';
import { poseAtRest } from '../../src/control/motion.js';
import * as quaternion from '../../src/math/quaternion.js';
import type {
  ActionChunk,
  ArmCommand,
  ArmTarget,
  EndEffectorDelta,
  Pose,
  Verdict,
} from '../../src/types.js';
import { cartesianConfig } from './controlRobot.js';

export const MS = 1_000_000n;
export const PERIOD = 200n * MS;
export const START: Pose = { translation: [0.4, 0, 0.2], rotation: quaternion.identity };

const base = cartesianConfig();
export const config = {
  ...base,
  gripper: { topic: '/g', joint: 'g', closed: 0, open: 1, hysteresis: 0.1 },
};
/** The same with patience for observations of 5 periods. */
export const patient = { ...config, guard: { ...config.guard, maxObservationAge: 2 } };

export function step(x: number, yaw = 0, gripper = 1): EndEffectorDelta {
  return { translation: [x, 0, 0], rotation: [0, 0, yaw], gripper };
}

export function deltas(
  reference: 'lastTarget' | 'observedPose',
  steps: readonly EndEffectorDelta[],
  composition: 'base' | 'tool' = 'base',
): ActionChunk {
  return {
    kind: 'endEffectorDelta',
    stepPeriodNs: PERIOD,
    frameId: 'base',
    reference,
    composition,
    steps,
  };
}

/** Held here by the guard. */
export function held(pose: Pose = START): Commanded {
  return { pose: poseAtRest(pose), joints: null, passed: false };
}

/** One clock for both: nowNs = stampNs. */
export function at(ns: bigint): { nowNs: bigint; stampNs: bigint } {
  return { nowNs: ns, stampNs: ns };
}

export function poseOf(target: ArmTarget): Pose {
  if (target.kind !== 'pose') throw new Error(`expected a pose, got ${JSON.stringify(target)}`);
  return target.pose;
}

/** What a guard that lets everything pass would say. */
export function sending(gripper: number | null): Verdict {
  const command = { kind: 'twist', nowNs: 0n, gripper } as unknown as ArmCommand;
  return { outcome: 'pass', reasons: [], command };
}
