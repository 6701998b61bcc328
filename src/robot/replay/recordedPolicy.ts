/** The actions a bag recorded, by stamp: to be played through control and guard, and to score predictions against. */
import type { Config } from '../../config.js';
import { DataError } from '../../errors.js';
import type { ActionPrediction, Answer, Observation, Timing } from '../../types.js';
import type { Bag, BagMessage } from './bag.js';
import { decodeCdr, type Layout } from '../messages/cdr.js';
import {
  deltaFromRecordedAction,
  recordedActionFromMessage,
  type RecordedValues,
} from '../messages/messages.js';
import { layoutOf } from '../messages/schemas.js';

export interface RecordedAction {
  /** Log time: the message has no header. */
  readonly stampNs: bigint;
  readonly values: RecordedValues;
}

/** Looks recorded actions up by rising stamps, holding one of them at a time. */
export class RecordedActions {
  readonly stepPeriodNs: bigint;
  private readonly layout: Layout;
  private readonly topic: string;
  private readonly messages: AsyncGenerator<BagMessage, void>;
  private next: BagMessage | null | undefined;

  /** @throws DataError where robot.yaml names no recorded action, or the bag has none of that type. */
  constructor(bag: Bag, config: Config) {
    const { recordedAction } = config;
    const topic = recordedAction && bag.topics.get(recordedAction.topic);
    if (!recordedAction || !topic)
      throw new DataError(
        bag.path,
        recordedAction ? `no topic ${recordedAction.topic}` : 'no recordedAction in robot.yaml',
        'recorded actions',
      );
    if (topic.type !== 'std_msgs/msg/Float64MultiArray')
      throw new DataError(
        `topic ${topic.topic}`,
        `type ${topic.type}`,
        'std_msgs/msg/Float64MultiArray',
      );
    this.layout = layoutOf(topic);
    this.topic = topic.topic;
    this.stepPeriodNs = BigInt(Math.round(recordedAction.stepPeriod * 1e9));
    this.messages = bag.messages(new Set([topic.topic]));
  }

  /**
   * The first action at or after `stampNs` and less than one step later; null where there is none. Stamps must not
   * fall: an action that was passed is gone.
   *
   * @throws DataError where that action is not seven finite numbers.
   */
  async at(stampNs: bigint): Promise<RecordedAction | null> {
    while (this.next === undefined || (this.next && this.next.logTimeNs < stampNs)) {
      const step = await this.messages.next();
      this.next = step.done ? null : step.value;
    }
    if (!this.next || this.next.logTimeNs >= stampNs + this.stepPeriodNs) return null;
    const { logTimeNs, data } = this.next;
    const where = `topic ${this.topic} at ${logTimeNs} ns`;
    const values = recordedActionFromMessage(decodeCdr(this.layout, data, where), where);
    return { stampNs: logTimeNs, values };
  }

  async close(): Promise<void> {
    await this.messages.return();
  }
}

const noTime: Timing = { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 };

/** A policy that answers with what the bag's robot did next. */
export class RecordedPolicy {
  readonly name = 'recorded';
  private readonly actions: RecordedActions;
  private readonly frameId: string;
  private readonly composition: 'base' | 'tool';

  /** @throws DataError as RecordedActions. */
  constructor(bag: Bag, config: Config) {
    this.actions = new RecordedActions(bag, config);
    this.frameId = config.baseFrame;
    this.composition = config.recordedAction?.composition ?? 'base';
  }

  async requestAction(observation: Observation): Promise<Answer<ActionPrediction>> {
    const { stampNs, episode } = observation;
    let action: RecordedAction | null;
    try {
      action = await this.actions.at(stampNs);
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      return { ok: false, refusal: { kind: 'malformedAnswer', message: error.message } };
    }
    if (!action) {
      const message = `no action is recorded within one step after ${stampNs} ns`;
      return { ok: false, refusal: { kind: 'badObservation', message } };
    }
    return { ok: true, value: this.prediction(action, stampNs, episode) };
  }

  /** Nothing to forget: the bag only goes forward. */
  reset(): void {
    return;
  }

  async close(): Promise<void> {
    await this.actions.close();
  }

  private prediction(action: RecordedAction, stampNs: bigint, episode: number): ActionPrediction {
    return {
      observationStampNs: stampNs,
      episode,
      chunk: {
        kind: 'endEffectorDelta',
        stepPeriodNs: this.actions.stepPeriodNs,
        frameId: this.frameId,
        reference: 'observedPose',
        composition: this.composition,
        steps: [deltaFromRecordedAction(action.values)],
      },
      confidence: 1,
      timing: noTime,
    };
  }
}
