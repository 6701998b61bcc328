/** Why an episode was no success, told from the scene's true course. */
import { isHolding, sideSign, type SceneState, type Task } from '../robot/sim/tasks.js';
import type { EpisodeResult } from './episode.js';

export const causes = [
  'wrongObject',
  'guardStop',
  'gaveUp',
  'neverReached',
  'neverGrasped',
  'lostGrasp',
  'releasedOffTarget',
  'timeNearTarget',
  'timeFar',
] as const;
export type Cause = (typeof causes)[number];

export const causeWords: Readonly<Record<Cause, string>> = {
  wrongObject: 'wrong object',
  guardStop: 'stopped by the guard',
  gaveUp: 'control gave up',
  neverReached: 'out of time: never came near the block',
  neverGrasped: 'out of time: came near, grasped nothing',
  lostGrasp: 'out of time: had the block and lost it on the way',
  releasedOffTarget: 'out of time: let go beside the target',
  timeNearTarget: 'out of time near the target',
  timeFar: 'out of time far from the target',
};

/** m between tool and block, or between a thing and where it belongs. */
const near = 0.04;

/** `course`: the scene at every camera frame of the episode. */
export function causeOf(
  {
    outcome,
    latched,
    gaveUp,
    task,
  }: Pick<EpisodeResult, 'outcome' | 'latched' | 'gaveUp' | 'task'>,
  course: readonly SceneState[],
): Cause | null {
  if (outcome === 'success') return null;
  if (outcome === 'wrongObject') return 'wrongObject';
  if (latched !== null) return 'guardStop';
  if (gaveUp !== null) return 'gaveUp';
  const [start, end] = [course[0], course.at(-1)];
  if (!start || !end) return 'timeFar';
  if (!course.some((state) => toolTo(task, state) < 0.06)) return 'neverReached';
  const left = distanceLeft(task, start, end);
  const carries = ['pick', 'hold', 'put', 'stack', 'sort'].includes(task.family);
  if (!carries) return left < near ? 'timeNearTarget' : 'timeFar';
  const held = course.map((state) => isHolding(state, task.block));
  if (!held.includes(true)) return 'neverGrasped';
  if (left < near) return 'timeNearTarget';
  if (held.at(-1)) return 'timeFar';
  const last = course[held.lastIndexOf(true)]!;
  return distanceLeft(task, start, last) < 2 * near ? 'releasedOffTarget' : 'lostGrasp';
}

function toolTo(task: Task, { tcp, blocks }: SceneState): number {
  const at = blocks[task.block]?.position;
  return at ? Math.hypot(tcp[0] - at[0], tcp[1] - at[1], tcp[2] - at[2]) : Infinity;
}

/** How far from being done, m, in the task's own measure. */
function distanceLeft(task: Task, start: SceneState, now: SceneState): number {
  const at = now.blocks[task.block]?.position;
  const was = start.blocks[task.block]?.position;
  if (!at || !was) return Infinity;
  const to = (place: readonly number[] | undefined): number =>
    place ? Math.hypot(at[0] - place[0]!, at[1] - place[1]!) : Infinity;
  switch (task.family) {
    case 'pick':
    case 'hold':
      return Math.max(0, 0.1 - at[2]);
    case 'put':
    case 'pushTo':
      return to(now.pads[task.pad]);
    case 'sort': {
      const other = now.blocks[task.other]?.position;
      const pad = now.pads[task.otherPad];
      const second = other && pad ? Math.hypot(other[0] - pad[0], other[1] - pad[1]) : Infinity;
      return Math.max(to(now.pads[task.pad]), second);
    }
    case 'stack':
      return to(now.blocks[task.onto]?.position);
    case 'push':
      return Math.max(0, 0.07 - (at[1] - was[1]) * sideSign[task.side]);
    case 'reach':
      return Math.hypot(now.tcp[0] - at[0], now.tcp[1] - at[1] - 0.065 * sideSign[task.side]);
    case 'clear':
      return Math.max(0, 0.1 - Math.hypot(at[0] - was[0], at[1] - was[1]));
  }
}
