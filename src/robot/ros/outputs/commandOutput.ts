/** robot.yaml → where the arm's commands go, and what is read back of them. */
import type { Config } from '../../../config.js';
import type { RosNode } from '../ros.js';
import { ControllerState } from './controllerState.js';
import { GoalOutput } from './goalOutput.js';
import type { CommandOutput, OutputOptions } from './output.js';
import type { Readback } from './readback.js';
import { ServoStatus } from './servoStatus.js';
import { TopicOutput } from './topicOutput.js';
import type { CommandConfig } from './wire.js';

/** Null where robot.yaml names no command: the node only watches. @throws ConfigError where joints do not fit. */
export function commandOutput(options: OutputOptions): CommandOutput | null {
  const { node, config } = options;
  const { command } = config;
  if (!command) return null;
  const readbacks = readbacksOf(node, command, config);
  return command.type === 'followJointTrajectory'
    ? new GoalOutput(options, command, readbacks)
    : new TopicOutput(options, command, readbacks);
}

function readbacksOf(node: RosNode, command: CommandConfig, config: Config): readonly Readback[] {
  switch (command.type) {
    case 'jointTrajectory':
    case 'followJointTrajectory':
      return command.controller === undefined
        ? []
        : [new ControllerState(node, command.controller, config.guard.trackingError)];
    case 'servoTwist':
    case 'servoPose':
      return command.status === undefined ? [] : [new ServoStatus(node, command.status)];
    case 'forwardPosition':
    case 'forwardVelocity':
    case 'cartesianPose':
      return [];
  }
}
