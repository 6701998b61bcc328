/** `simulate`: seeded episodes through policy, control and guard; how often the task was done, and what went wrong. */
import { Aligner } from '../control/align.js';
import type { Clock } from '../control/clock.js';
import type { TraceSchedule } from '../control/desk.js';
import type { Policy } from '../control/policy.js';
import { Samples } from '../control/samples.js';
import type { Config } from '../config.js';
import { GuardLog } from '../safety/guardLog.js';
import { wilsonInterval } from '../math/statistics.js';
import { ExpertPolicy, truthOf } from '../robot/sim/expertPolicy.js';
import { families, type Family } from '../robot/sim/tasks.js';
import { SimRobot } from '../robot/sim/simRobot.js';
import { Recorder } from '../robot/replay/recorder.js';
import type { Mark, Observation, TracePrediction } from '../types.js';
import type { ArmDescription } from './arm.js';
import { runEpisode, type EpisodeOptions, type EpisodeResult } from './episode.js';
import { truthInto } from './recordedTruth.js';
import { RunCounts, type Counts } from './runCounts.js';
import { demonstrationInto } from './runRecorder.js';
import { tee } from '../robot/tee.js';
import { TraceScore, type TraceError } from './traceScore.js';

export interface SimulateOptions {
  readonly config: Config;
  readonly description: ArmDescription;
  /** 'expert', or what opens a model's client. */
  readonly policy: 'expert' | Policy;
  readonly clock: Clock;
  readonly pace: EpisodeOptions['pace'];
  readonly episodes: number;
  readonly seed: number;
  readonly families: readonly Family[];
  /** s of simulated time per episode. */
  readonly longest: number;
  /** s between trace requests; 0: none. */
  readonly tracePeriod: number;
  /** Steps of a trace, one per camera frame: what traces are scored over. Default 8. */
  readonly traceSteps?: number | undefined;
  /** MCAP file of all episodes, which replays with the same configuration. */
  readonly record?: string | undefined;
  readonly onEpisode?: (result: EpisodeResult, index: number) => void | Promise<void>;
  /** Told what the guard guarantees, and each of its reasons once. */
  readonly say?: (line: string) => void;
  /** Called with the robot before an episode; what it returns watches that episode. */
  readonly watch?: (robot: SimRobot, index: number) => EpisodeOptions['observer'];
}

export interface Rate {
  readonly episodes: number;
  readonly successes: number;
  readonly rate: number;
  /** 95 % Wilson interval. */
  readonly low: number;
  readonly high: number;
}

export interface Latency {
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
}

export interface SimulateResult {
  readonly policy: string;
  readonly clock: 'lockstep' | 'wall';
  readonly episodes: number;
  readonly seed: number;
  readonly success: Rate & { readonly byFamily: Readonly<Record<string, Rate>> };
  readonly wrongObject: number;
  readonly timeouts: number;
  readonly stopped: number;
  /** Predicted against true motion on the 256 grid; null without traces. */
  readonly traceError: TraceError | null;
  /** From an action's observation to its being played, by the stamps' clock; null where none was played. */
  readonly latencyMs: Latency | null;
  readonly meanDuration: number;
  /** Each time the guard began to halt, by code; what latched ended its episode. */
  readonly halts: Counts;
  readonly reasons: Counts;
  readonly refusals: Counts;
  /** Over every answer in order: equal hashes are equal runs. */
  readonly predictionsSha256: string;
}

export const cameraSize = { height: 128, width: 128 } as const;

export function openSimulation(config: Config, description: ArmDescription): SimRobot {
  const camera = Object.keys(config.cameras)[0]!;
  return new SimRobot({
    urdf: description.urdf,
    jointNames: description.arm.jointNames,
    camera,
    cameraSize,
    cameraPeriodNs: BigInt(Math.round(config.control.policyPeriod * 1e9)),
  });
}

export async function simulate(options: SimulateOptions): Promise<SimulateResult> {
  const { config, description, episodes, seed } = options;
  const robot = openSimulation(config, description);
  const policy: Policy =
    options.policy === 'expert' ? new ExpertPolicy(truthOf(robot)) : options.policy;
  const camera = Object.keys(config.cameras)[0]!;
  const aligner = new Aligner({
    config,
    arm: description.arm,
    nowNs: options.pace === 'lockstep' ? () => robot.stampNs : () => options.clock.now().nowNs,
  });
  const counts = new RunCounts();
  const score = new TraceScore(options.traceSteps ?? 8);
  const playedMs = new Samples();
  const results: EpisodeResult[] = [];
  const log = options.say && new GuardLog(options.say);
  const traces: TraceSchedule | undefined =
    options.tracePeriod > 0 && policy.requestTrace
      ? {
          period: options.tracePeriod,
          lockstepLatency: 2 * config.control.lockstepLatency,
          what: (observation) => ({ camera, marks: marksAt(robot, observation) }),
        }
      : undefined;
  const { record } = options;
  const recorder =
    record === undefined ? null : await Recorder.open(record, config, () => robot.stampNs);
  const listener = recorder ? tee(aligner, recorder, truthInto(recorder, robot)) : aligner;
  const recording = recorder && demonstrationInto(recorder, config);
  try {
    for (let i = 0; i < episodes; i++) {
      const family = options.families[i % options.families.length]!;
      const predicted: TracePrediction[] = [];
      const watching = options.watch?.(robot, i);
      const observer: EpisodeOptions['observer'] = {
        ...watching,
        onAction: (answer, request, notPlayed, at) => {
          counts.addAction(answer);
          if (answer.ok && !notPlayed)
            playedMs.add(Number(at.stampNs - request.observation.stampNs) / 1e6);
          recording?.onAction(answer, request, notPlayed, at);
          watching?.onAction?.(answer, request, notPlayed, at);
        },
        onTrace: (answer, observation, at) => {
          counts.addTrace(answer);
          if (answer.ok) predicted.push(answer.value);
          else score.addRefusal();
          recording?.onTrace(answer, observation, at);
          watching?.onTrace?.(answer, observation, at);
        },
        onTick: (tick) => {
          counts.addTick(tick);
          recording?.onTick(tick);
          watching?.onTick?.(tick);
        },
      };
      counts.newGuard();
      const result = await runEpisode({
        ...{ config, description, robot, aligner, listener, policy, family, traces, observer },
        clock: options.clock,
        pace: options.pace,
        longest: options.longest,
        seed: seed * 100_000 + i,
        log,
      });
      for (const prediction of predicted) score.add(prediction, robot.frames, cameraSize);
      results.push(result);
      await recorder?.drain();
      await options.onEpisode?.(result, i);
    }
  } finally {
    await robot.stop();
    await recorder?.close();
  }
  return summary(options, policy.name, results, {
    refusals: counts.refusals,
    halts: counts.halts,
    latencyMs: latencyOf(playedMs),
    traceError: score.error(),
    predictionsSha256: counts.predictionsSha256(),
  });
}

/** Marks given by the caller: the gripper and every block inside the picture, numbered in that order. */
export function marksAt(robot: SimRobot, observation: Observation): Mark[] {
  const frame = robot.frames.findLast(({ stampNs }) => stampNs === observation.stampNs);
  return (frame?.points ?? [])
    .map(({ at }, i): Mark => ({ id: i + 1, at }))
    .filter(
      ({ at }) => at.x >= 0 && at.y >= 0 && at.x < cameraSize.width && at.y < cameraSize.height,
    );
}

export function rateOf(results: readonly EpisodeResult[]): Rate {
  const successes = results.filter(({ outcome }) => outcome === 'success').length;
  const { low, high } = wilsonInterval(successes, results.length);
  return { episodes: results.length, successes, rate: successes / results.length, low, high };
}

function summary(
  { episodes, seed, pace }: SimulateOptions,
  policy: string,
  results: readonly EpisodeResult[],
  rest: Pick<
    SimulateResult,
    'refusals' | 'halts' | 'latencyMs' | 'traceError' | 'predictionsSha256'
  >,
): SimulateResult {
  const byFamily: Record<string, Rate> = {};
  for (const family of families) {
    const of = results.filter(({ task }) => task.family === family);
    if (of.length > 0) byFamily[family] = rateOf(of);
  }
  const reasons: Record<string, number> = {};
  for (const result of results) {
    for (const [code, count] of result.reasons) reasons[code] = (reasons[code] ?? 0) + count;
  }
  const wrongObject = results.filter(({ outcome }) => outcome === 'wrongObject').length;
  const stopped = results.filter(
    ({ outcome, latched }) => outcome === 'running' && latched !== null,
  ).length;
  const unfinished = results.filter(({ outcome }) => outcome === 'running').length;
  return {
    policy,
    clock: pace,
    episodes,
    seed,
    success: { ...rateOf(results), byFamily },
    wrongObject,
    timeouts: unfinished - stopped,
    stopped,
    meanDuration: results.reduce((sum, { duration }) => sum + duration, 0) / results.length,
    reasons,
    ...rest,
  };
}

function latencyOf(playedMs: Samples): Latency | null {
  if (playedMs.count === 0) return null;
  const [p50, p95, p99] = [50, 95, 99].map((p) => playedMs.percentile(p)!);
  return { p50: p50!, p95: p95!, p99: p99! };
}
