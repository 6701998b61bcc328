/**
 * A guarded joint command as a trajectory_msgs/JointTrajectory that ends by itself: the commanded state a little ahead,
 * then the braking path that the guard vouched for. Whoever plays it and hears nothing more is at rest at its end.
 *
 * Points carry position and velocity, so joint_trajectory_controller draws cubics between them (its documentation,
 * "Trajectory Representation": cubic where position and velocity are given). A cubic from (q, v) to (q + v·t/2, 0) in t
 * is exactly the parabola of constant deceleration, so nothing is played that the guard did not plan.
 */
import type { ArmCommand } from '../../types.js';
import type { RosMessage } from './cdr.js';
import { messageFromHeader, messageFromStamp } from './messages.js';

/** Of one joint; rad or m. */
export interface BrakingLimits {
  readonly lower: number;
  readonly upper: number;
  readonly acceleration: number;
}

export interface TrajectoryTiming {
  readonly periodNs: bigint;
  /** Control periods until the arm is to be in the commanded state, 1 … 3: the next command is there before it brakes. */
  readonly leadPeriods: number;
  /** By joint, in the command's order. */
  readonly limits: readonly BrakingLimits[];
}

export interface TrajectoryPoint {
  /** s from the trajectory's start. */
  readonly time: number;
  readonly position: readonly number[];
  readonly velocity: readonly number[];
}

export type JointCommand = Extract<ArmCommand, { kind: 'joint' }>;

/**
 * s between two points, at least: shorter segments lose their digits in a controller's cubics. A joint that would need
 * a shorter one is played within 0.1 mrad of its braking path.
 */
const SHORTEST_SEGMENT = 1e-3;
const NS_PER_S = 1e9;

/**
 * trajectory_msgs/JointTrajectory that starts when it is received (stamp 0, as MoveIt Servo streams): a late one is joined
 * from where the arm is by then, without a step, and the clocks of two machines need not agree. What it can lunge ahead
 * after a stall of the receiver is bounded by the guard's tracking error, which stops the stream.
 */
export function trajectoryFromCommand(command: JointCommand, timing: TrajectoryTiming): RosMessage {
  return {
    header: messageFromHeader(0n, ''),
    joint_names: command.names,
    points: expiringPath(command, timing).map(({ time, position, velocity }) => ({
      positions: position,
      velocities: velocity,
      accelerations: [],
      effort: [],
      time_from_start: messageFromStamp(BigInt(Math.round(time * NS_PER_S))),
    })),
  };
}

/**
 * The commanded state after the lead, then the braking path to rest: all joints together, the first of them at its
 * acceleration limit; a joint too near its position limit for that brakes alone, as the guard does. At rest: one point.
 */
export function expiringPath(
  { position, velocity }: Pick<JointCommand, 'position' | 'velocity'>,
  { periodNs, leadPeriods, limits }: TrajectoryTiming,
): readonly TrajectoryPoint[] {
  const lead = (Number(periodNs) / NS_PER_S) * leadPeriods;
  const stops = stopTimes(position, velocity, limits);
  const commanded = { time: lead, position, velocity };
  const braking = segmentEnds(stops).map((end) => {
    const states = stops.map((stop, i) => braked(position[i]!, velocity[i]!, stop, end));
    return {
      time: lead + end,
      position: states.map((state) => state.position),
      velocity: states.map((state) => state.velocity),
    };
  });
  return [commanded, ...braking];
}

/** s each joint takes to brake: never harder than its limit allows. */
function stopTimes(
  position: readonly number[],
  velocity: readonly number[],
  limits: readonly BrakingLimits[],
): readonly number[] {
  const soonest = velocity.map((v, i) => Math.abs(v) / limits[i]!.acceleration);
  const together = Math.max(0, ...soonest);
  return velocity.map((v, i) => {
    if (v === 0) return 0;
    const { lower, upper } = limits[i]!;
    const room = Math.max(0, v > 0 ? upper - position[i]! : position[i]! - lower);
    return Math.max(soonest[i]!, Math.min(together, (2 * room) / Math.abs(v)));
  });
}

/** Where segments end, ascending: at the stop times, as far as they lie apart. */
function segmentEnds(stops: readonly number[]): readonly number[] {
  const ends: number[] = [];
  for (const stop of stops.filter((time) => time > 0).sort((a, b) => b - a)) {
    const next = ends[0];
    if (next === undefined) ends.unshift(Math.max(stop, SHORTEST_SEGMENT));
    else if (stop >= SHORTEST_SEGMENT && next - stop >= SHORTEST_SEGMENT) ends.unshift(stop);
  }
  return ends;
}

/** One joint's state `time` into a constant deceleration that brings it to rest after `stop`. */
function braked(
  position: number,
  velocity: number,
  stop: number,
  time: number,
): { readonly position: number; readonly velocity: number } {
  if (time >= stop) return { position: position + (velocity * stop) / 2, velocity: 0 };
  const left = 1 - time / stop;
  return { position: position + (velocity * time * (1 + left)) / 2, velocity: velocity * left };
}
