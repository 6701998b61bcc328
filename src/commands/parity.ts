/**
 * `replay --parity`: was what a recorded run predicted made of what its bag holds, and does the model say it again?
 *
 * For every recorded prediction the observation is put together from the bag alone: pictures by camera topic and header
 * stamp, joints and gripper as the messages in bag order give them, the pose by the run's own forward kinematics. Its hash
 * is compared with the recorded one; then the model is asked, and tokens and values are compared to the last bit.
 *
 * The bag is read twice at once, predictions ahead of inputs, so that only readings that are needed are kept.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Arm } from '../arm/kinematics.js';
import type { Config } from '../config.js';
import type { Policy } from '../control/policy.js';
import { DataError } from '../errors.js';
import { Bag, type BagMessage } from '../robot/replay/bag.js';
import { recordable } from '../robot/replay/recorder.js';
import { layoutsFor } from '../robot/replay/replayRobot.js';
import { actionFromMessage, seenFromMessage } from '../robot/messages/actionMessages.js';
import { decodeCdr, type Layout } from '../robot/messages/cdr.js';
import type { Seen } from '../robot/messages/observationHash.js';
import { RobotTopics } from '../robot/messages/robotTopics.js';
import { layoutOf, shortName } from '../robot/messages/schemas.js';
import type { ActionPrediction } from '../types.js';
import { rebuild, WantedInputs } from './parityInputs.js';

/** A prediction is logged at most so long after what it was made of, and its inputs at most so long after it. */
const AHEAD_NS = 10_000_000_000n;
const AFTER_NS = 1_000_000_000n;
/** Of differences and of missing inputs. */
const MOST_LISTED = 10;
/** Real time, for hung policies only: nobody waits for the arm here. */
const ANSWER_TIMEOUT_MS = 600_000;

export interface ParityOptions {
  readonly bag: string;
  readonly config: Config;
  /** As the run had it; null: the pose came from its topic. */
  readonly arm: Arm | null;
  /** Null: observations are compared, nobody is asked. */
  readonly policy: Policy | null;
  /** Topic of the recorded predictions. */
  readonly chunks: string;
}

/** One finding about one prediction. */
export interface Finding {
  readonly stampNs: string;
  readonly what: string;
}

export interface ParityResult {
  readonly bag: string;
  readonly chunks: string;
  /** Who was asked; null: nobody. */
  readonly policy: string | null;
  readonly predictions: number;
  /** The observation is the same, and so is the answer where one was asked for. */
  readonly equal: number;
  readonly observationDiffers: number;
  readonly answerDiffers: number;
  readonly inputsMissing: number;
  /** Predictions whose recording does not say what they were made of. */
  readonly inputsNotRecorded: number;
  /** Answers that were compared: predictions with tokens whose observation is the same. */
  readonly asked: number;
  /** Of all that were rebuilt, those whose observation could not be compared: their hash was not recorded. */
  readonly notHashed: number;
  /** How often each input differed, and how often each was missing. */
  readonly differingInputs: Readonly<Record<string, number>>;
  readonly missingInputs: Readonly<Record<string, number>>;
  /** The first of them. */
  readonly differences: readonly Finding[];
  readonly missing: readonly Finding[];
  readonly warnings: readonly string[];
}

/** Nothing differs, and something was compared. */
export function isParity({ equal, observationDiffers, answerDiffers }: ParityResult): boolean {
  return observationDiffers + answerDiffers === 0 && equal > 0;
}

/** @throws DataError where the bag, or the predictions in it, cannot be read. */
export async function checkParity(options: ParityOptions): Promise<ParityResult> {
  const bag = await Bag.open(options.bag);
  try {
    return await new Parity(bag, { ...options, config: recordable(options.config) }).run();
  } finally {
    await bag.close();
  }
}

interface Recorded {
  readonly logTimeNs: bigint;
  readonly prediction: ActionPrediction;
  readonly seen: Seen;
}

class Parity {
  readonly #bag: Bag;
  readonly #options: ParityOptions;
  readonly #topics: RobotTopics;
  readonly #layouts: ReadonlyMap<string, Layout>;
  readonly #chunkLayout: Layout;
  readonly #chunks: AsyncGenerator<BagMessage, void>;
  readonly #wanted: WantedInputs;
  /** Read, not yet judged; by rising log time. */
  readonly #pending: Recorded[] = [];
  #next: BagMessage | null = null;
  readonly #counts = {
    ...{ predictions: 0, equal: 0, observationDiffers: 0, answerDiffers: 0, inputsMissing: 0 },
    ...{ inputsNotRecorded: 0, asked: 0, notHashed: 0 },
  };
  readonly #differingInputs: Record<string, number> = {};
  readonly #missingInputs: Record<string, number> = {};
  readonly #differences: Finding[] = [];
  readonly #missing: Finding[] = [];
  readonly #refused = new Map<string, { count: number; readonly first: string }>();

  constructor(bag: Bag, options: ParityOptions) {
    const { config, arm, chunks } = options;
    this.#bag = bag;
    this.#options = options;
    this.#topics = new RobotTopics(config);
    this.#layouts = layoutsFor(bag, this.#topics);
    this.#chunkLayout = layoutOf(chunkTopic(bag, chunks));
    this.#chunks = bag.messages(new Set([chunks]));
    this.#wanted = new WantedInputs(arm, config.baseFrame);
  }

  async run(): Promise<ParityResult> {
    const inputs = this.#bag.messages(new Set(this.#layouts.keys()), (t) => this.#topics.rank(t));
    try {
      await this.#fetch();
      for await (const message of inputs) {
        await this.#readAhead(message.logTimeNs + AHEAD_NS);
        await this.#judge(message.logTimeNs - AFTER_NS);
        this.#hand(message);
      }
      await this.#readAhead(null);
      await this.#judge(null);
    } finally {
      await this.#chunks.return();
    }
    return this.#result();
  }

  async #fetch(): Promise<void> {
    const step = await this.#chunks.next();
    this.#next = step.done ? null : step.value;
  }

  /** Takes the predictions up to a log time; null: all. After the last input, they are judged as they come. */
  async #readAhead(untilNs: bigint | null): Promise<void> {
    while (this.#next && (untilNs === null || this.#next.logTimeNs <= untilNs)) {
      const { logTimeNs, data } = this.#next;
      const where = `topic ${this.#options.chunks} at ${logTimeNs} ns`;
      const message = decodeCdr(this.#chunkLayout, data, where);
      const seen = seenFromMessage(message, where);
      this.#pending.push({ logTimeNs, prediction: actionFromMessage(message, where), seen });
      this.#wanted.want(seen);
      if (untilNs === null) await this.#judge(null);
      await this.#fetch();
    }
  }

  /** As replay: what does not fit is counted, and the rest goes on. */
  #hand({ topic, data }: BagMessage): void {
    try {
      const message = decodeCdr(this.#layouts.get(topic)!, data, `topic ${topic}`);
      this.#topics.deliver(topic, message, this.#wanted);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      const before = this.#refused.get(topic);
      if (before) before.count += 1;
      else this.#refused.set(topic, { count: 1, first: error.message });
    }
  }

  /** Those logged before `beforeNs`: all of their inputs have been handed over. Null: every one. */
  async #judge(beforeNs: bigint | null): Promise<void> {
    while (this.#pending[0] && (beforeNs === null || this.#pending[0].logTimeNs < beforeNs)) {
      const recorded = this.#pending.shift()!;
      this.#counts.predictions += 1;
      await this.#judgeOne(recorded);
      this.#wanted.release(recorded.seen);
    }
  }

  async #judgeOne({ prediction, seen }: Recorded): Promise<void> {
    const counts = this.#counts;
    if (seen.inputs.length === 0) {
      counts.inputsNotRecorded += 1;
      return;
    }
    const readings = this.#wanted.readings(seen);
    const absent = seen.inputs.filter((_, i) => readings[i]!.length === 0);
    if (absent.length > 0) {
      counts.inputsMissing += 1;
      for (const { name } of absent) count(this.#missingInputs, name);
      const what = absent.map(({ name, stampNs }) => `${name} of ${stampNs} ns`).join(', ');
      note(this.#missing, prediction, `${what}${this.#whyAbsent(absent)}`);
      return;
    }
    const { observation, differs } = rebuild(prediction, seen, readings);
    if (!seen.sha256) counts.notHashed += 1;
    if (differs.length > 0) {
      counts.observationDiffers += 1;
      for (const name of differs) count(this.#differingInputs, name);
      note(this.#differences, prediction, `observation: ${differs.join(', ')}`);
      return;
    }
    const answer = await this.#answerDiffers(prediction, observation);
    if (answer === null) counts.equal += 1;
    else {
      counts.answerDiffers += 1;
      note(this.#differences, prediction, answer);
    }
  }

  /** How the answer differs; null where it is the same, or where no model had answered or nobody is asked. */
  async #answerDiffers(
    recorded: ActionPrediction,
    observation: Parameters<Policy['requestAction']>[0],
  ): Promise<string | null> {
    const { policy } = this.#options;
    if (!policy || !recorded.tokens) return null;
    this.#counts.asked += 1;
    const answer = await policy.requestAction(observation, ANSWER_TIMEOUT_MS);
    if (!answer.ok) return `refused: ${answer.refusal.kind}: ${answer.refusal.message}`;
    const { tokens = [], chunk } = answer.value;
    if (!isDeepStrictEqual([...tokens], [...recorded.tokens]))
      return `tokens: ${tokens.join(' ')}; recorded: ${recorded.tokens.join(' ')}`;
    return isDeepStrictEqual(chunk, recorded.chunk) ? null : 'values of the same tokens';
  }

  #whyAbsent(absent: Seen['inputs']): string {
    const { cameras, joints, gripper, endEffector } = this.#options.config;
    const sources = { ...cameras, joints, gripper, end_effector: endEffector };
    const stamped = absent.filter(
      ({ name }) =>
        (sources as Record<string, { readonly stampSource?: string } | undefined>)[name]
          ?.stampSource === 'receipt',
    );
    return stamped.length > 0 ? ' (stamped on receipt, by robot.yaml: no header says so)' : '';
  }

  #result(): ParityResult {
    const refused = [...this.#refused].map(
      ([topic, { count, first }]) => `${topic}: ${count} messages refused; the first: ${first}`,
    );
    return {
      bag: this.#bag.path,
      chunks: this.#options.chunks,
      policy: this.#options.policy?.name ?? null,
      ...this.#counts,
      differingInputs: this.#differingInputs,
      missingInputs: this.#missingInputs,
      differences: this.#differences,
      missing: this.#missing,
      warnings: [...this.#bag.warnings.map(({ message }) => message), ...refused],
    };
  }
}

function chunkTopic(bag: Bag, name: string) {
  const topic = bag.topics.get(name);
  if (topic && bag.counts.has(name)) return topic;
  const others = [...bag.topics.values()].filter(
    ({ type }) => shortName(type) === 'magma_vla/ActionChunk',
  );
  throw new DataError(
    bag.path,
    `no prediction on ${name}`,
    others.length > 0
      ? `--chunks ${others.map(({ topic: other }) => other).join(' or ')}`
      : 'recorded predictions (magma_vla/msg/ActionChunk)',
  );
}

function count(counts: Record<string, number>, name: string): void {
  counts[name] = (counts[name] ?? 0) + 1;
}

function note(findings: Finding[], { observationStampNs }: ActionPrediction, what: string): void {
  if (findings.length < MOST_LISTED) findings.push({ stampNs: String(observationStampNs), what });
}
