/**
 * One episode's actions of a bag, as steps from one target to the next.
 *
 * What is recorded are deltas from the pose that the policy saw, which make up for how far the arm was behind at that
 * moment. Played open loop on an arm that is behind by another time, they would add up to another way: a quarter less for
 * 50 ms at 5 Hz. The targets that they led to do not depend on that; so where the bag tells the poses, the steps are those
 * between successive targets.
 */
import type { Arm } from '../arm/kinematics.js';
import { Aligner } from '../control/align.js';
import { applyDelta } from '../control/plan.js';
import type { Config } from '../config.js';
import { ConfigError, DataError, MismatchError } from '../errors.js';
import * as pose from '../math/pose.js';
import * as quaternion from '../math/quaternion.js';
import { actionFromMessage } from '../robot/messages/actionMessages.js';
import { decodeCdr } from '../robot/messages/cdr.js';
import { deltaFromRecordedAction, recordedActionFromMessage } from '../robot/messages/messages.js';
import { RobotTopics } from '../robot/messages/robotTopics.js';
import { layoutOf } from '../robot/messages/schemas.js';
import type { Bag, BagMessage, Topic } from '../robot/replay/bag.js';
import { layoutsFor } from '../robot/replay/replayRobot.js';
import { outputTopics } from '../robot/replay/recorder.js';
import type { ActionPrediction, EndEffectorDelta, Observation, Pose } from '../types.js';
import { displacement } from './checkMeasure.js';

/** An hour at 10 Hz: more is no episode. */
const MOST_STEPS = 36_000;

type Reference = 'lastTarget' | 'observedPose';
type Composition = 'base' | 'tool';

export interface RecordedEpisode {
  readonly stepPeriodNs: bigint;
  /** What a step is added to: the last target, or, where the bag does not tell the poses, the pose that is seen. */
  readonly reference: Reference;
  readonly composition: Composition;
  readonly steps: readonly EndEffectorDelta[];
}

/** One action as recorded, and the pose it was added to; null where the bag does not tell. */
interface Recorded {
  readonly deltas: readonly EndEffectorDelta[];
  readonly from: Pose | null;
  readonly stampNs: bigint;
}

/**
 * From the recorded actions of robot.yaml where the bag has them, else from what a node predicted.
 * @param episode from 0, of those that have actions: as robot.yaml's episode topic parts a bag, or as the node counted.
 * @throws ConfigError for an episode that is not there, DataError, MismatchError for actions in another frame.
 */
export async function readEpisode(
  bag: Bag,
  config: Config,
  arm: Arm | null,
  episode: number,
): Promise<RecordedEpisode> {
  const { recordedAction } = config;
  if (recordedAction && bag.counts.has(recordedAction.topic))
    return readRecordedActions(bag, config, arm, episode);
  if (bag.counts.has(outputTopics.actionChunk)) return readChunks(bag, config, arm, episode);
  throw new DataError(
    bag.path,
    `neither ${recordedAction ? recordedAction.topic : 'a recordedAction of robot.yaml'} nor ${outputTopics.actionChunk}`,
    'recorded actions',
  );
}

async function readRecordedActions(
  bag: Bag,
  config: Config,
  arm: Arm | null,
  episode: number,
): Promise<RecordedEpisode> {
  const { topic, stepPeriod, composition } = config.recordedAction!;
  const layout = layoutOf(typed(bag, topic, 'std_msgs/msg/Float64MultiArray'));
  const begins = config.episode?.topic;
  const found: Recorded[] = [];
  let [at, isNew] = [-1, true];
  for await (const { message, seen } of observed(bag, config, arm, topic)) {
    if (message.topic === begins) isNew = true;
    if (message.topic !== topic) continue;
    if (isNew) at++;
    isNew = false;
    if (at > episode) break;
    if (at < episode) continue;
    const where = `topic ${topic} at ${message.logTimeNs} ns`;
    const values = recordedActionFromMessage(decodeCdr(layout, message.data, where), where);
    found.push({
      deltas: [deltaFromRecordedAction(values)],
      from: seen?.endEffector?.pose ?? null,
      stampNs: message.logTimeNs,
    });
    refuseTooMany(found, bag);
  }
  refuseNoEpisode(found, bag, episode, at + 1);
  const stepPeriodNs = BigInt(Math.round(stepPeriod * 1e9));
  return { stepPeriodNs, ...stepsOf(found, 'observedPose', composition) };
}

/** Of every predicted chunk the steps until the next one, at least one: as they were played. */
async function readChunks(
  bag: Bag,
  config: Config,
  arm: Arm | null,
  episode: number,
): Promise<RecordedEpisode> {
  const topic = outputTopics.actionChunk;
  const layout = layoutOf(typed(bag, topic, 'magma_vla/msg/ActionChunk'));
  const chosen: { readonly prediction: ActionPrediction; readonly from: Pose | null }[] = [];
  const numbers = new Set<number>();
  for await (const { message, seen } of observed(bag, config, arm, topic)) {
    if (message.topic !== topic) continue;
    const where = `topic ${topic} at ${message.logTimeNs} ns`;
    const prediction = actionFromMessage(decodeCdr(layout, message.data, where), where);
    numbers.add(prediction.episode);
    if (numbers.size > episode + 1) break;
    if (numbers.size < episode + 1) continue;
    const isSeen = seen?.stampNs === prediction.observationStampNs;
    chosen.push({ prediction, from: isSeen ? (seen.endEffector?.pose ?? null) : null });
    refuseTooMany(chosen, bag);
  }
  refuseNoEpisode(chosen, bag, episode, numbers.size);
  const first = deltasOf(chosen[0]!.prediction, config);
  const found = chosen.map(({ prediction, from }, i): Recorded => {
    const chunk = deltasOf(prediction, config);
    if (
      chunk.stepPeriodNs !== first.stepPeriodNs ||
      chunk.reference !== first.reference ||
      chunk.composition !== first.composition
    )
      throw new DataError(`topic ${topic}`, 'chunks of different kinds', 'one kind per episode');
    const stampNs = prediction.observationStampNs;
    const next = chosen[i + 1]?.prediction.observationStampNs ?? null;
    const played =
      next === null
        ? chunk.steps.length
        : Math.max(1, Math.round(Number(next - stampNs) / Number(chunk.stepPeriodNs)));
    return { deltas: chunk.steps.slice(0, played), from, stampNs };
  });
  const { stepPeriodNs } = first;
  return { stepPeriodNs, ...stepsOf(found, first.reference, first.composition) };
}

// ── Poses of the recording ──────────────────────────────────────────────────────────────────────────────────────────

interface Observed {
  readonly message: BagMessage;
  /** What a policy would have been shown then; null where the bag does not have all of it. */
  readonly seen: Observation | null;
}

/** The bag's messages, put together into observations as the live node does. */
async function* observed(
  bag: Bag,
  config: Config,
  arm: Arm | null,
  actions: string,
): AsyncGenerator<Observed, void> {
  let nowNs = bag.startNs;
  const aligner = new Aligner({ config, arm, nowNs: () => nowNs });
  const topics = new RobotTopics(config);
  const layouts = layoutsFor(bag, topics);
  const wanted = new Set([...layouts.keys(), actions]);
  for await (const message of bag.messages(wanted, (topic) => topics.rank(topic))) {
    nowNs = message.logTimeNs;
    const layout = layouts.get(message.topic);
    if (layout) deliver(message, layout, topics, aligner);
    if (message.topic !== actions) {
      yield { message, seen: null };
      continue;
    }
    if (aligner.instruction === null) aligner.beginEpisode('recorded', 'the bag names none');
    const seen = aligner.observe();
    yield { message, seen: seen.ok ? seen.observation : null };
  }
}

/** What does not fit is left out, as it was when it was recorded. */
function deliver(
  { topic, data }: BagMessage,
  layout: ReturnType<typeof layoutOf>,
  topics: RobotTopics,
  aligner: Aligner,
): void {
  try {
    topics.deliver(topic, decodeCdr(layout, data, `topic ${topic}`), aligner);
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
  }
}

// ── Targets ─────────────────────────────────────────────────────────────────────────────────────────────────────────

/** From target to target where every action's pose is known; else as recorded. */
export function stepsOf(
  found: readonly Recorded[],
  reference: Reference,
  composition: Composition,
): Pick<RecordedEpisode, 'reference' | 'composition' | 'steps'> {
  const asRecorded = found.flatMap(({ deltas }) => deltas);
  if (reference === 'lastTarget' || found.some(({ from }) => from === null))
    return { reference, composition, steps: asRecorded };
  let last = found[0]!.from!;
  const steps = found.flatMap(({ deltas, from }) => {
    let target = from!;
    return deltas.map((delta) => {
      target = applyDelta(target, delta, composition);
      const step = { ...stepBetween(last, target, composition), gripper: delta.gripper };
      last = target;
      return step;
    });
  });
  return { reference: 'lastTarget', composition, steps };
}

/** The delta that leads from `a` to `b`: the inverse of applyDelta. */
function stepBetween(a: Pose, b: Pose, composition: Composition) {
  if (composition === 'base') return displacement(a, b);
  const { translation, rotation } = pose.compose(pose.invert(a), b);
  return { translation, rotation: quaternion.toRotationVector(rotation) };
}

// ── What is refused ─────────────────────────────────────────────────────────────────────────────────────────────────

/** @throws DataError for chunks of places: from anywhere else the arm would jump to them. */
function deltasOf({ chunk }: ActionPrediction, { baseFrame }: Config) {
  const where = `topic ${outputTopics.actionChunk}`;
  if (chunk.kind !== 'endEffectorDelta')
    throw new DataError(where, `chunks of kind ${chunk.kind}`, 'deltas');
  if (chunk.frameId !== baseFrame)
    throw new MismatchError(`${where}, frame`, chunk.frameId, `${baseFrame} (robot.yaml)`);
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
