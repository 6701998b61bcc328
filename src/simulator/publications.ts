/** What the simulator publishes, and how often: everything counted in simulated time. */
import type { Urdf } from '../arm/urdf.js';
import type { RosMessage } from '../robot/messages/cdr.js';
import {
  messageFromHeader,
  messageFromImage,
  messageFromText,
} from '../robot/messages/messages.js';
import { qos, type Qos, type RosNode } from '../robot/ros/ros.js';
import type { StepReading } from '../robot/sim/protocol.js';
import type { Outcome } from '../robot/sim/judge.js';
import type { CameraImage, PinholeCamera } from '../types.js';
import {
  cameraInfoMessage,
  clockMessage,
  fixedTransforms,
  jointStateMessage,
  movingTransforms,
} from './messages.js';

export interface Topics {
  readonly jointStates: string;
  /** `…/image_raw`; its camera_info stands beside it. */
  readonly image: string;
  readonly outcome: string;
}

export interface PublicationsOptions {
  readonly node: RosNode;
  readonly topics: Topics;
  /** Text and contents. */
  readonly description: { readonly text: string; readonly urdf: Urdf };
  readonly joints: readonly string[];
}

const cameraFrame = 'front_optical';
const jointPeriodNs = 10_000_000n;
const tfPeriodNs = 20_000_000n;

type Publish = (message: RosMessage) => void;

export class Publications {
  readonly #urdf: Urdf;
  readonly #joints: readonly string[];
  readonly #clock: Publish;
  readonly #jointStates: Publish;
  readonly #image: Publish;
  readonly #cameraInfo: Publish;
  readonly #tf: Publish;
  readonly #tfStatic: Publish;
  readonly #outcome: Publish;
  readonly #diagnostics: Publish;
  readonly #name: string;
  #camera: PinholeCamera | null = null;

  constructor({ node, topics, description, joints }: PublicationsOptions) {
    const to = (type: string, topic: string, profile: Qos): Publish => {
      const publisher = node.publisher(type, topic, profile);
      return (message) => publisher.publish(message);
    };
    this.#urdf = description.urdf;
    this.#joints = joints;
    this.#name = node.fullName;
    // Absolute, as ROS 2 has them: a second simulation on one machine remaps them.
    this.#clock = to('rosgraph_msgs/msg/Clock', '/clock', qos.clock);
    this.#jointStates = to('sensor_msgs/msg/JointState', topics.jointStates, qos.state);
    this.#image = to('sensor_msgs/msg/Image', topics.image, qos.sensorData);
    // Beside the picture, wherever that was remapped to.
    const info = node.resolve(topics.image).replace(/[^/]*$/, 'camera_info');
    this.#cameraInfo = to('sensor_msgs/msg/CameraInfo', info, qos.sensorData);
    this.#tf = to('tf2_msgs/msg/TFMessage', '/tf', qos.tf);
    this.#tfStatic = to('tf2_msgs/msg/TFMessage', '/tf_static', qos.latched);
    this.#outcome = to('std_msgs/msg/String', topics.outcome, qos.latched);
    this.#diagnostics = to('diagnostic_msgs/msg/DiagnosticArray', '/diagnostics', qos.state);
    to('std_msgs/msg/String', 'robot_description', qos.latched)(messageFromText(description.text));
  }

  /** A new episode: the camera stands a little elsewhere. */
  began(camera: PinholeCamera, { stampNs }: StepReading): void {
    this.#camera = camera;
    this.#clock(clockMessage(stampNs));
    this.#tfStatic(fixedTransforms(this.#urdf, camera, cameraFrame, stampNs));
  }

  stepped(reading: StepReading): void {
    const { stampNs } = reading;
    this.#clock(clockMessage(stampNs));
    if (stampNs % jointPeriodNs === 0n) this.#jointStates(jointStateMessage(reading, this.#joints));
    if (stampNs % tfPeriodNs === 0n) this.#tf(movingTransforms(this.#urdf, reading, this.#joints));
  }

  photographed(image: CameraImage): void {
    this.#image(messageFromImage(image));
    this.#cameraInfo(cameraInfoMessage(this.#camera!, image.stampNs, image.frameId));
  }

  judged(outcome: Outcome): void {
    this.#outcome(messageFromText(outcome));
  }

  /** Simulated s per real s over the last second. */
  paced(
    factor: { readonly wanted: number; readonly achieved: number },
    stampNs: bigint,
    refusedTrajectories: number,
  ): void {
    const slow = factor.achieved < 0.95 * factor.wanted;
    const value = (key: string, number: number): RosMessage => ({ key, value: String(number) });
    this.#diagnostics({
      header: messageFromHeader(stampNs, ''),
      status: [
        {
          level: slow ? 1 : 0,
          name: `${this.#name}: pace`,
          message: slow
            ? `runs at ${factor.achieved.toFixed(2)} of real time, ${factor.wanted} was asked for: the machine is too slow`
            : `runs at ${factor.achieved.toFixed(2)} of real time`,
          hardware_id: 'simulation',
          values: [
            value('real_time_factor', factor.wanted),
            value('achieved', Number(factor.achieved.toFixed(3))),
            value('refused_trajectories', refusedTrajectories),
          ],
        },
      ],
    });
  }
}
