/** Proprioception ↔ action-vocabulary ids: the {state} segment of a prompt. */
import * as quaternion from '../math/quaternion.js';
import type { Answer, EndEffectorReading, GripperReading } from '../types.js';
import { decodeBin, encodeBin } from './actionTokens.js';
import type { Contract, Dimension } from './contract.js';
import { accept, refuse } from './refusal.js';

/** What the robot reports, by field name. A field that is not known is absent. */
export type RobotState = Readonly<Partial<Record<Dimension, number>>>;

/** Tool centre point in the base frame (m; roll, pitch, yaw about the fixed axes, rad) and gripper opening 0 … 1. */
export function stateFromReadings(
  endEffector: EndEffectorReading | null,
  gripper: GripperReading | null,
): RobotState {
  const state: Partial<Record<Dimension, number>> = {};
  if (endEffector) {
    [state.x, state.y, state.z] = endEffector.pose.translation;
    [state.roll, state.pitch, state.yaw] = quaternion.toRpy(endEffector.pose.rotation);
  }
  if (gripper) state.gripper = gripper.opening;
  return state;
}

/** One id per field of the contract: min … max → −1 … 1 (clipped) → bin. A missing or non-finite field is refused. */
export function encodeState(state: RobotState, contract: Contract): Answer<number[]> {
  const ids: number[] = [];
  for (const { name, min, max } of contract.state) {
    const value = state[name];
    if (value === undefined || !Number.isFinite(value)) {
      const got = value === undefined ? 'nothing' : String(value);
      return refuse('badObservation', `robot state ${name}`, got, 'a finite number');
    }
    ids.push(encodeBin((2 * (value - min)) / (max - min) - 1, contract.answers.action));
  }
  return accept(ids);
}

/** Ids → centre of each field's bin, in field order. */
export function decodeState(ids: readonly number[], contract: Contract): number[] {
  return contract.state.map(({ min, max }, index) => {
    const x = decodeBin(ids[index]!, contract.answers.action);
    return min + ((x + 1) / 2) * (max - min);
  });
}
