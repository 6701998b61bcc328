/**
 * ROS messages ↔ what the robot reports, each direction beside its inverse. The only place where this translation is
 * defined: replay, recordings and the live node share it. Messages are plain objects with the fields of their .msg
 * file, as CDR decoding and rclnodejs give them; typed arrays may be views. Pictures are borrowed, never copied; numbers
 * are copied. What does not fit is a DataError that names the topic.
 */
import { DataError } from '../../errors.js';
import * as quaternion from '../../math/quaternion.js';
import type {
  CameraImage,
  EndEffectorDelta,
  EndEffectorReading,
  JointReading,
  Pose,
  Quaternion,
  Vec3,
} from '../../types.js';
import type { RosMessage } from './cdr.js';

const NS_PER_S = 1_000_000_000n;
/** 16384 × 16384: beyond any camera, and still an exact product. */
const MAX_SIDE = 16384;
/** Longest instruction or episode name, characters. */
const MAX_TEXT = 10_000;
const MAX_JOINTS = 256;
/** |q|² within this of 1 is kept to the bit; beyond MAX_QUATERNION_ERROR it is no rotation; between, it is normalised. */
const EXACT_QUATERNION = 1e-9;
const MAX_QUATERNION_ERROR = 0.02;

// ── Stamps and headers ──────────────────────────────────────────────────────────────────────────────────────────────

export function stampFromMessage(stamp: unknown, where: string): bigint {
  const { sec, nanosec } = (stamp ?? {}) as { sec?: unknown; nanosec?: unknown };
  if (!isCount(sec, 2 ** 31) || !isCount(nanosec, 1e9))
    throw new DataError(
      `${where}: stamp`,
      `${String(sec)} s ${String(nanosec)} ns`,
      'sec ≥ 0 and nanosec below 1e9',
    );
  return BigInt(sec) * NS_PER_S + BigInt(nanosec);
}

/** builtin_interfaces/Duration → ns; may be negative. */
export function durationFromMessage(duration: unknown): bigint {
  const { sec, nanosec } = duration as { readonly sec: number; readonly nanosec: number };
  return BigInt(sec) * NS_PER_S + BigInt(nanosec);
}

/** @throws DataError for a stamp that builtin_interfaces/Time cannot hold (after 2038). */
export function messageFromStamp(stampNs: bigint): { sec: number; nanosec: number } {
  const sec = stampNs / NS_PER_S;
  if (stampNs < 0n || sec >= 2n ** 31n)
    throw new DataError('stamp', `${stampNs} ns`, '0 s up to 2^31 s');
  return { sec: Number(sec), nanosec: Number(stampNs % NS_PER_S) };
}

function headerFromMessage(
  message: RosMessage,
  where: string,
): { readonly stampNs: bigint; readonly frameId: string } {
  const header = message['header'] as { stamp?: unknown; frame_id?: unknown } | undefined;
  if (typeof header?.frame_id !== 'string')
    throw new DataError(`${where}: header`, String(header?.frame_id), 'a std_msgs/Header');
  return { stampNs: stampFromMessage(header.stamp, where), frameId: header.frame_id };
}

export function messageFromHeader(stampNs: bigint, frameId: string): RosMessage {
  return { stamp: messageFromStamp(stampNs), frame_id: frameId };
}

// ── Pictures ────────────────────────────────────────────────────────────────────────────────────────────────────────

/** sensor_msgs/Image → picture. The pixels are borrowed. */
export function imageFromMessage(message: RosMessage, where: string): CameraImage {
  const { height, width, step, encoding, is_bigendian: bigEndian, data } = message;
  const header = headerFromMessage(message, where);
  if (
    !isCount(height, MAX_SIDE + 1) ||
    !isCount(width, MAX_SIDE + 1) ||
    height === 0 ||
    width === 0
  )
    throw new DataError(
      where,
      `a picture of ${String(height)} × ${String(width)}`,
      `1 … ${MAX_SIDE} a side`,
    );
  const bytes = bytesFrom(data, where);
  if (!isCount(step, 2 ** 32) || step < width || bytes.byteLength < height * step)
    throw new DataError(
      where,
      `${bytes.byteLength} bytes, ${String(step)} per row`,
      `${height} rows of at least ${width} bytes`,
    );
  if (typeof encoding !== 'string' || encoding === '')
    throw new DataError(`${where}: encoding`, String(encoding), 'a name such as rgb8');
  return {
    kind: 'raw',
    ...header,
    height,
    width,
    encoding,
    step,
    isBigEndian: Boolean(bigEndian),
    data: bytes,
  };
}

/** sensor_msgs/CompressedImage → picture. The bytes are borrowed. */
export function compressedImageFromMessage(message: RosMessage, where: string): CameraImage {
  const header = headerFromMessage(message, where);
  const { format, data } = message;
  const bytes = bytesFrom(data, where);
  if (bytes.byteLength === 0) throw new DataError(where, 'an empty picture', 'JPEG or PNG bytes');
  if (typeof format !== 'string')
    throw new DataError(`${where}: format`, String(format), 'a name such as jpeg');
  return { kind: 'compressed', ...header, format, data: bytes };
}

/** The inverse of both: sensor_msgs/Image or sensor_msgs/CompressedImage. The bytes are borrowed. */
export function messageFromImage(image: CameraImage): RosMessage {
  const header = messageFromHeader(image.stampNs, image.frameId);
  if (image.kind === 'compressed') return { header, format: image.format, data: image.data };
  const { height, width, encoding, step, isBigEndian, data } = image;
  return { header, height, width, encoding, is_bigendian: Number(isBigEndian), step, data };
}

// ── Joints ──────────────────────────────────────────────────────────────────────────────────────────────────────────

/** One sensor_msgs/JointState as it came: some of the joints, in any order. */
export interface JointMessage {
  readonly stampNs: bigint;
  readonly names: readonly string[];
  /** Empty where the message reports none; otherwise one per name. Velocity and effort may hold NaN: not reported. */
  readonly position: readonly number[];
  readonly velocity: readonly number[];
  readonly effort: readonly number[];
}

export function jointsFromMessage(message: RosMessage, where: string): JointMessage {
  const { stampNs } = headerFromMessage(message, where);
  const { name } = message;
  if (!Array.isArray(name) || name.length > MAX_JOINTS || !name.every(isText))
    throw new DataError(
      `${where}: name`,
      Array.isArray(name) ? `${name.length} names` : typeof name,
      `at most ${MAX_JOINTS} joint names`,
    );
  if (new Set(name).size !== name.length)
    throw new DataError(`${where}: name`, name.join(', ').slice(0, 200), 'each joint once');
  const column = (field: string): readonly number[] => {
    const values = numbersFrom(message[field], `${where}: ${field}`);
    if (values.length !== 0 && values.length !== name.length)
      throw new DataError(
        `${where}: ${field}`,
        `${values.length} values`,
        `${name.length} or none, one per name`,
      );
    return values;
  };
  return {
    stampNs,
    names: name,
    position: column('position'),
    velocity: column('velocity'),
    effort: column('effort'),
  };
}

export function messageFromJoints(joints: JointReading): RosMessage {
  return {
    header: messageFromHeader(joints.stampNs, ''),
    name: [...joints.names],
    position: [...joints.position],
    velocity: [...(joints.velocity ?? [])],
    effort: [...(joints.effort ?? [])],
  };
}

// ── End effector ────────────────────────────────────────────────────────────────────────────────────────────────────

/** geometry_msgs/PoseStamped or TransformStamped → reading. */
export function endEffectorFromMessage(message: RosMessage, where: string): EndEffectorReading {
  const { pose, transform } = message as Record<string, Record<string, unknown> | undefined>;
  return {
    ...headerFromMessage(message, where),
    pose: {
      translation: vectorFrom(pose?.['position'] ?? transform?.['translation'], where),
      rotation: rotationFrom(pose?.['orientation'] ?? transform?.['rotation'], where),
    },
  };
}

/** geometry_msgs/PoseStamped. */
export function messageFromEndEffector(reading: EndEffectorReading): RosMessage {
  return {
    header: messageFromHeader(reading.stampNs, reading.frameId),
    pose: messageFromPose(reading.pose),
  };
}

export function messageFromPose(pose: Pose): RosMessage {
  const [x, y, z, w] = pose.rotation;
  return { position: messageFromVector(pose.translation), orientation: { x, y, z, w } };
}

export function messageFromVector(v: Vec3): RosMessage {
  return { x: v[0], y: v[1], z: v[2] };
}

function vectorFrom(value: unknown, where: string): Vec3 {
  const { x, y, z } = (value ?? {}) as Record<string, unknown>;
  if (!isFiniteNumber(x) || !isFiniteNumber(y) || !isFiniteNumber(z))
    throw new DataError(`${where}: position`, [x, y, z].map(String).join(' '), 'finite metres');
  return [x, y, z];
}

function rotationFrom(value: unknown, where: string): Quaternion {
  const { x, y, z, w } = (value ?? {}) as Record<string, unknown>;
  const squared =
    isFiniteNumber(x) && isFiniteNumber(y) && isFiniteNumber(z) && isFiniteNumber(w)
      ? x * x + y * y + z * z + w * w
      : NaN;
  if (!(Math.abs(squared - 1) <= MAX_QUATERNION_ERROR))
    throw new DataError(
      `${where}: orientation`,
      [x, y, z, w].map(String).join(' '),
      'a unit quaternion',
    );
  const rotation = [x, y, z, w] as unknown as Quaternion;
  return Math.abs(squared - 1) <= EXACT_QUATERNION ? rotation : quaternion.normalise(rotation);
}

// ── Text and recorded actions ───────────────────────────────────────────────────────────────────────────────────────

/** std_msgs/String: an instruction or the name of an episode. */
export function textFromMessage(message: RosMessage, where: string): string {
  const { data } = message;
  if (typeof data !== 'string' || data.length > MAX_TEXT)
    throw new DataError(
      where,
      typeof data === 'string' ? `${data.length} characters` : typeof data,
      `text of at most ${MAX_TEXT} characters`,
    );
  return data;
}

export function messageFromText(data: string): RosMessage {
  return { data };
}

/** [dx, dy, dz (m), droll, dpitch, dyaw (rad), gripper 0 closed … 1 open], as datasets store an action. */
export type RecordedValues = readonly [number, number, number, number, number, number, number];

/** std_msgs/Float64MultiArray → the seven numbers of a recorded action. */
export function recordedActionFromMessage(message: RosMessage, where: string): RecordedValues {
  const values = numbersFrom(message['data'], where);
  if (values.length !== 7 || !values.every(Number.isFinite))
    throw new DataError(
      where,
      values.length === 7 ? values.join(' ') : `${values.length} values`,
      '7 finite values: dx dy dz droll dpitch dyaw gripper',
    );
  return values as unknown as RecordedValues;
}

export function messageFromRecordedAction(values: RecordedValues): RosMessage {
  const label = 'dx dy dz droll dpitch dyaw gripper';
  return {
    layout: { dim: [{ label, size: values.length, stride: values.length }], data_offset: 0 },
    data: [...values],
  };
}

/** Roll, pitch, yaw (fixed axes) become a rotation vector; the gripper is limited to 0 … 1. */
export function deltaFromRecordedAction(values: RecordedValues): EndEffectorDelta {
  const [x, y, z, roll, pitch, yaw, gripper] = values;
  return {
    translation: [x, y, z],
    rotation: quaternion.toRotationVector(quaternion.fromRpy([roll, pitch, yaw])),
    gripper: Math.min(1, Math.max(0, gripper)),
  };
}

export function recordedActionFromDelta(delta: EndEffectorDelta): RecordedValues {
  const rpy = quaternion.toRpy(quaternion.fromRotationVector(delta.rotation));
  return [...delta.translation, ...rpy, delta.gripper];
}

// ── Fields ──────────────────────────────────────────────────────────────────────────────────────────────────────────

function isFiniteNumber(value: unknown): value is number {
  return typeof value === 'number' && Number.isFinite(value);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

/** A whole number from 0 up to, not including, `end`. */
function isCount(value: unknown, end: number): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value < end;
}

function bytesFrom(value: unknown, where: string): Uint8Array {
  if (!ArrayBuffer.isView(value))
    throw new DataError(`${where}: data`, typeof value, 'a byte array');
  return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
}

function numbersFrom(value: unknown, where: string): readonly number[] {
  if (!Array.isArray(value) && !ArrayBuffer.isView(value))
    throw new DataError(where, typeof value, 'an array of numbers');
  const values = Array.from(value as ArrayLike<unknown>);
  if (!values.every((v): v is number => typeof v === 'number'))
    throw new DataError(where, 'an array of other things', 'an array of numbers');
  return values;
}
