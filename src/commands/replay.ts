/**
 * `replay`: a bag's readings through policy, control and guard, at the times they were recorded.
 *
 * The arm of a bag follows its record, not our commands, so a replay is a dry run whatever robot.yaml says: nothing is
 * sent, and the tracking error is not checked. At every episode (a reset, a new instruction) the arm is taken up anew, at
 * rest where the record has it, by a guard of its own. A halt that latches is counted and holds until the next episode;
 * predictions go on meanwhile and are scored all the same, since the record does not stop. Time between the last reading
 * of an episode and the next episode belongs to neither: nobody is asked, and silence there is no fault.
 */
import { Aligner } from '../control/align.js';
import { type Clock, nsFromSeconds, secondsFromNs } from '../control/clock.js';
import type { DeskObserver, TraceSchedule } from '../control/desk.js';
import { ControlLoop, type LoopObserver } from '../control/loop.js';
import { runLockstep } from '../control/lockstep.js';
import type { Policy } from '../control/policy.js';
import type { Config } from '../config.js';
import { ConfigError, DataError } from '../errors.js';
import type { ActionDecoding } from '../model/actionUnits.js';
import { Bag } from '../robot/replay/bag.js';
import { RecordedActions, RecordedPolicy } from '../robot/replay/recordedPolicy.js';
import { recordable } from '../robot/replay/recorder.js';
import { ReplayRobot } from '../robot/replay/replayRobot.js';
import { ExpertPolicy } from '../robot/sim/expertPolicy.js';
import type { LockstepRobot, RobotListener } from '../robot/robot.js';
import { Guard } from '../safety/guard.js';
import { GuardLog } from '../safety/guardLog.js';
import type { Reason } from '../types.js';
import type { ArmDescription } from './arm.js';
import { whyNothing } from './replayNothing.js';
import type { Replayed, ReplayedEpisode, ReplayResult } from './replayResult.js';
import { type Asked, compareWithRun, type Score, scoreAgainstRecord } from './replayScore.js';
import { readTruth } from './recordedTruth.js';
import { RunCounts, type Counts } from './runCounts.js';
import { tee } from '../robot/tee.js';

export interface ReplayOptions {
  readonly bag: string;
  readonly config: Config;
  /** Null: the Cartesian guard. */
  readonly description: ArmDescription | null;
  /** 'recorded': the bag's own actions; 'expert': the simulation's, where the bag carries its truth. */
  readonly policy: 'recorded' | 'expert' | Policy;
  /** Real time, for hung policies only. */
  readonly clock: Clock;
  /** The model's tokens, for the round trip of recorded actions; null: none. */
  readonly decoding: ActionDecoding | null;
  /** s between trace requests; 0: none. */
  readonly tracePeriod: number;
  /** Camera the marks are drawn on; null: none. */
  readonly traceCamera: string | null;
  readonly onEpisode?: (episode: ReplayedEpisode) => void;
  /** Told what the guard guarantees, and each of its reasons once. */
  readonly say?: (line: string) => void;
  /** Opened with the robot once the bag is; sees the readings and what is made of them. */
  readonly watch?: (robot: ReplayRobot) => Promise<ReplayWatcher>;
}

/** Records or shows a replay while it goes. */
export interface ReplayWatcher extends DeskObserver, LoopObserver {
  readonly listener: RobotListener;
  /** Before time advances: what takes longer (writing, pictures) is done here. */
  settle(): Promise<void>;
}

/** @throws ConfigError, DataError */
export async function replay(options: ReplayOptions): Promise<Replayed> {
  const config: Config = { ...recordable(options.config), dryRun: true };
  const bag = await Bag.open(options.bag);
  try {
    const policy = await policyFor(bag, options);
    return await new Replay(bag, policy, { ...options, config }).run();
  } finally {
    await bag.close();
  }
}

class Replay {
  readonly #options: ReplayOptions;
  readonly #log: GuardLog | null;
  readonly #bag: Bag;
  readonly #robot: ReplayRobot;
  readonly #aligner: Aligner;
  readonly #policy: Policy;
  readonly #counts = new RunCounts();
  readonly #read: Record<string, number> = {};
  readonly #reasons = new Map<string, number>();
  readonly #stale = new Map<string, number>();
  readonly #firstReasons = new Map<string, string>();
  readonly #episodes: ReplayedEpisode[] = [];
  readonly #asked: { stampNs: bigint; prediction: Asked['prediction'] }[] = [];
  #name = '';
  #instruction = '';
  #guardWords = '';

  constructor(bag: Bag, policy: Policy, options: ReplayOptions) {
    this.#options = options;
    this.#log = options.say ? new GuardLog(options.say) : null;
    this.#bag = bag;
    this.#policy = policy;
    const { config, description } = options;
    this.#robot = new ReplayRobot(bag, config);
    this.#aligner = new Aligner({
      config,
      arm: description?.arm ?? null,
      nowNs: () => this.#robot.stampNs,
    });
  }

  async run(): Promise<Replayed> {
    const robot = this.#robot;
    const watcher = (await this.#options.watch?.(robot)) ?? null;
    const listeners = [this.#aligner, this.#counting(), ...(watcher ? [watcher.listener] : [])];
    await robot.start(tee(...listeners));
    const paced = settling(robot, watcher);
    const periodNs = nsFromSeconds(1 / this.#options.config.control.rateHz);
    try {
      while (!robot.ended || this.#episodes.length === 0) {
        await this.#episode(paced, watcher);
        while (robot.episodeEnded && !robot.ended) await paced.advance(periodNs);
      }
      await watcher?.settle();
    } finally {
      await robot.stop();
      if (this.#policy instanceof RecordedPolicy) await this.#policy.close();
    }
    return this.#summary();
  }

  /** One guard, one loop, from the next readings to the last answers of this episode. */
  async #episode(robot: LockstepRobot, watcher: ReplayWatcher | null): Promise<void> {
    const { config, description, clock } = this.#options;
    const onFirst = (reason: Reason): void => {
      const { code, message } = reason;
      this.#log?.onFirst(reason);
      if (!this.#firstReasons.has(code)) this.#firstReasons.set(code, message);
    };
    const aligner = this.#aligner;
    const guard = new Guard(
      config,
      description?.arm ?? null,
      description?.capsules ?? null,
      onFirst,
    );
    this.#guardWords = guard.describe();
    this.#log?.opened(guard);
    this.#counts.newGuard();
    const before = { halts: { ...this.#counts.halts }, predictions: this.#counts.predictions };
    const asked = this.#asked.length;
    const start = robot.stampNs;
    const observer = this.#observer(watcher);
    const loop = new ControlLoop({
      ...{ config, arm: description?.arm ?? null, guard, aligner, robot, observer },
    });
    const { episode } = aligner;
    const run = await runLockstep({
      ...{ robot, loop, policy: this.#policy, config, clock, observer },
      ...this.#traces(),
      until: this.#until(episode),
      maxTicks: Infinity,
      restTime: 0,
    });
    add(this.#reasons, guard.counts);
    for (const [code, n] of loop.counts)
      add(isStaleInput(code) ? this.#stale : this.#reasons, new Map([[code, n]]));
    const replayed: ReplayedEpisode = {
      index: this.#episodes.length,
      name: this.#name,
      instruction: this.#instruction,
      start: secondsFromNs(start - this.#bag.startNs),
      notTakenUp: run.ended === 'notActivated' ? run.because : null,
      requests: this.#asked.length - asked,
      predictions: this.#counts.predictions - before.predictions,
      halts: difference(this.#counts.halts, before.halts),
    };
    this.#episodes.push(replayed);
    this.#options.onEpisode?.(replayed);
  }

  /** Until another episode begins, or this one has been handed over and its last answers have come. */
  #until(episode: number): () => string | null {
    const tailNs = nsFromSeconds(this.#traceLatency);
    let lastNs: bigint | null = null;
    return () => {
      if (this.#aligner.episode !== episode) return this.#aligner.episodeBecause;
      if (!this.#robot.episodeEnded) return null;
      lastNs ??= this.#robot.stampNs;
      return this.#robot.stampNs - lastNs >= tailNs ? 'the record of the episode is over' : null;
    };
  }

  get #traceLatency(): number {
    return 2 * this.#options.config.control.lockstepLatency;
  }

  #traces(): { readonly traces?: TraceSchedule } {
    const { tracePeriod: period, traceCamera: camera } = this.#options;
    if (period === 0 || camera === null || !this.#policy.requestTrace) return {};
    // No marks: the model marks the picture's own points of interest.
    const what = () => ({ camera, marks: [] });
    return { traces: { period, lockstepLatency: this.#traceLatency, what } };
  }

  #observer(watcher: ReplayWatcher | null): DeskObserver & LoopObserver {
    return {
      onRequest: (observation, at) => {
        this.#instruction = observation.instruction;
        this.#asked.push({ stampNs: observation.stampNs, prediction: null });
        watcher?.onRequest?.(observation, at);
      },
      onAction: (answer, request, notPlayed, at) => {
        this.#counts.addAction(answer);
        // One action is under way at a time: its answer belongs to the latest request.
        if (answer.ok) this.#asked.at(-1)!.prediction = answer.value;
        else this.#noteFirst(answer.refusal.kind, answer.refusal.message);
        watcher?.onAction?.(answer, request, notPlayed, at);
      },
      onTrace: (answer, observation, at) => {
        this.#counts.addTrace(answer);
        if (!answer.ok) this.#noteFirst(`trace ${answer.refusal.kind}`, answer.refusal.message);
        watcher?.onTrace?.(answer, observation, at);
      },
      onTick: (tick) => {
        this.#counts.addTick(tick);
        watcher?.onTick?.(tick);
      },
      onRefusal: (reason, at) => {
        this.#noteFirst(reason.code, reason.message);
        watcher?.onRefusal?.(reason, at);
      },
    };
  }

  #noteFirst(code: string, message: string): void {
    if (!this.#firstReasons.has(code)) this.#firstReasons.set(code, message);
  }

  #counting(): RobotListener {
    const one = (what: string) => (): void => {
      this.#read[what] = (this.#read[what] ?? 0) + 1;
    };
    const [instruction, reset] = [one('instructions'), one('episodes')];
    return {
      onImage: one('images'),
      onJoints: one('joints'),
      onEndEffector: one('endEffector'),
      onGripper: one('gripper'),
      onInstruction: (text) => {
        this.#instruction = text;
        instruction();
      },
      onReset: (name) => {
        this.#name = name;
        reset();
      },
    };
  }

  async #summary(): Promise<Replayed> {
    const { config } = this.#options;
    const { actionError, notCompared, tracks, roundTrip, refused } = await this.#score();
    const unused = new Map(this.#robot.refused);
    if (refused) unused.set(this.#options.config.recordedAction!.topic, refused);
    const counts = this.#counts;
    const warnings = this.#bag.warnings.map(({ message }) => message);
    const result: Omit<ReplayResult, 'nothing'> = {
      bag: this.#bag.path,
      policy: this.#policy.name,
      episodes: this.#episodes.length,
      requests: this.#asked.length,
      predictions: counts.predictions,
      traces: counts.traces,
      predictionsSha256: counts.predictionsSha256(),
      actionError,
      notCompared,
      tokenRoundTrip: roundTrip,
      recordedRun:
        this.#options.policy === 'recorded' ? null : await this.#compareWithRun(warnings),
      refusals: counts.refusals,
      halts: counts.halts,
      reasons: Object.fromEntries(this.#reasons),
      staleInputs: Object.fromEntries(this.#stale),
      messages: {
        read: this.#read,
        refused: Object.fromEntries(
          [...unused].map(([topic, { count, first }]) => [topic, { count, first: first.message }]),
        ),
        absentTopics: this.#robot.absentTopics,
        alignment: Object.fromEntries(this.#aligner.counts),
      },
      warnings,
      durationS: secondsFromNs(this.#bag.endNs - this.#bag.startNs),
      latencyS: config.control.lockstepLatency,
      guard: this.#guardWords,
    };
    const [episodes, firstReasons] = [this.#episodes, this.#firstReasons];
    const nothing = whyNothing(result, { episodes, firstReasons });
    return { result: { ...result, nothing }, episodes, tracks, firstReasons };
  }

  /** Recorded predictions of another version cannot be read: that spoils nothing else of a replay. */
  async #compareWithRun(warnings: string[]): Promise<ReplayResult['recordedRun']> {
    try {
      return await compareWithRun(this.#bag, this.#asked);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      warnings.push(`not compared with the recorded run: ${error.message}`);
      return null;
    }
  }

  async #score(): Promise<Score> {
    const { config, decoding } = this.#options;
    const topic = config.recordedAction?.topic;
    if (topic === undefined || !this.#bag.counts.has(topic)) {
      const notCompared =
        topic === undefined
          ? 'robot.yaml names no recorded actions'
          : `the bag has no recorded actions (${topic})`;
      return { actionError: {}, notCompared, tracks: [], roundTrip: null, refused: null };
    }
    const recorded = new RecordedActions(this.#bag, config);
    try {
      const { composition } = config.recordedAction!;
      const { startNs } = this.#bag;
      return await scoreAgainstRecord({
        ...{ asked: this.#asked, recorded, composition, decoding, startNs },
      });
    } finally {
      await recorded.close();
    }
  }
}

/** @throws ConfigError, DataError */
async function policyFor(bag: Bag, { policy, config }: ReplayOptions): Promise<Policy> {
  if (policy === 'recorded') return new RecordedPolicy(bag, config);
  if (policy !== 'expert') return policy;
  const truth = await readTruth(bag);
  if (truth) return new ExpertPolicy(truth);
  throw new ConfigError(
    '--policy expert',
    `${bag.path}, which does not carry the truth of a simulated scene`,
    'a recording of simulate --record; --policy recorded plays what any bag’s robot did',
  );
}

/** The robot, with the watcher's work done before time goes on. */
function settling(robot: ReplayRobot, watcher: ReplayWatcher | null): LockstepRobot {
  return {
    get stampNs() {
      return robot.stampNs;
    },
    start: (listener) => robot.start(listener),
    send: (command) => robot.send(command),
    stop: () => robot.stop(),
    advance: async (durationNs) => {
      await watcher?.settle();
      await robot.advance(durationNs);
    },
  };
}

/** Why control had nothing new to ask about or to play: the inputs, not the policy. */
function isStaleInput(code: string): boolean {
  return /(Missing|Silent)$/.test(code) || code === 'noInstruction' || code === 'staleObservation';
}

function add(to: Map<string, number>, counts: ReadonlyMap<string, number>): void {
  for (const [code, n] of counts) to.set(code, (to.get(code) ?? 0) + n);
}

function difference(now: Counts, before: Counts): Counts {
  return Object.fromEntries(
    Object.entries(now).flatMap(([code, n]) => {
      const more = n - (before[code] ?? 0);
      return more > 0 ? [[code, more]] : [];
    }),
  );
}
