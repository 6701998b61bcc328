/**
 * Whether a policy gets anywhere: a tool that is asked to go a long way, stays within a small ball, and has a gripper that
 * does not change either, is stuck, be it against a limit or swinging to and fro. Pure; steady clock, m, rad, s.
 *
 * A policy that asks for next to nothing rests by its own choice (it has finished, or waits): that is not being stuck.
 */
import * as quaternion from '../math/quaternion.js';
import type { Pose } from '../types.js';

export interface ProgressReading {
  /** s since the reading before. */
  readonly elapsed: number;
  readonly tool: Pose;
  /** Measured, 0 closed … 1 open. */
  readonly opening: number;
  readonly told: number | null;
  /** m/s that the action under way asks for. */
  readonly intended: number;
  /** 0 … 1: how much of its speed the arm is allowed. */
  readonly pace: number;
}

export interface ProgressLimits {
  /** s at full speed without progress. */
  readonly after: number;
  /** m: diagonal of the box around where the tool was. */
  readonly within: number;
  /** rad from the first orientation. */
  readonly turning: number;
}

/** It is stuck where it was asked to go this many times as far as it got. */
const ASKED = 3;
/** Change of the measured opening that is progress: fingers that close on something. */
const OPENING = 0.15;

interface Stay {
  readonly told: number | null;
  readonly opening: number;
  readonly rotation: Pose['rotation'];
  readonly min: number[];
  readonly max: number[];
  /** s at full speed. */
  time: number;
  /** m */
  asked: number;
}

export class ProgressWatch {
  readonly #limits: ProgressLimits;
  /** Overlapping stays, a new one every quarter of the time: a single one would begin at the wrong moment. */
  #stays: Stay[] = [];

  constructor(limits: ProgressLimits) {
    this.#limits = limits;
  }

  reset(): void {
    this.#stays = [];
  }

  /** At every tick at which an action is being played. Whether there has been no progress for too long. */
  watch(reading: ProgressReading): boolean {
    const { after } = this.#limits;
    this.#stays = this.#stays.filter((stay) => this.#lasts(stay, reading));
    for (const stay of this.#stays) {
      stay.time += reading.elapsed * reading.pace;
      stay.asked += reading.elapsed * reading.intended * reading.pace;
    }
    const youngest = this.#stays.at(-1);
    if (!youngest || youngest.time >= after / 4) this.#stays.push(beginning(reading));
    const oldest = this.#stays[0]!;
    if (oldest.time < after) return false;
    if (oldest.asked >= ASKED * this.#limits.within) return true;
    this.#stays.shift();
    return false;
  }

  /** Takes the reading into the stay; whether it is one still. */
  #lasts(stay: Stay, { tool, opening, told }: ProgressReading): boolean {
    tool.translation.forEach((value, axis) => {
      stay.min[axis] = Math.min(stay.min[axis]!, value);
      stay.max[axis] = Math.max(stay.max[axis]!, value);
    });
    const { within, turning } = this.#limits;
    return (
      told === stay.told &&
      Math.abs(opening - stay.opening) <= OPENING &&
      Math.hypot(...stay.max.map((high, axis) => high - stay.min[axis]!)) <= within &&
      quaternion.angleBetween(tool.rotation, stay.rotation) <= turning
    );
  }
}

function beginning({ tool, opening, told }: ProgressReading): Stay {
  const { rotation, translation } = tool;
  return {
    ...{ told, opening, rotation },
    ...{ min: [...translation], max: [...translation] },
    ...{ time: 0, asked: 0 },
  };
}
