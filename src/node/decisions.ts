/**
 * What the policy predicts, for recordings and for eyes: `~/action_chunk`, `~/traces`, `~/annotations`, `~/markers` and
 * the annotated pictures. The first two are always there, so that a recording is complete; the others are made while
 * somebody subscribes.
 */
import { messageOf } from '../errors.js';
import type { Arm } from '../arm/kinematics.js';
import type { Config } from '../config.js';
import { poseFromCommand } from '../control/commanded.js';
import type { Tick } from '../control/loop.js';
import { traceAge } from '../image/traceAge.js';
import { messageFromAction } from '../robot/messages/actionMessages.js';
import { hashedAside, type Seen, seenFrom } from '../robot/messages/observationHash.js';
import { annotationsFromTraces, messageFromTraces } from '../robot/messages/outputMessages.js';
import { type Disposable, qos, type RosNode, type RosPublisher } from '../robot/ros/ros.js';
import type { ActionPrediction, Observation, Pose, TracePrediction } from '../types.js';
import { AnnotatedImages } from './annotatedImage.js';
import type { Overlay } from './annotatedPicture.js';
import { chunkPath } from '../control/chunkPath.js';
import { markersFromPath } from './markers.js';
import type { ControlObserver } from './observers.js';

export interface DecisionsOptions {
  readonly node: RosNode;
  readonly config: Pick<Config, 'cameras'>;
  readonly arm: Arm | null;
}

/** s: traces older than this are not drawn over newer pictures. */
const TRACES_LAST = 5;

export function publishDecisions(options: DecisionsOptions): ControlObserver & Disposable {
  return new Decisions(options);
}

class Decisions implements ControlObserver, Disposable {
  readonly #arm: Arm | null;
  readonly #cameras: readonly string[];
  readonly #node: RosNode;
  readonly #chunks: RosPublisher;
  readonly #traces: RosPublisher;
  readonly #markers: RosPublisher;
  /** Null where foxglove_msgs is not installed. */
  readonly #annotations: RosPublisher | null;
  readonly #pictures: AnnotatedImages;
  /** Begun when a policy is asked, so that the hash is there when it answers. */
  readonly #seen = new WeakMap<Observation, Promise<Seen>>();
  #tick: Tick | null = null;
  #latestTraces: TracePrediction | null = null;
  #latestAction: ActionPrediction | null = null;
  #isDisposed = false;

  constructor({ node, config, arm }: DecisionsOptions) {
    this.#node = node;
    this.#arm = arm;
    const fed = Object.keys(config.cameras).filter((name) => config.cameras[name]!.modelKey);
    this.#cameras = [...fed, ...Object.keys(config.cameras)];
    this.#chunks = node.publisher('magma_vla/msg/ActionChunk', '~/action_chunk', qos.state);
    this.#traces = node.publisher('magma_vla/msg/TraceOfMarks', '~/traces', qos.state);
    this.#markers = node.publisher('visualization_msgs/msg/MarkerArray', '~/markers', qos.state);
    this.#annotations = annotationsOf(node);
    this.#pictures = new AnnotatedImages(node);
  }

  dispose(): void {
    this.#isDisposed = true;
    this.#pictures.dispose();
    for (const publisher of [this.#chunks, this.#traces, this.#markers, this.#annotations])
      publisher?.dispose();
  }

  readonly onTick = (tick: Tick): void => {
    this.#tick = tick;
  };

  readonly onRequest = (observation: Observation): void => {
    this.#seen.set(
      observation,
      // A hash that cannot be made is left out; the stamps are there all the same.
      hashedAside(observation).catch(() => seenFrom(observation)),
    );
    this.#showPicture(observation);
  };

  readonly onAction: NonNullable<ControlObserver['onAction']> = (answer, request, notPlayed) => {
    if (!answer.ok) return;
    const { observation } = request;
    const prediction = answer.value;
    void this.#publishChunk(prediction, observation);
    if (notPlayed) return;
    this.#latestAction = prediction;
    if (this.#markers.subscriptions > 0) this.#publishMarkers(prediction, observation);
  };

  readonly onTrace: NonNullable<ControlObserver['onTrace']> = (answer, { images }) => {
    if (!answer.ok) return;
    const prediction = answer.value;
    this.#latestTraces = prediction;
    const frameId = images[prediction.camera]?.frameId ?? '';
    this.#traces.publish(messageFromTraces(prediction, frameId));
    if (this.#annotations && this.#annotations.subscriptions > 0)
      this.#annotations.publish(annotationsFromTraces(prediction));
  };

  /** Never rejects. */
  async #publishChunk(prediction: ActionPrediction, observation: Observation): Promise<void> {
    try {
      const seen = await (this.#seen.get(observation) ?? seenFrom(observation));
      if (!this.#isDisposed) this.#chunks.publish(messageFromAction(prediction, seen));
    } catch (error) {
      const message = messageOf(error);
      this.#node.log.warn(`~/action_chunk: a prediction is not published: ${message}`);
    }
  }

  #publishMarkers(prediction: ActionPrediction, { endEffector }: Observation): void {
    const start = this.#startOf(prediction) ?? endEffector?.pose;
    const path = start && chunkPath(prediction.chunk, start, this.#arm);
    if (!path || path.length === 0) return;
    this.#markers.publish(markersFromPath(prediction, start, path));
  }

  /** The tool as last commanded, where that is what the chunk goes on from; null: as observed. */
  #startOf({ chunk }: ActionPrediction): Pose | null {
    if (chunk.kind === 'endEffectorDelta' && chunk.reference === 'observedPose') return null;
    if (!this.#tick) return null;
    const { verdict, measured } = this.#tick;
    return poseFromCommand(verdict.command, this.#arm, measured.endEffector)?.pose ?? null;
  }

  #showPicture(observation: Observation): void {
    if (!this.#pictures.isWanted) return;
    const traces = this.#tracesFor(observation);
    const camera = traces?.camera ?? this.#cameras.find((name) => observation.images[name]);
    const image = camera === undefined ? undefined : observation.images[camera];
    if (image) this.#pictures.show(image, this.#overlay(observation, traces));
  }

  /** Of this episode, and not too old for this picture. */
  #tracesFor({ stampNs, episode }: Observation): TracePrediction | null {
    const traces = this.#latestTraces;
    if (traces?.episode !== episode) return null;
    const age = Number(stampNs - traces.observationStampNs) / 1e9;
    return age >= 0 && age <= TRACES_LAST ? traces : null;
  }

  #overlay(observation: Observation, traces: TracePrediction | null): Overlay {
    const age = traces && traceAge(traces, observation.stampNs);
    const action = this.#latestAction?.episode === observation.episode ? this.#latestAction : null;
    return {
      marks: traces?.marks ?? [],
      traces: traces?.traces ?? [],
      ...(age ? { opacity: age.opacity } : {}),
      caption: [
        observation.instruction,
        ...(this.#tick ? [verdictWords(this.#tick)] : []),
        [
          action && `confidence ${action.confidence.toFixed(2)}`,
          age && `traces ${age.seconds.toFixed(1)} s old${age.isStale ? ' (stale)' : ''}`,
        ]
          .filter((words) => typeof words === 'string')
          .join(', '),
      ].filter((line) => line !== ''),
    };
  }
}

/** foxglove_msgs is a package that many installations lack: then there is only `~/traces`. */
function annotationsOf(node: RosNode): RosPublisher | null {
  try {
    return node.publisher('foxglove_msgs/msg/ImageAnnotations', '~/annotations', qos.state);
  } catch {
    node.log.info(
      'no ~/annotations: foxglove_msgs is not installed; ~/annotated_image shows the same',
    );
    return null;
  }
}

function verdictWords({ verdict, target }: Tick): string {
  const codes = verdict.reasons.map(({ code }) => code).join(', ');
  if (target.kind === 'rest') return `${verdict.outcome}: ${target.because}`;
  return codes === '' ? verdict.outcome : `${verdict.outcome}: ${codes}`;
}
