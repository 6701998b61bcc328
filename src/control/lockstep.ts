/**
 * Drives a robot whose time is ours to advance. Answers count from observation stamp + latency on, however long they
 * really took, and one request is computed after the other: the result does not depend on the machine's load.
 */
import type { Config } from '../config.js';
import type { LockstepRobot } from '../robot/robot.js';
import { type Clock, type Instant, nsFromSeconds } from './clock.js';
import { type Arrival, type DeskObserver, PolicyDesk, type TraceSchedule } from './desk.js';
import type { ControlLoop } from './loop.js';
import type { Policy } from './policy.js';
import type { Samples } from './samples.js';
import { runSession, type SessionEnd } from './session.js';

/** Real time after which a policy counts as hung, ms: far above what the slowest machine needs for one answer. */
const PATIENCE_MS = 120_000;

export interface LockstepOptions {
  /** Started with `loop.aligner` as its listener; stopping it is the caller's too. */
  readonly robot: LockstepRobot;
  readonly loop: ControlLoop;
  readonly policy: Policy;
  readonly config: Config;
  /** Real time, for latency figures and hung policies only. */
  readonly clock: Clock;
  readonly until: (at: Instant) => string | null;
  readonly maxTicks: number;
  /** s the arm may take to come to rest at the end; 5 where not given, 0 where no arm follows the commands. */
  readonly restTime?: number;
  readonly traces?: TraceSchedule;
  readonly observer?: DeskObserver;
}

export interface LockstepResult extends SessionEnd {
  /** Real time per answer, ms. */
  readonly actionLatencyMs: Samples;
  readonly traceLatencyMs: Samples;
}

/** The one time of a lock-step run serves as both clocks. */
export function lockstepInstant(robot: LockstepRobot): Instant {
  return { nowNs: robot.stampNs, stampNs: robot.stampNs };
}

export async function runLockstep(options: LockstepOptions): Promise<LockstepResult> {
  const { robot, loop, policy, config, clock, traces, observer, until, maxTicks } = options;
  const { restTime = 5 } = options;
  const { rateHz } = config.control;
  const periodNs = nsFromSeconds(1 / rateHz);
  const desk = new PolicyDesk({ config, loop, policy, clock, arrival, traces, observer });
  const end = await runSession({
    loop,
    desk,
    pace: async () => {
      await robot.advance(periodNs);
      return lockstepInstant(robot);
    },
    until,
    maxTicks,
    activationTicks: Math.ceil(5 * rateHz),
    restTicks: Math.ceil(restTime * rateHz),
    rest: 'commanded',
  });
  // What is still being computed must not meet the first request of the next run.
  await desk.settle();
  return {
    ...end,
    actionLatencyMs: desk.actionLatencyMs,
    traceLatencyMs: desk.traceLatencyMs,
  };
}

const arrival: Arrival = {
  asks: 'atTicks',
  actionTimeoutMs: PATIENCE_MS,
  traceTimeoutMs: PATIENCE_MS,
  take: async (pending, latency, at) => {
    const dueNs = pending.request.observation.stampNs + nsFromSeconds(latency);
    return at.stampNs >= dueNs ? await pending.answer : null;
  },
  // An action would pre-empt a trace, and a trace slow an action down, by how fast the machine is: one at a time.
  beforeRequest: async (other) => {
    await other?.answer;
  },
};
