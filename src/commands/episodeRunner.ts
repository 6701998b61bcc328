/** Runs episodes of one run, any of them in any order, in this process: simulation, policy, control and guard. */
import { Aligner } from '../control/align.js';
import type { Clock } from '../control/clock.js';
import type { TraceSchedule } from '../control/desk.js';
import type { Policy } from '../control/policy.js';
import type { Config } from '../config.js';
import { GuardLog } from '../safety/guardLog.js';
import type { Disturbance } from '../robot/sim/disturb.js';
import { ExpertPolicy, truthOf } from '../robot/sim/expertPolicy.js';
import type { RobotListener } from '../robot/robot.js';
import { SimRobot } from '../robot/sim/simRobot.js';
import { longestFor, planOf, suites, type SuiteName } from '../robot/sim/suites.js';
import type { Family } from '../robot/sim/tasks.js';
import { Recorder } from '../robot/replay/recorder.js';
import { tee } from '../robot/tee.js';
import type { Mark, Observation, TracePrediction } from '../types.js';
import type { ArmDescription } from './arm.js';
import { causeOf } from './cause.js';
import { runEpisode, type EpisodeOptions } from './episode.js';
import { AnswerLines, type EpisodeRecord } from './episodeRecord.js';
import { truthInto } from './recordedTruth.js';
import { actionFields, RunCounts, traceFields } from './runCounts.js';
import { demonstrationInto } from './runRecorder.js';
import { TraceScore } from './traceScore.js';

export interface RunOptions {
  readonly config: Config;
  readonly description: ArmDescription;
  /** 'expert', or what opens a model's client. */
  readonly policy: 'expert' | Policy;
  readonly clock: Clock;
  readonly pace: EpisodeOptions['pace'];
  readonly seed: number;
  /** Default: core. */
  readonly suite?: SuiteName;
  readonly families: readonly Family[];
  /** One of these goes wrong in every episode. Default: none. */
  readonly disturbances?: readonly Disturbance[];
  /** s of simulated time per episode; left out: what its family may take. */
  readonly longest?: number | undefined;
  /** s between trace requests; 0: none. */
  readonly tracePeriod: number;
  /** Steps of a trace, one per camera frame: what traces are scored over. Default 8. */
  readonly traceSteps?: number | undefined;
  /** MCAP file of all episodes, which replays with the same configuration. */
  readonly record?: string | undefined;
  /** Told what the guard guarantees, and each of its reasons once. */
  readonly say?: ((line: string) => void) | undefined;
}

type Observer = NonNullable<EpisodeOptions['observer']>;

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

export class EpisodeRunner {
  readonly robot: SimRobot;
  readonly policy: Policy;
  readonly #options: RunOptions;
  readonly #aligner: Aligner;
  readonly #log: GuardLog | undefined;
  readonly #recorder: Recorder | null;
  /** One for all episodes: a robot that is given another one announces its episode again. */
  readonly #listener: RobotListener;

  static async open(options: RunOptions): Promise<EpisodeRunner> {
    const robot = openSimulation(options.config, options.description);
    const { record, config } = options;
    const recorder =
      record === undefined ? null : await Recorder.open(record, config, () => robot.stampNs);
    return new EpisodeRunner(options, robot, recorder);
  }

  private constructor(options: RunOptions, robot: SimRobot, recorder: Recorder | null) {
    const { config, description, policy, pace, clock } = options;
    this.#options = options;
    this.robot = robot;
    this.#recorder = recorder;
    this.policy = policy === 'expert' ? new ExpertPolicy(truthOf(robot)) : policy;
    this.#log = options.say && new GuardLog(options.say);
    this.#aligner = new Aligner({
      config,
      arm: description.arm,
      nowNs: pace === 'lockstep' ? () => robot.stampNs : () => clock.now().nowNs,
    });
    this.#listener = recorder
      ? tee(this.#aligner, recorder, truthInto(recorder, robot))
      : this.#aligner;
  }

  /** Episode `index` of the run; `watching` sees it too. */
  async run(index: number, watching: Observer = {}): Promise<EpisodeRecord> {
    const {
      config,
      description,
      seed,
      families,
      suite = 'core',
      disturbances = [],
    } = this.#options;
    const { robot, policy } = this;
    const aligner = this.#aligner;
    const recorder = this.#recorder;
    const listener = this.#listener;
    const plan = planOf(suites[suite], families, seed, index);
    const watch = new EpisodeWatch(robot, aligner, this.#options.traceSteps ?? 8);
    const recording = recorder && demonstrationInto(recorder, config);
    const observer: Observer = {
      ...watching,
      onAction: (answer, request, notPlayed, at) => {
        watch.onAction(answer, request, notPlayed, at);
        recording?.onAction(answer, request, notPlayed, at);
        watching.onAction?.(answer, request, notPlayed, at);
      },
      onTrace: (answer, observation, at) => {
        watch.onTrace(answer, observation, at);
        recording?.onTrace(answer, observation, at);
        watching.onTrace?.(answer, observation, at);
      },
      onTick: (tick) => {
        watch.onTick(tick);
        recording?.onTick(tick);
        watching.onTick?.(tick);
      },
    };
    const result = await runEpisode({
      ...{ config, description, robot, aligner, listener, policy, plan, disturbances, observer },
      clock: this.#options.clock,
      pace: this.#options.pace,
      longest: this.#options.longest ?? longestFor[plan.family],
      traces: this.#traces(),
      log: this.#log,
    });
    await recorder?.drain();
    const course = robot.frames.map(({ state }) => state);
    const { task, outcome, duration, latched, gaveUp, disturbed, instruction } = result;
    return {
      ...{ index, seed: plan.seed, family: task.family, scenery: plan.scenery },
      ...{ instruction, outcome, duration, latched, gaveUp, disturbed },
      cause: causeOf(result, course),
      reasons: Object.fromEntries(result.reasons),
      recoveries: Object.fromEntries(result.recoveries),
      ...watch.record(),
    };
  }

  async close(): Promise<void> {
    await this.robot.stop();
    await this.#recorder?.close();
  }

  #traces(): TraceSchedule | undefined {
    const { config, tracePeriod } = this.#options;
    if (tracePeriod === 0 || !this.policy.requestTrace) return undefined;
    const camera = Object.keys(config.cameras)[0]!;
    return {
      period: tracePeriod,
      lockstepLatency: 2 * config.control.lockstepLatency,
      what: (observation) => ({ camera, marks: marksAt(this.robot, observation) }),
    };
  }
}

/** What one episode's answers and ticks come to. */
class EpisodeWatch {
  readonly #robot: SimRobot;
  readonly #aligner: Aligner;
  readonly #counts = new RunCounts();
  readonly #score: TraceScore;
  readonly #predicted: TracePrediction[] = [];
  readonly #playedMs: number[] = [];
  readonly #confidences: number[] = [];
  readonly #uncalibrated: number[] = [];
  #answers: AnswerLines | null = null;
  #startNs = 0n;

  constructor(robot: SimRobot, aligner: Aligner, traceSteps: number) {
    this.#robot = robot;
    this.#aligner = aligner;
    this.#score = new TraceScore(traceSteps);
  }

  readonly onAction: NonNullable<Observer['onAction']> = (answer, request, notPlayed, at) => {
    this.#counts.addAction(answer);
    this.#lines().add(actionFields(answer));
    if (!answer.ok || notPlayed) return;
    this.#playedMs.push(Number(at.stampNs - request.observation.stampNs) / 1e6);
    const { confidence, uncalibrated } = answer.value;
    if (!Number.isFinite(confidence)) return;
    this.#confidences.push(fourDigits(confidence));
    if (uncalibrated !== undefined) this.#uncalibrated.push(fourDigits(uncalibrated));
  };

  readonly onTrace: NonNullable<Observer['onTrace']> = (answer) => {
    this.#counts.addTrace(answer);
    this.#lines().add(traceFields(answer));
    if (answer.ok) this.#predicted.push(answer.value);
    else this.#score.addRefusal();
  };

  readonly onTick: NonNullable<Observer['onTick']> = (tick) => this.#counts.addTick(tick);

  /** Called when the episode is over and the arm at rest. */
  record() {
    const lines = this.#lines();
    for (const prediction of this.#predicted)
      this.#score.add(prediction, this.#robot.frames, cameraSize);
    return {
      spanNs: String(this.#robot.stampNs - this.#startNs),
      halts: this.#counts.halts,
      refusals: this.#counts.refusals,
      playedMs: this.#playedMs,
      confidences: this.#confidences,
      ...(this.#uncalibrated.length > 0 && { uncalibrated: this.#uncalibrated }),
      traces: this.#score.sums,
      answers: lines.packed(),
    };
  }

  /** Begun with the episode's first answer: only then are its first stamp and its number known. */
  #lines(): AnswerLines {
    if (!this.#answers) {
      this.#startNs = this.#robot.startNs;
      this.#answers = new AnswerLines(this.#startNs, this.#aligner.episode);
    }
    return this.#answers;
  }
}

function fourDigits(value: number): number {
  return Number(value.toFixed(4));
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
