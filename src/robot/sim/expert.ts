/**
 * The scripted expert: for any scene state and any task, the end-effector delta a careful operator would give next.
 * A smooth function of the state alone — no memory, no phases — so it can label every frame for every instruction and
 * recovers by itself: height follows the horizontal error (a funnel), an empty closed gripper opens above the block.
 */
import type { EndEffectorDelta, Vec3 } from '../../types.js';
import { isHolding, sideSign, type SceneState, type Task } from './tasks.js';

/** Largest step, m and rad per policy period. */
export const maxStep = { translation: 0.05, rotation: 0.25 } as const;

const carryHeight = 0.115;
const releaseHeight = 0.026;
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
  if (error < (closing ? 0.024 : 0.016) && height < (closing ? 0.024 : 0.014)) {
    return step(state, [x, y, z - graspDepth], yaw, 0);
  }
  const turning = clamp(0.2 * (Math.abs(yaw - state.tcpYaw) - 0.15), 0, 0.03);
  const funnel = clamp(3 * (error - 0.01), 0, 0.11) + turning;
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
  const resting = Math.hypot(x - pad[0], y - pad[1]) < 0.034 && z < 0.027;
  if (resting) {
    return state.gripperWidth > 0.06
      ? lift(state, task.block, 1)
      : step(state, block.position, state.tcpYaw, 1);
  }
  if (!isHolding(state, task.block)) return grasp(state, task.block);
  const away = Math.hypot(pad[0] - state.tcp[0], pad[1] - state.tcp[1]);
  const wanted = releaseHeight + clamp(1.6 * (away - 0.02), 0, carryHeight - releaseHeight);
  const down = away < 0.026 && state.tcp[2] < releaseHeight + 0.01;
  return step(state, onTheWay(state, pad[0], pad[1], wanted), state.tcpYaw, down ? 1 : 0);
}

/**
 * Sideways motion waits for the height it wants, but never wholly: a label of exactly zero would be one sharp token that
 * greedy decoding prefers.
 */
function onTheWay(state: SceneState, x: number, y: number, wanted: number): Vec3 {
  const share = clamp(1 - (wanted - 0.03 - state.tcp[2]) / 0.06, 0.15, 1);
  return [
    state.tcp[0] + (x - state.tcp[0]) * share,
    state.tcp[1] + (y - state.tcp[1]) * share,
    wanted,
  ];
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
  const height = low + clamp(3 * (error - 0.01), 0, 0.09);
  return step(state, onTheWay(state, x, startY, height), 0, 0);
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
