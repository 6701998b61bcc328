/**
 * What the robot reports, live: one subscription per topic of robot.yaml, its messages handed on through the translation
 * that replay shares. A message that does not fit is refused and counted: its input is as good as silent.
 */
import type { Config } from '../../config.js';
import { ConfigError, DataError } from '../../errors.js';
import type { RosMessage } from '../messages/cdr.js';
import { messageFromStamp } from '../messages/messages.js';
import { RobotTopics } from '../messages/robotTopics.js';
import { schemaOf, type TypeName } from '../messages/schemas.js';
import type { RobotListener } from '../robot.js';
import type { Now } from './outputs/output.js';
import { unheard } from './qosMatch.js';
import { Rate } from './rate.js';
import { type Disposable, type Qos, qos, type RosNode } from './ros.js';

/** One input, for diagnostics. */
export interface InputReport {
  readonly topic: string;
  /** `sensor_msgs/msg/Image` */
  readonly type: string;
  /** Messages received, refused ones included. */
  readonly count: number;
  readonly refused: number;
  /** Why the last of them was; null: none has been. */
  readonly lastRefusal: string | null;
  /** Joints that are to be reported here and have not been yet. */
  readonly missingJoints: readonly string[];
  /** Steady time of the last one that was of use; null: none yet. */
  readonly lastReceivedNs: bigint | null;
  /** Of the last messages; 0 where fewer than two came. */
  readonly hz: number;
  readonly publishers: number;
  /** Why a publisher is not heard, one sentence each; empty where all is well. */
  readonly unheard: readonly string[];
}

export interface InputOptions {
  readonly node: RosNode;
  readonly config: Config;
  readonly now: () => Now;
  /** The first refused message of each topic, and why. */
  readonly onRefused: (topic: string, error: DataError) => void;
}

interface Source {
  readonly topic: string;
  readonly types: readonly TypeName[];
  readonly qos: Qos;
  readonly stampSource: 'header' | 'receipt';
}

export class Inputs {
  readonly #options: InputOptions;
  readonly #topics: RobotTopics;
  readonly #inputs: readonly Input[];
  #listener: RobotListener | null = null;

  /** @throws ConfigError where one topic is asked for in two ways. */
  constructor(options: InputOptions) {
    this.#options = options;
    const config = withoutTexts(options.config);
    this.#topics = new RobotTopics(config);
    this.#inputs = [...this.#topics.types].map(
      ([topic, types]) => new Input(sourceOf(topic, types, config)),
    );
  }

  /** Readings go to `listener` from now on; a second call replaces it. */
  start(listener: RobotListener): void {
    this.#listener = listener;
    for (const input of this.#inputs) this.#subscribe(input);
  }

  stop(): void {
    this.#listener = null;
    for (const input of this.#inputs) input.close();
  }

  /** Forgets what was merged of several messages: time jumped. */
  forget(because: string): void {
    this.#topics.clear();
    this.#listener?.onReset(because);
  }

  /** Call at some Hz at most: it asks the graph. */
  report(): readonly InputReport[] {
    const { node, now } = this.#options;
    return this.#inputs.map((input) => {
      const publishers = node.publishersOf(input.source.topic);
      if (input.count === 0 && this.#listener) this.#subscribe(input);
      const type = input.rosType;
      return {
        topic: node.resolve(input.source.topic),
        type,
        count: input.count,
        refused: input.refused,
        lastRefusal: input.lastRefusal,
        missingJoints: this.#topics.missingJoints(input.source.topic),
        lastReceivedNs: input.lastReceivedNs,
        hz: input.rate.hz(now().nowNs),
        publishers: publishers.length,
        unheard: publishers
          .map((publisher) => unheard(publisher, type, input.source.qos))
          .filter((sentence) => sentence !== null),
      };
    });
  }

  /** With the type its publisher has, where several are allowed; until one is seen, with the first. */
  #subscribe(input: Input): void {
    const { node } = this.#options;
    const { topic, types } = input.source;
    const published = node.publishersOf(topic).map(({ type }) => type);
    const type = types.find((name) => published.includes(schemaOf(name).rosName)) ?? types[0]!;
    if (input.type === type) return;
    input.close();
    const { rosName } = schemaOf(type);
    const handOn = (message: RosMessage): void => this.#take(input, message);
    input.open(type, node.subscribe(rosName, topic, input.source.qos, handOn));
  }

  #take(input: Input, message: RosMessage): void {
    const { now, onRefused } = this.#options;
    if (!this.#listener) return;
    const { nowNs, stampNs } = now();
    const { topic, stampSource } = input.source;
    input.count++;
    input.rate.add(nowNs);
    try {
      const stamped = stampSource === 'receipt' ? withStamp(message, stampNs) : message;
      this.#topics.deliver(topic, stamped, this.#listener);
      input.lastReceivedNs = nowNs;
    } catch (error) {
      if (!(error instanceof DataError)) throw error;
      input.refused++;
      input.lastRefusal = error.message;
      if (input.refused === 1) onRefused(topic, error);
    }
  }
}

class Input {
  readonly source: Source;
  readonly rate = new Rate();
  type: TypeName | null = null;
  count = 0;
  refused = 0;
  lastRefusal: string | null = null;
  lastReceivedNs: bigint | null = null;
  #subscription: Disposable | null = null;

  constructor(source: Source) {
    this.source = source;
  }

  get rosType(): string {
    return schemaOf(this.type ?? this.source.types[0]!).rosName;
  }

  open(type: TypeName, subscription: Disposable): void {
    this.type = type;
    this.#subscription = subscription;
  }

  close(): void {
    this.#subscription?.dispose();
    this.#subscription = null;
    this.type = null;
  }
}

/** Instruction and episode are topics of recordings; the live node has its own. */
function withoutTexts(config: Config): Config {
  const inputs: { -readonly [K in keyof Config]: Config[K] } = { ...config };
  delete inputs.instruction;
  delete inputs.episode;
  return inputs;
}

interface Asked {
  readonly key: string;
  readonly stampSource?: 'header' | 'receipt' | undefined;
  readonly qos?: NonNullable<Config['joints']>['qos'];
  readonly usual: Qos;
}

/** Room for a second of states at 100 Hz: they come in a burst after a driver, or this process, was held up. */
const stateQos: Qos = { ...qos.state, depth: 100 };

/** Every section of robot.yaml that reads this topic, merged; sections must not contradict one another. */
function sourceOf(topic: string, types: readonly TypeName[], config: Config): Source {
  const { joints, gripper, endEffector, cameras } = config;
  const states = Object.entries({ joints, gripper, endEffector }).flatMap(([key, section]) =>
    section?.topic === topic ? [{ ...section, key, usual: stateQos }] : [],
  );
  const pictures = Object.entries(cameras).flatMap(([name, section]) =>
    section.topic === topic ? [{ ...section, key: `cameras.${name}`, usual: qos.sensorData }] : [],
  );
  const asked: readonly Asked[] = [...states, ...pictures];
  const usual = asked[0]!.usual;
  const override = one(asked, 'qos', topic);
  return {
    topic,
    types,
    stampSource: one(asked, 'stampSource', topic) ?? 'header',
    qos: {
      reliability: override?.reliability ? reliabilities[override.reliability] : usual.reliability,
      durability: override?.durability ? durabilities[override.durability] : usual.durability,
      depth: override?.depth ?? usual.depth,
    },
  };
}

const reliabilities = { reliable: 'reliable', best_effort: 'bestEffort' } as const;
const durabilities = { volatile: 'volatile', transient_local: 'transientLocal' } as const;

/** What all sections that say something say alike. */
function one<K extends 'qos' | 'stampSource'>(
  asked: readonly Asked[],
  key: K,
  topic: string,
): Asked[K] | undefined {
  const said = asked.filter((section) => section[key] !== undefined);
  const texts = new Set(said.map((section) => JSON.stringify(section[key])));
  if (texts.size > 1)
    throw new ConfigError(
      `${said[1]!.key}.${key}`,
      JSON.stringify(said[1]![key]),
      `what ${said[0]!.key} says of the same topic ${topic}`,
    );
  return said[0]?.[key];
}

function withStamp(message: RosMessage, stampNs: bigint): RosMessage {
  const header = message['header'] as RosMessage | undefined;
  return { ...message, header: { ...header, stamp: messageFromStamp(stampNs) } };
}
