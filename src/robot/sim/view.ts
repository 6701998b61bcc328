/** The scene's pinhole camera: where it looks from, and which pixel a point falls on. */
import { invert, transformPoint } from '../../math/pose.js';
import { fromMatrix } from '../../math/quaternion.js';
import type { PinholeCamera, Pixel, Pose, Vec3 } from '../../types.js';
import type { SceneState } from './tasks.js';
import type { World } from './world.js';

const fieldOfView = (32 * Math.PI) / 180;

/** Pixel of a point of the base frame. */
export function project(camera: PinholeCamera, point: Vec3): Pixel {
  const [x, y, z] = transformPoint(camera.cameraFromBase, point);
  return { x: (camera.fx * x) / z + camera.cx, y: (camera.fy * y) / z + camera.cy };
}

/** Something in the picture. */
export interface Point {
  readonly name: string;
  readonly at: Pixel;
}

/** Points that traces follow: the tool centre point and every block. */
export function pointsOf(world: World, state: SceneState): Point[] {
  const points: [string, Vec3][] = [['gripper', state.tcp]];
  for (const colour of world.blocks) points.push([colour, state.blocks[colour]!.position]);
  return points.map(([name, point]) => ({ name, at: project(world.camera, point) }));
}

export function cameraAt(
  eye: Vec3,
  aim: Vec3,
  size: { readonly height: number; readonly width: number },
): PinholeCamera {
  const unit = (v: Vec3): Vec3 => {
    const n = Math.hypot(...v);
    return [v[0] / n, v[1] / n, v[2] / n];
  };
  const forwards = unit([aim[0] - eye[0], aim[1] - eye[1], aim[2] - eye[2]]);
  const right = unit([forwards[1], -forwards[0], 0]);
  const down: Vec3 = [
    forwards[1] * right[2] - forwards[2] * right[1],
    forwards[2] * right[0] - forwards[0] * right[2],
    forwards[0] * right[1] - forwards[1] * right[0],
  ];
  const baseFromCamera: Pose = {
    translation: eye,
    rotation: fromMatrix([
      right[0],
      down[0],
      forwards[0],
      right[1],
      down[1],
      forwards[1],
      right[2],
      down[2],
      forwards[2],
    ]),
  };
  const focal = size.height / 2 / Math.tan(fieldOfView / 2);
  return {
    ...size,
    fx: focal,
    fy: focal,
    cx: size.width / 2,
    cy: size.height / 2,
    cameraFromBase: invert(baseFromCamera),
  };
}
