/** A chunk as visualization_msgs/MarkerArray: the tool's path as a line, its steps as dots, fading with time. */
import { secondsFromNs } from '../control/clock.js';
import {
  messageFromHeader,
  messageFromStamp,
  messageFromVector,
} from '../robot/messages/messages.js';
import type { RosMessage } from '../robot/ros/ros.js';
import type { ActionPrediction, Pose } from '../types.js';
import * as pose from '../math/pose.js';
import { messageFromPose } from '../robot/messages/messages.js';

/** Constants of visualization_msgs/Marker. */
const LINE_STRIP = 4;
const SPHERE_LIST = 7;
const ADD = 0;

/** m */
const LINE_WIDTH = 0.004;
const DOT_DIAMETER = 0.012;
/** Of the last step; the first is opaque. */
const FAINTEST = 0.25;
/** s: a path that no newer one replaces goes away. */
const MIN_LIFETIME = 1;
const OPEN = { r: 0.2, g: 0.72, b: 0.99 };
const CLOSED = { r: 0.99, g: 0.55, b: 0.15 };

/**
 * @param start where the tool is, in the chunk's frame.
 * @param path its pose at the end of each step.
 */
export function markersFromPath(
  { chunk, observationStampNs }: ActionPrediction,
  start: Pose,
  path: readonly Pose[],
): RosMessage {
  const places = [start, ...path].map(({ translation }) => messageFromVector(translation));
  const colours = places.map((_, i) => {
    const gripper = chunk.steps[Math.max(i - 1, 0)]!.gripper;
    const a = 1 - ((1 - FAINTEST) * i) / Math.max(places.length - 1, 1);
    return { ...(gripper >= 0.5 ? OPEN : CLOSED), a };
  });
  const duration = secondsFromNs(chunk.stepPeriodNs) * chunk.steps.length;
  const lifetimeNs = BigInt(Math.round(Math.max(MIN_LIFETIME, 2 * duration) * 1e9));
  const shared = {
    header: messageFromHeader(observationStampNs, chunk.frameId),
    ns: 'plan',
    action: ADD,
    pose: messageFromPose(pose.identity),
    color: { r: 0, g: 0, b: 0, a: 0 },
    lifetime: messageFromStamp(lifetimeNs),
    frame_locked: false,
    texture_resource: '',
    texture: { header: messageFromHeader(0n, ''), format: '', data: [] },
    uv_coordinates: [],
    text: '',
    mesh_resource: '',
    mesh_file: { filename: '', data: [] },
    mesh_use_embedded_materials: false,
  };
  const line = { id: 0, type: LINE_STRIP, scale: messageFromVector([LINE_WIDTH, 0, 0]) };
  const size = messageFromVector([DOT_DIAMETER, DOT_DIAMETER, DOT_DIAMETER]);
  const dots = { id: 1, type: SPHERE_LIST, scale: size };
  return {
    markers: [
      { ...shared, ...line, points: places, colors: colours },
      { ...shared, ...dots, points: places.slice(1), colors: colours.slice(1) },
    ],
  };
}
