/** What a guarded command is on the wire, for each kind of output that is a topic. */
import type { Arm } from '../../../arm/kinematics.js';
import type { Config } from '../../../config.js';
import { ConfigError } from '../../../errors.js';
import type { ArmCommand } from '../../../types.js';
import type { RosMessage } from '../../messages/cdr.js';
import {
  type BrakingLimits,
  type JointCommand,
  trajectoryFromCommand,
  type TrajectoryTiming,
} from '../../messages/jointTrajectory.js';
import { messageFromCommand } from '../../messages/outputMessages.js';
import type { TypeName } from '../../messages/schemas.js';

export type CommandConfig = NonNullable<Config['command']>;
export type TopicCommand = Exclude<CommandConfig, { type: 'followJointTrajectory' }>;

export interface Wire {
  readonly type: TypeName;
  /** Null: this command moves nothing and is not sent. */
  message(command: ArmCommand, stampNs: bigint): RosMessage | null;
}

/** @throws ConfigError where the command's joints are not the arm's. */
export function wireOf(command: TopicCommand, config: Config, arm: Arm | null): Wire {
  switch (command.type) {
    case 'jointTrajectory': {
      const toMessage = trajectoryMaker(config, arm, command.leadPeriods);
      return { type: 'trajectory_msgs/JointTrajectory', message: toMessage };
    }
    case 'forwardPosition':
    case 'forwardVelocity':
      return forwardWire(command, config);
    case 'servoTwist':
      return { type: 'geometry_msgs/TwistStamped', message: cartesianMessage('twist') };
    case 'servoPose':
    case 'cartesianPose':
      return { type: 'geometry_msgs/PoseStamped', message: cartesianMessage('pose') };
  }
}

/** Command → trajectory, with the limits of its joints as the guard has them. Null for a command of no joints. */
export function trajectoryMaker(
  config: Config,
  arm: Arm | null,
  leadPeriods: number,
): (command: ArmCommand) => RosMessage | null {
  const periodNs = controlPeriodNs(config);
  const timingOf = byNames((names): TrajectoryTiming => {
    const limits: readonly BrakingLimits[] = names.map((name) => brakingLimits(config, arm, name));
    return { periodNs, leadPeriods, limits };
  });
  return (command) => {
    const joint = jointCommand(command, config);
    return joint && trajectoryFromCommand(joint, timingOf(joint.names));
  };
}

/** Positions: robot.yaml's and the description's, the more cautious of each. */
function brakingLimits(config: Config, arm: Arm | null, name: string): BrakingLimits {
  const { lower, upper, acceleration } = config.joints!.limits[name]!;
  const at = arm?.jointNames.indexOf(name) ?? -1;
  return {
    lower: Math.max(lower, arm?.lower[at] ?? -Infinity),
    upper: Math.min(upper, arm?.upper[at] ?? Infinity),
    acceleration,
  };
}

/** Makes something once for a guard's joints: every command of a guard carries the same array of names. */
function byNames<T>(make: (names: readonly string[]) => T): (names: readonly string[]) => T {
  let last: { readonly names: readonly string[]; readonly made: T } | null = null;
  return (names) => {
    if (last?.names !== names) last = { names, made: make(names) };
    return last.made;
  };
}

export function controlPeriodNs({ control }: Config): bigint {
  return BigInt(Math.round(1e9 / control.rateHz));
}

/**
 * A command for no joints, which a guard makes before it has seen the arm, moves nothing: null.
 * @throws Error for another kind of command or other joints.
 */
function jointCommand(command: ArmCommand, config: Config): JointCommand | null {
  if (command.kind !== 'joint')
    throw new Error(`command: got a ${command.kind} command, expected joint (robot.yaml: output)`);
  if (command.names.length === 0) return null;
  const names = configuredJoints(config);
  if (command.names.length !== names.length || !names.every((name) => command.names.includes(name)))
    throw new Error(
      `command: got joints ${command.names.join(', ')}, expected ${names.join(', ')}`,
    );
  return command;
}

/** Names of robot.yaml; a guard's commands have the same in the order of the arm. */
export function configuredJoints(config: Config): readonly string[] {
  return Object.keys(config.joints?.limits ?? {});
}

/** std_msgs/Float64MultiArray in the controller's order. */
function forwardWire(command: Extract<CommandConfig, { joints: unknown }>, config: Config): Wire {
  const names = configuredJoints(config);
  const { joints } = command;
  if (joints.length !== names.length || !names.every((name) => joints.includes(name)))
    throw new ConfigError(
      'command.joints',
      joints.join(', '),
      `each of ${names.join(', ')} once, in the controller's order`,
    );
  const column = command.type === 'forwardPosition' ? 'position' : 'velocity';
  const orderOf = byNames((given) => joints.map((name) => given.indexOf(name)));
  return {
    type: 'std_msgs/Float64MultiArray',
    message: (given) => {
      const joint = jointCommand(given, config);
      return joint && floatsMessage(orderOf(joint.names).map((at) => joint[column][at]!));
    },
  };
}

export function floatsMessage(data: readonly number[]): RosMessage {
  return { layout: { dim: [], data_offset: 0 }, data };
}

/** Stamped with the time of sending: MoveIt Servo takes a command's age from its stamp. */
function cartesianMessage(kind: 'twist' | 'pose'): Wire['message'] {
  return (command, stampNs) => {
    // Before the tool was ever seen, a guard's command is a twist of zero, for a pose output too.
    if (kind === 'pose' && command.kind === 'twist' && isStill(command)) return null;
    if (command.kind !== kind)
      throw new Error(`command: got a ${command.kind} command, expected ${kind}`);
    return messageFromCommand(command, stampNs, 0n).message;
  };
}

function isStill({ linear, angular }: Extract<ArmCommand, { kind: 'twist' }>): boolean {
  return [...linear, ...angular].every((value) => value === 0);
}
