/** Small bags for the tests: written with @mcap/core directly, in every shape rosbag2 writes. */
import { writeFileSync } from 'node:fs';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { McapWriter } from '@mcap/core';
import zstd from '@foxglove/wasm-zstd';
import { parseConfig, type Config } from '../../../src/config.js';
import { encodeCdr, type RosMessage } from '../../../src/robot/messages/cdr.js';
import { schemaOf, type TypeName } from '../../../src/robot/messages/schemas.js';
import type { RobotListener } from '../../../src/robot/robot.js';

export type Compression = 'none' | 'zstd' | 'lz4';

export interface TestMessage {
  readonly topic: string;
  readonly type: TypeName;
  readonly logTimeNs: bigint;
  readonly message: RosMessage;
  /** Definition stored in the file; ours where not given. */
  readonly schema?: string;
}

/** An LZ4 frame whose blocks are stored as they are: valid for every decoder, no encoder needed. */
function lz4Stored(data: Uint8Array): Uint8Array {
  const block = 1 << 22;
  const parts: Uint8Array[] = [Uint8Array.of(0x04, 0x22, 0x4d, 0x18, 0x60, 0x70, 0x73)];
  for (let at = 0; at < data.byteLength; at += block) {
    const piece = data.subarray(at, at + block);
    const head = new Uint8Array(4);
    new DataView(head.buffer).setUint32(0, (piece.byteLength | 0x80000000) >>> 0, true);
    parts.push(head, piece);
  }
  parts.push(new Uint8Array(4));
  return new Uint8Array(Buffer.concat(parts));
}

const compressors = {
  none: undefined,
  zstd: (data: Uint8Array) => ({ compression: 'zstd', compressedData: zstd.compress(data, 1) }),
  lz4: (data: Uint8Array) => ({ compression: 'lz4', compressedData: lz4Stored(data) }),
};

export interface BagShape {
  readonly compression?: Compression;
  readonly useChunks?: boolean;
  /** Chunk size in bytes: small values give many chunks. */
  readonly chunkSize?: number;
  /** rosbag2 MESSAGE mode. */
  readonly compressMessages?: boolean;
  readonly schemaEncoding?: string;
}

export async function mcapBytes(
  messages: readonly TestMessage[],
  shape: BagShape = {},
): Promise<Uint8Array> {
  await zstd.isLoaded;
  const parts: Uint8Array[] = [];
  let position = 0n;
  const compressChunk = compressors[shape.compression ?? 'none'];
  const writer = new McapWriter({
    writable: {
      write: (bytes: Uint8Array) => {
        parts.push(bytes.slice());
        position += BigInt(bytes.byteLength);
        return Promise.resolve();
      },
      position: () => position,
    },
    useChunks: shape.useChunks ?? true,
    ...(shape.chunkSize ? { chunkSize: shape.chunkSize } : {}),
    ...(compressChunk ? { compressChunk } : {}),
  });
  await writer.start({ profile: 'ros2', library: 'test' });
  const channels = new Map<string, number>();
  for (const [sequence, { topic, type, logTimeNs, message, schema }] of messages.entries()) {
    const { layout, rosName, text } = schemaOf(type);
    let channelId = channels.get(topic);
    if (channelId === undefined) {
      const data = new TextEncoder().encode(schema ?? text);
      const encoding = shape.schemaEncoding ?? 'ros2msg';
      const schemaId = await writer.registerSchema({ name: rosName, encoding, data });
      channelId = await writer.registerChannel({
        topic,
        schemaId,
        messageEncoding: 'cdr',
        metadata: new Map(),
      });
      channels.set(topic, channelId);
    }
    const plain = encodeCdr(layout, message, topic);
    const data = shape.compressMessages ? zstd.compress(plain, 1) : plain;
    await writer.addMessage({
      channelId,
      sequence,
      logTime: logTimeNs,
      publishTime: logTimeNs,
      data,
    });
  }
  await writer.end();
  return new Uint8Array(Buffer.concat(parts));
}

/** Runs with a folder of its own, which is removed afterwards. */
export async function inFolder<T>(run: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), 'magma-vla-test-'));
  try {
    return await run(folder);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export async function writeBag(
  path: string,
  messages: readonly TestMessage[],
  shape: BagShape = {},
): Promise<string> {
  writeFileSync(path, await mcapBytes(messages, shape));
  return path;
}

export const ns = (seconds: number): bigint => BigInt(Math.round(seconds * 1e9));

export function stamp(seconds: number): { sec: number; nanosec: number } {
  const sec = Math.floor(seconds);
  return { sec, nanosec: Math.round((seconds - sec) * 1e9) };
}

export const text = (topic: string, seconds: number, data: string): TestMessage => ({
  topic,
  type: 'std_msgs/String',
  logTimeNs: ns(seconds),
  message: { data },
});

export const joints = (
  seconds: number,
  values: Readonly<Record<string, number>>,
  logSeconds = seconds,
): TestMessage => ({
  topic: '/joint_states',
  type: 'sensor_msgs/JointState',
  logTimeNs: ns(logSeconds),
  message: {
    header: { stamp: stamp(seconds), frame_id: '' },
    name: Object.keys(values),
    position: Object.values(values),
    velocity: [],
    effort: [],
  },
});

/** A 2 × 2 picture whose first byte tells pictures apart. */
export const picture = (seconds: number, first: number): TestMessage => ({
  topic: '/front/image_raw',
  type: 'sensor_msgs/Image',
  logTimeNs: ns(seconds),
  message: {
    header: { stamp: stamp(seconds), frame_id: 'front_optical' },
    height: 2,
    width: 2,
    encoding: 'rgb8',
    is_bigendian: 0,
    step: 6,
    data: Uint8Array.of(first, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
  },
});

export const action = (seconds: number, values: readonly number[]): TestMessage => ({
  topic: '/recorded/action',
  type: 'std_msgs/Float64MultiArray',
  logTimeNs: ns(seconds),
  message: { layout: { dim: [], data_offset: 0 }, data: values },
});

/** A two-joint arm with gripper and one camera, all topics configured. */
export const config: Config = parseConfig(
  `
robot: test
joints:
  topic: /joint_states
  limits:
    shoulder: { lower: -3, upper: 3, velocity: 1, acceleration: 1, jerk: 1 }
    elbow: { lower: -3, upper: 3, velocity: 1, acceleration: 1, jerk: 1 }
gripper: { topic: /joint_states, joint: finger, closed: 0.01, open: 0.04 }
endEffector: { topic: /ee_pose, frameId: base_link }
cameras:
  front: { topic: /front/image_raw, type: image, modelKey: primary }
instruction: { topic: /instruction }
episode: { topic: /episode }
recordedAction: { topic: /recorded/action, stepPeriod: 0.2 }
output: joint
control: { rateHz: 50, policyPeriod: 0.2 }
guard:
  linearVelocity: 1
  linearAcceleration: 1
  linearJerk: 1
  angularVelocity: 1
  angularAcceleration: 1
  angularJerk: 1
  workspace: { min: [-1, -1, -1], max: [1, 1, 1] }
  maxStepTranslation: 1
  maxStepRotation: 1
  trackingError: 1
`,
  'test.yaml',
);

export interface Event {
  readonly stampNs: bigint;
  readonly name: string;
  readonly value: unknown;
}

/** Writes down every call with the time it came at. */
export function eventLog(clock: () => bigint): {
  readonly events: Event[];
  readonly listener: RobotListener;
} {
  const events: Event[] = [];
  const note =
    (name: string) =>
    (...values: unknown[]): void => {
      events.push({ stampNs: clock(), name, value: values.length === 1 ? values[0] : values });
    };
  const listener: RobotListener = {
    onImage: note('image'),
    onJoints: note('joints'),
    onEndEffector: note('endEffector'),
    onGripper: note('gripper'),
    onInstruction: note('instruction'),
    onReset: note('reset'),
  };
  return { events, listener };
}
