/**
 * Unit quaternions [x, y, z, w] as rotations: `aFromB` turns b's coordinates into a's. q and −q are one rotation; what
 * is compared or interpolated here takes the shorter way. Read with the module's name: `quaternion.fromRpy(…)`.
 */
import type { Quaternion, Vec3 } from '../types.js';

/** 3 × 3 rotation, row-major. */
export type Matrix3 = readonly [
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
  number,
];

export const identity: Quaternion = [0, 0, 0, 1];

/** Below this |sin(half angle)| the exact formulas divide 0 by 0; their series to first order is exact in doubles. */
const TINY = 1e-9;

/** Hamilton product: first b, then a (aFromC = multiply(aFromB, bFromC)). */
export function multiply(a: Quaternion, b: Quaternion): Quaternion {
  return [
    a[3] * b[0] + a[0] * b[3] + a[1] * b[2] - a[2] * b[1],
    a[3] * b[1] - a[0] * b[2] + a[1] * b[3] + a[2] * b[0],
    a[3] * b[2] + a[0] * b[1] - a[1] * b[0] + a[2] * b[3],
    a[3] * b[3] - a[0] * b[0] - a[1] * b[1] - a[2] * b[2],
  ];
}

/** The inverse of a unit quaternion. */
export function conjugate(q: Quaternion): Quaternion {
  return [-q[0], -q[1], -q[2], q[3]];
}

/** Length 1. @returns the identity for a quaternion of length 0, which is no rotation. */
export function normalise(q: Quaternion): Quaternion {
  const length = Math.hypot(q[0], q[1], q[2], q[3]);
  if (length === 0) return identity;
  return [q[0] / length, q[1] / length, q[2] / length, q[3] / length];
}

/** q · v · q*, as v + 2 u × (u × v + w v) with u the vector part. */
export function rotate(q: Quaternion, v: Vec3): Vec3 {
  const [x, y, z, w] = q;
  const cx = y * v[2] - z * v[1] + w * v[0];
  const cy = z * v[0] - x * v[2] + w * v[1];
  const cz = x * v[1] - y * v[0] + w * v[2];
  return [v[0] + 2 * (y * cz - z * cy), v[1] + 2 * (z * cx - x * cz), v[2] + 2 * (x * cy - y * cx)];
}

/** Rotation by `angle` rad about a unit axis. */
export function fromAxisAngle(axis: Vec3, angle: number): Quaternion {
  const s = Math.sin(angle / 2);
  return [axis[0] * s, axis[1] * s, axis[2] * s, Math.cos(angle / 2)];
}

/** Rotation vector (unit axis · angle, rad) → quaternion. */
export function fromRotationVector(v: Vec3): Quaternion {
  const angle = Math.hypot(v[0], v[1], v[2]);
  const factor = angle < TINY ? 0.5 : Math.sin(angle / 2) / angle;
  return [v[0] * factor, v[1] * factor, v[2] * factor, Math.cos(angle / 2)];
}

/** Quaternion → rotation vector of length 0 … π: the shorter of the two ways, the same for q and −q below π. */
export function toRotationVector(q: Quaternion): Vec3 {
  const sign = q[3] < 0 ? -1 : 1;
  const sine = Math.hypot(q[0], q[1], q[2]);
  const angle = 2 * Math.atan2(sine, sign * q[3]);
  const factor = sine < TINY ? 2 * sign : (sign * angle) / sine;
  return [q[0] * factor, q[1] * factor, q[2] * factor];
}

/** Roll, pitch, yaw about the fixed axes x, y, z (REP-103, URDF): yaw · pitch · roll. */
export function fromRpy(rpy: Vec3): Quaternion {
  const [cr, sr] = [Math.cos(rpy[0] / 2), Math.sin(rpy[0] / 2)];
  const [cp, sp] = [Math.cos(rpy[1] / 2), Math.sin(rpy[1] / 2)];
  const [cy, sy] = [Math.cos(rpy[2] / 2), Math.sin(rpy[2] / 2)];
  return [
    sr * cp * cy - cr * sp * sy,
    cr * sp * cy + sr * cp * sy,
    cr * cp * sy - sr * sp * cy,
    cr * cp * cy + sr * sp * sy,
  ];
}

/**
 * Roll, pitch, yaw; pitch in −π/2 … π/2, the others in −π … π. At pitch = ±π/2 only roll ∓ yaw is defined: yaw is then 0.
 */
export function toRpy(q: Quaternion): Vec3 {
  const m = toMatrix(q);
  const cosPitch = Math.hypot(m[0], m[3]);
  const pitch = Math.atan2(-m[6], cosPitch);
  if (cosPitch < 1e-9) return [Math.atan2(-m[5], m[4]), pitch, 0];
  return [Math.atan2(m[7], m[8]), pitch, Math.atan2(m[3], m[0])];
}

export function toMatrix(q: Quaternion): Matrix3 {
  const [x, y, z, w] = q;
  return [
    1 - 2 * (y * y + z * z),
    2 * (x * y - z * w),
    2 * (x * z + y * w),
    2 * (x * y + z * w),
    1 - 2 * (x * x + z * z),
    2 * (y * z - x * w),
    2 * (x * z - y * w),
    2 * (y * z + x * w),
    1 - 2 * (x * x + y * y),
  ];
}

/** Rotation matrix → quaternion with w ≥ 0, dividing by the largest component (Shepperd 1978). */
export function fromMatrix(m: Matrix3): Quaternion {
  const trace = m[0] + m[4] + m[8];
  const largest = Math.max(trace, m[0], m[4], m[8]);
  let q: Quaternion;
  if (largest === trace) q = [m[7] - m[5], m[2] - m[6], m[3] - m[1], 1 + trace];
  else if (largest === m[0]) q = [1 + 2 * m[0] - trace, m[1] + m[3], m[2] + m[6], m[7] - m[5]];
  else if (largest === m[4]) q = [m[1] + m[3], 1 + 2 * m[4] - trace, m[5] + m[7], m[2] - m[6]];
  else q = [m[2] + m[6], m[5] + m[7], 1 + 2 * m[8] - trace, m[3] - m[1]];
  const unit = normalise(q);
  return unit[3] < 0 ? [-unit[0], -unit[1], -unit[2], -unit[3]] : unit;
}

/** Angle between two rotations, 0 … π rad. Exact for small angles, where 2·acos(|a·b|) loses half the digits. */
export function angleBetween(a: Quaternion, b: Quaternion): number {
  const q = multiply(conjugate(a), b);
  return 2 * Math.atan2(Math.hypot(q[0], q[1], q[2]), Math.abs(q[3]));
}

/** a at t = 0, b at t = 1, at constant angular velocity along the shorter way. */
export function slerp(a: Quaternion, b: Quaternion, t: number): Quaternion {
  const [x, y, z] = toRotationVector(multiply(conjugate(a), b));
  return multiply(a, fromRotationVector([x * t, y * t, z * t]));
}

export function isFinite(q: Quaternion): boolean {
  return q.every(Number.isFinite);
}
