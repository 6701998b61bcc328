/**
 * The arm's controller as ROS 2 sees it: node, topic, action, state and parameters of a joint_trajectory_controller, in
 * front of the simulated servos. It differs from that controller's defaults in one parameter:
 * `interpolate_from_desired_state` is true, as its documentation asks for where a trajectory comes in pieces.
 */
import { ConfigError } from '../errors.js';
import { decodeCdr, type RosMessage } from '../robot/messages/cdr.js';
import { schemaOf } from '../robot/messages/schemas.js';
import { qos, type ParameterDescription, type RosNode, type ServedGoal } from '../robot/ros/ros.js';
import type { StepReading } from '../robot/sim/protocol.js';
import { controllerStateMessage } from './controllerStateMessage.js';
import { FollowGoal } from './followGoal.js';
import { defaultTolerances, tolerancesFromGoal } from './tolerances.js';
import { trajectoryFromMessage } from './trajectory.js';
import { TrajectoryExecutor, type Desired } from './trajectoryExecutor.js';

export interface ArmControllerOptions {
  readonly node: RosNode;
  readonly joints: readonly string[];
  readonly topic: string;
  readonly action: string;
  readonly start: StepReading;
}

const trajectoryType = 'trajectory_msgs/JointTrajectory';
const statePeriodNs = 20_000_000n;

export class ArmController {
  readonly #node: RosNode;
  readonly #joints: readonly string[];
  readonly #executor: TrajectoryExecutor;
  readonly #publishState: (message: RosMessage) => void;
  #active: FollowGoal | null = null;
  #reading: StepReading;
  #nextStateNs = 0n;
  #refusals = 0;

  constructor({ node, joints, topic, action, start }: ArmControllerOptions) {
    this.#node = node;
    this.#joints = joints;
    this.#reading = start;
    const fromDesired = declareParameters(node, joints);
    this.#executor = new TrajectoryExecutor(
      start.joints.position,
      fromDesired ? 'desired' : 'measured',
    );
    const { layout } = schemaOf(trajectoryType);
    // Depth 1 and reliable, as the controller subscribes (rclcpp::SystemDefaultsQoS keeps 10): the newest counts.
    node.subscribeRaw('trajectory_msgs/msg/JointTrajectory', topic, qos.state, (cdr) =>
      this.#onTrajectory(decodeCdr(layout, cdr, topic)),
    );
    node.actionServer('control_msgs/action/FollowJointTrajectory', action, {
      accept: (goal) => {
        const checked = this.#checked(goal['trajectory'] as RosMessage);
        return checked.ok ? null : checked.because;
      },
      execute: (goal) => this.#follow(goal),
      cancel: (goal) => this.#cancel(goal),
    });
    const state = node.publisher(
      'control_msgs/msg/JointTrajectoryControllerState',
      '~/controller_state',
      qos.state,
    );
    this.#publishState = (message) => state.publish(message);
  }

  /** Trajectories refused so far. */
  get refusals(): number {
    return this.#refusals;
  }

  /** Where the servos should be at `stampNs`, the beginning of a physics step. */
  setpoint(stampNs: bigint): Desired {
    return this.#executor.sample(stampNs, this.#reading.joints);
  }

  /** What the arm measures after a physics step. */
  measured(reading: StepReading): void {
    this.#reading = reading;
    const { stampNs, joints } = reading;
    const desired = this.setpoint(stampNs);
    if (this.#active) {
      const state = this.#active.judge(desired, joints, stampNs);
      if (state !== 'moving') this.#active = null;
      if (state === 'violated') this.#executor.hold(joints.position);
    }
    if (stampNs < this.#nextStateNs) return;
    this.#nextStateNs = stampNs + statePeriodNs - (stampNs % statePeriodNs);
    this.#publishState(controllerStateMessage(this.#joints, desired, joints, stampNs));
  }

  /** A new episode: the arm is somewhere else, and nothing is under way any more. */
  reset(start: StepReading): void {
    this.#active?.abort('A new episode began.');
    this.#active = null;
    this.#reading = start;
    this.#executor.hold(start.joints.position);
  }

  #checked(trajectory: RosMessage) {
    return trajectoryFromMessage(trajectory, this.#joints, this.#reading.stampNs);
  }

  /** As in the controller, a goal under way goes on and is judged by the trajectory that replaced its own. */
  #onTrajectory(message: RosMessage): void {
    const checked = this.#checked(message);
    if (checked.ok) {
      this.#executor.replace(checked.value);
      return;
    }
    this.#refusals++;
    this.#node.log.error(`trajectory refused: ${checked.because}`);
  }

  #follow(goal: ServedGoal): void {
    const { request } = goal;
    const checked = this.#checked(request['trajectory'] as RosMessage);
    const tolerances = tolerancesFromGoal(request, this.#joints);
    if (!tolerances.ok) this.#node.log.error(`${tolerances.because}: default tolerances are used`);
    const follow = new FollowGoal(
      goal,
      this.#joints,
      tolerances.ok ? tolerances.value : defaultTolerances(this.#joints),
    );
    if (!checked.ok) {
      follow.abort(checked.because);
      return;
    }
    this.#active?.abort('Current goal preempted by new incoming action.');
    this.#active = follow;
    this.#executor.replace(checked.value);
  }

  #cancel(goal: ServedGoal): void {
    if (this.#active?.goal.id !== goal.id) return;
    this.#executor.hold(this.#reading.joints.position);
    this.#active.canceled();
    this.#active = null;
  }
}

/** What clients read of a joint_trajectory_controller. @returns interpolate_from_desired_state. */
function declareParameters(node: RosNode, joints: readonly string[]): boolean {
  const fixed = (name: string, value: ParameterDescription['value'], description: string): void => {
    const got = node.declareParameter({ name, value, description, readOnly: true });
    if (JSON.stringify(got) !== JSON.stringify(value))
      throw new ConfigError(
        `${node.name}: ${name}`,
        JSON.stringify(got),
        `${JSON.stringify(value)}: the simulated controller knows nothing else`,
      );
  };
  fixed('joints', joints, 'Joints that trajectories are for.');
  fixed('command_interfaces', ['position', 'velocity'], 'What the servos are told.');
  fixed('state_interfaces', ['position', 'velocity'], 'What the arm measures.');
  fixed('allow_partial_joints_goal', false, 'Trajectories are for all joints.');
  fixed(
    'allow_nonzero_velocity_at_trajectory_end',
    false,
    'A trajectory whose last point moves is refused.',
  );
  fixed('interpolation_method', 'splines', 'Linear, cubic or quintic, by what the points hold.');
  fixed('cmd_timeout', 0, 'The last point is held for as long as it takes (0).');
  return Boolean(
    node.declareParameter({
      name: 'interpolate_from_desired_state',
      value: true,
      description:
        'A new trajectory is joined from where the arm should be (true) or from where it is measured (false).',
      readOnly: true,
    }),
  );
}
