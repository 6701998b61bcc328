/**
 * What the whole data path does on this machine: cameras arrive, control ticks at 50 Hz through planning, inverse
 * kinematics and the guard, and the model answers in its worker as fast as it is asked; first actions alone, then with
 * traces beside them. Answers have the length of real ones whatever the weights say, so the figures hold for any.
 */
import type { ArmCapsules } from '../arm/clearance.js';
import type { Arm } from '../arm/kinematics.js';
import type { Config } from '../config.js';
import { openGraphs } from '../convert/build.js';
import { Aligner } from '../control/align.js';
import type { Clock } from '../control/clock.js';
import type { TraceSchedule } from '../control/desk.js';
import { ControlLoop } from '../control/loop.js';
import { runWall } from '../control/wall.js';
import { MismatchError } from '../errors.js';
import { idsFromText } from '../model/answerText.js';
import { ModelClient } from '../model/client.js';
import { readContract, type Contract } from '../model/contract.js';
import { compareDecodingRates, type DecodingRate } from '../model/decodingBench.js';
import type { LoadProgress, ModelFacts } from '../model/protocol.js';
import type { ProviderSetting } from '../model/session.js';
import { readTokenizer } from '../model/tokenizer.js';
import { formatTrace } from '../model/traceGrammar.js';
import { Guard } from '../safety/guard.js';
import { GuardLog } from '../safety/guardLog.js';
import type { Mark } from '../types.js';
import { BenchRobot } from './benchRobot.js';
import { makeCameras, type BenchCamera } from './cameras.js';
import { MeasuredPolicy, type Stages } from './measuredPolicy.js';
import { larger, spreadOfSamples, type Spread } from './spread.js';

export interface BenchOptions {
  readonly model: string;
  readonly cache: string;
  /** Of a robot with arm joints; cameras and rates are the benchmark's own. */
  readonly config: Config;
  readonly arm: Arm;
  readonly capsules: ArmCapsules;
  /** Joint positions to begin at, rad: inside the workspace, away from singularities. */
  readonly home: readonly number[];
  readonly clock: Clock;
  readonly provider: ProviderSetting;
  readonly threads: number;
  readonly sliceTokens: number;
  /** s per phase. */
  readonly seconds: number;
  /** Which camera the model sees. */
  readonly modelCamera: 'fullHd' | 'vga1';
  readonly onProgress?: (sentence: string) => void;
}

/** One phase. Rates per second of wall time; latency from request to answer on the main thread. */
export interface PhaseResult {
  readonly actionsPerSecond: number;
  readonly tracesPerSecond: number;
  readonly actionLatencyMs: Spread;
  readonly traceLatencyMs: Spread | null;
  readonly controlJitterMs: Spread;
  readonly missedTicks: number;
  /** Requests without an answer, by kind of refusal. */
  readonly failures: Readonly<Record<string, number>>;
  /** What guard and control reported, by code. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly stages: { readonly action: Stages | null; readonly trace: Stages | null };
}

export interface BenchResult {
  /** With traces beside them. */
  readonly actionsPerSecond: number;
  readonly tracesPerSecond: number;
  /** Of both phases: the larger. */
  readonly controlJitterMs: Spread;
  /** Control ticks left out, of both phases together. */
  readonly missedTicks: number;
  /** Action latency with traces beside it, over without; null where either phase is too short for a p99. */
  readonly actionP99Ratio: number | null;
  readonly stages: PhaseResult['stages'];
  readonly decoding: {
    readonly step: DecodingRate;
    readonly loop: DecodingRate;
    readonly speedUp: number;
  };
  readonly rssMb: number;
  readonly peakRssMb: number;
  readonly alone: PhaseResult;
  readonly withTraces: PhaseResult;
  readonly answerTokens: { readonly action: number; readonly trace: number };
  readonly model: ModelFacts;
}

const controlRateHz = 50;
/** A little more often than once a second, so that one a second is reached where each takes its time. */
const tracePeriod = 0.9;
const warmUpSeconds = 1;
const decodingRounds = 15;

/** @throws ModelError, ConfigError, MismatchError. Takes about twice `seconds`, and ten seconds more. */
export async function runBench(options: BenchOptions): Promise<BenchResult> {
  const { model, cache, clock, provider, threads, sliceTokens, seconds } = options;
  const report = options.onProgress ?? (() => undefined);
  // 1. Load, cameras and model.
  report('making camera frames');
  const cameras = await makeCameras();
  const config = benchConfig(options.config, cameras, options.modelCamera, readContract(model));
  const answerTokens = answerLengths(model);
  const client = await ModelClient.open({
    settings: {
      folder: model,
      cache,
      robot: { robot: config.robot, baseFrame: config.baseFrame },
      cameras: { [options.modelCamera]: pictureKey(readContract(model)) },
      provider,
      threads,
      sliceTokens,
      fixedLength: answerTokens,
    },
    clock,
    onProgress: (progress) => report(loadSentence(progress)),
  });
  // 2. Without and with traces.
  try {
    const policy = new MeasuredPolicy(client, config.baseFrame);
    const camera = cameras.find(({ name }) => name === options.modelCamera)!;
    const log = new GuardLog(report);
    const run = (length: number, traces: TraceSchedule | null) =>
      runPhase({ ...options, config, log }, cameras, policy, length, traces);
    report(`warming up control for ${warmUpSeconds} s`);
    await run(warmUpSeconds, null);
    report(`actions alone for ${seconds} s`);
    const alone = await run(seconds, null);
    report(`actions with traces for ${seconds} s`);
    const withTraces = await run(seconds, traceSchedule(camera));
    const rssMb = process.memoryUsage.rss() / 1e6;
    // 3. The decoder by itself.
    report('decoding: one-run loop against step by step');
    await client.close();
    const decoding = await compareDecodingRates(
      openGraphs(model, readContract(model), cache, () => undefined).folder,
      { provider, threads },
      { promptLength: 100, answerLength: answerTokens.trace, rounds: decodingRounds },
      () => clock.now().nowNs,
    );
    const { actionsPerSecond, tracesPerSecond, stages } = withTraces;
    return {
      actionsPerSecond,
      tracesPerSecond,
      controlJitterMs: larger(alone.controlJitterMs, withTraces.controlJitterMs),
      missedTicks: alone.missedTicks + withTraces.missedTicks,
      actionP99Ratio: p99Ratio(withTraces.actionLatencyMs, alone.actionLatencyMs),
      stages,
      decoding,
      rssMb,
      peakRssMb: process.resourceUsage().maxRSS / 1000,
      alone,
      withTraces,
      answerTokens,
      model: client.facts,
    };
  } finally {
    await client.close();
  }
}

async function runPhase(
  options: Pick<BenchOptions, 'config' | 'arm' | 'capsules' | 'home' | 'clock'> & {
    readonly log: GuardLog;
  },
  cameras: readonly BenchCamera[],
  policy: MeasuredPolicy,
  seconds: number,
  traces: TraceSchedule | null,
): Promise<PhaseResult> {
  const { config, arm, capsules, home, clock, log } = options;
  policy.forget();
  const guard = new Guard(config, arm, capsules, log.onFirst);
  log.opened(guard);
  const aligner = new Aligner({ config, arm, nowNs: () => clock.now().nowNs });
  const instruction = 'pick the red block';
  const { jointNames } = arm;
  const robot = new BenchRobot({ clock, cameras, jointNames, position: home, instruction });
  const loop = new ControlLoop({ config, arm, guard, aligner, robot });
  await robot.start(aligner);
  const startedNs = clock.now().nowNs;
  const run = await runWall({
    loop,
    policy,
    config,
    clock,
    until: () => null,
    maxTicks: seconds * controlRateHz,
    ...(traces ? { traces } : {}),
  });
  const took = Number(clock.now().nowNs - startedNs) / 1e9;
  await robot.stop();
  const { actions, traces: traceCount } = policy.counts;
  return {
    actionsPerSecond: actions / took,
    tracesPerSecond: traceCount / took,
    actionLatencyMs: spreadOfSamples(run.actionLatencyMs),
    traceLatencyMs: run.traceLatencyMs.count > 0 ? spreadOfSamples(run.traceLatencyMs) : null,
    controlJitterMs: spreadOfSamples(run.jitterMs),
    missedTicks: run.missedTicks,
    failures: policy.failures,
    reasons: Object.fromEntries([...guard.counts, ...loop.counts]),
    stages: { action: policy.stages('action'), trace: policy.stages('trace') },
  };
}

/** The robot's arm and limits with the benchmark's cameras and rates; the policy is asked at every tick it is free. */
function benchConfig(
  config: Config,
  cameras: readonly BenchCamera[],
  modelCamera: string,
  contract: Contract,
): Config {
  if (config.output !== 'joint' || !config.description) {
    const where = `bench, robot ${config.robot}`;
    throw new MismatchError(where, 'a robot without arm joints', 'a description and output: joint');
  }
  const entries = cameras.map(({ name }) => {
    const camera = { topic: `/${name}`, type: 'compressed' } as const;
    const modelKey = pictureKey(contract);
    return [name, name === modelCamera ? { ...camera, modelKey } : camera] as const;
  });
  // Half a tick: due at every tick, also at one that comes a little early.
  const rates = { rateHz: controlRateHz, policyPeriod: 0.5 / controlRateHz };
  return {
    ...config,
    cameras: Object.fromEntries(entries),
    control: { ...config.control, ...rates, actionDeadlineMs: 2000, traceDeadlineMs: 10_000 },
    dryRun: false,
  };
}

/** The picture that the model's traces are about. */
function pictureKey({ name, answers }: Contract): string {
  if (answers.trace) return answers.trace.camera;
  const expected = 'one with traces; bench --synthetic measures an architecture without them';
  throw new MismatchError(`bench, model ${name}`, 'a model without traces', expected);
}

/** Tokens of a full action, and of a trace of two marks that both move, end included. */
function answerLengths(model: string): { readonly action: number; readonly trace: number } {
  const contract = readContract(model);
  const tokenizer = readTokenizer(model);
  const { action, trace } = contract.answers;
  const future = Array.from({ length: trace!.steps }, (_, i) => [100 + i, 120 - i] as const);
  const text = formatTrace(
    [
      { id: 1, start: [99, 121], future },
      { id: 2, start: [180, 60], future },
    ],
    trace!,
  );
  return {
    action: action.chunk * action.dims.length + 1,
    trace: idsFromText(text, tokenizer, tokenizer.idOf(contract.tokens.eos)).length,
  };
}

function traceSchedule({ name, height, width }: BenchCamera): TraceSchedule {
  const marks: Mark[] = [
    { id: 1, at: { x: 0.4 * width, y: 0.5 * height } },
    { id: 2, at: { x: 0.7 * width, y: 0.3 * height } },
  ];
  return { period: tracePeriod, lockstepLatency: 0, what: () => ({ camera: name, marks }) };
}

const p99Ratio = (a: Spread, b: Spread): number | null =>
  a.p99 === null || b.p99 === null ? null : a.p99 / b.p99;

function loadSentence({ stage, fraction }: LoadProgress): string {
  return `loading the model: ${stage} ${Math.round(100 * fraction)} %`;
}
