/**
 * How FollowJointTrajectory judges a goal: the rules and defaults of joint_trajectory_controller (ros2_controllers,
 * jazzy: tolerances.hpp and update). Positions rad or m, velocities per s; 0 means that it is not checked.
 */
import type { RosMessage } from '../robot/messages/cdr.js';
import { durationFromMessage } from '../robot/messages/messages.js';
import type { Checked } from './trajectory.js';

export interface Tolerance {
  readonly position: number;
  readonly velocity: number;
}

export interface Tolerances {
  /** While moving, per joint. */
  readonly path: readonly Tolerance[];
  /** After the last point, per joint. */
  readonly goal: readonly Tolerance[];
  /** How long after the last point the goal may take; 0: as long as it takes. */
  readonly goalTimeNs: bigint;
}

/** The controller's default of constraints.stopped_velocity_tolerance. */
export const stoppedVelocity = 0.01;

export function defaultTolerances(joints: readonly string[]): Tolerances {
  return {
    path: joints.map(() => ({ position: 0, velocity: 0 })),
    goal: joints.map(() => ({ position: 0, velocity: stoppedVelocity })),
    goalTimeNs: 0n,
  };
}

/** Of a goal message. Not ok: an unknown joint or an illegal value; the controller then takes all of its defaults. */
export function tolerancesFromGoal(
  goal: RosMessage,
  joints: readonly string[],
): Checked<Tolerances> {
  const defaults = defaultTolerances(joints);
  const goalTimeNs = durationFromMessage(goal['goal_time_tolerance']);
  try {
    return {
      ok: true,
      value: {
        path: merged(defaults.path, goal['path_tolerance'], joints),
        goal: merged(defaults.goal, goal['goal_tolerance'], joints),
        goalTimeNs: goalTimeNs > 0n ? goalTimeNs : 0n,
      },
    };
  } catch (error) {
    return { ok: false, because: (error as Error).message };
  }
}

function merged(
  defaults: readonly Tolerance[],
  given: unknown,
  joints: readonly string[],
): readonly Tolerance[] {
  const result = [...defaults];
  for (const one of given as readonly RosMessage[]) {
    const name = String(one['name']);
    const at = joints.indexOf(name);
    if (at === -1) throw new Error(`a tolerance for ${name}, expected one of ${joints.join(', ')}`);
    const { position, velocity } = result[at]!;
    result[at] = {
      position: resolved(position, Number(one['position']), name),
      velocity: resolved(velocity, Number(one['velocity']), name),
    };
  }
  return result;
}

/** control_msgs/JointTolerance: 0 keeps the default, −1 lifts it. */
function resolved(byDefault: number, given: number, joint: string): number {
  if (given > 0) return given;
  if (given === 0) return byDefault;
  if (given === -1) return 0;
  throw new Error(`a tolerance of ${given} for ${joint}, expected > 0, 0 (default) or -1 (none)`);
}

export interface Tracking {
  /** Desired − measured, per joint. */
  readonly positionError: readonly number[];
  readonly velocityError: readonly number[];
  /** ns since the last point was due; negative while moving. */
  readonly sinceEndNs: bigint;
}

export type GoalState =
  | { readonly kind: 'moving' }
  | { readonly kind: 'reached' }
  | { readonly kind: 'pathViolated'; readonly because: string }
  | { readonly kind: 'goalViolated'; readonly because: string };

export function judgeGoal(
  tolerances: Tolerances,
  tracking: Tracking,
  joints: readonly string[],
): GoalState {
  const moving = tracking.sinceEndNs < 0n;
  const because = violation(moving ? tolerances.path : tolerances.goal, tracking, joints);
  if (moving) return because === null ? { kind: 'moving' } : { kind: 'pathViolated', because };
  if (because === null) return { kind: 'reached' };
  const late = tolerances.goalTimeNs > 0n && tracking.sinceEndNs > tolerances.goalTimeNs;
  return late ? { kind: 'goalViolated', because } : { kind: 'moving' };
}

function violation(
  tolerances: readonly Tolerance[],
  { positionError, velocityError }: Tracking,
  joints: readonly string[],
): string | null {
  for (const [i, { position, velocity }] of tolerances.entries()) {
    const [off, rate] = [Math.abs(positionError[i]!), Math.abs(velocityError[i]!)];
    if (position > 0 && off > position)
      return `${joints[i]!} is off by ${off.toFixed(4)}, tolerance ${position}`;
    if (velocity > 0 && rate > velocity)
      return `${joints[i]!} is off by ${rate.toFixed(4)} per s, tolerance ${velocity}`;
  }
  return null;
}
