/**
 * States of motion and the blend between two of them: a cubic Hermite curve that starts and ends with the given position
 * and velocity, so that a motion put together from blends never jumps in either. Pure; times in s.
 *
 * It knows no limits: how fast a blend is follows from the time it is given. The guard limits what leaves the node.
 */
import * as quaternion from '../math/quaternion.js';
import * as vec3 from '../math/vec3.js';
import type { Pose, Vec3 } from '../types.js';

/** Tool centre point in the base frame; linear m/s, angular rad/s about the base axes. */
export interface PoseState {
  readonly kind: 'pose';
  readonly pose: Pose;
  readonly linear: Vec3;
  readonly angular: Vec3;
}

/** Joints in the arm's order; rad and rad/s (m and m/s for a sliding joint). */
export interface JointState {
  readonly kind: 'joint';
  readonly position: readonly number[];
  readonly velocity: readonly number[];
}

export type MotionState = PoseState | JointState;

export function poseAtRest(pose: Pose): PoseState {
  return { kind: 'pose', pose, linear: vec3.zero, angular: vec3.zero };
}

export function jointsAtRest(position: readonly number[]): JointState {
  return { kind: 'joint', position, velocity: position.map(() => 0) };
}

/** Where the state gets in `seconds` at its own velocity. */
export function advance(state: PoseState, seconds: number): PoseState;
export function advance(state: JointState, seconds: number): JointState;
export function advance(state: MotionState, seconds: number): MotionState {
  if (state.kind === 'joint')
    return { ...state, position: state.position.map((p, i) => p + seconds * state.velocity[i]!) };
  const turned = quaternion.fromRotationVector(vec3.scale(state.angular, seconds));
  return {
    ...state,
    pose: {
      translation: vec3.addScaled(state.pose.translation, state.linear, seconds),
      rotation: quaternion.normalise(quaternion.multiply(turned, state.pose.rotation)),
    },
  };
}

/** From `from` at t = 0 to `to` at t = duration > 0. Outside that span the nearer end. */
export function blend(
  from: MotionState,
  to: MotionState,
  duration: number,
  t: number,
): MotionState {
  if (t <= 0) return from;
  if (t >= duration) return to;
  if (from.kind === 'pose' && to.kind === 'pose') return blendPose(from, to, duration, t);
  if (from.kind === 'joint' && to.kind === 'joint') return blendJoints(from, to, duration, t);
  throw new TypeError(`a blend from a ${from.kind} to a ${to.kind} state has no meaning`);
}

function blendJoints(from: JointState, to: JointState, duration: number, t: number): JointState {
  const curve = from.position.map((p0, i) =>
    hermite(p0, from.velocity[i]!, to.position[i]!, to.velocity[i]!, duration, t),
  );
  return {
    kind: 'joint',
    position: curve.map(([position]) => position),
    velocity: curve.map(([, velocity]) => velocity),
  };
}

/**
 * Rotation as R(t) = exp(φ(t)) · R_from, φ a Hermite curve of rotation vectors from 0 to log(R_to · R_from⁻¹) along the
 * shorter way. Angular velocity and φ' are tied by ω = J(φ) φ', J the left Jacobian of SO(3).
 */
function blendPose(from: PoseState, to: PoseState, duration: number, t: number): PoseState {
  const phiEnd = rotationBetween(from.pose, to.pose);
  const rateEnd = inverseLeftJacobian(phiEnd, to.angular);
  const axes = [0, 1, 2] as const;
  const line = axes.map((i) =>
    hermite(
      from.pose.translation[i],
      from.linear[i],
      to.pose.translation[i],
      to.linear[i],
      duration,
      t,
    ),
  );
  const turn = axes.map((i) => hermite(0, from.angular[i], phiEnd[i], rateEnd[i], duration, t));
  const phi = vector(turn, 0);
  return {
    kind: 'pose',
    pose: {
      translation: vector(line, 0),
      rotation: quaternion.normalise(
        quaternion.multiply(quaternion.fromRotationVector(phi), from.pose.rotation),
      ),
    },
    linear: vector(line, 1),
    angular: leftJacobian(phi, vector(turn, 1)),
  };
}

/** Rotation vector in the base frame that takes a's orientation to b's. */
export function rotationBetween(a: Pose, b: Pose): Vec3 {
  return quaternion.toRotationVector(
    quaternion.multiply(b.rotation, quaternion.conjugate(a.rotation)),
  );
}

/** Cubic with p(0) = p0, p'(0) = v0, p(T) = p1, p'(T) = v1 → [p(t), p'(t)]. */
function hermite(
  p0: number,
  v0: number,
  p1: number,
  v1: number,
  duration: number,
  t: number,
): readonly [number, number] {
  const s = t / duration;
  const d = p1 - p0;
  const [a, b] = [v0 * duration, v1 * duration];
  const position = p0 + s * (a + s * (3 * d - 2 * a - b + s * (a + b - 2 * d)));
  const velocity = (a + s * (2 * (3 * d - 2 * a - b) + s * 3 * (a + b - 2 * d))) / duration;
  return [position, velocity];
}

/** J(φ) v = v + (1 − cos θ)/θ² φ×v + (θ − sin θ)/θ³ φ×(φ×v), θ = |φ| (Barfoot, State Estimation for Robotics, 7.77). */
function leftJacobian(phi: Vec3, v: Vec3): Vec3 {
  const theta = vec3.norm(phi);
  const [a, b] =
    theta < 1e-4
      ? [1 / 2, 1 / 6]
      : [(1 - Math.cos(theta)) / theta ** 2, (theta - Math.sin(theta)) / theta ** 3];
  const once = vec3.cross(phi, v);
  return vec3.addScaled(vec3.addScaled(v, once, a), vec3.cross(phi, once), b);
}

/** J(φ)⁻¹ v = v − ½ φ×v + (1/θ² − cot(θ/2)/(2θ)) φ×(φ×v), for θ ≤ π (Barfoot, 7.76). */
function inverseLeftJacobian(phi: Vec3, v: Vec3): Vec3 {
  const theta = vec3.norm(phi);
  const b = theta < 1e-4 ? 1 / 12 : 1 / theta ** 2 - 1 / (2 * theta * Math.tan(theta / 2));
  const once = vec3.cross(phi, v);
  return vec3.addScaled(vec3.addScaled(v, once, -1 / 2), vec3.cross(phi, once), b);
}

function vector(pairs: readonly (readonly [number, number])[], which: 0 | 1): Vec3 {
  return [pairs[0]![which], pairs[1]![which], pairs[2]![which]];
}
