/**
 * The scripted expert: for any scene state and any task, the end-effector delta a careful operator would give next.
 * A smooth function of the state alone — no memory, no phases — so it can label every frame for every instruction and
 * recovers by itself: height follows the horizontal error (a funnel), an empty closed gripper opens above the block.
 */
import type { EndEffectorDelta, Vec3 } from '../../types.js';
import { isHolding, sideSign, type SceneState, type Task } from './tasks.js';

/** Largest step, m and rad per policy period. */
export const maxStep = { translation: 0.05, rotation: 0.25 } as const;

const carryHeight = 0.12;
const liftTo = 0.17;
const graspDepth = 0.004;

export function expertAction(state: SceneState, task: Task): EndEffectorDelta {
  switch (task.family) {
    case 'pick':
      return isHolding(state, task.block) ? lift(state, task.block, 0) : grasp(state, task.block);
    case 'put':
      return put(state, task);
    case 'push':
      return push(state, task);
  }
}

/** Approach from above, centre, descend inside the funnel, close when around the block. */
function grasp(state: SceneState, colour: Task['block']): EndEffectorDelta {
  const block = state.blocks[colour];
  if (!block) return step(state, state.tcp, state.tcpYaw, 1);
  const [x, y, z] = block.position;
  const yaw = nearestQuarterTurn(block.yaw);
  const error = Math.hypot(x - state.tcp[0], y - state.tcp[1]);
  const height = state.tcp[2] - z;
  const closing = state.gripperWidth < 0.07;
  if (state.gripperWidth < 0.03) return step(state, [x, y, z + 0.06], yaw, 1);
  if (error < (closing ? 0.022 : 0.012) && height < (closing ? 0.022 : 0.012)) {
    return step(state, [x, y, z - graspDepth], yaw, 0);
  }
  const funnel =
    clamp(5 * (error - 0.006), 0, 0.11) +
    clamp(0.25 * (Math.abs(yaw - state.tcpYaw) - 0.12), 0, 0.04);
  return step(state, [x, y, Math.max(0.014, z - graspDepth) + funnel], yaw, 1);
}

/** Straight up, centring on the block: a label of exactly zero would be one sharp token that greedy decoding prefers. */
function lift(state: SceneState, colour: Task['block'], gripper: 0 | 1): EndEffectorDelta {
  const [x, y] = state.blocks[colour]!.position;
  const goal: Vec3 = [(state.tcp[0] + x) / 2, (state.tcp[1] + y) / 2, liftTo];
  return step(state, goal, state.tcpYaw, gripper);
}

function put(state: SceneState, task: Extract<Task, { family: 'put' }>): EndEffectorDelta {
  const block = state.blocks[task.block];
  const pad = state.pads[task.pad];
  if (!block || !pad) return step(state, state.tcp, state.tcpYaw, 1);
  const [x, y, z] = block.position;
  const resting = Math.hypot(x - pad[0], y - pad[1]) < 0.03 && z < 0.027;
  if (resting) {
    return state.gripperWidth > 0.06
      ? lift(state, task.block, 1)
      : step(state, block.position, state.tcpYaw, 1);
  }
  if (!isHolding(state, task.block)) return grasp(state, task.block);
  // Carry: the height wanted falls from carryHeight to the table as the pad comes near; sideways motion waits for height.
  const away = Math.hypot(pad[0] - state.tcp[0], pad[1] - state.tcp[1]);
  const wanted = 0.024 + clamp(4 * (away - 0.008), 0, carryHeight - 0.024);
  const ready = clamp(1 - (wanted - 0.02 - state.tcp[2]) / 0.05, 0, 1);
  const goal: Vec3 = [
    state.tcp[0] + (pad[0] - state.tcp[0]) * ready,
    state.tcp[1] + (pad[1] - state.tcp[1]) * ready,
    wanted,
  ];
  const down = away < 0.02 && state.tcp[2] < 0.03;
  return step(state, goal, state.tcpYaw, down ? 1 : 0);
}

/** Go behind the block at a safe height, descend, push through with closed fingers. */
function push(state: SceneState, task: Extract<Task, { family: 'push' }>): EndEffectorDelta {
  const block = state.blocks[task.block];
  if (!block) return step(state, state.tcp, 0, 0);
  const [x, y] = block.position;
  const sign = sideSign[task.side];
  const behind = (y - state.tcp[1]) * sign; // > 0: the gripper is on the pushing side
  const across = Math.abs(state.tcp[0] - x);
  const low = 0.02;
  const startY = y - sign * 0.065;
  if (state.tcp[2] < 0.045 && across < 0.018 && behind > 0.015) {
    return step(state, [x, y + sign * 0.04, low], 0, 0, 0.035);
  }
  const error = Math.hypot(state.tcp[0] - x, state.tcp[1] - startY);
  const height = low + clamp(4 * (error - 0.008), 0, 0.09);
  const ready = clamp(1 - (height - 0.03 - state.tcp[2]) / 0.05, 0, 1);
  const goal: Vec3 = [
    state.tcp[0] + (x - state.tcp[0]) * ready,
    state.tcp[1] + (startY - state.tcp[1]) * ready,
    height,
  ];
  return step(state, goal, 0, 0);
}

function step(
  state: SceneState,
  goal: Vec3,
  yaw: number,
  gripper: number,
  limit: number = maxStep.translation,
): EndEffectorDelta {
  const d = [goal[0] - state.tcp[0], goal[1] - state.tcp[1], goal[2] - state.tcp[2]] as const;
  const scale = Math.min(1, limit / Math.max(1e-9, Math.hypot(...d)));
  const turn = clamp(yaw - state.tcpYaw, -maxStep.rotation, maxStep.rotation);
  return {
    translation: [d[0] * scale, d[1] * scale, d[2] * scale],
    rotation: [0, 0, turn],
    gripper,
  };
}

/** The block looks the same after a quarter turn: of those yaws within ±45° of zero, as the gripper starts near zero. */
function nearestQuarterTurn(yaw: number): number {
  const quarter = Math.PI / 2;
  return yaw - quarter * Math.round(yaw / quarter);
}

function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
