/** `/tf` and `/tf_static` → TfBuffer, and what they say of the tool held against our own forward kinematics. */
import { messageOf } from '../../errors.js';
import { type Arm, forward } from '../../arm/kinematics.js';
import * as quaternion from '../../math/quaternion.js';
import * as vec3 from '../../math/vec3.js';
import type { JointReading } from '../../types.js';
import { decodeCdr, type RosMessage } from '../messages/cdr.js';
import { endEffectorFromMessage } from '../messages/messages.js';
import { schemaOf } from '../messages/schemas.js';
import { type Disposable, type Qos, qos, type RosNode } from './ros.js';
import { type FrameTransform, TfBuffer, type TfLookup } from './tfBuffer.js';

/** What a URDF rounded in print, and a reading between two transforms, may differ by: m and rad. */
const AGREE = { translation: 5e-3, rotation: 2e-2 };

/** How old tf may be for an arm at rest, and what a resting arm may report, rad/s. */
const MAX_LAG_NS = 500_000_000n;
const RESTING = 0.01;

const TYPE = 'tf2_msgs/msg/TFMessage';
/** As tf2_ros' StaticListenerQoS: there may be many static broadcasters, each with its own latched message. */
const staticQos: Qos = { ...qos.tf, durability: 'transientLocal' };

/** Hears tf for as long as it is not disposed. Transforms that cannot be used are counted and logged once per frame. */
export class TfListener {
  readonly buffer: TfBuffer;
  readonly #node: RosNode;
  readonly #subscriptions: readonly Disposable[];
  readonly #complained = new Set<string>();
  #refused = 0;

  constructor(node: RosNode, buffer = new TfBuffer()) {
    this.#node = node;
    this.buffer = buffer;
    this.#subscriptions = [
      this.#listen('/tf', qos.tf, (transform) => buffer.addDynamic(transform)),
      this.#listen('/tf_static', staticQos, (transform) => buffer.addStatic(transform)),
    ];
  }

  /** Transforms that were not taken, so far. */
  get refused(): number {
    return this.#refused;
  }

  /** What tf says against forward kinematics of a reading, as a sentence; null where they agree or tf says nothing. */
  disagreement(arm: Arm, joints: JointReading | null): string | null {
    return disagreementWithTf(this.buffer, arm, joints);
  }

  /** The ROS clock jumped: what moves is forgotten. */
  clear(): void {
    this.buffer.clear();
  }

  dispose(): void {
    this.#subscriptions.forEach((subscription) => subscription.dispose());
  }

  #listen(topic: string, profile: Qos, add: (t: FrameTransform) => string | null): Disposable {
    const { layout } = schemaOf('tf2_msgs/TFMessage');
    return this.#node.subscribeRaw(TYPE, topic, profile, (cdr) => {
      const { transforms } = decodeCdr(layout, cdr, topic) as {
        readonly transforms: readonly RosMessage[];
      };
      for (const message of transforms) this.#take(topic, message, add);
    });
  }

  #take(topic: string, message: RosMessage, add: (t: FrameTransform) => string | null): void {
    let refusal: string | null;
    try {
      refusal = add(transformFromMessage(message, topic));
    } catch (error) {
      refusal = messageOf(error);
    }
    if (refusal === null) return;
    this.#refused++;
    const about = `${topic} ${String(message['child_frame_id']).slice(0, 100)}`;
    if (this.#complained.has(about) || this.#complained.size >= 100) return;
    this.#complained.add(about);
    this.#node.log.warn(`${topic}: a transform is ignored: ${refusal}`);
  }
}

/** geometry_msgs/TransformStamped. @throws DataError for numbers that are no transform. */
export function transformFromMessage(message: RosMessage, where: string): FrameTransform {
  const child = String(message['child_frame_id']);
  const { stampNs, frameId, pose } = endEffectorFromMessage(message, `${where} (${child})`);
  return { parent: frameId, child, stampNs, parentFromChild: pose };
}

interface FrameSource {
  lookup(target: string, source: string, at: bigint | 'latest'): TfLookup;
}

export type TfComparison =
  | {
      readonly ok: true;
      /** Distance between the tool by tf and by forward kinematics, m. */
      readonly translation: number;
      /** Angle between them, rad. */
      readonly rotation: number;
    }
  | { readonly ok: false; readonly problem: string };

/**
 * The tool by tf at the stamp of a joint reading against forward kinematics of that reading: what tells a wrong URDF, a
 * wrong tip link, or joints in another order. `problem` where tf has no answer (yet), or the reading lacks a joint.
 * robot_state_publisher may be slower than the joints: for an arm at rest, tf up to 0.5 s older counts.
 */
export function compareWithTf(buffer: FrameSource, arm: Arm, joints: JointReading): TfComparison {
  const position = arm.jointNames.map((name) => joints.position[joints.names.indexOf(name)]);
  const missing = arm.jointNames.filter((_, i) => position[i] === undefined);
  if (missing.length > 0)
    return { ok: false, problem: `the joint reading lacks ${missing.join(', ')}` };
  const byTf = lookupTool(buffer, arm, joints);
  if (!byTf.ok) return { ok: false, problem: `tf: ${byTf.message}` };
  const byKinematics = forward(arm, position as number[]);
  const { translation, rotation } = byTf.targetFromSource;
  return {
    ok: true,
    translation: vec3.distance(byKinematics.translation, translation),
    rotation: quaternion.angleBetween(byKinematics.rotation, rotation),
  };
}

function lookupTool(buffer: FrameSource, arm: Arm, joints: JointReading): TfLookup {
  const { baseLink, tipLink } = arm;
  const exact = buffer.lookup(baseLink, tipLink, joints.stampNs);
  if (exact.ok || exact.code !== 'future' || exact.byNs! > MAX_LAG_NS || !isAtRest(joints))
    return exact;
  return buffer.lookup(baseLink, tipLink, 'latest');
}

function isAtRest({ velocity }: JointReading): boolean {
  return velocity?.every((speed) => Math.abs(speed) <= RESTING) ?? false;
}

export function disagreementWithTf(
  buffer: FrameSource,
  arm: Arm,
  joints: JointReading | null,
): string | null {
  const found = joints && compareWithTf(buffer, arm, joints);
  if (!found?.ok) return null;
  const { translation, rotation } = found;
  if (translation <= AGREE.translation && rotation <= AGREE.rotation) return null;
  return `tf puts ${arm.tipLink} ${translation.toFixed(4)} m and ${rotation.toFixed(3)} rad from where forward kinematics from ${arm.baseLink} puts it: check description (urdf, baseLink, tipLink) in robot.yaml against robot_state_publisher`;
}
