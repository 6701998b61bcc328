/** One FollowJointTrajectory goal under way: feedback while it moves, and its end. */
import type { RosMessage } from '../robot/messages/cdr.js';
import { messageFromHeader } from '../robot/messages/messages.js';
import type { ServedGoal } from '../robot/ros/ros.js';
import { difference, emptyMultiPoint, pointMessage } from './controllerStateMessage.js';
import { judgeGoal, type Tolerances } from './tolerances.js';
import type { Desired, Measured } from './trajectoryExecutor.js';

/** control_msgs/action/FollowJointTrajectory result codes. */
export const resultCode = {
  successful: 0,
  invalidGoal: -1,
  pathToleranceViolated: -4,
  goalToleranceViolated: -5,
} as const;

/** The controller's default action_monitor_rate is 20 Hz. */
const feedbackEveryNs = 50_000_000n;

export class FollowGoal {
  readonly goal: ServedGoal;
  readonly #joints: readonly string[];
  readonly #tolerances: Tolerances;
  #nextFeedbackNs = 0n;

  constructor(goal: ServedGoal, joints: readonly string[], tolerances: Tolerances) {
    this.goal = goal;
    this.#joints = joints;
    this.#tolerances = tolerances;
  }

  /** Judges where the arm is. 'violated': the caller holds the arm where it is. */
  judge(desired: Desired, measured: Measured, stampNs: bigint): 'moving' | 'reached' | 'violated' {
    if (stampNs >= this.#nextFeedbackNs) {
      this.#nextFeedbackNs = stampNs + feedbackEveryNs;
      this.goal.feedback(this.#feedback(desired, measured, stampNs));
    }
    const state = judgeGoal(
      this.#tolerances,
      {
        positionError: difference(desired.position, measured.position),
        velocityError: difference(desired.velocity, measured.velocity),
        sinceEndNs: desired.sinceEndNs ?? 0n,
      },
      this.#joints,
    );
    switch (state.kind) {
      case 'moving':
        return 'moving';
      case 'reached':
        this.goal.succeed(result(resultCode.successful, 'Goal successfully reached.'));
        return 'reached';
      case 'pathViolated':
        this.goal.abort(result(resultCode.pathToleranceViolated, state.because));
        return 'violated';
      case 'goalViolated':
        this.goal.abort(result(resultCode.goalToleranceViolated, state.because));
        return 'violated';
    }
  }

  abort(because: string): void {
    this.goal.abort(result(resultCode.invalidGoal, because));
  }

  canceled(): void {
    this.goal.canceled(result(resultCode.successful, 'Canceled; the arm is held where it was.'));
  }

  #feedback(desired: Desired, measured: Measured, stampNs: bigint): RosMessage {
    return {
      header: messageFromHeader(stampNs, ''),
      joint_names: [...this.#joints],
      desired: pointMessage(desired, desired.fromStartNs),
      actual: pointMessage(measured, desired.fromStartNs),
      error: pointMessage(
        {
          position: difference(desired.position, measured.position),
          velocity: difference(desired.velocity, measured.velocity),
        },
        desired.fromStartNs,
      ),
      multi_dof_joint_names: [],
      multi_dof_desired: emptyMultiPoint,
      multi_dof_actual: emptyMultiPoint,
      multi_dof_error: emptyMultiPoint,
    };
  }
}

function result(code: number, text: string): RosMessage {
  return { error_code: code, error_string: text };
}
