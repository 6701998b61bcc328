/** Where the steps of a chunk lead the tool: for comparison and display, never for motion. Pure. */
import { type Arm, forward } from '../arm/kinematics.js';
import * as vec3 from '../math/vec3.js';
import type { ActionChunk, Pose } from '../types.js';
import { applyDelta } from './plan.js';

/**
 * The tool's pose at the end of each step, in the chunk's frame. `start`: what the first delta is added to; not read for
 * absolute chunks. Null where joint positions are given and the arm is not known.
 */
export function chunkPath(chunk: ActionChunk, start: Pose, arm: Arm | null): Pose[] | null {
  switch (chunk.kind) {
    case 'endEffectorPose':
      return chunk.steps.map((step) => step.pose);
    case 'jointPosition':
      if (arm === null || chunk.steps.some((s) => s.position.length !== arm.joints.length))
        return null;
      return chunk.steps.map((step) => forward(arm, step.position));
    case 'endEffectorDelta': {
      let at = start;
      return chunk.steps.map((delta) => (at = applyDelta(at, delta, chunk.composition)));
    }
  }
}

/** m/s: how fast a chunk means the tool to go from `start`, on average over its steps; null where nobody knows. */
export function intendedSpeed(chunk: ActionChunk, start: Pose, arm: Arm | null): number | null {
  const path = chunkPath(chunk, start, arm);
  if (!path || path.length === 0) return null;
  let [way, at] = [0, start.translation];
  for (const { translation } of path) {
    way += vec3.distance(at, translation);
    at = translation;
  }
  return way / ((path.length * Number(chunk.stepPeriodNs)) / 1e9);
}
