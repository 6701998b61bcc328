/** One simulated episode: scene and task from a seed, the policy through control and guard, judged by the scene. */
import type { Aligner } from '../control/align.js';
import { type Clock, nsFromSeconds } from '../control/clock.js';
import type { DeskObserver, TraceSchedule } from '../control/desk.js';
import { ControlLoop, type LoopObserver } from '../control/loop.js';
import { runLockstep } from '../control/lockstep.js';
import { runWall } from '../control/wall.js';
import type { Policy } from '../control/policy.js';
import type { Samples } from '../control/samples.js';
import type { Config } from '../config.js';
import { Guard } from '../safety/guard.js';
import type { GuardLog } from '../safety/guardLog.js';
import type { RobotListener } from '../robot/robot.js';
import type { SimRobot } from '../robot/sim/simRobot.js';
import type { Disturbance, DisturbanceEvent } from '../robot/sim/disturb.js';
import type { Outcome } from '../robot/sim/judge.js';
import type { ScenePlan } from '../robot/sim/suites.js';
import type { Task } from '../robot/sim/tasks.js';
import type { ArmDescription } from './arm.js';
import { simulatedClock } from './simulatedClock.js';

export interface EpisodeOptions {
  readonly config: Config;
  readonly description: ArmDescription;
  readonly robot: SimRobot;
  /** Lives through all episodes: episode numbers grow, so that late answers are known as such. */
  readonly aligner: Aligner;
  /** Hears the robot: the aligner, or a tee that ends in it. The same through all episodes. */
  readonly listener: RobotListener;
  readonly policy: Policy;
  readonly clock: Clock;
  /** Lock-step: simulated time, fixed latency. Wall: real time and latency. */
  readonly pace: 'lockstep' | 'wall';
  readonly plan: Omit<ScenePlan, 'extra'>;
  /** Of which one happens. */
  readonly disturbances: readonly Disturbance[];
  /** s of simulated time. */
  readonly longest: number;
  readonly traces?: TraceSchedule | undefined;
  /** Lives through all episodes. */
  readonly log?: GuardLog | undefined;
  readonly observer?: DeskObserver & LoopObserver;
}

export interface EpisodeResult {
  readonly seed: number;
  readonly task: Task;
  readonly instruction: string;
  readonly disturbed: DisturbanceEvent | null;
  readonly outcome: Outcome;
  /** s of simulated time until the end. */
  readonly duration: number;
  /** Reason codes of guard and control, counted. */
  readonly reasons: ReadonlyMap<string, number>;
  /** Why the guard stopped the arm for good; null where it did not. */
  readonly latched: string | null;
  /** Recoveries that began, by what from. */
  readonly recoveries: ReadonlyMap<string, number>;
  /** Why control gave up; null where it did not. */
  readonly gaveUp: string | null;
  readonly actionLatencyMs: Samples;
  readonly traceLatencyMs: Samples;
}

/**
 * The simulation's steps are as long as a control period, and come this share of one after a tick: a step follows what was
 * commanded at that tick, none twice and none not at all, and its picture is there well before the next.
 */
const AFTER_TICK = 0.25;

/** Lets the simulation's time pass with the real one while `run` lasts, whose ticks begin now. */
async function inRealTime<T>(
  robot: SimRobot,
  clock: Clock,
  config: Config,
  run: (simulated: Clock) => Promise<T>,
): Promise<T> {
  const periodNs = nsFromSeconds(1 / config.control.rateHz);
  const beganNs = clock.now().nowNs + nsFromSeconds((AFTER_TICK - 1) / config.control.rateHz);
  const simulated = simulatedClock(clock, robot, { beganNs, periodNs });
  const ended = new AbortController();
  const passing = (async () => {
    let dueNs = beganNs;
    while (!ended.signal.aborted) {
      dueNs += periodNs;
      await clock.sleepUntil(dueNs);
      await robot.advance(periodNs);
    }
  })();
  try {
    return await run(simulated);
  } finally {
    ended.abort();
    await passing;
  }
}

export async function runEpisode(options: EpisodeOptions): Promise<EpisodeResult> {
  const { config, description, robot, aligner, policy, clock, pace, plan, longest } = options;
  const { arm, capsules } = description;
  const task = await robot.reset(plan, options.disturbances);
  const guard = new Guard(config, arm, capsules, options.log?.onFirst);
  options.log?.opened(guard);
  const recoveries = new Map<string, number>();
  const watching = options.observer ?? {};
  const observer: NonNullable<EpisodeOptions['observer']> = {
    ...watching,
    onRecovery: (event, at) => {
      const { kind, fault } = event;
      if (kind === 'started') recoveries.set(fault, (recoveries.get(fault) ?? 0) + 1);
      watching.onRecovery?.(event, at);
    },
  };
  const recovery = 'asConfigured';
  const loop = new ControlLoop({ config, arm, guard, aligner, robot, observer, recovery });
  await robot.start(options.listener);
  const startNs = robot.stampNs;
  const until = (): string | null => {
    if (robot.outcome !== 'running') return robot.outcome;
    if (guard.latched) return `stopped: ${guard.latched.message}`;
    return loop.gaveUp?.message ?? null;
  };
  const maxTicks = Math.ceil(longest * config.control.rateHz);
  const traces = options.traces ? { traces: options.traces } : {};
  const session = { loop, policy, config, until, maxTicks, observer, ...traces };
  const run =
    pace === 'lockstep'
      ? await runLockstep({ ...session, robot, clock })
      : await inRealTime(robot, clock, config, (simulated) =>
          runWall({ ...session, clock: simulated }),
        );
  return {
    seed: plan.seed,
    task,
    instruction: robot.instruction,
    disturbed: robot.disturbed,
    outcome: robot.outcome,
    duration: Number(robot.stampNs - startNs) / 1e9,
    reasons: summed(guard.counts, loop.counts),
    latched: guard.latched?.code ?? null,
    recoveries,
    gaveUp: loop.gaveUp?.message ?? null,
    actionLatencyMs: run.actionLatencyMs,
    traceLatencyMs: run.traceLatencyMs,
  };
}

/** Guard and control use some codes alike. */
function summed(...all: readonly ReadonlyMap<string, number>[]): ReadonlyMap<string, number> {
  const sum = new Map<string, number>();
  for (const counts of all) {
    for (const [code, count] of counts) sum.set(code, (sum.get(code) ?? 0) + count);
  }
  return sum;
}
