/**
 * Recorded actions as the policy of the live node: `-p policy:=recorded -p bag:=…` makes the arm repeat, from where it
 * stands, what one episode of a bag did. Open loop: request k is answered with step k, whatever the cameras show. Control
 * and guard are those of every other policy.
 */
import type { Policy } from '../control/policy.js';
import type { Config } from '../config.js';
import { ConfigError, DataError, MismatchError } from '../errors.js';
import * as vec3 from '../math/vec3.js';
import type { OpenedPolicy } from '../node/ports.js';
import { actionFromMessage } from '../robot/messages/actionMessages.js';
import { decodeCdr } from '../robot/messages/cdr.js';
import {
  deltaFromRecordedAction,
  jointsFromMessage,
  recordedActionFromMessage,
} from '../robot/messages/messages.js';
import { layoutOf } from '../robot/messages/schemas.js';
import { Bag, type Topic } from '../robot/replay/bag.js';
import { outputTopics } from '../robot/replay/recorder.js';
import type { ActionPrediction, Answer, EndEffectorDelta, Observation } from '../types.js';

/** An hour at 10 Hz: more is no episode. */
const MOST_STEPS = 36_000;

/** One episode's actions, one per step period. Deltas in the base frame or the tool's, as `composition` says. */
export interface RecordedEpisode {
  readonly stepPeriodNs: bigint;
  readonly composition: 'base' | 'tool';
  readonly steps: readonly EndEffectorDelta[];
}

export interface RecordedRunOptions {
  readonly bag: string;
  /** From 0, of the episodes that have actions. */
  readonly episode: number;
  readonly config: Config;
  /** s between two requests. */
  readonly policyPeriod: number;
  /** What to do where the recording is of other joints, or of another pace. */
  readonly mismatch: 'refuse' | 'allow';
  readonly say: (line: string) => void;
}

/** @throws ConfigError, DataError, MismatchError saying what does not fit. */
export async function openRecordedRun(options: RecordedRunOptions): Promise<OpenedPolicy> {
  const { config, say } = options;
  if (options.bag === '')
    throw new ConfigError('bag', 'nothing', 'a rosbag2 MCAP file or folder, for policy:=recorded');
  const bag = await Bag.open(options.bag);
  let recorded: RecordedEpisode;
  let mismatches: readonly MismatchError[];
  try {
    recorded = await readEpisode(bag, config, options.episode);
    mismatches = [...(await jointMismatch(bag, config)), ...paceMismatch(recorded, options)];
  } finally {
    await bag.close();
  }
  for (const mismatch of mismatches) {
    if (options.mismatch === 'refuse') throw mismatch;
    say(`allowed: ${mismatch.message}`);
  }
  const { steps } = recorded;
  const { maxStepTranslation, maxStepRotation } = config.guard;
  const large = steps.filter(
    ({ translation, rotation }) =>
      vec3.norm(translation) > maxStepTranslation || vec3.norm(rotation) > maxStepRotation,
  ).length;
  if (large > 0)
    say(
      `${large} of ${steps.length} recorded steps are larger than the guard lets through at once`,
    );
  const seconds = (steps.length * Number(recorded.stepPeriodNs)) / 1e9;
  const what = `episode ${options.episode} of ${options.bag}: ${steps.length} steps, ${seconds.toFixed(1)} s`;
  say(`recorded actions of ${what}`);
  return {
    policy: new RecordedRun(recorded, config.baseFrame),
    traceCamera: null,
    facts: { policy: 'recorded', recording: what },
    dropped: () => ({}),
  };
}

/** Every episode (a new instruction, or the same one again) begins with the first step. */
export class RecordedRun implements Policy {
  readonly name = 'recorded';
  readonly #recorded: RecordedEpisode;
  readonly #frameId: string;
  #episode: number | null = null;
  #next = 0;

  constructor(recorded: RecordedEpisode, frameId: string) {
    this.#recorded = recorded;
    this.#frameId = frameId;
  }

  requestAction({ stampNs, episode }: Observation): Promise<Answer<ActionPrediction>> {
    if (episode !== this.#episode) this.reset(episode);
    const { steps, stepPeriodNs, composition } = this.#recorded;
    const step = steps[this.#next];
    if (!step) {
      const message = `the recording is over: all of its ${steps.length} steps were played`;
      return Promise.resolve({ ok: false, refusal: { kind: 'badObservation', message } });
    }
    this.#next++;
    return Promise.resolve({
      ok: true,
      value: {
        observationStampNs: stampNs,
        episode,
        chunk: {
          kind: 'endEffectorDelta',
          stepPeriodNs,
          frameId: this.#frameId,
          // Where the arm is told to be, not where it is seen: lag must not shorten what was recorded.
          reference: 'lastTarget',
          composition,
          steps: [step],
        },
        confidence: 1,
        timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
      },
    });
  }

  reset(episode: number): void {
    this.#episode = episode;
    this.#next = 0;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

// ── What the bag has ────────────────────────────────────────────────────────────────────────────────────────────────

/** From the recorded actions of robot.yaml where the bag has them, else from what a node predicted. */
async function readEpisode(bag: Bag, config: Config, episode: number): Promise<RecordedEpisode> {
  const { recordedAction } = config;
  if (recordedAction && bag.counts.has(recordedAction.topic))
    return readRecordedActions(bag, config, recordedAction, episode);
  if (bag.counts.has(outputTopics.actionChunk)) return readChunks(bag, config, episode);
  throw new DataError(
    bag.path,
    `neither ${recordedAction ? recordedAction.topic : 'a recordedAction of robot.yaml'} nor ${outputTopics.actionChunk}`,
    'recorded actions',
  );
}

/** Episodes begin where robot.yaml's episode topic says so; a bag without it is one episode. */
async function readRecordedActions(
  bag: Bag,
  config: Config,
  { topic, stepPeriod, composition }: NonNullable<Config['recordedAction']>,
  episode: number,
): Promise<RecordedEpisode> {
  const layout = layoutOf(typed(bag, topic, 'std_msgs/msg/Float64MultiArray'));
  const begins = config.episode?.topic;
  const steps: EndEffectorDelta[] = [];
  let at = -1;
  let isNew = true;
  for await (const message of bag.messages(new Set([topic, ...(begins ? [begins] : [])]))) {
    if (message.topic === begins) {
      isNew = true;
      continue;
    }
    if (isNew) at++;
    isNew = false;
    if (at > episode) break;
    if (at < episode) continue;
    const where = `topic ${topic} at ${message.logTimeNs} ns`;
    steps.push(
      deltaFromRecordedAction(
        recordedActionFromMessage(decodeCdr(layout, message.data, where), where),
      ),
    );
    refuseTooMany(steps, bag);
  }
  refuseNoEpisode(steps, bag, episode, at + 1);
  return { stepPeriodNs: BigInt(Math.round(stepPeriod * 1e9)), composition, steps };
}

/** Of every predicted chunk the steps until the next one, at least one: as they were played. */
async function readChunks(bag: Bag, config: Config, episode: number): Promise<RecordedEpisode> {
  const topic = outputTopics.actionChunk;
  const layout = layoutOf(typed(bag, topic, 'magma_vla/msg/ActionChunk'));
  const chosen: ActionPrediction[] = [];
  let numbers = new Set<number>();
  for await (const message of bag.messages(new Set([topic]))) {
    const where = `topic ${topic} at ${message.logTimeNs} ns`;
    const prediction = actionFromMessage(decodeCdr(layout, message.data, where), where);
    numbers = numbers.add(prediction.episode);
    if (numbers.size > episode + 1) break;
    if (numbers.size === episode + 1) chosen.push(prediction);
    refuseTooMany(chosen, bag);
  }
  refuseNoEpisode(chosen, bag, episode, numbers.size);
  const first = deltasOf(chosen[0]!, config, topic);
  const steps = chosen.flatMap((prediction, i) => {
    const chunk = deltasOf(prediction, config, topic);
    const next = chosen[i + 1];
    if (chunk.stepPeriodNs !== first.stepPeriodNs || chunk.composition !== first.composition)
      throw new DataError(`topic ${topic}`, 'chunks of different kinds', 'one kind per episode');
    if (!next) return chunk.steps;
    const gapNs = Number(next.observationStampNs - prediction.observationStampNs);
    return chunk.steps.slice(0, Math.max(1, Math.round(gapNs / Number(chunk.stepPeriodNs))));
  });
  refuseTooMany(steps, bag);
  return { stepPeriodNs: first.stepPeriodNs, composition: first.composition, steps };
}

/** @throws DataError for chunks of places: from anywhere else the arm would jump to them. */
function deltasOf({ chunk }: ActionPrediction, { baseFrame }: Config, topic: string) {
  if (chunk.kind !== 'endEffectorDelta')
    throw new DataError(`topic ${topic}`, `chunks of kind ${chunk.kind}`, 'deltas');
  if (chunk.frameId !== baseFrame)
    throw new MismatchError(`topic ${topic}, frame`, chunk.frameId, `${baseFrame} (robot.yaml)`);
  return chunk;
}

function typed(bag: Bag, name: string, type: string): Topic {
  const topic = bag.topics.get(name)!;
  if (topic.type === type) return topic;
  throw new DataError(`${bag.path}: topic ${name}`, `type ${topic.type}`, type);
}

function refuseTooMany({ length }: readonly unknown[], bag: Bag): void {
  if (length > MOST_STEPS)
    throw new DataError(bag.path, `more than ${MOST_STEPS} steps`, 'an episode of fewer');
}

function refuseNoEpisode(
  found: readonly unknown[],
  bag: Bag,
  episode: number,
  episodes: number,
): void {
  if (found.length > 0) return;
  throw new ConfigError(
    'bag_episode',
    String(episode),
    episodes === 0
      ? `a bag with actions (${bag.path} has none)`
      : `0 … ${episodes - 1}: the episodes of ${bag.path} that have actions`,
  );
}

// ── Does it fit ─────────────────────────────────────────────────────────────────────────────────────────────────────

/** A bag does not name its robot; its joints do. Bags without joints are taken at their word. */
async function jointMismatch(bag: Bag, { joints }: Config): Promise<readonly MismatchError[]> {
  const topic = joints && bag.topics.get(joints.topic);
  if (topic?.type !== 'sensor_msgs/msg/JointState') return [];
  const recorded = new Set<string>();
  const layout = layoutOf(topic);
  const wanted = Object.keys(joints!.limits);
  let looked = 0;
  // Several publishers may each report some of the joints.
  for await (const { data } of bag.messages(new Set([topic.topic]))) {
    const where = `topic ${topic.topic}`;
    for (const name of jointsFromMessage(decodeCdr(layout, data, where), where).names)
      recorded.add(name);
    if (++looked >= 100 || wanted.every((name) => recorded.has(name))) break;
  }
  const missing = wanted.filter((name) => !recorded.has(name));
  if (looked === 0 || missing.length === 0) return [];
  const got = `a recording of ${[...recorded].join(', ') || 'no joints'}`;
  return [new MismatchError(`bag ${bag.path}, joints`, got, `one with ${missing.join(', ')} too`)];
}

function paceMismatch(
  { stepPeriodNs }: RecordedEpisode,
  { policyPeriod, bag }: RecordedRunOptions,
): readonly MismatchError[] {
  const period = Number(stepPeriodNs) / 1e9;
  if (Math.abs(period - policyPeriod) <= 0.01 * period) return [];
  const expected = `the policy period of ${policyPeriod} s (control.policyPeriod, policy_rate)`;
  return [new MismatchError(`bag ${bag}, step period`, `${period} s`, expected)];
}
