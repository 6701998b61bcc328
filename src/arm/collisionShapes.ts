/**
 * Collision shapes that a robot.yaml gives to links of which the URDF has only meshes. A mesh has no extent here, and an
 * arm whose joints are commanded must be known in full; vendors' descriptions are mostly meshes.
 */
import { ConfigError } from '../errors.js';
import * as quaternion from '../math/quaternion.js';
import * as vec3 from '../math/vec3.js';
import type { Quaternion, Vec3 } from '../types.js';
import type { Geometry, Urdf } from './urdf.js';

/** All points within `radius` of the segment; in the link's frame, m. A ball where both ends are one point. */
export interface CapsuleShape {
  readonly from: Vec3;
  readonly to: Vec3;
  readonly radius: number;
}

/**
 * The URDF with these capsules as the whole collision geometry of the links that are named: what it says about them
 * itself no longer counts. Other links are as they were. @throws ConfigError for a link that is not there.
 */
export function withCollisionShapes(
  urdf: Urdf,
  shapes: Readonly<Record<string, readonly CapsuleShape[]>>,
): Urdf {
  for (const link of Object.keys(shapes))
    if (!urdf.links.some(({ name }) => name === link))
      throw new ConfigError('description.collision', link, `a link of the URDF of ${urdf.name}`);
  return {
    ...urdf,
    links: urdf.links.map((link) => {
      const given = shapes[link.name];
      return given ? { ...link, collision: given.map(geometryOf) } : link;
    }),
  };
}

/** As a cylinder, which clearance reads with round caps. */
function geometryOf({ from, to, radius }: CapsuleShape): Geometry {
  const along = vec3.sub(to, from);
  const length = vec3.norm(along);
  const origin = { translation: vec3.lerp(from, to, 0.5), rotation: turnFromZ(along, length) };
  const shape =
    length === 0
      ? ({ kind: 'sphere', radius } as const)
      : ({ kind: 'cylinder', radius, length } as const);
  return { name: 'robot.yaml', origin, shape, rgba: null };
}

/** A rotation that brings z onto `direction`. */
function turnFromZ(direction: Vec3, length: number): Quaternion {
  if (length === 0) return quaternion.identity;
  const [x, y, z] = vec3.scale(direction, 1 / length);
  const sideways = Math.hypot(x, y);
  // About z × direction, or about any horizontal axis where the direction is ±z.
  const axis: Vec3 = sideways === 0 ? [1, 0, 0] : [-y / sideways, x / sideways, 0];
  return quaternion.fromAxisAngle(axis, Math.atan2(sideways, z));
}
