/**
 * trajectory_msgs/JointTrajectory → a trajectory in the arm's joint order, or the sentence why it is refused. The rules
 * are those of joint_trajectory_controller with its default parameters (ros2_controllers, jazzy:
 * validate_trajectory_msg). Stricter than it: numbers that are not finite, a joint named twice, a first point before the
 * start, and accelerations without velocities are refused too.
 */
import { messageOf } from '../errors.js';
import { durationFromMessage, stampFromMessage } from '../robot/messages/messages.js';
import type { RosMessage } from '../robot/messages/cdr.js';
import type { PointState } from './interpolate.js';

export interface TrajectoryPoint extends PointState {
  /** ns after the trajectory's start. */
  readonly timeNs: bigint;
}

export interface Trajectory {
  /** 0: when the controller takes it up. */
  readonly startNs: bigint;
  /** At least one, strictly later each. */
  readonly points: readonly TrajectoryPoint[];
}

export type Checked<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly because: string };

/** The controller compares with float's epsilon. */
const still = 2 ** -23;

/** `joints`: the arm's, in its order. `nowNs`: ROS time, for trajectories that are over already. */
export function trajectoryFromMessage(
  message: RosMessage,
  joints: readonly string[],
  nowNs: bigint,
): Checked<Trajectory> {
  try {
    return { ok: true, value: parse(message, joints, nowNs) };
  } catch (error) {
    return { ok: false, because: messageOf(error) };
  }
}

class Refused extends Error {}

function parse(message: RosMessage, joints: readonly string[], nowNs: bigint): Trajectory {
  const order = orderOf(message['joint_names'] as readonly string[], joints);
  const raw = message['points'] as readonly RosMessage[];
  if (raw.length === 0) throw new Refused('the trajectory has no points');
  const points = raw.map((point, k) => parsePoint(point, k, order));
  points.forEach((point, k) => {
    const before = k > 0 ? points[k - 1]!.timeNs : -1n;
    if (point.timeNs <= before)
      throw new Refused(
        `point ${k} is at ${seconds(point.timeNs)} s, expected later than ${k > 0 ? `point ${k - 1} at ${seconds(before)} s` : 'the start'}`,
      );
  });
  const last = points.at(-1)!;
  const moving = last.velocity?.findIndex((v) => Math.abs(v) > still) ?? -1;
  if (moving >= 0)
    throw new Refused(
      `the last point moves: ${joints[moving]!} at ${last.velocity![moving]!} per s, expected 0`,
    );
  const header = message['header'] as RosMessage;
  const startNs = stampFromMessage(header['stamp'], 'header');
  if (startNs !== 0n && startNs + last.timeNs < nowNs)
    throw new Refused(
      `it ends at ${seconds(startNs + last.timeNs)} s, in the past (now ${seconds(nowNs)} s)`,
    );
  return { startNs, points };
}

/** Index into the message's columns per joint of the arm. */
function orderOf(names: readonly string[], joints: readonly string[]): readonly number[] {
  const order = joints.map((joint) => names.indexOf(joint));
  if (names.length !== joints.length || order.includes(-1))
    throw new Refused(
      `got joints ${names.length === 0 ? '(none)' : names.join(', ')}, expected ${joints.join(', ')} in any order`,
    );
  return order;
}

function parsePoint(point: RosMessage, k: number, order: readonly number[]): TrajectoryPoint {
  const column = (field: string): readonly number[] | null => {
    const values = Array.from(point[field] as ArrayLike<number>);
    if (values.length === 0) return null;
    if (values.length !== order.length)
      throw new Refused(
        `point ${k} has ${values.length} ${field}, expected ${order.length}, one per joint`,
      );
    const wrong = values.find((value) => !Number.isFinite(value));
    if (wrong !== undefined) throw new Refused(`point ${k}: ${wrong} among the ${field}`);
    return order.map((at) => values[at]!);
  };
  const position = column('positions');
  if (!position) throw new Refused(`point ${k} has no positions`);
  const [velocity, acceleration] = [column('velocities'), column('accelerations')];
  if (acceleration && !velocity)
    throw new Refused(`point ${k} has accelerations without velocities`);
  if (column('effort'))
    throw new Refused(`point ${k} has effort, which this controller does not command`);
  return {
    position,
    velocity,
    acceleration,
    timeNs: durationFromMessage(point['time_from_start']),
  };
}

function seconds(ns: bigint): string {
  return (Number(ns) / 1e9).toFixed(3);
}
