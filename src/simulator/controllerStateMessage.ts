/** control_msgs/JointTrajectoryControllerState, as joint_trajectory_controller publishes it. */
import type { RosMessage } from '../robot/messages/cdr.js';
import { messageFromHeader } from '../robot/messages/messages.js';
import type { Desired, Measured } from './trajectoryExecutor.js';

export const emptyMultiPoint: RosMessage = {
  transforms: [],
  velocities: [],
  accelerations: [],
  time_from_start: { sec: 0, nanosec: 0 },
};

/** trajectory_msgs/JointTrajectoryPoint. */
export function pointMessage(
  state: Measured & { readonly acceleration?: readonly number[] },
  fromStartNs: bigint,
): RosMessage {
  return {
    positions: [...state.position],
    velocities: [...state.velocity],
    accelerations: [...(state.acceleration ?? [])],
    effort: [],
    time_from_start: messageFromDuration(fromStartNs),
  };
}

export function controllerStateMessage(
  joints: readonly string[],
  desired: Desired,
  measured: Measured,
  stampNs: bigint,
): RosMessage {
  const error = {
    position: difference(desired.position, measured.position),
    velocity: difference(desired.velocity, measured.velocity),
  };
  return {
    header: messageFromHeader(stampNs, ''),
    joint_names: [...joints],
    reference: pointMessage(desired, desired.fromStartNs),
    feedback: pointMessage(measured, desired.fromStartNs),
    error: pointMessage(error, 0n),
    output: pointMessage({ position: desired.position, velocity: desired.velocity }, 0n),
    multi_dof_joint_names: [],
    multi_dof_reference: emptyMultiPoint,
    multi_dof_feedback: emptyMultiPoint,
    multi_dof_error: emptyMultiPoint,
    multi_dof_output: emptyMultiPoint,
    speed_scaling_factor: 1,
  };
}

/** builtin_interfaces/Duration; nanosec counts up from sec, also below 0. */
function messageFromDuration(ns: bigint): RosMessage {
  const nanosec = ((ns % 1_000_000_000n) + 1_000_000_000n) % 1_000_000_000n;
  return { sec: Number((ns - nanosec) / 1_000_000_000n), nanosec: Number(nanosec) };
}

export function difference(a: readonly number[], b: readonly number[]): readonly number[] {
  return a.map((value, i) => value - b[i]!);
}
