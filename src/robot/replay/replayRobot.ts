/** A bag as a robot: readings come at their log times, commands are taken and go nowhere. */
import type { Config } from '../../config.js';
import { DataError } from '../../errors.js';
import { assertGuarded } from '../../safety/guard.js';
import type { ArmCommand } from '../../types.js';
import type { LockstepRobot, RobotListener } from '../robot.js';
import type { Bag, BagMessage } from './bag.js';
import { decodeCdr, type Layout, type RosMessage } from '../messages/cdr.js';
import { stampFromMessage } from '../messages/messages.js';
import { RobotTopics } from '../messages/robotTopics.js';
import { layoutOf, shortName } from '../messages/schemas.js';

/** Longer than any recording: one message with a wrong clock would stretch the bag to years of ticks. */
const MAX_DURATION_NS = 7n * 24n * 3600n * 1_000_000_000n;

/** Log times this far from the stamps are of another clock. */
const CLOCKS_APART_NS = 3600n * 1_000_000_000n;

/** Not one message that does not fit, but all of them. */
class ClockError extends DataError {}

export interface ReplayOptions {
  /** Where time starts; the bag's first log time if absent. Readings before it are handed over at the start. */
  readonly startNs?: bigint;
  /** Called with every command that was sent, at bag time. */
  readonly onCommand?: (stampNs: bigint, command: ArmCommand) => void;
}

/** Messages of a topic that could not be used, and why the first of them could not. */
export interface RefusedMessages {
  readonly count: number;
  readonly first: DataError;
}

export class ReplayRobot implements LockstepRobot {
  /** Configured topics the bag does not have. */
  readonly absentTopics: readonly string[];
  private readonly bag: Bag;
  private readonly options: ReplayOptions;
  private readonly topics: RobotTopics;
  private readonly episodeTopic: string | undefined;
  private readonly layouts: ReadonlyMap<string, Layout>;
  private readonly refusals = new Map<string, RefusedMessages>();
  private messages: AsyncGenerator<BagMessage, void> | null = null;
  private next: BagMessage | null = null;
  private listener: RobotListener | null = null;
  private nowNs: bigint;
  private sent = 0;
  private isClockChecked = false;

  /**
   * The bag stays the caller's: close it after `stop`.
   *
   * @throws DataError where a camera that feeds the model is absent, a topic has the wrong type or an unreadable
   *   schema, or the log times cannot be those of one recording.
   */
  constructor(bag: Bag, config: Config, options: ReplayOptions = {}) {
    this.bag = bag;
    this.options = options;
    this.topics = new RobotTopics(config);
    this.episodeTopic = config.episode?.topic;
    this.absentTopics = [...this.topics.types.keys()].filter((topic) => !bag.counts.has(topic));
    for (const [name, camera] of Object.entries(config.cameras))
      if (camera.modelKey !== undefined && this.absentTopics.includes(camera.topic))
        throw new DataError(
          `${bag.path}: camera ${name}`,
          `no message on ${camera.topic}; the bag has ${[...bag.counts.keys()].join(', ') || 'none'}`,
          'its pictures, which feed the model',
        );
    if (bag.endNs - bag.startNs > MAX_DURATION_NS)
      throw new DataError(
        bag.path,
        `log times from ${bag.startNs} to ${bag.endNs} ns`,
        'a recording of at most 7 days',
      );
    this.layouts = layoutsFor(bag, this.topics);
    this.nowNs = options.startNs ?? bag.startNs;
  }

  /** Bag time: the log time of the reading that is being handed over, the end of the advance afterwards. */
  get stampNs(): bigint {
    return this.nowNs;
  }

  /** Whether every message has been handed over. */
  get ended(): boolean {
    return this.messages !== null && this.next === null;
  }

  /** Whether the running episode has been handed over: the next message begins another one, or there is none. */
  get episodeEnded(): boolean {
    return this.messages !== null && (this.next === null || this.next.topic === this.episodeTopic);
  }

  /** Commands taken so far. */
  get commandsSent(): number {
    return this.sent;
  }

  /** By topic: messages that did not fit and were left out. */
  get refused(): ReadonlyMap<string, RefusedMessages> {
    return this.refusals;
  }

  async start(listener: RobotListener): Promise<void> {
    this.listener = listener;
    this.messages = this.bag.messages(new Set(this.layouts.keys()), (t) => this.topics.rank(t));
    await this.fetch();
    await this.advance(0n);
  }

  async advance(durationNs: bigint): Promise<void> {
    const untilNs = this.nowNs + durationNs;
    while (this.next && this.next.logTimeNs <= untilNs) {
      if (this.next.logTimeNs > this.nowNs) this.nowNs = this.next.logTimeNs;
      this.hand(this.next);
      await this.fetch();
    }
    this.nowNs = untilNs;
  }

  send(command: ArmCommand): void {
    assertGuarded(command);
    this.sent += 1;
    this.options.onCommand?.(this.nowNs, command);
  }

  async stop(): Promise<void> {
    await this.messages?.return();
    this.next = null;
    this.listener = null;
  }

  private hand(message: BagMessage): void {
    const { topic, data } = message;
    try {
      const decoded = decodeCdr(this.layouts.get(topic)!, data, `topic ${topic}`);
      this.checkClock(message, decoded);
      this.topics.deliver(topic, decoded, this.listener!);
    } catch (error) {
      if (!(error instanceof DataError) || error instanceof ClockError) throw error;
      const before = this.refusals.get(topic);
      this.refusals.set(topic, {
        count: (before?.count ?? 0) + 1,
        first: before?.first ?? error,
      });
    }
  }

  /** Ages are counted from log time to stamp: of the first message that has one, they must be of one clock. */
  private checkClock({ logTimeNs }: BagMessage, decoded: RosMessage): void {
    const header = decoded['header'] as RosMessage | undefined;
    if (this.isClockChecked || !header) return;
    this.isClockChecked = true;
    const apart = logTimeNs - stampFromMessage(header['stamp'], this.bag.path);
    if (apart < CLOCKS_APART_NS && -apart < CLOCKS_APART_NS) return;
    throw new ClockError(
      this.bag.path,
      `log times ${(Number(apart) / 1e9).toFixed(0)} s from the stamps`,
      'both of one clock: record a simulation with ros2 bag record --use-sim-time',
    );
  }

  private async fetch(): Promise<void> {
    const step = await this.messages!.next();
    this.next = step.done ? null : step.value;
  }
}

/** The layouts of those topics of robot.yaml that the bag has. @throws DataError for other types and schemas */
export function layoutsFor(bag: Bag, { types: wanted }: RobotTopics): ReadonlyMap<string, Layout> {
  const layouts = new Map<string, Layout>();
  for (const [name, types] of wanted) {
    const topic = bag.topics.get(name);
    if (!topic || !bag.counts.has(name)) continue;
    if (!(types as readonly string[]).includes(shortName(topic.type)))
      throw new DataError(`${bag.path}: topic ${name}`, `type ${topic.type}`, types.join(' or '));
    layouts.set(name, layoutOf(topic));
  }
  return layouts;
}
