/** What diagnostics are made of: plain data, gathered once a second. */
import type { Instant } from '../control/clock.js';
import type { InputReport } from '../robot/ros/rosRobot.js';
import type { LifecycleState } from '../robot/ros/ros.js';
import type { Reason } from '../types.js';
import type { MonitorFacts } from './monitor.js';
import type { ShadowComparison } from './shadow.js';

export interface InputFacts extends InputReport {
  /** s, after which the guard or the observation misses it. */
  readonly maxAge: number;
}

export interface Facts {
  readonly now: Instant;
  /** robot.yaml's name; empty before the node is configured. */
  readonly robot: string;
  readonly lifecycle: LifecycleState;
  readonly isTakenOver: boolean;
  readonly isDryRun: boolean;
  readonly latched: Reason | null;
  /** What is wrong with ROS time; null: nothing. */
  readonly clock: Reason | null;
  /** Contained errors of callbacks, by what failed. */
  readonly failures: ReadonlyMap<string, number>;
  /** Null before the node is configured. */
  readonly configured: ConfiguredFacts | null;
}

export interface ConfiguredFacts {
  /** s */
  readonly controlPeriod: number;
  readonly actionDeadlineMs: number;
  readonly inputs: readonly InputFacts[];
  /** Name, provider, decoding …, and answers it had to drop. */
  readonly policy: {
    readonly facts: Readonly<Record<string, string>>;
    readonly dropped: Readonly<Record<string, number>>;
  };
  readonly control: MonitorFacts;
  readonly output: {
    /** Null: robot.yaml names no command. */
    readonly target: string | null;
    readonly isOpen: boolean;
    readonly withheld: number;
    readonly problem: Reason | null;
  };
  /** Transforms of /tf that were not taken. */
  readonly transformsRefused: number;
  /** Null: there is none. */
  readonly shadow: ShadowComparison | null;
}

/** Whether a count has grown within the last minute: one error in a night is history in the morning. */
export class Recently {
  readonly #seen = new Map<string, { readonly count: number; readonly grewNs: bigint | null }>();

  /** Looks at `count` now; the first time, only a count above 0 has grown. */
  grew(what: string, count: number, nowNs: bigint): boolean {
    const before = this.#seen.get(what);
    const isMore = count > (before?.count ?? 0);
    const grewNs = isMore ? nowNs : (before?.grewNs ?? null);
    this.#seen.set(what, { count, grewNs });
    return grewNs !== null && nowNs - grewNs <= 60_000_000_000n;
  }
}
