/**
 * Where a ray meets an analytic primitive, in the primitive's own frame: plain scalars, because these run once per pixel and
 * geom. Sizes are MuJoCo's half sizes.
 */

/** MuJoCo's mjtGeom numbers, so that arrays can be passed through. */
export const GeomType = { plane: 0, sphere: 2, capsule: 3, cylinder: 5, box: 6 } as const;

/** Smallest t > 1e-6 at which o + t·d meets the primitive, else Infinity; the normal goes into `hit[1..3]`. */
export function intersect(
  type: number,
  sx: number,
  sy: number,
  sz: number,
  ox: number,
  oy: number,
  oz: number,
  dx: number,
  dy: number,
  dz: number,
  hit: Float64Array,
): number {
  switch (type) {
    case GeomType.box:
      return intersectBox(sx, sy, sz, ox, oy, oz, dx, dy, dz, hit);
    case GeomType.sphere:
      return intersectBall(sx, 0, ox, oy, oz, dx, dy, dz, hit);
    case GeomType.capsule: {
      const side = intersectTube(sx, sy, ox, oy, oz, dx, dy, dz, hit);
      if (side < Infinity) return side;
      const low = intersectBall(sx, -sy, ox, oy, oz, dx, dy, dz, hit);
      const [nx, ny, nz] = [hit[1]!, hit[2]!, hit[3]!];
      const high = intersectBall(sx, sy, ox, oy, oz, dx, dy, dz, hit);
      if (high <= low) return high;
      [hit[1], hit[2], hit[3]] = [nx, ny, nz];
      return low;
    }
    case GeomType.cylinder: {
      const side = intersectTube(sx, sy, ox, oy, oz, dx, dy, dz, hit);
      if (dz === 0) return side;
      const sign = dz > 0 ? -1 : 1;
      const t = (sign * sy - oz) / dz;
      const x = ox + t * dx;
      const y = oy + t * dy;
      if (t <= 1e-6 || t >= side || x * x + y * y > sx * sx) return side;
      hit[1] = 0;
      hit[2] = 0;
      hit[3] = sign;
      return t;
    }
    case GeomType.plane: {
      if (dz >= 0) return Infinity;
      const t = -oz / dz;
      if (t < 1e-6) return Infinity;
      hit[1] = 0;
      hit[2] = 0;
      hit[3] = 1;
      return t;
    }
    default:
      return Infinity;
  }
}

/** Slab test (Kay & Kajiya 1986). */
function intersectBox(
  sx: number,
  sy: number,
  sz: number,
  ox: number,
  oy: number,
  oz: number,
  dx: number,
  dy: number,
  dz: number,
  hit: Float64Array,
): number {
  let enter = -Infinity;
  let leave = Infinity;
  let axis = 0;
  for (let a = 0; a < 3; a++) {
    const o = a === 0 ? ox : a === 1 ? oy : oz;
    const d = a === 0 ? dx : a === 1 ? dy : dz;
    const s = a === 0 ? sx : a === 1 ? sy : sz;
    if (d === 0) {
      if (o > s || o < -s) return Infinity;
      continue;
    }
    const near = (d > 0 ? -s - o : s - o) / d;
    const far = (d > 0 ? s - o : -s - o) / d;
    if (near > enter) {
      enter = near;
      axis = a;
    }
    if (far < leave) leave = far;
  }
  if (enter > leave || enter < 1e-6) return Infinity;
  const along = axis === 0 ? dx : axis === 1 ? dy : dz;
  hit[1] = 0;
  hit[2] = 0;
  hit[3] = 0;
  hit[axis + 1] = along > 0 ? -1 : 1;
  return enter;
}

/** Infinite cylinder of radius r about z, cut at |z| ≤ half. */
function intersectTube(
  r: number,
  half: number,
  ox: number,
  oy: number,
  oz: number,
  dx: number,
  dy: number,
  dz: number,
  hit: Float64Array,
): number {
  const a = dx * dx + dy * dy;
  if (a <= 1e-12) return Infinity;
  const b = ox * dx + oy * dy;
  const discriminant = b * b - a * (ox * ox + oy * oy - r * r);
  if (discriminant < 0) return Infinity;
  const t = (-b - Math.sqrt(discriminant)) / a;
  const z = oz + t * dz;
  if (t <= 1e-6 || z > half || z < -half) return Infinity;
  hit[1] = (ox + t * dx) / r;
  hit[2] = (oy + t * dy) / r;
  hit[3] = 0;
  return t;
}

/** Sphere of radius r about (0, 0, cz). */
function intersectBall(
  r: number,
  cz: number,
  ox: number,
  oy: number,
  oz: number,
  dx: number,
  dy: number,
  dz: number,
  hit: Float64Array,
): number {
  const pz = oz - cz;
  const a = dx * dx + dy * dy + dz * dz;
  const b = ox * dx + oy * dy + pz * dz;
  const discriminant = b * b - a * (ox * ox + oy * oy + pz * pz - r * r);
  if (discriminant < 0) return Infinity;
  const t = (-b - Math.sqrt(discriminant)) / a;
  if (t <= 1e-6) return Infinity;
  hit[1] = (ox + t * dx) / r;
  hit[2] = (oy + t * dy) / r;
  hit[3] = (pz + t * dz) / r;
  return t;
}
