/**
 * Forward kinematics of one serial chain of a URDF: any number of actuated joints, revolute, continuous or prismatic.
 * Joint vectors `q` are in the order of `jointNames`, rad or m. Positions and axes are in the base link's frame.
 */
import { ConfigError } from '../errors.js';
import * as pose from '../math/pose.js';
import * as quaternion from '../math/quaternion.js';
import * as vec3 from '../math/vec3.js';
import type { Pose, Vec3 } from '../types.js';
import type { Urdf, UrdfJoint } from './urdf.js';
import { chainBetween } from './urdfTree.js';

export interface ArmJoint {
  readonly name: string;
  readonly motion: 'turn' | 'slide';
  /** Frame of the joint before this one (or of the base) from this joint's frame at position 0. */
  readonly previousFromJoint: Pose;
  /** Unit vector in the joint's own frame. */
  readonly axis: Vec3;
}

/** Plain data: fixed joints are folded into the transforms of the actuated ones. */
export interface Arm {
  readonly baseLink: string;
  readonly tipLink: string;
  readonly joints: readonly ArmJoint[];
  /** Actuated joints from base to tip. */
  readonly jointNames: readonly string[];
  /** rad or m; ±Infinity for a continuous joint. */
  readonly lower: readonly number[];
  readonly upper: readonly number[];
  /** rad/s or m/s; Infinity where the URDF does not say. */
  readonly velocity: readonly number[];
  /** N·m or N; Infinity where the URDF does not say, or says 0, which is how exporters say nothing. */
  readonly effort: readonly number[];
  /** Frame of the last actuated joint from the tip. */
  readonly lastFromTip: Pose;
}

/** @throws ConfigError where a link is unknown, the tip does not hang on the base, or nothing in between moves. */
export function armFromUrdf(
  urdf: Urdf,
  { baseLink, tipLink }: { readonly baseLink: string; readonly tipLink: string },
): Arm {
  for (const [key, link] of Object.entries({ baseLink, tipLink })) {
    if (!urdf.links.some((known) => known.name === link))
      throw new ConfigError(key, link, `a link of the URDF of ${urdf.name}`);
  }
  const joints: ArmJoint[] = [];
  const limits: NonNullable<UrdfJoint['limit']>[] = [];
  let pending = pose.identity;
  for (const joint of chainBetween(urdf.joints, baseLink, tipLink)) {
    pending = pose.compose(pending, joint.origin);
    if (!joint.limit) continue;
    if (joint.mimic)
      throw new ConfigError(
        `joint ${joint.name}`,
        `a mimic joint between ${baseLink} and ${tipLink}`,
        'joints that can be commanded',
      );
    joints.push({
      name: joint.name,
      motion: motionOf(joint),
      previousFromJoint: pending,
      axis: joint.axis,
    });
    limits.push(joint.limit);
    pending = pose.identity;
  }
  if (joints.length === 0)
    throw new ConfigError('tipLink', tipLink, `an actuated joint between it and ${baseLink}`);
  return {
    baseLink,
    tipLink,
    joints,
    jointNames: joints.map((joint) => joint.name),
    lower: limits.map((limit) => limit.lower),
    upper: limits.map((limit) => limit.upper),
    velocity: limits.map((limit) => limit.velocity ?? Infinity),
    effort: limits.map((limit) => limit.effort || Infinity),
    lastFromTip: pending,
  };
}

/** How a joint that is not fixed moves. */
export function motionOf(joint: UrdfJoint): 'turn' | 'slide' {
  return joint.type === 'prismatic' ? 'slide' : 'turn';
}

/** baseFromTip at `q`. */
export function forward(arm: Arm, q: ArrayLike<number>): Pose {
  let current = pose.identity;
  for (let i = 0; i < arm.joints.length; i++) {
    current = pose.compose(current, previousFromMoved(arm.joints[i]!, q[i]!));
  }
  return pose.compose(current, arm.lastFromTip);
}

/**
 * The frames that move with `q`: [0] the base (identity), [i] the link driven by joint i − 1, in the base frame.
 * Length n + 1. The tip is linkPoses[n] · lastFromTip.
 */
export function linkPoses(arm: Arm, q: ArrayLike<number>): readonly Pose[] {
  const poses: Pose[] = [pose.identity];
  arm.joints.forEach((joint, i) => {
    poses.push(pose.compose(poses[i]!, previousFromMoved(joint, q[i]!)));
  });
  return poses;
}

/**
 * Geometric Jacobian at the tip, 6 × n row-major: rows 0–2 linear velocity of the tip's origin, rows 3–5 angular
 * velocity, both in the base frame. Column of a turning joint: [z × (p_tip − p_joint); z], of a sliding one: [z; 0]
 * (Siciliano et al., Robotics: Modelling, Planning and Control, eq. 3.30).
 */
export function jacobian(arm: Arm, q: ArrayLike<number>): Float64Array {
  const out = new Float64Array(6 * arm.joints.length);
  jacobianFromLinkPoses(arm, linkPoses(arm, q), out);
  return out;
}

/** The same into `out` (6 · n numbers, overwritten) from poses already computed. @returns baseFromTip. */
export function jacobianFromLinkPoses(arm: Arm, poses: readonly Pose[], out: Float64Array): Pose {
  const n = arm.joints.length;
  const baseFromTip = pose.compose(poses[n]!, arm.lastFromTip);
  for (let i = 0; i < n; i++) {
    const joint = arm.joints[i]!;
    const moved = poses[i + 1]!;
    const axis = quaternion.rotate(moved.rotation, joint.axis);
    const turns = joint.motion === 'turn';
    const linear = turns
      ? vec3.cross(axis, vec3.sub(baseFromTip.translation, moved.translation))
      : axis;
    for (let row = 0; row < 3; row++) {
      out[row * n + i] = linear[row]!;
      out[(row + 3) * n + i] = turns ? axis[row]! : 0;
    }
  }
  return baseFromTip;
}

function previousFromMoved(joint: ArmJoint, position: number): Pose {
  return moveAlong(joint.previousFromJoint, joint.motion, joint.axis, position);
}

/** The frame a joint carries at `position`, from the joint's frame at 0 and its axis. */
export function moveAlong(
  parentFromJoint: Pose,
  motion: 'turn' | 'slide',
  axis: Vec3,
  position: number,
): Pose {
  const { translation, rotation } = parentFromJoint;
  if (motion === 'slide')
    return {
      translation: pose.transformPoint(parentFromJoint, vec3.scale(axis, position)),
      rotation,
    };
  return {
    translation,
    rotation: quaternion.multiply(rotation, quaternion.fromAxisAngle(axis, position)),
  };
}
