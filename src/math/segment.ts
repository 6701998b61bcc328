/** Distance between line segments. */
import type { Vec3 } from '../types.js';
import * as vec3 from './vec3.js';

/**
 * Smallest distance between the segments p1…q1 and p2…q2, m. Either may be a point (p = q).
 * C. Ericson, Real-Time Collision Detection (2005), 5.1.9, ClosestPtSegmentSegment.
 */
export function segmentDistance(p1: Vec3, q1: Vec3, p2: Vec3, q2: Vec3): number {
  const POINT = 1e-18; // A squared length below this (1 nm) is a point.
  const d1 = vec3.sub(q1, p1);
  const d2 = vec3.sub(q2, p2);
  const r = vec3.sub(p1, p2);
  const a = vec3.dot(d1, d1);
  const e = vec3.dot(d2, d2);
  const f = vec3.dot(d2, r);
  const c = vec3.dot(d1, r);
  // Closest points are p1 + s·d1 and p2 + t·d2.
  let [s, t] = [0, 0];
  if (a <= POINT && e <= POINT) return vec3.norm(r);
  if (a <= POINT) t = unit(f / e);
  else if (e <= POINT) s = unit(-c / a);
  else {
    const b = vec3.dot(d1, d2);
    const determinant = a * e - b * b;
    // Parallel segments (determinant 0, up to rounding): any s will do, t and the clamping below make up for it.
    s = determinant > 1e-12 * a * e ? unit((b * f - c * e) / determinant) : 0;
    t = (b * s + f) / e;
    if (t < 0) [s, t] = [unit(-c / a), 0];
    else if (t > 1) [s, t] = [unit((b - c) / a), 1];
  }
  return vec3.distance(vec3.addScaled(p1, d1, s), vec3.addScaled(p2, d2, t));
}

function unit(value: number): number {
  return Math.min(1, Math.max(0, value));
}
