/** How far apart two policies lead the tool. Pure. */
import type { Arm } from '../arm/kinematics.js';
import { chunkPath } from '../control/chunkPath.js';
import * as pose from '../math/pose.js';
import * as quaternion from '../math/quaternion.js';
import * as vec3 from '../math/vec3.js';
import type { ActionChunk, Pose } from '../types.js';

/** How far two chunks lead apart, mean over the time that both cover. */
export interface PathDifference {
  /** m */
  readonly translation: number;
  /** rad */
  readonly rotation: number;
  /** 0 … 1: the share of that time in which both want the gripper open, or both closed. */
  readonly gripperAgreement: number;
}

/** Null where they are in different frames, or one of them has no path. Both begin at `start`. */
export function pathDifference(
  first: ActionChunk,
  second: ActionChunk,
  start: Pose,
  arm: Arm | null,
): PathDifference | null {
  if (first.frameId !== second.frameId) return null;
  const [a, b] = [chunkPath(first, start, arm), chunkPath(second, start, arm)];
  if (!a || !b || a.length === 0 || b.length === 0) return null;
  const times = commonTimes(first, second);
  const [paths, periods] = [
    [a, b] as const,
    [Number(first.stepPeriodNs), Number(second.stepPeriodNs)] as const,
  ];
  let [translation, rotation, agreed] = [0, 0, 0];
  for (const time of times) {
    const [p, q] = [
      poseAt(paths[0], start, time / periods[0]),
      poseAt(paths[1], start, time / periods[1]),
    ];
    translation += vec3.distance(p.translation, q.translation) / times.length;
    rotation += quaternion.angleBetween(p.rotation, q.rotation) / times.length;
    const isSame = isOpen(first, time / periods[0]) === isOpen(second, time / periods[1]);
    agreed += Number(isSame) / times.length;
  }
  const isUsable = [translation, rotation].every(Number.isFinite);
  return isUsable ? { translation, rotation, gripperAgreement: agreed } : null;
}

/** Ends of the first chunk's steps that both cover, ns from the beginning; where there is none, the shorter one's end. */
function commonTimes(first: ActionChunk, second: ActionChunk): readonly number[] {
  const [firstEnd, secondEnd] = [first, second].map(
    (chunk) => chunk.steps.length * Number(chunk.stepPeriodNs),
  );
  const ends = first.steps.map((_, k) => (k + 1) * Number(first.stepPeriodNs));
  const common = ends.filter((time) => time <= secondEnd!);
  return common.length > 0 ? common : [Math.min(firstEnd!, secondEnd!)];
}

/** `steps`: time from the beginning in steps; between two ends, straight. */
function poseAt(path: readonly Pose[], start: Pose, steps: number): Pose {
  const index = Math.min(Math.ceil(steps), path.length);
  if (index <= 0) return start;
  const [from, to] = [index === 1 ? start : path[index - 2]!, path[index - 1]!];
  return pose.interpolate(from, to, Math.min(1, steps - (index - 1)));
}

function isOpen(chunk: ActionChunk, steps: number): boolean {
  const index = Math.min(Math.max(Math.ceil(steps), 1), chunk.steps.length) - 1;
  return chunk.steps[index]!.gripper >= 0.5;
}
