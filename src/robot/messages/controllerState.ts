/** control_msgs/JointTrajectoryControllerState: what a joint_trajectory_controller follows at this moment. */
import { parse } from '@foxglove/rosmsg';
import { decodeCdr, type Layout, type RosMessage } from './cdr.js';

/** As `ros2 interface show` gives it for Jazzy (control_msgs 5.x); comments left out. */
const definition = `std_msgs/Header header
string[] joint_names
trajectory_msgs/JointTrajectoryPoint reference
trajectory_msgs/JointTrajectoryPoint feedback
trajectory_msgs/JointTrajectoryPoint error
trajectory_msgs/JointTrajectoryPoint output
string[] multi_dof_joint_names
trajectory_msgs/MultiDOFJointTrajectoryPoint multi_dof_reference
trajectory_msgs/MultiDOFJointTrajectoryPoint multi_dof_feedback
trajectory_msgs/MultiDOFJointTrajectoryPoint multi_dof_error
trajectory_msgs/MultiDOFJointTrajectoryPoint multi_dof_output
float64 speed_scaling_factor
===
MSG: std_msgs/Header
builtin_interfaces/Time stamp
string frame_id
===
MSG: trajectory_msgs/JointTrajectoryPoint
float64[] positions
float64[] velocities
float64[] accelerations
float64[] effort
builtin_interfaces/Duration time_from_start
===
MSG: trajectory_msgs/MultiDOFJointTrajectoryPoint
geometry_msgs/Transform[] transforms
geometry_msgs/Twist[] velocities
geometry_msgs/Twist[] accelerations
builtin_interfaces/Duration time_from_start
===
MSG: geometry_msgs/Transform
geometry_msgs/Vector3 translation
geometry_msgs/Quaternion rotation
===
MSG: geometry_msgs/Twist
geometry_msgs/Vector3 linear
geometry_msgs/Vector3 angular
===
MSG: geometry_msgs/Vector3
float64 x
float64 y
float64 z
===
MSG: geometry_msgs/Quaternion
float64 x
float64 y
float64 z
float64 w`;

export const controllerStateType = 'control_msgs/msg/JointTrajectoryControllerState';

export interface ControllerReference {
  readonly names: readonly string[];
  /** rad or m, by joint; empty before the controller has one. */
  readonly positions: ArrayLike<number>;
}

let layout: Layout | null = null;

/** CDR bytes → the state the controller steers to. @throws DataError where they are of another layout. */
export function referenceFromControllerState(cdr: Uint8Array, where: string): ControllerReference {
  const message = decodeCdr((layout ??= parsedLayout()), cdr, where);
  const reference = message['reference'] as RosMessage;
  return {
    names: message['joint_names'] as readonly string[],
    positions: reference['positions'] as ArrayLike<number>,
  };
}

function parsedLayout(): Layout {
  const [root, ...used] = parse(definition, { ros2: true });
  return {
    root: root!.definitions,
    types: new Map(used.map((type) => [type.name ?? '', type.definitions])),
  };
}
