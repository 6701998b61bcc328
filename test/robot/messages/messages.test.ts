import { describe, expect, it } from '@jest/globals';
import { DataError } from '../../../src/errors.js';
import * as quaternion from '../../../src/math/quaternion.js';
import {
  compressedImageFromMessage,
  deltaFromRecordedAction,
  endEffectorFromMessage,
  imageFromMessage,
  jointsFromMessage,
  messageFromEndEffector,
  messageFromImage,
  messageFromRecordedAction,
  messageFromStamp,
  recordedActionFromDelta,
  recordedActionFromMessage,
  stampFromMessage,
  textFromMessage,
} from '../../../src/robot/messages/messages.js';

const header = { stamp: { sec: 3, nanosec: 5 }, frame_id: 'cam' };
const image = {
  header,
  height: 2,
  width: 3,
  encoding: 'mono8',
  is_bigendian: 0,
  step: 4,
  data: new Uint8Array(8),
};
const joints = { header, name: ['a', 'b'], position: [1, 2], velocity: [], effort: [] };
const pose = (x: number, y: number, z: number, w: number) => ({
  header,
  pose: { position: { x: 1, y: 2, z: 3 }, orientation: { x, y, z, w } },
});

describe('stamps', () => {
  it('are whole nanoseconds in both directions', () => {
    expect(stampFromMessage({ sec: 1600000057, nanosec: 800000001 }, '')).toBe(
      1600000057800000001n,
    );
    expect(messageFromStamp(1600000057800000001n)).toEqual({ sec: 1600000057, nanosec: 800000001 });
  });

  it('are refused where builtin_interfaces/Time cannot hold them', () => {
    expect(() => stampFromMessage({ sec: -1, nanosec: 0 }, '/x')).toThrow('/x: stamp: got -1 s');
    expect(() => stampFromMessage({ sec: 1, nanosec: 1e9 }, '/x')).toThrow(DataError);
    expect(() => stampFromMessage(undefined, '/x')).toThrow(DataError);
    expect(() => messageFromStamp(1n << 62n)).toThrow(DataError);
  });
});

describe('pictures', () => {
  it('come with row padding, and borrow their pixels', () => {
    const read = imageFromMessage(image, '/x');
    expect(read).toEqual({
      kind: 'raw',
      stampNs: 3000000005n,
      frameId: 'cam',
      height: 2,
      width: 3,
      encoding: 'mono8',
      step: 4,
      isBigEndian: false,
      data: new Uint8Array(8),
    });
    expect(read.data.buffer).toBe(image.data.buffer);
    expect(messageFromImage(read)).toEqual(image);
  });

  it('may be views with an offset', () => {
    const larger = Uint8Array.from({ length: 12 }, (_, i) => i);
    const read = imageFromMessage({ ...image, data: larger.subarray(3, 11) }, '/x');
    expect([...read.data]).toEqual([3, 4, 5, 6, 7, 8, 9, 10]);
  });

  it.each([
    ['no height', { height: 0 }],
    ['a huge width', { width: 4_000_000_000 }],
    ['a fractional height', { height: 1.5 }],
    ['fewer bytes than rows', { data: new Uint8Array(7) }],
    ['rows shorter than the picture', { step: 2 }],
    ['no encoding', { encoding: '' }],
    ['no data', { data: undefined }],
    ['no header', { header: undefined }],
  ])('with %s are refused by topic', (_, wrong) => {
    expect(() => imageFromMessage({ ...image, ...wrong }, 'topic /x')).toThrow(/^topic \/x/);
    expect(() => imageFromMessage({ ...image, ...wrong }, 'topic /x')).toThrow(DataError);
  });

  it('that are compressed keep format and bytes; empty ones are refused', () => {
    const message = { header, format: 'rgb8; jpeg compressed bgr8', data: Uint8Array.of(255, 216) };
    const read = compressedImageFromMessage(message, '/x');
    expect(read).toMatchObject({ kind: 'compressed', format: message.format });
    expect(messageFromImage(read)).toEqual(message);
    const none = { ...message, data: new Uint8Array(0) };
    expect(() => compressedImageFromMessage(none, '/x')).toThrow('/x: got an empty picture');
  });
});

describe('joint states', () => {
  it('are copied out of typed arrays', () => {
    const position = Float64Array.of(1, 2);
    const read = jointsFromMessage({ ...joints, position }, '/x');
    position[0] = 9;
    expect(read).toEqual({
      stampNs: 3000000005n,
      names: ['a', 'b'],
      position: [1, 2],
      velocity: [],
      effort: [],
    });
  });

  it.each([
    ['more positions than names', { position: [1, 2, 3] }],
    ['fewer velocities than names', { velocity: [1] }],
    ['a name twice', { name: ['a', 'a'] }],
    ['a thousand names', { name: Array.from({ length: 1000 }, (_, i) => `j${i}`) }],
    ['names that are no text', { name: [1, 2] }],
    ['no position field', { position: undefined }],
  ])('with %s are refused by topic', (_, wrong) => {
    expect(() => jointsFromMessage({ ...joints, ...wrong }, 'topic /x')).toThrow(/^topic \/x/);
  });
});

describe('end-effector poses', () => {
  it('come from PoseStamped and from TransformStamped alike', () => {
    const rotation = { x: 0, y: 0, z: 0.6, w: 0.8 };
    const transform = { translation: { x: 1, y: 2, z: 3 }, rotation };
    const fromPose = endEffectorFromMessage(pose(0, 0, 0.6, 0.8), '/x');
    expect(endEffectorFromMessage({ header, transform }, '/x')).toEqual(fromPose);
    expect(messageFromEndEffector(fromPose)).toEqual(pose(0, 0, 0.6, 0.8));
  });

  it('keep a unit quaternion to the bit, and normalise one of single precision', () => {
    const exact = quaternion.fromRpy([0.3, -0.7, 2.1]);
    expect(endEffectorFromMessage(pose(...exact), '/x').pose.rotation).toEqual(exact);
    const single = exact.map(Math.fround) as unknown as typeof exact;
    const read = endEffectorFromMessage(pose(...single), '/x').pose.rotation;
    expect(Math.hypot(...read)).toBeCloseTo(1, 15);
    expect(endEffectorFromMessage(pose(...read), '/x').pose.rotation).toEqual(read);
  });

  it('with a quaternion that is no rotation, or a position that is not finite, are refused', () => {
    expect(() => endEffectorFromMessage(pose(0, 0, 0, 0), '/x')).toThrow('/x: orientation');
    expect(() => endEffectorFromMessage(pose(NaN, 0, 0, 1), '/x')).toThrow('/x: orientation');
    expect(() => endEffectorFromMessage(pose(0, 0, 0, 2), '/x')).toThrow('/x: orientation');
    const nowhere = { header, pose: { position: { x: Infinity, y: 0, z: 0 } } };
    expect(() => endEffectorFromMessage(nowhere, '/x')).toThrow('/x: position: got Infinity 0 0');
  });
});

describe('recorded actions', () => {
  it('are seven numbers; roll, pitch, yaw become a rotation vector and come back', () => {
    const values = [0.01, -0.02, 0.03, 0.1, -0.2, 0.25, 1] as const;
    expect(recordedActionFromMessage(messageFromRecordedAction(values), '/x')).toEqual(values);
    const delta = deltaFromRecordedAction(values);
    expect(delta.translation).toEqual([0.01, -0.02, 0.03]);
    const back = recordedActionFromDelta(delta);
    values.forEach((value, i) => expect(back[i]).toBeCloseTo(value, 14));
  });

  it('about one axis are that axis times the angle', () => {
    expect(deltaFromRecordedAction([0, 0, 0, 0, 0, 0.2, 1.3])).toEqual({
      translation: [0, 0, 0],
      rotation: [0, 0, expect.closeTo(0.2, 15)],
      gripper: 1,
    });
  });

  it('of other lengths, or with NaN, are refused by topic', () => {
    expect(() => recordedActionFromMessage({ data: [1, 2] }, '/x')).toThrow('/x: got 2 values');
    expect(() => recordedActionFromMessage({ data: [0, 0, 0, 0, 0, NaN, 0] }, '/x')).toThrow(
      'got 0 0 0 0 0 NaN 0',
    );
  });
});

describe('text', () => {
  it('is bounded', () => {
    expect(textFromMessage({ data: 'pick' }, '/x')).toBe('pick');
    expect(() => textFromMessage({ data: 'x'.repeat(10_001) }, '/x')).toThrow('10001 characters');
    expect(() => textFromMessage({}, '/x')).toThrow(DataError);
  });
});
