/** robot.yaml → which topic carries what: one message in, the readings it holds out to the listener. */
import type { Config } from '../../config.js';
import { DataError } from '../../errors.js';
import type { RobotListener } from '../robot.js';
import { openingFromPosition } from '../gripper.js';
import type { RosMessage } from './cdr.js';
import { JointMerger, REORDERING_NS } from './jointMerger.js';
import {
  compressedImageFromMessage,
  endEffectorFromMessage,
  imageFromMessage,
  jointsFromMessage,
  textFromMessage,
} from './messages.js';
import type { TypeName } from './schemas.js';

type Deliver = (message: RosMessage, listener: RobotListener, where: string) => void;

interface Route {
  readonly types: readonly TypeName[];
  /** Order among messages of one time: a reset comes before what belongs to the new episode, pictures come last. */
  readonly rank: number;
  readonly deliver: Deliver;
}

const rank = { episode: 0, instruction: 1, state: 2, image: 3 } as const;

export class RobotTopics {
  /** Topic → message types it may have. */
  readonly types: ReadonlyMap<string, readonly TypeName[]>;
  private readonly jointsTopic: string | undefined;
  private readonly routes: ReadonlyMap<string, readonly Route[]>;
  private readonly joints: JointMerger;
  private gripperStampNs = -1n;

  constructor(config: Config) {
    this.jointsTopic = config.joints?.topic;
    this.joints = new JointMerger(Object.keys(config.joints?.limits ?? {}));
    const routes = new Map<string, Route[]>();
    for (const [topic, route] of this.routesOf(config))
      routes.set(topic, [...(routes.get(topic) ?? []), route]);
    this.routes = routes;
    this.types = new Map([...routes].map(([topic, all]) => [topic, all[0]!.types]));
  }

  rank(topic: string): number {
    return this.routes.get(topic)?.[0]?.rank ?? rank.image;
  }

  /** Hands what the message holds to the listener. @throws DataError naming the topic, where it does not fit. */
  deliver(topic: string, message: RosMessage, listener: RobotListener): void {
    for (const route of this.routes.get(topic) ?? [])
      route.deliver(message, listener, `topic ${topic}`);
  }

  /** Configured joints that this topic is to report and has not reported yet. */
  missingJoints(topic: string): readonly string[] {
    return topic === this.jointsTopic ? this.joints.missing() : [];
  }

  /** Forgets merged joints: a new episode, or time jumped. */
  clear(): void {
    this.joints.clear();
    this.gripperStampNs = -1n;
  }

  private *routesOf(config: Config): Generator<[string, Route]> {
    const { episode, instruction, joints, gripper, endEffector } = config;
    const state = (types: readonly TypeName[], deliver: Deliver): Route => ({
      types,
      rank: rank.state,
      deliver,
    });
    if (episode) yield [episode.topic, this.episodeRoute()];
    if (instruction) yield [instruction.topic, instructionRoute];
    if (joints) yield [joints.topic, state(['sensor_msgs/JointState'], this.deliverJoints)];
    if (gripper)
      yield [gripper.topic, state(['sensor_msgs/JointState'], this.gripperDelivery(gripper))];
    if (endEffector)
      yield [
        endEffector.topic,
        state(
          ['geometry_msgs/PoseStamped', 'geometry_msgs/TransformStamped'],
          endEffectorDelivery(endEffector.frameId),
        ),
      ];
    for (const [camera, { topic, type }] of Object.entries(config.cameras))
      yield [topic, imageRoute(camera, type)];
  }

  private episodeRoute(): Route {
    return {
      types: ['std_msgs/String'],
      rank: rank.episode,
      deliver: (message, listener, where) => {
        const name = textFromMessage(message, where);
        this.clear();
        listener.onReset(name);
      },
    };
  }

  private readonly deliverJoints: Deliver = (message, listener, where) => {
    const reading = this.joints.update(jointsFromMessage(message, where), where);
    if (reading) listener.onJoints(reading);
  };

  private gripperDelivery(gripper: NonNullable<Config['gripper']>): Deliver {
    return (message, listener, where) => {
      const { stampNs, names, position } = jointsFromMessage(message, where);
      const at = names.indexOf(gripper.joint);
      const value = position[at];
      const behindNs = this.gripperStampNs - stampNs;
      if (value === undefined || (behindNs > 0n && behindNs <= REORDERING_NS)) return;
      if (!Number.isFinite(value))
        throw new DataError(
          `${where}: joint ${gripper.joint}`,
          `position ${value}`,
          'a finite position',
        );
      this.gripperStampNs = stampNs;
      listener.onGripper({ stampNs, opening: openingFromPosition(value, gripper) });
    };
  }
}

const instructionRoute: Route = {
  types: ['std_msgs/String'],
  rank: rank.instruction,
  deliver: (message, listener, where) => listener.onInstruction(textFromMessage(message, where)),
};

function endEffectorDelivery(frameId: string): Deliver {
  return (message, listener, where) => {
    const reading = endEffectorFromMessage(message, where);
    if (reading.frameId !== frameId)
      throw new DataError(`${where}: frame_id`, reading.frameId, `${frameId} (robot.yaml)`);
    listener.onEndEffector(reading);
  };
}

function imageRoute(camera: string, type: 'image' | 'compressed'): Route {
  const compressed = type === 'compressed';
  const read = compressed ? compressedImageFromMessage : imageFromMessage;
  return {
    types: [compressed ? 'sensor_msgs/CompressedImage' : 'sensor_msgs/Image'],
    rank: rank.image,
    deliver: (message, listener, where) => listener.onImage(camera, read(message, where)),
  };
}
