/** Rigid transforms. `aFromB` maps b's coordinates into a's: compose(aFromB, bFromC) = aFromC. */
import type { Pose, Quaternion, Vec3 } from '../types.js';
import * as quaternion from './quaternion.js';
import * as vec3 from './vec3.js';

export const identity: Pose = { translation: vec3.zero, rotation: quaternion.identity };

export function compose(aFromB: Pose, bFromC: Pose): Pose {
  return {
    translation: transformPoint(aFromB, bFromC.translation),
    rotation: quaternion.multiply(aFromB.rotation, bFromC.rotation),
  };
}

/** aFromB → bFromA. */
export function invert(aFromB: Pose): Pose {
  const rotation = quaternion.conjugate(aFromB.rotation);
  return {
    translation: vec3.scale(quaternion.rotate(rotation, aFromB.translation), -1),
    rotation,
  };
}

/** A point in b → the same point in a. */
export function transformPoint(aFromB: Pose, pointInB: Vec3): Vec3 {
  return vec3.add(quaternion.rotate(aFromB.rotation, pointInB), aFromB.translation);
}

/** a at t = 0, b at t = 1: straight line and constant angular velocity, independent of each other. */
export function interpolate(a: Pose, b: Pose, t: number): Pose {
  return {
    translation: vec3.lerp(a.translation, b.translation, t),
    rotation: quaternion.slerp(a.rotation, b.rotation, t),
  };
}

/** Translation in metres and fixed-axis roll, pitch, yaw in rad, as URDF writes an origin. */
export function fromXyzRpy(xyz: Vec3, rpy: Vec3): Pose {
  return { translation: xyz, rotation: quaternion.fromRpy(rpy) };
}

/** Homogeneous 4 × 4 matrix, row-major. */
export function toMatrix4(pose: Pose): readonly number[] {
  const m = quaternion.toMatrix(pose.rotation);
  const t = pose.translation;
  // prettier-ignore
  return [
    m[0], m[1], m[2], t[0],
    m[3], m[4], m[5], t[1],
    m[6], m[7], m[8], t[2],
    0, 0, 0, 1,
  ];
}

/** Homogeneous 4 × 4 matrix of a rigid transform, row-major, 16 numbers. */
export function fromMatrix4(m: readonly number[]): Pose {
  const at = (i: number): number => m[i]!;
  const rotation: Quaternion = quaternion.fromMatrix([
    at(0),
    at(1),
    at(2),
    at(4),
    at(5),
    at(6),
    at(8),
    at(9),
    at(10),
  ]);
  return { translation: [at(3), at(7), at(11)], rotation };
}

export function isFinite(pose: Pose): boolean {
  return vec3.isFinite(pose.translation) && quaternion.isFinite(pose.rotation);
}
