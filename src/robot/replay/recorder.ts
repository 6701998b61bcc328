/**
 * A run → one MCAP file that rosbag2 plays and Foxglove or Lichtblick shows: what the robot reported, on the topics of
 * robot.yaml, so that the file replays with the same configuration; and what the node made of it, under /magma_vla.
 *
 * Log time is the run's own time at the call (or the stamp, if that is later), so that a replay hands over every
 * reading when the run did; headers keep the readings' stamps. Numbers are written as they are, to the last bit.
 */
import { open, type FileHandle } from 'node:fs/promises';
import { McapWriter } from '@mcap/core';
import zstd from '@foxglove/wasm-zstd';
import type { Config } from '../../config.js';
import { ConfigError, DataError } from '../../errors.js';
import { REASONS } from '../../safety/reasons.js';
import type {
  ActionPrediction,
  ArmCommand,
  CameraImage,
  EndEffectorReading,
  GripperReading,
  JointReading,
  Reason,
  Refusal,
  TracePrediction,
  Verdict,
} from '../../types.js';
import { positionFromOpening } from '../gripper.js';
import type { RobotListener } from '../robot.js';
import { encodeCdr, type RosMessage } from '../messages/cdr.js';
import {
  messageFromEndEffector,
  messageFromHeader,
  messageFromImage,
  messageFromJoints,
  messageFromRecordedAction,
  messageFromText,
  type RecordedValues,
} from '../messages/messages.js';
import { messageFromAction } from '../messages/actionMessages.js';
import type { Seen } from '../messages/observationHash.js';
import {
  annotationsFromTraces,
  messageFromCommand,
  messageFromTraces,
} from '../messages/outputMessages.js';
import { schemaOf, type TypeName } from '../messages/schemas.js';
import {
  messageFromStatus,
  outcomeOfRefusal,
  stateFromVerdict,
  type NodeStatus,
} from '../messages/statusMessages.js';

/** Fast, and enough: what is large in a recording is compressed already, or flat. */
const ZSTD_LEVEL = 1;

export const outputTopics = {
  actionChunk: '/magma_vla/action_chunk',
  traces: '/magma_vla/traces',
  status: '/magma_vla/status',
  gripperCommand: '/magma_vla/command/gripper',
  /** Followed by joint, twist or pose. */
  command: '/magma_vla/command',
  /** Followed by the camera's name. */
  annotations: '/magma_vla/annotations',
  annotatedImage: '/magma_vla/annotated',
  truth: '/magma_vla/truth',
  /** Why a black box was written. */
  because: '/magma_vla/because',
  /** Of robots whose robot.yaml names none. */
  instruction: '/magma_vla/instruction',
  episode: '/magma_vla/episode',
} as const;

/** A robot.yaml whose robot can be recorded: instruction and episode have topics, its own or ours. */
export function recordable(config: Config): Config {
  const { instruction, episode } = outputTopics;
  return {
    ...config,
    instruction: config.instruction ?? { topic: instruction },
    episode: config.episode ?? { topic: episode },
  };
}

export class Recorder implements RobotListener {
  readonly path: string;
  private readonly config: Config;
  private readonly clock: () => bigint;
  private readonly handle: FileHandle;
  private readonly writer: McapWriter;
  private readonly channels = new Map<string, Promise<number>>();
  private readonly periodNs: bigint;
  private queue: Promise<void> = Promise.resolve();
  private failure: Error | null = null;
  private closed = false;
  private sequence = 0;
  private pending = 0;
  /** As far as a recording knows it. */
  private node: NodeStatus;

  private constructor(path: string, config: Config, clock: () => bigint, handle: FileHandle) {
    this.path = path;
    this.config = config;
    this.clock = clock;
    this.handle = handle;
    this.periodNs = BigInt(Math.round(1e9 / config.control.rateHz));
    this.node = {
      ...{ state: 'inactive', dryRun: config.dryRun, enabled: true, latched: '' },
      ...{ instruction: '', episode: 0, speedScale: config.guard.speedScale },
    };
    this.writer = new McapWriter({
      writable: new FileWriter(handle),
      compressChunk: (data) => ({
        compression: 'zstd',
        compressedData: zstd.compress(data, ZSTD_LEVEL),
      }),
    });
  }

  /**
   * Creates the file, over an older one.
   *
   * @param clock the run's time in ns: the robot's `stampNs`.
   * @throws ConfigError where robot.yaml names no topic for instruction or episode: such a recording could not replay.
   */
  static async open(path: string, config: Config, clock: () => bigint): Promise<Recorder> {
    for (const key of ['instruction', 'episode'] as const)
      if (!config[key])
        throw new ConfigError(`robot.yaml: ${key}`, 'nothing', 'a topic to record it on');
    await zstd.isLoaded;
    let handle: FileHandle;
    try {
      handle = await open(path, 'w');
    } catch (error) {
      throw new DataError(path, (error as Error).message, 'a file that can be written');
    }
    const recorder = new Recorder(path, config, clock, handle);
    recorder.enqueue(0, () => recorder.writer.start({ profile: 'ros2', library: 'magma-vla' }));
    return recorder;
  }

  // ── What the robot reports ────────────────────────────────────────────────────────────────────────────────────────

  onImage(camera: string, image: CameraImage): void {
    const configured = this.config.cameras[camera];
    if (!configured)
      throw new ConfigError(`robot.yaml: cameras.${camera}`, 'nothing', 'a topic to record it on');
    const type = image.kind === 'raw' ? 'sensor_msgs/Image' : 'sensor_msgs/CompressedImage';
    this.write(configured.topic, type, messageFromImage(image), image.stampNs);
  }

  onJoints(joints: JointReading): void {
    const { topic } = required(this.config.joints, 'joints');
    this.write(topic, 'sensor_msgs/JointState', messageFromJoints(joints), joints.stampNs);
  }

  /** Without a configured topic the pose is not recorded: forward kinematics gives it again. */
  onEndEffector(reading: EndEffectorReading): void {
    const { stampNs } = reading;
    const topic = this.config.endEffector?.topic;
    if (topic !== undefined)
      this.write(topic, 'geometry_msgs/PoseStamped', messageFromEndEffector(reading), stampNs);
  }

  onGripper({ stampNs, opening }: GripperReading): void {
    const gripper = required(this.config.gripper, 'gripper');
    const message = {
      header: messageFromHeader(stampNs, ''),
      name: [gripper.joint],
      position: [positionFromOpening(opening, gripper)],
      velocity: [],
      effort: [],
    };
    this.write(gripper.topic, 'sensor_msgs/JointState', message, stampNs);
  }

  onInstruction(instruction: string): void {
    const { topic } = required(this.config.instruction, 'instruction');
    this.node = { ...this.node, instruction };
    this.write(topic, 'std_msgs/String', messageFromText(instruction));
  }

  /** A new episode: `because` is its name in the recording, and the reason of the reset when it is replayed. */
  onReset(because: string): void {
    const { topic } = required(this.config.episode, 'episode');
    this.write(topic, 'std_msgs/String', messageFromText(because));
  }

  /** A demonstrated action: dx dy dz (m) droll dpitch dyaw (rad) gripper, in the configured composition. */
  recordedAction(values: RecordedValues): void {
    const { topic } = required(this.config.recordedAction, 'recordedAction');
    this.write(topic, 'std_msgs/Float64MultiArray', messageFromRecordedAction(values));
  }

  /** The truth behind a simulated frame, as text: for judging and experts, never for a policy that is measured. */
  truth(text: string): void {
    this.write(outputTopics.truth, 'std_msgs/String', messageFromText(text));
  }

  // ── What the node makes of it ─────────────────────────────────────────────────────────────────────────────────────

  /** @param seen what the prediction was made of. */
  action(prediction: ActionPrediction, seen: Seen): void {
    this.node = { ...this.node, episode: prediction.episode };
    const message = messageFromAction(prediction, seen);
    this.write(outputTopics.actionChunk, 'magma_vla/ActionChunk', message);
  }

  /** @param frameId of the picture the marks were drawn on. */
  traces(prediction: TracePrediction, frameId: string): void {
    const message = messageFromTraces(prediction, frameId);
    this.write(outputTopics.traces, 'magma_vla/TraceOfMarks', message);
    const topic = `${outputTopics.annotations}/${prediction.camera}`;
    this.write(topic, 'foxglove_msgs/ImageAnnotations', annotationsFromTraces(prediction));
  }

  /** A picture with marks and traces drawn in. */
  annotatedImage(camera: string, image: CameraImage): void {
    const type = image.kind === 'raw' ? 'sensor_msgs/Image' : 'sensor_msgs/CompressedImage';
    const topic = `${outputTopics.annotatedImage}/${camera}`;
    this.write(topic, type, messageFromImage(image), image.stampNs);
  }

  /** @param node what is known of the node; the rest is taken from the verdict and from what was recorded before. */
  verdict(verdict: Verdict, node: Partial<NodeStatus> = {}): void {
    const latch = verdict.reasons.find(isLatching) ?? null;
    const state = stateFromVerdict(verdict, latch);
    this.node = { ...this.node, state, latched: latch?.message ?? '', ...node };
    this.status(messageFromStatus(verdict, this.node, this.clock()));
  }

  refusal(refusal: Refusal, node: Partial<NodeStatus> = {}): void {
    this.node = { ...this.node, ...node };
    this.status(messageFromStatus(outcomeOfRefusal(refusal), this.node, this.clock()));
  }

  /** Why this recording was made, as a message and as the file's metadata. */
  because(text: string): void {
    this.write(outputTopics.because, 'std_msgs/String', messageFromText(text));
    const metadata = new Map([['because', text]]);
    this.enqueue(0, () => this.writer.addMetadata({ name: 'magma_vla', metadata }));
  }

  command(command: ArmCommand): void {
    const { type, message } = messageFromCommand(command, this.clock(), this.periodNs);
    this.write(`${outputTopics.command}/${command.kind}`, type, message);
    if (command.gripper === null) return;
    const opening = { layout: { dim: [], data_offset: 0 }, data: [command.gripper] };
    this.write(outputTopics.gripperCommand, 'std_msgs/Float64MultiArray', opening);
  }

  // ── The file ──────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Bytes taken and not yet handed to the file. `drain` brings it to 0. */
  get pendingBytes(): number {
    return this.pending;
  }

  /** Waits until everything taken so far is written: once per tick keeps memory bounded. @throws DataError */
  async drain(): Promise<void> {
    await this.queue;
    if (this.failure)
      throw new DataError(this.path, this.failure.message, 'a recording that can be written');
  }

  /** Writes index and footer and closes the file. The file is closed even if that fails. @throws DataError */
  async close(): Promise<void> {
    if (this.closed) return;
    this.enqueue(0, () => this.writer.end());
    this.closed = true;
    try {
      await this.drain();
    } finally {
      await this.handle.close();
    }
  }

  private status(message: RosMessage): void {
    this.write(outputTopics.status, 'magma_vla/Status', message);
  }

  private write(topic: string, type: TypeName, message: RosMessage, stampNs?: bigint): void {
    const now = this.clock();
    const publishTime = stampNs ?? now;
    const logTime = publishTime > now ? publishTime : now;
    // Encoded now: the message borrows buffers that may be reused after the call.
    const data = encodeCdr(schemaOf(type).layout, message, `topic ${topic}`);
    const sequence = this.sequence++;
    this.enqueue(data.byteLength, async () => {
      const channelId = await this.channel(topic, type);
      await this.writer.addMessage({ channelId, sequence, logTime, publishTime, data });
    });
  }

  /** Keeps the order of calls. After a failure nothing more is written; `drain` and `close` report it. */
  private enqueue(bytes: number, task: () => Promise<void>): void {
    if (this.closed) throw new DataError(this.path, 'a message after close', 'no more messages');
    this.pending += bytes;
    this.queue = this.queue.then(async () => {
      try {
        if (!this.failure) await task();
      } catch (error) {
        this.failure = error as Error;
      }
      this.pending -= bytes;
    });
  }

  private channel(topic: string, type: TypeName): Promise<number> {
    const known = this.channels.get(topic);
    if (known) return known;
    const registered = this.register(topic, type);
    this.channels.set(topic, registered);
    return registered;
  }

  private async register(topic: string, type: TypeName): Promise<number> {
    const { rosName, text } = schemaOf(type);
    const data = new TextEncoder().encode(text);
    const schemaId = await this.writer.registerSchema({ name: rosName, encoding: 'ros2msg', data });
    return this.writer.registerChannel({
      topic,
      schemaId,
      messageEncoding: 'cdr',
      metadata: new Map([['offered_qos_profiles', '']]),
    });
  }
}

class FileWriter {
  private readonly handle: FileHandle;
  private written = 0n;

  constructor(handle: FileHandle) {
    this.handle = handle;
  }

  async write(bytes: Uint8Array): Promise<void> {
    let from = 0;
    while (from < bytes.byteLength)
      from += (await this.handle.write(bytes, from, bytes.byteLength - from)).bytesWritten;
    this.written += BigInt(bytes.byteLength);
  }

  position(): bigint {
    return this.written;
  }
}

/** A halt for such a reason lasts until the guard is re-armed. */
function isLatching({ code }: Reason): boolean {
  const effects: Readonly<Record<string, { readonly effect: string } | undefined>> = REASONS;
  return effects[code]?.effect === 'latch';
}

function required<T>(setting: T | undefined, key: string): T {
  if (!setting) throw new ConfigError(`robot.yaml: ${key}`, 'nothing', 'a topic to record it on');
  return setting;
}
