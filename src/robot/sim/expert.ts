/**
 * The scripted expert: for any scene state and any task, the end-effector delta a careful operator would give next.
 * A smooth function of the state alone — no memory, no phases — so it can label every frame for every instruction and
 * recovers by itself: height follows the horizontal error (a funnel), an empty closed gripper opens above the block.
 */
import type { EndEffectorDelta } from '../../types.js';
import {
  carryTo,
  clamp,
  closeTo,
  grasp,
  isGripped,
  lift,
  onTheWay,
  pushAlong,
  stay,
  step,
} from './expertMoves.js';
import { behind, wayOut } from './room.js';
import {
  halfOf,
  sideSign,
  type BlockColour,
  type PadColour,
  type PadTask,
  type SceneState,
  type SideTask,
  type SortTask,
  type StackTask,
  type Task,
} from './tasks.js';

export function expertAction(state: SceneState, task: Task): EndEffectorDelta {
  if (!state.blocks[task.block]) return stay(state, 1);
  switch (task.family) {
    case 'pick':
    case 'hold':
      return isGripped(state, task.block) ? lift(state, task.block, 0) : grasp(state, task.block);
    case 'put':
      return put(state, task);
    case 'push':
      return push(state, task);
    case 'stack':
      return stack(state, task);
    case 'sort':
      return sort(state, task);
    case 'reach':
      return reach(state, task);
    case 'pushTo':
      return pushTo(state, task);
    case 'clear':
      return clear(state, task.block);
  }
}

function put(state: SceneState, { block, pad }: Pick<PadTask, 'block' | 'pad'>): EndEffectorDelta {
  const at = state.pads[pad];
  if (!at) return stay(state, 1);
  return carryTo(state, block, {
    at: [at[0], at[1], 0],
    near: 0.034,
    open: 0.026,
    funnel: { slope: 1.6, from: 0.02 },
  });
}

/** As put, but the place is a block's top: narrower, and the way to it higher. */
function stack(state: SceneState, { block, onto }: StackTask): EndEffectorDelta {
  const below = state.blocks[onto];
  if (!below) return stay(state, 1);
  const [x, y, z] = below.position;
  return carryTo(state, block, {
    at: [x, y, z + halfOf(below)],
    near: 0.018,
    open: 0.01,
    funnel: { slope: 2.2, from: 0.008 },
  });
}

/** One after the other; the first is over when it lies on its pad and the hand has left it. */
function sort(state: SceneState, task: SortTask): EndEffectorDelta {
  const { block, pad, other, otherPad } = task;
  return isDelivered(state, block, pad)
    ? put(state, { block: other, pad: otherPad })
    : put(state, { block, pad });
}

function isDelivered(state: SceneState, colour: BlockColour, pad: PadColour): boolean {
  const [block, at] = [state.blocks[colour], state.pads[pad]];
  if (!block || !at) return true;
  const [x, y, z] = block.position;
  const away = Math.hypot(x - state.tcp[0], y - state.tcp[1], z - state.tcp[2]);
  return Math.hypot(x - at[0], y - at[1]) < 0.036 && z < 0.03 && away > 0.05;
}

function push(state: SceneState, task: SideTask): EndEffectorDelta {
  const [x, y] = state.blocks[task.block]!.position;
  const sign = sideSign[task.side];
  const ahead = (y - state.tcp[1]) * sign; // > 0: the gripper is on the pushing side
  const across = Math.abs(state.tcp[0] - x);
  const low = 0.02;
  const startY = y - sign * behind;
  if (state.tcp[2] < 0.045 && across < 0.018 && ahead > 0.015) {
    return step(state, [x, y + sign * 0.04, low], 0, 0, 0.035);
  }
  const error = Math.hypot(state.tcp[0] - x, state.tcp[1] - startY);
  const height = low + clamp(3 * (error - 0.01), 0, 0.09);
  return step(state, onTheWay(state, x, startY, height), 0, 0);
}

function reach(state: SceneState, task: SideTask): EndEffectorDelta {
  const [x, y] = state.blocks[task.block]!.position;
  return closeTo(state, [x, y + sideSign[task.side] * behind], 0);
}

/** Always towards the pad as the block lies now: a block that slides off the line is followed round. */
function pushTo(state: SceneState, task: PadTask): EndEffectorDelta {
  const pad = state.pads[task.pad];
  if (!pad) return stay(state, 0);
  const [x, y] = state.blocks[task.block]!.position;
  const [dx, dy] = [pad[0] - x, pad[1] - y];
  const left = Math.hypot(dx, dy);
  if (left < 0.012) return lift(state, task.block, 0);
  return pushAlong(state, task.block, [dx / left, dy / left], left);
}

/** Left or right, whichever is the shorter way to open space: pushing makes that way shorter still. */
function clear(state: SceneState, block: BlockColour): EndEffectorDelta {
  const way = wayOut(block, state);
  if (!way || way.distance === 0) return lift(state, block, 0);
  return pushAlong(state, block, [0, sideSign[way.side]], way.distance + 0.02);
}
