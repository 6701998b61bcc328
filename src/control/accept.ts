/** Which chunks may be played at all: why not, in operator words, or null. */
import type { Config } from '../config.js';
import * as pose from '../math/pose.js';
import * as vec3 from '../math/vec3.js';
import type { ActionChunk, Pose, Quaternion, Reason } from '../types.js';
import { nsFromSeconds, secondsFromNs } from './clock.js';
import { elapsedSteps } from './plan.js';

/** m or rad: no step of an arm's goes further, and no pose of it is further away. What does would overflow in planning. */
const FARTHEST = 1000;
/** s: a chunk that spans more is not a plan for the next moments. */
const LONGEST = 10;

/** `joints`: how many the arm has. */
export function refuseChunk(chunk: ActionChunk, config: Config, joints: number): Reason | null {
  if (chunk.steps.length === 0 || chunk.stepPeriodNs <= 0n)
    return {
      code: 'malformedAction',
      message: `the action has ${chunk.steps.length} steps of ${secondsFromNs(chunk.stepPeriodNs)} s; expected at least one step and a period above 0`,
    };
  const span = chunk.steps.length * secondsFromNs(chunk.stepPeriodNs);
  if (span > LONGEST)
    return {
      code: 'malformedAction',
      message: `the action's ${chunk.steps.length} steps span ${span.toFixed(3)} s; at most ${LONGEST} s is accepted`,
    };
  const bad = chunk.steps.findIndex((_, k) => !isFiniteStep(chunk, k));
  if (bad !== -1)
    return {
      code: 'nonFiniteAction',
      message: `step ${bad} of the action holds a number that is not finite or a rotation that is none; nothing of it is played`,
    };
  const far = chunk.steps.findIndex((_, k) => !isNear(chunk, k));
  if (far !== -1)
    return {
      code: 'impossibleAction',
      message: `step ${far} of the action goes further than ${FARTHEST} m or rad; nothing of it is played`,
    };
  if (chunk.kind === 'jointPosition') {
    const odd = chunk.steps.find((step) => step.position.length !== joints);
    return odd
      ? {
          code: 'malformedAction',
          message: `the action moves ${odd.position.length} joints; the arm has ${joints}`,
        }
      : null;
  }
  if (chunk.frameId === config.baseFrame) return null;
  return {
    code: 'wrongFrame',
    message: `the action is given in frame ${chunk.frameId}; the robot is driven in ${config.baseFrame}`,
  };
}

function isFiniteStep(chunk: ActionChunk, k: number): boolean {
  if (!Number.isFinite(chunk.steps[k]!.gripper)) return false;
  switch (chunk.kind) {
    case 'endEffectorDelta':
      return vec3.isFinite(chunk.steps[k]!.translation) && vec3.isFinite(chunk.steps[k]!.rotation);
    case 'endEffectorPose':
      return pose.isFinite(chunk.steps[k]!.pose) && isUnit(chunk.steps[k]!.pose.rotation);
    case 'jointPosition':
      return chunk.steps[k]!.position.every(Number.isFinite);
  }
}

function isNear(chunk: ActionChunk, k: number): boolean {
  switch (chunk.kind) {
    case 'endEffectorDelta':
      return isWithin(chunk.steps[k]!.translation) && isWithin(chunk.steps[k]!.rotation);
    case 'endEffectorPose':
      return isWithin(chunk.steps[k]!.pose.translation);
    case 'jointPosition':
      return isWithin(chunk.steps[k]!.position);
  }
}

function isWithin(values: readonly number[]): boolean {
  return Math.hypot(...values) <= FARTHEST;
}

/** Whether a plan may start from this pose, or be given from it. */
export function isUsablePose(reported: Pose): boolean {
  return pose.isFinite(reported) && isUnit(reported.rotation) && isWithin(reported.translation);
}

function isUnit(rotation: Quaternion): boolean {
  return Math.abs(Math.hypot(...rotation) - 1) < 1e-3;
}

/** A chunk of which only the last step is left is played only where its observation is young enough. */
export function refuseAge(
  chunk: ActionChunk,
  ageNs: bigint,
  guard: Config['guard'],
): Reason | null {
  const age = secondsFromNs(ageNs);
  if (-ageNs > nsFromSeconds(guard.maxFutureStamp))
    return {
      code: 'futureStamp',
      message: `the action's observation is stamped ${(-age).toFixed(3)} s in the future; at most ${guard.maxFutureStamp} s is accepted`,
    };
  const onlyLast = elapsedSteps(chunk, ageNs) === chunk.steps.length - 1;
  if (!onlyLast || ageNs < nsFromSeconds(guard.maxObservationAge)) return null;
  return {
    code: 'staleObservation',
    message: `the action's observation is ${age.toFixed(3)} s old; at most ${guard.maxObservationAge} s is accepted`,
  };
}
