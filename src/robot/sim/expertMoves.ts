/**
 * What the scripted expert is made of: for any state, the next end-effector delta towards a block, up, down onto a place,
 * or along the table. Smooth functions of the state alone, without memory: height follows the horizontal error (a funnel).
 */
import type { EndEffectorDelta, Vec3 } from '../../types.js';
import { behind } from './room.js';
import { coreBlockHalf, halfOf, isHolding, type BlockColour, type SceneState } from './tasks.js';

/** Largest step, m and rad per policy period. */
export const maxStep = { translation: 0.05, rotation: 0.25 } as const;

export const liftTo = 0.17;
const graspDepth = 0.004;

/** Approach from above, centre, descend inside the funnel, close when around the block. */
export function grasp(state: SceneState, colour: BlockColour): EndEffectorDelta {
  const block = state.blocks[colour];
  if (!block) return stay(state, 1);
  const [x, y, z] = block.position;
  const yaw = alongEdge(block.yaw, state.tcpYaw);
  const askew = Math.abs(yaw - state.tcpYaw);
  const error = Math.hypot(x - state.tcp[0], y - state.tcp[1]);
  const height = state.tcp[2] - z;
  const closing = state.gripperWidth < 0.07;
  const empty = block.half === undefined ? 0.03 : 2 * block.half - 0.008;
  if (state.gripperWidth < empty) return step(state, [x, y, z + 0.06], yaw, 1);
  const isAround = error < (closing ? 0.024 : 0.016) && height < (closing ? 0.024 : 0.014);
  if (isAround && askew < (closing ? 0.4 : 0.25)) {
    return step(state, [x, y, z - graspDepth], yaw, 0);
  }
  const turning = clamp(0.15 * (askew - 0.2), 0, 0.02);
  const funnel = clamp(3 * (error - 0.01), 0, 0.11) + turning;
  return step(state, [x, y, Math.max(0.014, z - graspDepth) + funnel], yaw, 1);
}

/** Between fingers that have come to it: lifted sooner, it slips out of a hand that is still closing. */
export function isGripped(state: SceneState, colour: BlockColour): boolean {
  const block = state.blocks[colour];
  if (!block || !isHolding(state, colour)) return false;
  return state.gripperWidth < 2 * halfOf(block) + 0.007;
}

/** Straight up, centring on the block: a label of exactly zero would be one sharp token that greedy decoding prefers. */
export function lift(state: SceneState, colour: BlockColour, gripper: 0 | 1): EndEffectorDelta {
  const [x, y] = state.blocks[colour]!.position;
  const goal: Vec3 = [(state.tcp[0] + x) / 2, (state.tcp[1] + y) / 2, liftTo];
  return step(state, goal, state.tcpYaw, gripper);
}

/** Where a carried block is set down. */
export interface Destination {
  /** Where the block comes to lie, m; `z`: the table's or a lower block's top. */
  readonly at: Vec3;
  /** How near counts as there, and how near the fingers may open, m. */
  readonly near: number;
  readonly open: number;
  /** Height per metre of sideways error, and from which error on. */
  readonly funnel: { readonly slope: number; readonly from: number };
}

const carryHeight = 0.115;
/** Of the tool over what the block is set on. */
const releaseHeight = 0.026;

/** Grasp, carry, lower, let go, and up again. */
export function carryTo(
  state: SceneState,
  colour: BlockColour,
  { at, near, open, funnel }: Destination,
): EndEffectorDelta {
  const block = state.blocks[colour]!;
  const [x, y, z] = block.position;
  const more = block.half === undefined ? 0 : block.half - coreBlockHalf;
  const resting = Math.hypot(x - at[0], y - at[1]) < near && z < at[2] + more + 0.027;
  if (resting) {
    return state.gripperWidth > 0.06
      ? lift(state, colour, 1)
      : step(state, block.position, state.tcpYaw, 1);
  }
  if (!isGripped(state, colour)) return grasp(state, colour);
  const away = Math.hypot(at[0] - state.tcp[0], at[1] - state.tcp[1]);
  const release = at[2] + releaseHeight + more;
  const wanted =
    release + clamp(funnel.slope * (away - funnel.from), 0, carryHeight - releaseHeight);
  const down = away < open && state.tcp[2] < release + 0.01;
  return step(state, onTheWay(state, at[0], at[1], wanted), state.tcpYaw, down ? 1 : 0);
}

/**
 * Sideways motion waits for the height it wants, but never wholly: a label of exactly zero would be one sharp token that
 * greedy decoding prefers.
 */
export function onTheWay(state: SceneState, x: number, y: number, wanted: number): Vec3 {
  const share = clamp(1 - (wanted - 0.03 - state.tcp[2]) / 0.06, 0.15, 1);
  return [
    state.tcp[0] + (x - state.tcp[0]) * share,
    state.tcp[1] + (y - state.tcp[1]) * share,
    wanted,
  ];
}

/** Of the tool over the table beside a block, and where a push begins: rising a little on the way presses no block down. */
const low = 0.02;
const pushFrom = 0.016;
const pushAt = 0.024;

/** Go behind the block at a safe height, descend, push it along with closed fingers, `distance` further. */
export function pushAlong(
  state: SceneState,
  colour: BlockColour,
  direction: readonly [number, number],
  distance: number,
): EndEffectorDelta {
  const block = state.blocks[colour]!;
  const [x, y, z] = block.position;
  const yaw = nearestQuarterTurn(Math.atan2(direction[1], direction[0]));
  const [dx, dy] = [x - state.tcp[0], y - state.tcp[1]];
  const ahead = dx * direction[0] + dy * direction[1]; // > 0: the gripper is on the pushing side
  const across = Math.abs(dx * direction[1] - dy * direction[0]);
  if (state.tcp[2] < 0.045 && across < 0.018 && ahead > 0.015) {
    // From the block's centre to the tool's when the fingers touch it.
    const touching = halfOf(block) + 0.018;
    const lowEnough = clamp(1 - (state.tcp[2] - pushAt - 0.002) / 0.015, 0.15, 1);
    // A block that is pressed into the table is jammed: the harder the push, the tighter. Ease off.
    const free = clamp(1 - (halfOf(block) - z - 0.001) / 0.002, -0.5, 1);
    const further = free * lowEnough * clamp(distance + ahead - touching, 0.006, 0.03);
    const goal: Vec3 = [
      x - direction[0] * (ahead - further),
      y - direction[1] * (ahead - further),
      state.tcp[2] > pushAt + 0.004 ? pushFrom : pushAt + 0.006 * (1 - free),
    ];
    return step(state, goal, yaw, 0, 0.035);
  }
  return closeTo(state, [x - behind * direction[0], y - behind * direction[1]], yaw, pushFrom);
}

/** Down to a place on the table with closed fingers, at a safe height until near. */
export function closeTo(
  state: SceneState,
  [x, y]: readonly [number, number],
  yaw: number,
  height = low,
): EndEffectorDelta {
  const error = Math.hypot(state.tcp[0] - x, state.tcp[1] - y);
  const turning = clamp(0.2 * (Math.abs(yaw - state.tcpYaw) - 0.15), 0, 0.03);
  const wanted = height + clamp(3 * (error - 0.01), 0, 0.09) + turning;
  return step(state, onTheWay(state, x, y, wanted), yaw, 0);
}

/** Nothing to be done with what is not there. */
export function stay(state: SceneState, gripper: 0 | 1): EndEffectorDelta {
  return step(state, state.tcp, state.tcpYaw, gripper);
}

export function step(
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

/** A block looks the same after a quarter turn: of those yaws within ±45° of zero, as the gripper starts near zero. */
export function nearestQuarterTurn(yaw: number): number {
  const quarter = Math.PI / 2;
  return yaw - quarter * Math.round(yaw / quarter);
}

/** The hand never has to turn further than this to grasp, rad. */
const farthestTurn = 1.1;

/**
 * A block looks the same after a quarter turn. Of those yaws the one nearest to twice the hand's own: a hand that has begun
 * to turn goes on, and who cannot tell quite how the block lies is soon past doubt. Nearest to zero, a block that lies at
 * 45° would call it back and forth.
 */
function alongEdge(yaw: number, hand: number): number {
  const quarter = Math.PI / 2;
  const near = nearestQuarterTurn(yaw);
  const yaws = [near - quarter, near, near + quarter].filter((a) => Math.abs(a) < farthestTurn);
  return yaws.reduce((best, a) => (Math.abs(a - 2 * hand) < Math.abs(best - 2 * hand) ? a : best));
}

export function clamp(value: number, low: number, high: number): number {
  return Math.min(high, Math.max(low, value));
}
