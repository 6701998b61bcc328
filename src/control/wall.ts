/**
 * Drives a robot in real time: control ticks on a fixed grid of the steady clock, the policy asked when a picture comes and
 * it is due and free, its answer played from the first tick after it has come.
 */
import { messageOf } from '../errors.js';
import type { Config } from '../config.js';
import { Watchdog } from '../safety/watchdog.js';
import { type Clock, type Instant, nsFromSeconds, secondsFromNs } from './clock.js';
import { type Arrival, type DeskObserver, PolicyDesk, type TraceSchedule } from './desk.js';
import type { ControlLoop } from './loop.js';
import type { Policy } from './policy.js';
import { Samples } from './samples.js';
import { type Pace, runSession, type SessionEnd } from './session.js';

export interface WallOptions {
  readonly loop: ControlLoop;
  readonly policy: Policy;
  readonly config: Config;
  readonly clock: Clock;
  readonly until: (at: Instant) => string | null;
  readonly maxTicks?: number;
  readonly traces?: TraceSchedule;
  readonly observer?: DeskObserver;
  /** The guard has taken up the arm. */
  readonly onActivated?: () => void;
}

export interface WallResult extends SessionEnd {
  /** How late control ticks began, ms; those left out count with how late they were when they were given up. */
  readonly jitterMs: Samples;
  /** Ticks left out because the one before ended after their time. */
  readonly missedTicks: number;
  readonly actionLatencyMs: Samples;
  readonly traceLatencyMs: Samples;
}

/** The robot has been started with `loop.aligner` as its listener; stopping it is the caller's too. */
export async function runWall(options: WallOptions): Promise<WallResult> {
  const { loop, policy, config, clock, traces, observer, until } = options;
  const { rateHz } = config.control;
  const arrival = arrivalInRealTime(config);
  const desk = new PolicyDesk({ config, loop, policy, clock, arrival, traces, observer });
  const grid = new Grid(clock, 1 / rateHz);
  const watchdog = new Watchdog(config.guard.watchdog);
  const ended = new AbortController();
  const watching = watch(watchdog, options, ended.signal);
  const pace: Pace = async () => {
    const at = await grid.next();
    watchdog.tick(at.nowNs);
    return at;
  };
  try {
    const end = await runSession({
      loop,
      desk,
      pace,
      until,
      maxTicks: options.maxTicks ?? Infinity,
      activationTicks: Math.ceil(5 * rateHz),
      restTicks: Math.ceil(3 * rateHz),
      rest: 'measured',
      ...(options.onActivated ? { onActivated: options.onActivated } : {}),
    });
    return {
      ...end,
      jitterMs: grid.jitterMs,
      missedTicks: grid.missed,
      actionLatencyMs: desk.actionLatencyMs,
      traceLatencyMs: desk.traceLatencyMs,
    };
  } finally {
    ended.abort();
    await watching;
  }
}

function arrivalInRealTime({ control }: Config): Arrival {
  return {
    asks: 'whenSeen',
    actionTimeoutMs: control.actionDeadlineMs,
    traceTimeoutMs: control.traceDeadlineMs,
    take: (pending) => Promise.resolve(pending.arrived),
  };
}

/** Tick n at start + n · period: lateness of one tick does not shift the next. */
class Grid {
  readonly #clock: Clock;
  readonly #periodNs: bigint;
  #dueNs: bigint;
  readonly jitterMs = new Samples();
  missed = 0;

  constructor(clock: Clock, period: number) {
    this.#clock = clock;
    this.#periodNs = nsFromSeconds(period);
    this.#dueNs = clock.now().nowNs;
  }

  async next(): Promise<Instant> {
    this.#dueNs += this.#periodNs;
    this.#skipPassed(this.#clock.now().nowNs);
    await this.#clock.sleepUntil(this.#dueNs);
    const at = this.#clock.now();
    this.jitterMs.add(secondsFromNs(at.nowNs - this.#dueNs) * 1e3);
    return at;
  }

  /** A tick less than half a period late is made up for at once; what is later than that is left out. */
  #skipPassed(nowNs: bigint): void {
    for (; 2n * (nowNs - this.#dueNs) >= this.#periodNs; this.#dueNs += this.#periodNs) {
      this.jitterMs.add(secondsFromNs(nowNs - this.#dueNs) * 1e3);
      this.missed++;
    }
  }
}

/**
 * Beside the ticks: where the loop falls silent, drops what is being played and ticks in its place, so that the guard,
 * which sees the gap, brings the arm to rest. A blocked event loop blocks this too: then the guard acts at the next tick,
 * and until then it is up to the controller below.
 */
async function watch(
  watchdog: Watchdog,
  { loop, clock, config }: WallOptions,
  signal: AbortSignal,
): Promise<void> {
  const halfNs = nsFromSeconds(config.guard.watchdog / 2);
  for (;;) {
    await clock.sleepUntil(clock.now().nowNs + halfNs, signal);
    if (signal.aborted) return;
    const at = clock.now();
    const silent = watchdog.check(at.nowNs);
    if (!silent) continue;
    loop.refuse(silent, at);
    loop.stop(silent.message);
    try {
      loop.tick(at);
    } catch (error) {
      // A robot that does not take the command may take the next one; the silence itself is told above.
      const message = `a tick in place of the loop failed: ${messageOf(error)}`;
      loop.refuse({ code: 'tickFailed', message }, at);
    }
  }
}
