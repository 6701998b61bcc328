/**
 * Normalised action values ↔ metres, radians and gripper opening. Every function has its inverse beside it.
 */
import { InputError } from '../errors.js';
import * as quaternion from '../math/quaternion.js';
import type { ActionChunk, Answer, EndEffectorDelta, Vec3 } from '../types.js';
import { decodeAction, encodeAction } from './actionTokens.js';
import type { ActionAnswer, Contract, Dimension } from './contract.js';
import { accept } from './refusal.js';
import type { ActionStatistics } from './statistics.js';

/** What turns an answer of one model into an action of one robot. */
export interface ActionDecoding {
  readonly action: ActionAnswer;
  readonly statistics: ActionStatistics;
  /** Base frame of the robot: goes into the chunk. */
  readonly frameId: string;
  readonly endId: number;
}

/**
 * The decoding for a robot: its own statistics where the model was trained for it, else the contract's default.
 * @param statisticsKey overrides that choice (`unnorm_key`). @throws InputError if the contract has no such key.
 */
export function actionDecodingFor(
  contract: Contract,
  robot: { readonly robot: string; readonly baseFrame: string },
  endId: number,
  statisticsKey?: string,
): ActionDecoding {
  const trained = contract.robots.find((candidate) => candidate.robot === robot.robot);
  const { action } = contract.answers;
  const key = statisticsKey ?? trained?.statistics ?? action.statistics.default;
  const statistics = Object.hasOwn(contract.statistics, key) ? contract.statistics[key] : undefined;
  if (!statistics) {
    const known = Object.keys(contract.statistics).join(', ');
    throw new InputError(`statistics of ${contract.name}`, `"${key}"`, `one of ${known}`);
  }
  return { action, statistics, frameId: robot.baseFrame, endId };
}

/** SI values of one step → −1 … 1 where the mask says so (unclipped); the inverse of unnormalise. */
export function normalise(step: readonly number[], statistics: ActionStatistics): number[] {
  return step.map((value, index) => {
    const [low, high] = [statistics.q01[index]!, statistics.q99[index]!];
    if (!statistics.mask[index]) return value;
    return high === low ? 0 : (2 * (value - low)) / (high - low) - 1;
  });
}

/** Normalised values of one step → SI: 0.5 · (x + 1) · (q99 − q01) + q01 where the mask says so, else as they are. */
export function unnormalise(step: readonly number[], statistics: ActionStatistics): number[] {
  return step.map((value, index) => {
    const [low, high] = [statistics.q01[index]!, statistics.q99[index]!];
    return statistics.mask[index] ? 0.5 * (value + 1) * (high - low) + low : value;
  });
}

/** Step of a chunk → SI values in the order of `dims`. */
export function valuesFromDelta(delta: EndEffectorDelta, action: ActionAnswer): number[] {
  const rotation =
    action.rotation === 'rpy'
      ? quaternion.toRpy(quaternion.fromRotationVector(delta.rotation))
      : delta.rotation;
  const { open, closed } = action.gripper;
  const byName: Record<Dimension, number> = {
    x: delta.translation[0],
    y: delta.translation[1],
    z: delta.translation[2],
    roll: rotation[0],
    pitch: rotation[1],
    yaw: rotation[2],
    gripper: closed + delta.gripper * (open - closed),
  };
  return action.dims.map((name) => byName[name]);
}

/** SI values in the order of `dims` → step of a chunk. A rotation the model does not have is 0; the opening is clipped to 0 … 1. */
export function deltaFromValues(values: readonly number[], action: ActionAnswer): EndEffectorDelta {
  const valueOf = (name: Dimension): number => {
    const index = action.dims.indexOf(name);
    return index < 0 ? 0 : values[index]!;
  };
  const angles: Vec3 = [valueOf('roll'), valueOf('pitch'), valueOf('yaw')];
  const rotation =
    action.rotation === 'rpy' ? quaternion.toRotationVector(quaternion.fromRpy(angles)) : angles;
  const { open, closed } = action.gripper;
  const opening = (valueOf('gripper') - closed) / (open - closed);
  return {
    translation: [valueOf('x'), valueOf('y'), valueOf('z')],
    rotation,
    gripper: Math.min(1, Math.max(0, opening)),
  };
}

/** Deltas of one chunk → the answer's ids, end id included. What lies outside the statistics is clipped to them. */
export function idsFromDeltas(
  deltas: readonly EndEffectorDelta[],
  { action, statistics, endId }: ActionDecoding,
): number[] {
  const steps = deltas.map((delta) => normalise(valuesFromDelta(delta, action), statistics));
  return encodeAction(steps, action, endId);
}

/** The answer's ids, end id included → chunk, or a refusal that says what is wrong with the answer. */
export function chunkFromIds(
  ids: readonly number[],
  { action, statistics, frameId, endId }: ActionDecoding,
): Answer<ActionChunk> {
  const decoded = decodeAction(ids, action, endId);
  if (!decoded.ok) return decoded;
  return accept({
    kind: 'endEffectorDelta',
    stepPeriodNs: BigInt(Math.round(action.period * 1e9)),
    frameId,
    reference: action.reference,
    composition: action.composition,
    steps: decoded.value.map((step) => deltaFromValues(unnormalise(step, statistics), action)),
  });
}
