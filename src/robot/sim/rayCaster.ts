/**
 * A deterministic camera: casts one ray per pixel against analytic primitives (plane, sphere, capsule, cylinder, box) with
 * Lambert shading and hard shadows of one point light. No GPU, no dependency, the same bytes on every machine.
 *
 * Knows nothing of physics: it draws whatever `SceneGeometry` holds. A geom's screen-space bounding box limits the
 * pixels it is tested for; a bounding sphere against the light segment limits the shadow tests.
 */
import type { PinholeCamera, RgbImage } from '../../types.js';
import { toMatrix } from '../../math/quaternion.js';
import { GeomType, intersect } from './primitives.js';

export interface SceneGeometry {
  readonly count: number;
  readonly type: Int32Array;
  /** Half sizes as MuJoCo has them: sphere (r), capsule and cylinder (r, half length), box (half extents); count × 3. */
  readonly size: Float64Array;
  /** 0 … 1, count × 4; alpha 0 is not drawn. */
  readonly rgba: Float64Array;
  /** Bounding sphere radius; planes are unbounded. */
  readonly bound: Float64Array;
  /** World positions (count × 3, m) and rotation matrices (count × 9, row-major, worldFromGeom). */
  readonly position: Float64Array;
  readonly rotation: Float64Array;
  /** Geoms with a checkerboard of 8 cm squares, 10 % darker. */
  readonly checkered: Uint8Array;
  /** Geoms that throw no shadow. */
  readonly shadowless: Uint8Array;
}

export interface Light {
  readonly position: readonly [number, number, number];
  /** Share of light that reaches shadows, 0 … 1. */
  readonly ambient: number;
}

const background: readonly [number, number, number] = [190, 200, 215];
const maxGeoms = 256;

export class RayCaster {
  readonly #height: number;
  readonly #width: number;
  readonly #depth: Float32Array;
  readonly #geom: Int16Array;
  readonly #normal: Float32Array;
  readonly #directions: Float64Array;
  /** [unused, nx, ny, nz] of the last hit in the geom's frame. */
  readonly #hit = new Float64Array(4);
  readonly #lightLocal = new Float64Array(3 * maxGeoms);
  /** Geoms that throw shadows, so many; where each is seen from the light, and its bounding sphere's radius squared. */
  readonly #shadowers = new Int16Array(maxGeoms);
  #shadowerCount = 0;
  readonly #fromLight = new Float64Array(3 * maxGeoms);
  readonly #bound2 = new Float64Array(maxGeoms);
  #camera: PinholeCamera | null = null;

  constructor(height: number, width: number) {
    const pixels = height * width;
    this.#height = height;
    this.#width = width;
    this.#depth = new Float32Array(pixels);
    this.#geom = new Int16Array(pixels);
    this.#normal = new Float32Array(pixels * 3);
    this.#directions = new Float64Array(pixels * 3);
  }

  /** Renders into a fresh image. The camera's size must be the caster's. */
  render(scene: SceneGeometry, camera: PinholeCamera, light: Light): RgbImage {
    const eye = this.#aim(camera);
    this.#depth.fill(Infinity);
    this.#geom.fill(-1);
    for (let g = 0; g < scene.count; g++) {
      if (scene.rgba[4 * g + 3] !== 0) this.#castGeom(scene, g, camera, eye);
    }
    const data = new Uint8Array(this.#height * this.#width * 3);
    this.#shade(scene, eye, light, data);
    return { height: this.#height, width: this.#width, data };
  }

  /** Ray directions (world frame, forward component 1) for a new camera; returns the eye point. */
  #aim(camera: PinholeCamera): readonly [number, number, number] {
    const r = toMatrix(camera.cameraFromBase.rotation);
    const t = camera.cameraFromBase.translation;
    const eye = [0, 1, 2].map((i) => -(r[i]! * t[0] + r[3 + i]! * t[1] + r[6 + i]! * t[2])) as [
      number,
      number,
      number,
    ];
    if (this.#camera === camera) return eye;
    this.#camera = camera;
    const directions = this.#directions;
    for (let j = 0, k = 0; j < this.#height; j++) {
      const v = (j + 0.5 - camera.cy) / camera.fy;
      for (let i = 0; i < this.#width; i++, k += 3) {
        const u = (i + 0.5 - camera.cx) / camera.fx;
        directions[k] = r[0] * u + r[3] * v + r[6];
        directions[k + 1] = r[1] * u + r[4] * v + r[7];
        directions[k + 2] = r[2] * u + r[5] * v + r[8];
      }
    }
    return eye;
  }

  #castGeom(
    scene: SceneGeometry,
    g: number,
    camera: PinholeCamera,
    eye: readonly [number, number, number],
  ): void {
    const { type, size, position, rotation } = scene;
    const box = this.#screenBox(scene, g, camera);
    if (!box) return;
    const R = rotation.subarray(9 * g, 9 * g + 9);
    const [r0, r1, r2, r3, r4, r5, r6, r7, r8] = R as unknown as number[] as [
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
    const ex = position[3 * g]! - eye[0];
    const ey = position[3 * g + 1]! - eye[1];
    const ez = position[3 * g + 2]! - eye[2];
    const ox = -(r0 * ex + r3 * ey + r6 * ez);
    const oy = -(r1 * ex + r4 * ey + r7 * ez);
    const oz = -(r2 * ex + r5 * ey + r8 * ez);
    const [sx, sy, sz] = [size[3 * g]!, size[3 * g + 1]!, size[3 * g + 2]!];
    const kind = type[g]!;
    const hit = this.#hit;
    const depth = this.#depth;
    const normal = this.#normal;
    for (let j = box.top; j <= box.bottom; j++) {
      for (let p = j * this.#width + box.left, end = j * this.#width + box.right; p <= end; p++) {
        const wx = this.#directions[3 * p]!;
        const wy = this.#directions[3 * p + 1]!;
        const wz = this.#directions[3 * p + 2]!;
        const dx = r0 * wx + r3 * wy + r6 * wz;
        const dy = r1 * wx + r4 * wy + r7 * wz;
        const dz = r2 * wx + r5 * wy + r8 * wz;
        const t = intersect(kind, sx, sy, sz, ox, oy, oz, dx, dy, dz, hit);
        if (t >= depth[p]!) continue;
        depth[p] = t;
        this.#geom[p] = g;
        const [a, b, c] = [hit[1]!, hit[2]!, hit[3]!];
        normal[3 * p] = r0 * a + r1 * b + r2 * c;
        normal[3 * p + 1] = r3 * a + r4 * b + r5 * c;
        normal[3 * p + 2] = r6 * a + r7 * b + r8 * c;
      }
    }
  }

  /** Pixel rectangle that holds the geom's bounding sphere, or null when it is behind the camera. */
  #screenBox(scene: SceneGeometry, g: number, camera: PinholeCamera) {
    const full = { left: 0, right: this.#width - 1, top: 0, bottom: this.#height - 1 };
    if (scene.type[g] === GeomType.plane) return full;
    const radius = scene.bound[g]!;
    const r = toMatrix(camera.cameraFromBase.rotation);
    const t = camera.cameraFromBase.translation;
    const [px, py, pz] = [
      scene.position[3 * g]!,
      scene.position[3 * g + 1]!,
      scene.position[3 * g + 2]!,
    ];
    const x = r[0] * px + r[1] * py + r[2] * pz + t[0];
    const y = r[3] * px + r[4] * py + r[5] * pz + t[1];
    const z = r[6] * px + r[7] * py + r[8] * pz + t[2];
    if (z < -radius) return null;
    if (z <= radius * 1.05) return full;
    const q = radius / Math.sqrt(z * z - radius * radius);
    const ux = x / z;
    const uy = y / z;
    const marginX = (q * (1 + ux * ux)) / (1 - Math.abs(ux) * q);
    const marginY = (q * (1 + uy * uy)) / (1 - Math.abs(uy) * q);
    if (!(marginX > 0) || !(marginY > 0)) return full;
    return {
      left: Math.max(0, Math.floor((ux - marginX) * camera.fx + camera.cx - 1)),
      right: Math.min(full.right, Math.ceil((ux + marginX) * camera.fx + camera.cx)),
      top: Math.max(0, Math.floor((uy - marginY) * camera.fy + camera.cy - 1)),
      bottom: Math.min(full.bottom, Math.ceil((uy + marginY) * camera.fy + camera.cy)),
    };
  }

  #shade(
    scene: SceneGeometry,
    eye: readonly [number, number, number],
    light: Light,
    out: Uint8Array,
  ): void {
    const [lx, ly, lz] = light.position;
    this.#localLights(scene, light);
    const { rgba, checkered } = scene;
    const normal = this.#normal;
    let lastOccluder = -1;
    for (let p = 0, n = this.#height * this.#width; p < n; p++) {
      const g = this.#geom[p]!;
      if (g < 0) {
        out.set(background, 3 * p);
        continue;
      }
      const t = this.#depth[p]!;
      const hx = eye[0] + this.#directions[3 * p]! * t;
      const hy = eye[1] + this.#directions[3 * p + 1]! * t;
      const hz = eye[2] + this.#directions[3 * p + 2]! * t;
      const nz = normal[3 * p + 2]!;
      const dx = hx - lx;
      const dy = hy - ly;
      const dz = hz - lz;
      const inverse = 1 / Math.sqrt(dx * dx + dy * dy + dz * dz);
      let diffuse = -(normal[3 * p]! * dx + normal[3 * p + 1]! * dy + nz * dz) * inverse;
      if (diffuse > 0) {
        const occluder = this.#occluder(scene, g, lastOccluder, dx, dy, dz);
        if (occluder >= 0) {
          lastOccluder = occluder;
          diffuse = 0;
        }
      } else {
        diffuse = 0;
      }
      const dark =
        checkered[g] === 1 && (Math.floor(hx * 12.5) + Math.floor(hy * 12.5)) & 1 ? 0.9 : 1;
      const intensity =
        255 * dark * (light.ambient * (0.75 + 0.25 * nz) + (1 - light.ambient) * diffuse);
      for (let c = 0; c < 3; c++) out[3 * p + c] = Math.min(255, rgba[4 * g + c]! * intensity);
    }
  }

  /** The light's position in every geom's frame, and which geoms may stand in its way. */
  #localLights(scene: SceneGeometry, light: Light): void {
    const { type, position, rotation, bound, rgba, shadowless } = scene;
    this.#shadowerCount = 0;
    for (let g = 0; g < scene.count; g++) {
      const b = 9 * g;
      if (type[g] !== GeomType.plane && shadowless[g] !== 1 && rgba[4 * g + 3] !== 0)
        this.#shadowers[this.#shadowerCount++] = g;
      for (let a = 0; a < 3; a++)
        this.#fromLight[3 * g + a] = position[3 * g + a]! - light.position[a]!;
      this.#bound2[g] = bound[g]! * bound[g]!;
      const ex = light.position[0] - position[3 * g]!;
      const ey = light.position[1] - position[3 * g + 1]!;
      const ez = light.position[2] - position[3 * g + 2]!;
      for (let a = 0; a < 3; a++) {
        this.#lightLocal[3 * g + a] =
          rotation[b + a]! * ex + rotation[b + 3 + a]! * ey + rotation[b + 6 + a]! * ez;
      }
    }
  }

  /** Some geom on the segment light → point (d = point − light), or −1. Tries the last one first: shadows are coherent. */
  #occluder(
    scene: SceneGeometry,
    own: number,
    last: number,
    dx: number,
    dy: number,
    dz: number,
  ): number {
    const d2 = dx * dx + dy * dy + dz * dz;
    if (last >= 0 && last !== own && this.#blocks(scene, last, dx, dy, dz, d2)) return last;
    for (let i = 0; i < this.#shadowerCount; i++) {
      const s = this.#shadowers[i]!;
      if (s !== last && s !== own && this.#blocks(scene, s, dx, dy, dz, d2)) return s;
    }
    return -1;
  }

  /** `d2`: d squared. */
  #blocks(
    scene: SceneGeometry,
    s: number,
    dx: number,
    dy: number,
    dz: number,
    d2: number,
  ): boolean {
    const toward = this.#fromLight;
    const bx = toward[3 * s]!;
    const by = toward[3 * s + 1]!;
    const bz = toward[3 * s + 2]!;
    const k = (bx * dx + by * dy + bz * dz) / d2;
    if (k <= 0 || k >= 1.02) return false;
    const qx = bx - k * dx;
    const qy = by - k * dy;
    const qz = bz - k * dz;
    if (qx * qx + qy * qy + qz * qz > this.#bound2[s]!) return false;
    return this.#blocksClosely(scene, s, dx, dy, dz);
  }

  #blocksClosely(scene: SceneGeometry, s: number, dx: number, dy: number, dz: number): boolean {
    const { type, size, rotation } = scene;
    const b = 9 * s;
    const local = this.#lightLocal;
    const t = intersect(
      type[s]!,
      size[3 * s]!,
      size[3 * s + 1]!,
      size[3 * s + 2]!,
      local[3 * s]!,
      local[3 * s + 1]!,
      local[3 * s + 2]!,
      rotation[b]! * dx + rotation[b + 3]! * dy + rotation[b + 6]! * dz,
      rotation[b + 1]! * dx + rotation[b + 4]! * dy + rotation[b + 7]! * dz,
      rotation[b + 2]! * dx + rotation[b + 5]! * dy + rotation[b + 8]! * dz,
      this.#hit,
    );
    return t < 0.998;
  }
}
