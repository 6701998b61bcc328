/** A compiled physics model of one set of objects, and where in its arrays everything is. */
import type { Arm } from '../../arm/kinematics.js';
import type { Urdf } from '../../arm/urdf.js';
import type { Geoms, Physics } from './physics.js';
import { mjcfFromUrdf } from './scene.js';
import type { SceneObjects } from './scenery.js';

export const timestep = 0.0025;
const contactLinks = ['hand', 'left_finger', 'right_finger'];
const fingerJoints = ['left_finger_joint', 'right_finger_joint'];

export function sceneText(urdf: Urdf, objects: SceneObjects): string {
  return mjcfFromUrdf(urdf, { timestep, contactLinks, objects });
}

export class Stage {
  readonly physics: Physics;
  readonly objects: SceneObjects;
  readonly geoms: Geoms;
  /** 0 … 1, four per geom: what the camera sees. */
  readonly rgba: Float64Array;
  readonly joints: readonly { readonly qpos: number; readonly qvel: number }[];
  readonly fingers: readonly { readonly qpos: number; readonly qvel: number }[];
  readonly actuators: readonly number[];
  readonly fingerActuators: readonly number[];
  readonly hand: number;

  constructor(physics: Physics, arm: Arm, objects: SceneObjects) {
    this.physics = physics;
    this.objects = objects;
    this.geoms = physics.geoms();
    this.rgba = Float64Array.from(this.geoms.rgba);
    this.joints = arm.jointNames.map((name) => physics.joint(name));
    this.fingers = fingerJoints.map((name) => physics.joint(name));
    this.actuators = arm.jointNames.map((name) => physics.actuator(name));
    this.fingerActuators = fingerJoints.map((name) => physics.actuator(name));
    this.hand = physics.body('hand');
  }
}
