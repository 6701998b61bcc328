/**
 * Recorded actions as the policy of the live node: `-p policy:=recorded -p bag:=…` makes the arm repeat, from where it
 * stands, what one episode of a bag did. Open loop: request k is answered with step k, whatever the cameras show. Control
 * and guard are those of every other policy.
 */
import type { Arm } from '../arm/kinematics.js';
import type { Policy } from '../control/policy.js';
import type { Config } from '../config.js';
import { ConfigError, MismatchError } from '../errors.js';
import * as vec3 from '../math/vec3.js';
import type { OpenedPolicy } from '../node/ports.js';
import { decodeCdr } from '../robot/messages/cdr.js';
import { jointsFromMessage } from '../robot/messages/messages.js';
import { layoutOf } from '../robot/messages/schemas.js';
import { Bag } from '../robot/replay/bag.js';
import type { ActionPrediction, Answer, Observation } from '../types.js';
import { readEpisode, type RecordedEpisode } from './recordedEpisode.js';

export interface RecordedRunOptions {
  readonly bag: string;
  /** From 0, of the episodes that have actions. */
  readonly episode: number;
  readonly config: Config;
  /** Whose forward kinematics tell the poses of the recording; null: its end-effector topic does. */
  readonly arm: Arm | null;
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
    recorded = await readEpisode(bag, config, options.arm, options.episode);
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
  if (recorded.reference === 'observedPose')
    say(
      'the bag does not tell all poses: an arm that lags more than the recorded one goes less far',
    );
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
  /** Why the rest of the episode is not played. */
  #broken: string | null = null;

  constructor(recorded: RecordedEpisode, frameId: string) {
    this.#recorded = recorded;
    this.#frameId = frameId;
  }

  requestAction({ stampNs, episode }: Observation): Promise<Answer<ActionPrediction>> {
    if (episode !== this.#episode) this.reset(episode);
    if (this.#broken !== null) return Promise.resolve(refusal(this.#broken));
    const { steps, stepPeriodNs, reference, composition } = this.#recorded;
    const step = steps[this.#next];
    if (!step) {
      return Promise.resolve(
        refusal(`the recording is over: all of its ${steps.length} steps were played`),
      );
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
          reference,
          composition,
          steps: [step],
        },
        confidence: 1,
        timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
      },
    });
  }

  /** A step that is left out would take all that follow it elsewhere. */
  notPlayed(because: string, episode: number): void {
    if (episode !== this.#episode) return;
    this.#broken ??= `the recording ends: its step ${this.#next} was not played (${because})`;
  }

  reset(episode: number): void {
    this.#episode = episode;
    this.#next = 0;
    this.#broken = null;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const refusal = (message: string): Answer<ActionPrediction> => ({
  ok: false,
  refusal: { kind: 'badObservation', message },
});

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
