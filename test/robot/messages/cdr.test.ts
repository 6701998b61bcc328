import { describe, expect, it } from '@jest/globals';
import { MessageReader, MessageWriter } from '@foxglove/rosmsg2-serialization';
import { parse } from '@foxglove/rosmsg';
import { DataError } from '../../../src/errors.js';
import { seededRandom } from '../../../src/math/random.js';
import { decodeCdr, encodeCdr, type RosMessage } from '../../../src/robot/messages/cdr.js';
import { schemaOf, type TypeName } from '../../../src/robot/messages/schemas.js';

const header = { stamp: { sec: 12, nanosec: 345 }, frame_id: 'odd' };

const examples: readonly (readonly [TypeName, RosMessage])[] = [
  [
    'sensor_msgs/JointState',
    { header, name: ['a', 'bcd'], position: [0.1, -2], velocity: [], effort: [1e300, -0] },
  ],
  ['std_msgs/String', { data: 'put the pot on the stove' }],
  [
    'geometry_msgs/PoseStamped',
    {
      header,
      pose: { position: { x: 1, y: 2, z: 3 }, orientation: { x: 0, y: 0, z: 0.6, w: 0.8 } },
    },
  ],
  [
    'std_msgs/Float64MultiArray',
    {
      layout: { dim: [{ label: 'x', size: 2, stride: 2 }], data_offset: 0 },
      data: [Math.PI, 5e-324],
    },
  ],
  [
    'trajectory_msgs/JointTrajectory',
    {
      header,
      joint_names: ['j'],
      points: [
        {
          positions: [1],
          velocities: [2],
          accelerations: [],
          effort: [],
          time_from_start: { sec: 0, nanosec: 20000000 },
        },
      ],
    },
  ],
];

describe('CDR', () => {
  it.each(examples)('writes %s byte for byte as the Foxglove library does', (type, message) => {
    const { layout, text } = schemaOf(type);
    const oracle = new MessageWriter(parse(text, { ros2: true }));
    expect(encodeCdr(layout, message, type)).toEqual(oracle.writeMessage(message));
  });

  it.each(examples)('reads %s as the Foxglove library does', (type, message) => {
    const { layout, text } = schemaOf(type);
    const bytes = encodeCdr(layout, message, type);
    const oracle = new MessageReader(parse(text, { ros2: true })).readMessage(bytes);
    expect(decodeCdr(layout, bytes, type)).toEqual(oracle);
  });

  it('counts UTF-8 bytes in strings: "Würfel" is 7 bytes and a closing zero', () => {
    const { layout } = schemaOf('std_msgs/String');
    const bytes = encodeCdr(layout, { data: 'Würfel' }, 'test');
    expect([...bytes]).toEqual([
      0, 1, 0, 0, 8, 0, 0, 0, 0x57, 0xc3, 0xbc, 0x72, 0x66, 0x65, 0x6c, 0,
    ]);
    expect(decodeCdr(layout, bytes, 'test')).toEqual({ data: 'Würfel' });
  });

  it('reads big-endian messages', () => {
    const { layout } = schemaOf('std_msgs/Float64MultiArray');
    const bytes = new Uint8Array(4 + 4 + 4 + 4 + 4 + 8);
    const view = new DataView(bytes.buffer);
    view.setUint32(12, 1); // no dims, offset 0, then one value, padded to 8
    view.setFloat64(20, -1.5);
    expect(decodeCdr(layout, bytes, 'test')['data']).toEqual(Float64Array.of(-1.5));
  });

  it('reads a message that is a view into a larger buffer, and borrows its byte arrays', () => {
    const { layout } = schemaOf('sensor_msgs/CompressedImage');
    const bytes = encodeCdr(layout, { header, format: 'jpeg', data: Uint8Array.of(7, 8) }, 'test');
    const larger = new Uint8Array(bytes.byteLength + 6);
    larger.set(bytes, 3);
    const view = larger.subarray(3, 3 + bytes.byteLength);
    const data = decodeCdr(layout, view, 'test')['data'] as Uint8Array;
    expect([...data]).toEqual([7, 8]);
    expect(data.buffer).toBe(larger.buffer);
  });

  it.each([
    ['a string', 'std_msgs/String', [0, 1, 0, 0, 255, 255, 255, 255]],
    [
      'an array of numbers',
      'std_msgs/Float64MultiArray',
      [0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 255, 127],
    ],
    [
      'an array of strings',
      'sensor_msgs/JointState',
      [0, 1, 0, 0, ...new Array<number>(12).fill(0), 255, 255, 255, 255],
    ],
    ['an array of messages', 'std_msgs/Float64MultiArray', [0, 1, 0, 0, 255, 255, 255, 255]],
  ] as const)('refuses %s that claims 4 billion elements, without allocating', (_, type, bytes) => {
    const before = process.memoryUsage();
    expect(() => decodeCdr(schemaOf(type).layout, Uint8Array.from(bytes), 'topic /x')).toThrow(
      DataError,
    );
    const after = process.memoryUsage();
    expect(after.arrayBuffers - before.arrayBuffers).toBeLessThan(1e6);
  });

  it('refuses other representations, text that is no UTF-8, and bytes left over', () => {
    const { layout } = schemaOf('std_msgs/String');
    const decode =
      (...bytes: number[]) =>
      () =>
        decodeCdr(layout, Uint8Array.from(bytes), '/x');
    expect(decode(0, 3, 0, 0, 0, 0, 0, 0)).toThrow('/x: got encapsulation 0 3');
    expect(decode(0, 1)).toThrow('got 2 bytes');
    expect(decode(0, 1, 0, 0, 2, 0, 0, 0, 0xff, 0)).toThrow('no UTF-8');
    expect(decode(0, 1, 0, 0, 2, 0, 0, 0, 65, 66)).toThrow('closing 0');
    expect(decode(0, 1, 0, 0, 0, 0, 0, 0, ...new Array<number>(8).fill(1))).toThrow(
      '8 bytes after the last field',
    );
  });

  it('names a missing field instead of filling it in', () => {
    const { layout } = schemaOf('sensor_msgs/CompressedImage');
    expect(() => encodeCdr(layout, { header, data: new Uint8Array(0) }, '/x')).toThrow(
      '/x: format: got undefined, expected string',
    );
  });

  it('survives 20000 mutated messages: a value or a DataError', () => {
    const random = seededRandom(5);
    let refused = 0;
    for (let i = 0; i < 20000; i++) {
      const [type, message] = examples[i % examples.length]!;
      const { layout } = schemaOf(type);
      const bytes = encodeCdr(layout, message, type);
      for (let k = 0; k <= random.integer(4); k++)
        bytes[random.integer(bytes.length)] = random.integer(256);
      const cut = bytes.subarray(
        0,
        random.integer(4) ? bytes.length : random.integer(bytes.length),
      );
      try {
        decodeCdr(layout, cut, type);
      } catch (error) {
        if (!(error instanceof DataError)) throw error;
        refused += 1;
      }
    }
    expect(refused).toBeGreaterThan(2000);
  });
});
