import { expect, test } from '@jest/globals';
import type { RclField } from '../../../src/robot/ros/library.js';
import { outgoing } from '../../../src/robot/ros/nativeMessages.js';

const field = (name: string, type: string, more: Partial<RclField['type']> = {}): RclField => ({
  name,
  type: {
    type,
    pkgName: null,
    isArray: false,
    isPrimitiveType: true,
    isFixedSizeArray: false,
    arraySize: null,
    ...more,
  },
});
const point = [field('x', 'float64'), field('y', 'float64')];
const fields = [
  field('flag', 'bool'),
  field('text', 'string'),
  field('small', 'uint8'),
  field('big', 'int64'),
  field('bytes', 'uint8', { isArray: true }),
  field('floats', 'float32', { isArray: true }),
  field('three', 'float64', { isArray: true, isFixedSizeArray: true, arraySize: 3 }),
  field('points', 'Point', { isArray: true, isPrimitiveType: false, pkgName: 'geometry_msgs' }),
  field('point', 'Point', { isPrimitiveType: false, pkgName: 'geometry_msgs' }),
];
const out = (message: Record<string, unknown>) =>
  outgoing(
    message,
    fields,
    (type) => {
      expect(type).toBe('geometry_msgs/msg/Point');
      return point;
    },
    'topic /x',
  );

test('what fits goes through; fields may be left out', () => {
  const message = { flag: true, text: 'ä', small: 255, point: { x: 1 }, points: [{ y: NaN }] };
  expect(out(message)).toEqual(message);
  expect(out({})).toEqual({});
});

test('typed arrays are converted by value, bytes copied to memory of their own', () => {
  const view = new Uint8Array([0, 1, 2, 3]).subarray(1, 3);
  const { bytes, floats } = out({ bytes: view, floats: new Float64Array([1.5, 2]) });
  expect(bytes).toEqual(new Uint8Array([1, 2]));
  expect((bytes as Uint8Array).byteOffset).toBe(0);
  expect(floats).toEqual([1.5, 2]);
});

test('64-bit integers become bigints', () => {
  expect(out({ big: -5 })).toEqual({ big: -5n });
  expect(out({ big: 2n ** 60n })).toEqual({ big: 2n ** 60n });
});

test.each([
  [{ nothing: 1 }, 'topic /x: nothing: got a field the type does not have'],
  [{ flag: 1 }, 'topic /x: flag: got 1, expected bool'],
  [{ text: 5 }, 'topic /x: text: got 5, expected string'],
  [{ small: 256 }, 'topic /x: small: got 256, expected uint8'],
  [{ small: -1 }, 'topic /x: small: got -1, expected uint8'],
  [{ small: 1.5 }, 'topic /x: small: got 1.5, expected uint8'],
  [{ small: NaN }, 'topic /x: small: got NaN, expected uint8'],
  [{ big: 0.5 }, 'topic /x: big: got 0.5, expected int64'],
  [{ floats: 'abc' }, 'topic /x: floats: got abc, expected float32[]'],
  [{ floats: [1, '2'] }, 'topic /x: floats: got 2, expected float32'],
  [{ three: [1, 2] }, 'topic /x: three: got 2 elements, expected 3'],
  [{ point: null }, 'topic /x: point: got null, expected geometry_msgs/Point'],
  [{ point: { z: 1 } }, 'topic /x: point: z: got a field the type does not have'],
  [{ points: [{ x: '1' }] }, 'topic /x: points: x: got 1, expected float64'],
])('%j is refused', (message, why) => {
  expect(() => out(message)).toThrow(why);
});
