/** What the simulator publishes, as ROS messages. Frames are the URDF's links; the camera's is `<camera>_optical`. */
import type { Urdf } from '../arm/urdf.js';
import { motionOf, moveAlong } from '../arm/kinematics.js';
import * as pose from '../math/pose.js';
import type { RosMessage } from '../robot/messages/cdr.js';
import {
  messageFromHeader,
  messageFromStamp,
  messageFromVector,
} from '../robot/messages/messages.js';
import type { StepReading } from '../robot/sim/protocol.js';
import type { PinholeCamera, Pose } from '../types.js';

/** The joints of `StepReading.fingers`. */
export const fingerJoints = ['left_finger_joint', 'right_finger_joint'] as const;

/** rosgraph_msgs/Clock. */
export function clockMessage(stampNs: bigint): RosMessage {
  return { clock: messageFromStamp(stampNs) };
}

/** sensor_msgs/JointState: arm joints, then both fingers. */
export function jointStateMessage(reading: StepReading, armJoints: readonly string[]): RosMessage {
  const { stampNs, joints, fingers } = reading;
  return {
    header: messageFromHeader(stampNs, ''),
    name: [...armJoints, ...fingerJoints],
    position: [...joints.position, ...fingers.position],
    velocity: [...joints.velocity, ...fingers.velocity],
    effort: [...joints.effort, ...fingers.effort],
  };
}

/**
 * sensor_msgs/CameraInfo of a pinhole. Our pixel coordinates begin at the corner of the top-left pixel, those of K (as
 * image_geometry and OpenCV read it) at its centre: half a pixel lies between them.
 */
export function cameraInfoMessage(
  camera: PinholeCamera,
  stampNs: bigint,
  frameId: string,
): RosMessage {
  const { height, width, fx, fy } = camera;
  const [cx, cy] = [camera.cx - 0.5, camera.cy - 0.5];
  return {
    header: messageFromHeader(stampNs, frameId),
    height,
    width,
    distortion_model: 'plumb_bob',
    d: [0, 0, 0, 0, 0],
    k: [fx, 0, cx, 0, fy, cy, 0, 0, 1],
    r: [1, 0, 0, 0, 1, 0, 0, 0, 1],
    p: [fx, 0, cx, 0, 0, fy, cy, 0, 0, 0, 1, 0],
    binning_x: 0,
    binning_y: 0,
    roi: { x_offset: 0, y_offset: 0, height: 0, width: 0, do_rectify: false },
  };
}

/** tf2_msgs/TFMessage: parent from child of every joint that moves. */
export function movingTransforms(
  urdf: Urdf,
  reading: StepReading,
  armJoints: readonly string[],
): RosMessage {
  const positions = new Map<string, number>([
    ...armJoints.map((name, i) => [name, reading.joints.position[i]!] as const),
    ...fingerJoints.map((name, i) => [name, reading.fingers.position[i]!] as const),
  ]);
  const transforms = urdf.joints
    .filter((joint) => joint.type !== 'fixed')
    .map((joint) => {
      const { parent, child, origin, axis, name } = joint;
      const moved = moveAlong(origin, motionOf(joint), axis, positions.get(name) ?? 0);
      return transformMessage(reading.stampNs, parent, child, moved);
    });
  return { transforms };
}

/** tf2_msgs/TFMessage: every fixed joint, and the camera where it stands in this episode. */
export function fixedTransforms(
  urdf: Urdf,
  camera: PinholeCamera,
  cameraFrame: string,
  stampNs: bigint,
): RosMessage {
  const links = urdf.joints
    .filter((joint) => joint.type === 'fixed')
    .map(({ parent, child, origin }) => transformMessage(stampNs, parent, child, origin));
  const baseFromCamera = pose.invert(camera.cameraFromBase);
  return {
    transforms: [...links, transformMessage(stampNs, urdf.root, cameraFrame, baseFromCamera)],
  };
}

function transformMessage(stampNs: bigint, parent: string, child: string, at: Pose): RosMessage {
  const [x, y, z, w] = at.rotation;
  return {
    header: messageFromHeader(stampNs, parent),
    child_frame_id: child,
    transform: { translation: messageFromVector(at.translation), rotation: { x, y, z, w } },
  };
}
