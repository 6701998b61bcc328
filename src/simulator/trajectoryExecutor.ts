/**
 * Trajectory → where the arm should be now, with the replacement rules of joint_trajectory_controller (ros2_controllers,
 * jazzy): a new trajectory replaces the old one at the next sample; up to its first point it is joined from the state the
 * arm had then, desired or measured (`interpolate_from_desired_state`); after its last point that one is held. Time is
 * ROS time and never runs backwards here.
 */
import { interpolate, type FullState, type PointState } from './interpolate.js';
import type { Trajectory } from './trajectory.js';

export interface Measured {
  readonly position: readonly number[];
  readonly velocity: readonly number[];
}

export interface Desired extends FullState {
  /** ns since the trajectory's last point was due; negative before. Null where a position is held by `hold`. */
  readonly sinceEndNs: bigint | null;
  /** ns since the trajectory's start. */
  readonly fromStartNs: bigint;
}

interface Running {
  readonly trajectory: Trajectory;
  readonly startNs: bigint;
  /** Where it was joined from. */
  readonly before: PointState;
  readonly beforeNs: bigint;
}

export class TrajectoryExecutor {
  readonly #joinFrom: 'desired' | 'measured';
  #next: Trajectory | null = null;
  #running: Running | null = null;
  #held: readonly number[];

  constructor(start: readonly number[], joinFrom: 'desired' | 'measured') {
    this.#held = [...start];
    this.#joinFrom = joinFrom;
  }

  /** Rest here, from now on; what was under way is dropped. */
  hold(position: readonly number[]): void {
    this.#held = [...position];
    this.#running = null;
    this.#next = null;
  }

  /** Taken up at the next sample. */
  replace(trajectory: Trajectory): void {
    this.#next = trajectory;
  }

  sample(nowNs: bigint, measured: Measured): Desired {
    if (this.#next) this.#takeUp(this.#next, nowNs, measured);
    return this.#running ? sampleAt(this.#running, nowNs) : this.#holding();
  }

  #takeUp(trajectory: Trajectory, nowNs: bigint, measured: Measured): void {
    const from: PointState =
      this.#joinFrom === 'measured'
        ? { ...measured, acceleration: null }
        : this.#running
          ? sampleAt(this.#running, nowNs)
          : this.#holding();
    this.#next = null;
    this.#running = {
      trajectory,
      startNs: trajectory.startNs === 0n ? nowNs : trajectory.startNs,
      before: likeFirst(from, trajectory.points[0]!),
      beforeNs: nowNs,
    };
  }

  #holding(): Desired {
    const rest = this.#held.map(() => 0);
    return {
      position: this.#held,
      velocity: rest,
      acceleration: rest,
      sinceEndNs: null,
      fromStartNs: 0n,
    };
  }
}

/** Missing derivatives count as 0 where the first point has them: otherwise the piece before it would be a straight line. */
function likeFirst(state: PointState, first: PointState): PointState {
  const rest = state.position.map(() => 0);
  return {
    position: state.position,
    velocity: state.velocity ?? (first.velocity ? rest : null),
    acceleration: state.acceleration ?? (first.acceleration ? rest : null),
  };
}

function sampleAt({ trajectory, startNs, before, beforeNs }: Running, nowNs: bigint): Desired {
  const { points } = trajectory;
  const last = points.at(-1)!;
  const when = {
    sinceEndNs: nowNs - (startNs + last.timeNs),
    fromStartNs: nowNs - startNs,
  };
  const next = points.findIndex((point) => nowNs < startNs + point.timeNs);
  if (next === -1) {
    const rest = last.position.map(() => 0);
    const { position, velocity, acceleration } = last;
    return {
      position,
      velocity: velocity ?? rest,
      acceleration: acceleration ?? rest,
      ...when,
    };
  }
  const to = points[next]!;
  const [from, fromNs] =
    next === 0 ? [before, beforeNs] : [points[next - 1]!, startNs + points[next - 1]!.timeNs];
  const span = Number(startNs + to.timeNs - fromNs) / 1e9;
  return { ...interpolate(from, to, span, Number(nowNs - fromNs) / 1e9), ...when };
}
