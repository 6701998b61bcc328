/**
 * What a prediction was made of, as bytes that are the same wherever the same was seen: live, in a replay, rebuilt from
 * a bag. The episode's number is left out: it counts from the start of a process.
 *
 * Layout. Integers and floats are little-endian; `text` is its length in bytes (uint32) and UTF-8; `list` is a count
 * (uint32) and the elements; `optional list` is a byte 0, or a byte 1 and the list.
 *
 *   picture, raw         uint8 1, int64 stamp (ns), text frame, uint32 height, uint32 width, text encoding,
 *                        uint32 step, uint8 isBigEndian, uint32 length, the bytes
 *   picture, compressed  uint8 2, int64 stamp, text frame, text format, uint32 length, the bytes
 *   joints               uint8 3, int64 stamp, list of text names, list of float64 position (rad),
 *                        optional list of float64 velocity (rad/s), optional list of float64 effort (N·m)
 *   end_effector         uint8 4, int64 stamp, text frame, 3 float64 translation (m), 4 float64 rotation x y z w
 *   gripper              uint8 5, int64 stamp, float64 opening (0 closed … 1 open)
 *   observation          text `magma_vla observation 1`, int64 stamp, text instruction, uint32 number of inputs, and per
 *                        input: text name, the 32 bytes of the input's SHA-256
 *
 * Inputs are those that are present: cameras by rising name (UTF-16 order), then joints, end_effector, gripper. Hashing
 * each input by itself tells which of them differs where an observation does.
 */
import { createHash, webcrypto } from 'node:crypto';
import type {
  CameraImage,
  EndEffectorReading,
  GripperReading,
  JointReading,
  Observation,
} from '../../types.js';

/** Names of the inputs that are no cameras. */
export const inputNames = {
  joints: 'joints',
  endEffector: 'end_effector',
  gripper: 'gripper',
} as const;

export interface SeenInput {
  /** A camera as robot.yaml names it, or one of `inputNames`. */
  readonly name: string;
  readonly stampNs: bigint;
  /** 32 bytes; null where not computed. */
  readonly sha256: Uint8Array | null;
}

/** What a prediction was made of, small enough to be kept with it. */
export interface Seen {
  readonly instruction: string;
  /** In the order of the layout. */
  readonly inputs: readonly SeenInput[];
  /** Of the observation, 32 bytes; null where not computed. */
  readonly sha256: Uint8Array | null;
}

/** Nothing is known of what was seen. */
export const nothingSeen: Seen = { instruction: '', inputs: [], sha256: null };

/** Names and stamps, without hashes: costs nothing. */
export function seenFrom(observation: Observation): Seen {
  const inputs = inputsOf(observation).map(({ name, reading }) => {
    return { name, stampNs: reading.stampNs, sha256: null };
  });
  return { instruction: observation.instruction, inputs, sha256: null };
}

/** As seenFrom, with the hashes: reads every byte of every picture. */
export function hashedFrom(observation: Observation): Seen {
  const inputs = inputsOf(observation).map(({ name, reading, bytes }) => {
    const hash = createHash('sha256');
    for (const piece of bytes()) hash.update(piece);
    return { name, stampNs: reading.stampNs, sha256: digestOf(hash) };
  });
  return hashedWhole(observation, inputs);
}

/** The same, on another thread: here each picture is only copied. For where a control loop must not wait. */
export async function hashedAside(observation: Observation): Promise<Seen> {
  const inputs = inputsOf(observation).map(async ({ name, reading, bytes }) => {
    const digest = await webcrypto.subtle.digest('SHA-256', Buffer.concat([...bytes()]));
    return { name, stampNs: reading.stampNs, sha256: new Uint8Array(digest) };
  });
  return hashedWhole(observation, await Promise.all(inputs));
}

function hashedWhole(
  { stampNs, instruction }: Observation,
  inputs: readonly (SeenInput & { readonly sha256: Uint8Array })[],
): Seen {
  const whole = createHash('sha256');
  whole.update(text('magma_vla observation 1'));
  whole.update(int64(stampNs));
  whole.update(text(instruction));
  whole.update(uint32(inputs.length));
  for (const { name, sha256 } of inputs) whole.update(text(name)).update(sha256);
  return { instruction, inputs, sha256: digestOf(whole) };
}

/** SHA-256 of the observation's bytes: 32 bytes. */
export function observationHash(observation: Observation): Uint8Array {
  return hashedFrom(observation).sha256!;
}

interface Input {
  readonly name: string;
  readonly reading: { readonly stampNs: bigint };
  readonly bytes: () => Generator<Uint8Array>;
}

function inputsOf({ images, joints, endEffector, gripper }: Observation): readonly Input[] {
  const cameras = Object.keys(images).sort((a, b) => (a < b ? -1 : 1));
  const inputs: Input[] = cameras.map((name) => {
    const image = images[name]!;
    return { name, reading: image, bytes: () => imageBytes(image) };
  });
  const { joints: j, endEffector: e, gripper: g } = inputNames;
  if (joints) inputs.push({ name: j, reading: joints, bytes: () => jointBytes(joints) });
  if (endEffector)
    inputs.push({ name: e, reading: endEffector, bytes: () => endEffectorBytes(endEffector) });
  if (gripper) inputs.push({ name: g, reading: gripper, bytes: () => gripperBytes(gripper) });
  return inputs;
}

function* imageBytes(image: CameraImage): Generator<Uint8Array> {
  const { stampNs, frameId, data } = image;
  yield uint8(image.kind === 'raw' ? 1 : 2);
  yield int64(stampNs);
  yield text(frameId);
  if (image.kind === 'raw') {
    const { height, width, encoding, step, isBigEndian } = image;
    yield uint32(height, width);
    yield text(encoding);
    yield uint32(step);
    yield uint8(Number(isBigEndian));
  } else yield text(image.format);
  yield uint32(data.byteLength);
  yield data;
}

function* jointBytes({
  stampNs,
  names,
  position,
  velocity,
  effort,
}: JointReading): Generator<Uint8Array> {
  yield uint8(3);
  yield int64(stampNs);
  yield uint32(names.length);
  for (const name of names) yield text(name);
  yield uint32(position.length);
  yield float64(position);
  for (const values of [velocity, effort]) {
    yield uint8(values ? 1 : 0);
    if (!values) continue;
    yield uint32(values.length);
    yield float64(values);
  }
}

function* endEffectorBytes(reading: EndEffectorReading): Generator<Uint8Array> {
  yield uint8(4);
  yield int64(reading.stampNs);
  yield text(reading.frameId);
  yield float64([...reading.pose.translation, ...reading.pose.rotation]);
}

function* gripperBytes({ stampNs, opening }: GripperReading): Generator<Uint8Array> {
  yield uint8(5);
  yield int64(stampNs);
  yield float64([opening]);
}

// ── Fields ──────────────────────────────────────────────────────────────────────────────────────────────────────────

const utf8 = new TextEncoder();

function digestOf(hash: ReturnType<typeof createHash>): Uint8Array {
  return new Uint8Array(hash.digest());
}

function uint8(value: number): Uint8Array {
  return Uint8Array.of(value);
}

function uint32(...values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(4 * values.length));
  values.forEach((value, i) => view.setUint32(4 * i, value, true));
  return new Uint8Array(view.buffer);
}

function int64(value: bigint): Uint8Array {
  const view = new DataView(new ArrayBuffer(8));
  view.setBigInt64(0, value, true);
  return new Uint8Array(view.buffer);
}

function float64(values: readonly number[]): Uint8Array {
  const view = new DataView(new ArrayBuffer(8 * values.length));
  values.forEach((value, i) => view.setFloat64(8 * i, value, true));
  return new Uint8Array(view.buffer);
}

function text(value: string): Uint8Array {
  const bytes = utf8.encode(value);
  const result = new Uint8Array(4 + bytes.byteLength);
  result.set(uint32(bytes.byteLength));
  result.set(bytes, 4);
  return result;
}
