/**
 * What the parameters of a controller say about the stream of commands it is to get. Pure: parameters in, findings out.
 *
 * Rules are those of ros2_controllers for Jazzy (4.x): joint_trajectory_controller
 * (src/joint_trajectory_controller_parameters.yaml, validate_trajectory_msg and update in
 * src/joint_trajectory_controller.cpp, doc/trajectory.rst) and forward_command_controller
 * (src/forward_command_controller_parameters.yaml, src/forward_controllers_base.cpp).
 */
import { type Finding, refuse, warn } from './output.js';
import type { RemoteParameters } from './parameters.js';

/**
 * joint_trajectory_controller. Its defaults refuse a trajectory whose last point moves (ours rests) and take a new one
 * in place of the old at any time.
 * @param trackingError rad: beyond this the guard stops the arm.
 */
export function trajectoryFindings(
  controller: string,
  parameters: RemoteParameters,
  joints: readonly string[],
  trackingError: number,
): readonly Finding[] {
  const text = (name: string): string => String(parameters.get(name) ?? '');
  const isSet = (name: string): boolean => parameters.get(name) === true;
  const found: Finding[] = [
    ...jointSetFindings(
      controller,
      list(parameters, 'joints'),
      joints,
      isSet('allow_partial_joints_goal'),
    ),
  ];
  const fromDesired = isSet('interpolate_from_desired_state') || isSet('open_loop_control');
  if (text('interpolation_method') === 'none')
    found.push(
      refuse(
        `${controller}: interpolation_method is none; a replaced trajectory is then never begun. Set it to splines.`,
      ),
    );
  if (!fromDesired)
    found.push(
      refuse(
        `${controller}: interpolate_from_desired_state is false, so every new trajectory would start from where the arm is measured: one that lags by 30 ms at 1 rad/s is jerked by some 50 mrad at every command. Set it to true in the controller's configuration.`,
      ),
    );
  if (text('speed_scaling.state_interface') !== '')
    found.push(
      warn(
        `${controller}: speed_scaling.state_interface is ${text('speed_scaling.state_interface')}; scaled down, trajectories take longer, their braking too.`,
      ),
    );
  for (const joint of joints) {
    const tolerance = Number(parameters.get(`constraints.${joint}.trajectory`) ?? 0);
    if (tolerance > 0 && tolerance < trackingError)
      found.push(
        warn(
          `${controller}: constraints.${joint}.trajectory is ${tolerance}: it holds the arm before the guard's trackingError of ${trackingError} does.`,
        ),
      );
  }
  return found;
}

/** Names decide, not their order: the controller sorts (sort_to_local_joint_order). */
function jointSetFindings(
  controller: string,
  theirs: readonly string[],
  ours: readonly string[],
  allowsPartial: boolean,
): readonly Finding[] {
  const foreign = ours.filter((joint) => !theirs.includes(joint));
  const others = theirs.filter((joint) => !ours.includes(joint));
  if (foreign.length > 0)
    return [
      refuse(
        `${controller}: its joints are ${theirs.join(', ') || 'none'}; it refuses trajectories for ${foreign.join(', ')}.`,
      ),
    ];
  if (others.length === 0) return [];
  const sentence = `${controller}: it also moves ${others.join(', ')}, which robot.yaml does not name`;
  return allowsPartial
    ? [warn(`${sentence}; it holds them where they are.`)]
    : [refuse(`${sentence}, and allow_partial_joints_goal is false.`)];
}

/** A controller that forwards numbers without names: the order is all there is. */
export function forwardFindings(
  controller: string,
  parameters: RemoteParameters,
  order: readonly string[],
  quantity: 'position' | 'velocity',
): readonly Finding[] {
  const theirs = list(parameters, 'joints');
  const found: Finding[] = [];
  if (theirs.length !== order.length || theirs.some((joint, i) => joint !== order[i]))
    found.push(
      refuse(
        `${controller}: its joints are ${theirs.join(', ') || 'none'}, in this order; command.joints says ${order.join(', ')}.`,
      ),
    );
  const quantityName = parameters.get('interface_name');
  // Controllers of one quantity, as position_controllers/JointGroupPositionController, have no such parameter.
  if (quantityName !== undefined && quantityName !== '' && quantityName !== quantity)
    found.push(
      refuse(`${controller}: interface_name is ${String(quantityName)}, commands are ${quantity}.`),
    );
  return found;
}

/** cartesian_controllers take a target only in the frame they control in. */
export function cartesianFindings(
  controller: string,
  parameters: RemoteParameters,
  frameId: string,
): readonly Finding[] {
  const base = parameters.get('robot_base_link');
  if (base === undefined || base === frameId) return [];
  return [
    refuse(
      `${controller}: robot_base_link is ${String(base)}; it refuses targets in ${frameId} (robot.yaml).`,
    ),
  ];
}

/**
 * What `timeoutSetting` names where it can be read: "/servo_node moveit_servo.incoming_command_timeout" (a node, and a
 * parameter of it). Null: a setting in words, of a drive or a firmware.
 */
export function timeoutParameter(
  setting: string,
): { readonly node: string; readonly name: string } | null {
  const match = /^(\/[\w/]+)[\s:]+([\w.]+)$/.exec(setting.trim());
  return match && { node: match[1]!, name: match[2]! };
}

/** The time after which the layer below stops by itself, against what robot.yaml says of it. */
export function timeoutFindings(
  { node, name }: { readonly node: string; readonly name: string },
  parameters: RemoteParameters,
  timeout: number,
): readonly Finding[] {
  const value = parameters.get(name);
  if (typeof value !== 'number')
    return [refuse(`${node}: has no parameter ${name}, which command.timeoutSetting names.`)];
  if (!(value > 0))
    return [refuse(`${node}: ${name} is ${value}: it would go on moving without commands.`)];
  if (value > timeout)
    return [
      refuse(
        `${node}: ${name} is ${value} s, command.timeout in robot.yaml promises ${timeout} s.`,
      ),
    ];
  return [];
}

/** MoveIt Servo scales a unitless twist by its own factors: m/s and rad/s would become something else. */
export function servoUnitFindings(
  { node, name }: { readonly node: string; readonly name: string },
  parameters: RemoteParameters,
): readonly Finding[] {
  const prefix = name.slice(0, name.lastIndexOf('.') + 1);
  const units = parameters.get(`${prefix}command_in_type`);
  if (units === undefined || units === 'speed_units') return [];
  return [
    refuse(
      `${node}: ${prefix}command_in_type is ${String(units)}; twists in m/s need speed_units.`,
    ),
  ];
}

function list(parameters: RemoteParameters, name: string): readonly string[] {
  const value = parameters.get(name);
  return Array.isArray(value) ? value.map(String) : [];
}
