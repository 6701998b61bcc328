import { afterAll, describe, expect, it } from '@jest/globals';
import { readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { openCheckpoint } from '../../src/convert/checkpoint.js';
import {
  openSafetensors,
  writeSafetensors,
  type RawTensor,
} from '../../src/convert/safetensors.js';
import { parseHeader } from '../../src/convert/safetensorsHeader.js';
import { ModelError } from '../../src/errors.js';
import { seededRandom, type Random } from '../../src/math/random.js';
import { temporaryFolder } from '../support/tinyMagma.js';

const temporary = temporaryFolder();
const path = join(temporary.path, 'model.safetensors');

afterAll(() => temporary.remove());

const bytesOf = (array: Float32Array | Uint16Array) => new Uint8Array(array.buffer);
const float32 = (shape: readonly number[], values: readonly number[]): RawTensor => ({
  dtype: 'F32',
  shape,
  data: bytesOf(Float32Array.from(values)),
});
const half = (dtype: 'F16' | 'BF16', bits: readonly number[]): RawTensor => ({
  dtype,
  shape: [bits.length],
  data: bytesOf(Uint16Array.from(bits)),
});

/** Reads one tensor of a file made of `tensors`. */
function readBack(tensors: Record<string, RawTensor>, name: string): number[] {
  writeSafetensors(path, new Map(Object.entries(tensors)));
  const file = openSafetensors(path);
  try {
    return Array.from(file.readFloat32(name));
  } finally {
    file.close();
  }
}

/** A file whose header is `header`, literally, before `dataBytes` zero bytes. */
function writeFile(header: string, dataBytes: number): void {
  const length = Buffer.alloc(8);
  length.writeBigUInt64LE(BigInt(Buffer.byteLength(header)));
  writeFileSync(path, Buffer.concat([length, Buffer.from(header), Buffer.alloc(dataBytes)]));
}

const entry = (begin: number, end: number, shape = [(end - begin) / 4], dtype = 'F32') =>
  JSON.stringify({ dtype, shape, data_offsets: [begin, end] });

describe('a safetensors file', () => {
  it('gives back fp32 as it was written', () => {
    const values = [0, -0, 1.5, -3.25, 1e-40, 3.4e38];
    expect(readBack({ a: float32([2, 3], values) }, 'a')).toEqual(
      Array.from(Float32Array.from(values)),
    );
  });

  it('turns fp16 into the same numbers in fp32', () => {
    const bits = [0x0000, 0x8000, 0x3c00, 0xc000, 0x7bff, 0x0001, 0x03ff, 0x7c00, 0xfc00, 0x3555];
    const values = [0, -0, 1, -2, 65504, 2 ** -24, 1023 * 2 ** -24, Infinity, -Infinity];
    // 0x3555: 2^-2 · (1 + 341/1024).
    expect(readBack({ a: half('F16', bits) }, 'a')).toEqual([...values, 0.333251953125]);
    expect(readBack({ a: half('F16', [0x7e00]) }, 'a')).toEqual([NaN]);
  });

  it('turns bf16 into the same numbers in fp32', () => {
    const bits = [0x3f80, 0xc000, 0x3eab, 0x7f80];
    expect(readBack({ a: half('BF16', bits) }, 'a')).toEqual([1, -2, 0.333984375, Infinity]);
  });

  it('reads one tensor among others, a scalar and an empty one too', () => {
    const tensors = {
      first: float32([2], [1, 2]),
      none: float32([3, 0], []),
      scalar: float32([], [7]),
      last: float32([1, 2], [8, 9]),
    };
    expect(readBack(tensors, 'last')).toEqual([8, 9]);
    expect(readBack(tensors, 'scalar')).toEqual([7]);
    expect(readBack(tensors, 'none')).toEqual([]);
  });

  it('may carry metadata and a name that is a property of every object', () => {
    writeSafetensors(path, new Map([['constructor', float32([1], [4])]]), { format: 'pt' });
    const file = openSafetensors(path);
    expect(Array.from(file.readFloat32('constructor'))).toEqual([4]);
    expect([...file.entries.keys()]).toEqual(['constructor']);
    expect(() => file.readFloat32('toString')).toThrow('toString: got no such tensor');
    file.close();
  });

  it('refuses to read a type that is no floating-point weight', () => {
    writeSafetensors(path, new Map([['ids', { ...float32([1], [1]), dtype: 'I32' }]]));
    const file = openSafetensors(path);
    expect(() => file.readFloat32('ids')).toThrow('ids: got dtype I32, expected F32 | F16 | BF16');
    file.close();
  });
});

describe('a hostile safetensors file', () => {
  it.each<[string, () => void, string]>([
    ['is absent', () => rmSync(path, { force: true }), 'expected a readable safetensors file'],
    ['is empty', () => writeFileSync(path, ''), 'got 0 bytes, expected at least 8'],
    [
      'claims a header of 2^63 bytes',
      () => writeFileSync(path, Buffer.from('0000000000000080aabb', 'hex')),
      'got a header of 9223372036854775808 bytes, expected at most 2',
    ],
    [
      'is what Git leaves where LFS is absent',
      () => writeFileSync(path, 'version https://git-lfs.github.com/spec/v1\noid sha256:0f\n'),
      'got a Git LFS pointer, expected the file it stands for: git lfs pull',
    ],
    ['has a header that is no JSON', () => writeFile('{"a": ', 0), 'expected JSON'],
    ['has a list as header', () => writeFile('[]', 0), 'expected a JSON object'],
    ['has null as header', () => writeFile('null', 0), 'expected a JSON object'],
    [
      'names a tensor twice',
      () => writeFile(`{"a":${entry(0, 8)},"a":${entry(0, 8)}}`, 8),
      'a: got the key twice',
    ],
    [
      'names a tensor twice, once in escapes',
      () => writeFile(`{"a":${entry(0, 8)},"\\u0061":${entry(0, 8)}}`, 8),
      'a: got the key twice',
    ],
    [
      'gives a tensor two types',
      () => writeFile('{"a":{"dtype":"F32","dtype":"F16","shape":[2],"data_offsets":[0,8]}}', 8),
      'dtype: got the key twice',
    ],
    [
      'lets tensors overlap',
      () => writeFile(`{"a":${entry(0, 8)},"b":${entry(4, 12)}}`, 12),
      'b: got data_offsets overlapping [4, 12), expected a start at byte 8',
    ],
    [
      'leaves a hole',
      () => writeFile(`{"a":${entry(0, 8)},"b":${entry(12, 16)}}`, 16),
      'b: got data_offsets leaving a hole before [12, 16), expected a start at byte 8',
    ],
    ['is cut short', () => writeFile(`{"a":${entry(0, 8)}}`, 7), 'a range inside the 7 data bytes'],
    [
      'has more data than tensors',
      () => writeFile(`{"a":${entry(0, 8)}}`, 9),
      'got 9 data bytes, expected 8',
    ],
    [
      'ends before it begins',
      () => writeFile(`{"a":${entry(8, 4, [1])}}`, 8),
      'data_offsets [8, 4)',
    ],
    [
      'has another size than its shape',
      () => writeFile(`{"a":${entry(0, 8, [3])}}`, 8),
      'a: got 8 bytes, expected 12 for F32 [3]',
    ],
    [
      'has a shape whose product is no safe integer',
      () => writeFile(`{"a":${entry(0, 8, [2 ** 52, 2 ** 52])}}`, 8),
      'a: got 8 bytes',
    ],
    ['has a negative extent', () => writeFile(`{"a":${entry(0, 8, [-2])}}`, 8), 'shape [-2]'],
    ['has half an element', () => writeFile(`{"a":${entry(0, 8, [0.5])}}`, 8), 'shape [0.5]'],
    [
      'has a type nobody knows',
      () => writeFile(`{"a":${entry(0, 8, [2], 'F33')}}`, 8),
      'dtype "F33"',
    ],
    [
      'has an inherited name as type',
      () => writeFile(`{"a":${entry(0, 8, [2], 'valueOf')}}`, 8),
      'dtype "valueOf"',
    ],
    [
      'has no offsets',
      () => writeFile('{"a":{"dtype":"F32","shape":[2]}}', 8),
      'data_offsets nothing',
    ],
    ['has a number as tensor', () => writeFile('{"a":4}', 0), 'a: got number, expected an object'],
    [
      'is not UTF-8',
      () => writeFileSync(path, Buffer.from('0200000000000000ff7d', 'hex')),
      'expected UTF-8',
    ],
  ])('that %s is refused by name', (_, write, message) => {
    write();
    let caught: unknown;
    try {
      openSafetensors(path).close();
    } catch (error) {
      caught = error;
    }
    expect(caught).toBeInstanceOf(ModelError);
    expect((caught as ModelError).message).toContain(message);
    expect((caught as ModelError).message).toContain(path);
  });

  it('whose header is longer than any is refused before it is read', () => {
    // A sparse file: nothing but the length is written.
    const length = Buffer.alloc(8);
    length.writeBigUInt64LE(2n ** 24n + 1n);
    writeFileSync(path, length);
    truncateSync(path, 8 + 2 ** 24 + 1);
    expect(() => openSafetensors(path)).toThrow(
      'got a header of 16777217 bytes, expected at most 16777216',
    );
  });

  it('whose header is one long string, or a deep nest, is read or refused like any other', () => {
    const letters = 'x'.repeat(8_000_000) + '\\n'.repeat(3_500_000);
    writeFile(`{"__metadata__":{"a":"${letters}"},"b":${entry(0, 8)}}`, 8);
    const file = openSafetensors(path);
    file.close();
    expect([...file.entries.keys()]).toEqual(['b']);
    const depth = 200_000;
    writeFile(`${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`, 0);
    expect(() => openSafetensors(path)).toThrow('a: got dtype nothing');
  });

  it('never gets past the reader in any other way than a ModelError, whatever bytes are changed', () => {
    const good = new Map([
      ['model.a', float32([2, 3], [1, 2, 3, 4, 5, 6])],
      ['model.b', half('F16', [1, 2, 3])],
    ]);
    writeSafetensors(path, good, { format: 'pt' });
    const original = readFileSync(path);
    const random = seededRandom(11);
    const outcomes = { opened: 0, refused: 0 };
    for (let round = 0; round < 1500; round++) {
      // A new file each time: ext4 flushes one that is cut and written again.
      rmSync(path);
      writeFileSync(path, mutate(original, random));
      try {
        const file = openSafetensors(path);
        for (const { name, dtype, shape } of file.entries.values()) {
          if (!['F32', 'F16', 'BF16'].includes(dtype)) continue;
          const elements = shape.reduce((product, extent) => product * extent, 1);
          expect(file.readFloat32(name)).toHaveLength(elements);
        }
        file.close();
        outcomes.opened++;
      } catch (error) {
        if (!(error instanceof ModelError)) throw error;
        outcomes.refused++;
      }
    }
    expect(outcomes.opened).toBeGreaterThan(50);
    expect(outcomes.refused).toBeGreaterThan(500);
  });
});

/** One to three bytes changed, dropped or repeated, most of them in the header. */
function mutate(original: Buffer, random: Random): Buffer {
  let bytes = Buffer.from(original);
  for (let i = random.integer(3); i >= 0; i--) {
    const at = random.integer(bytes.length);
    switch (random.integer(4)) {
      case 0:
        bytes[at] = random.integer(256);
        break;
      case 1:
        bytes[at] = random.pick([...Buffer.from('0123456789{}[]",:-')]);
        break;
      case 2:
        bytes = bytes.subarray(0, at + 1);
        break;
      default:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(random.integer(at + 1))]);
    }
  }
  return bytes;
}

function accepts(text: string, dataBytes: number): boolean {
  try {
    parseHeader(text, dataBytes, 'header');
    return true;
  } catch (error) {
    if (error instanceof ModelError) return false;
    throw error;
  }
}

describe('a header', () => {
  it('is accepted exactly when its tensors tile the data, judged byte by byte', () => {
    const random = seededRandom(5);
    const outcomes = { tiled: 0, other: 0 };
    for (let round = 0; round < 5000; round++) {
      const dataBytes = random.integer(7);
      const ranges = Array.from({ length: random.integer(4) }, () => {
        const begin = random.integer(6);
        return { begin, end: begin + random.integer(4) };
      });
      const cover = Array.from(
        { length: 12 },
        (_, byte) => ranges.filter(({ begin, end }) => begin <= byte && byte < end).length,
      );
      const tiled = cover.every((count, byte) => count === (byte < dataBytes ? 1 : 0));
      // An empty range lies anywhere between its neighbours, but not inside one of them or behind the data.
      const placed = ranges.every(
        ({ begin, end }) =>
          begin < end ||
          (begin <= dataBytes && !ranges.some((other) => other.begin < begin && begin < other.end)),
      );
      const text = JSON.stringify(
        Object.fromEntries(
          ranges.map(({ begin, end }, i) => [
            `t${i}`,
            { dtype: 'U8', shape: [end - begin], data_offsets: [begin, end] },
          ]),
        ),
      );
      const accepted = accepts(text, dataBytes);
      if (accepted !== (tiled && placed)) {
        throw new Error(`${text} for ${dataBytes} bytes: ${accepted ? 'accepted' : 'refused'}`);
      }
      outcomes[accepted ? 'tiled' : 'other']++;
    }
    expect(outcomes.tiled).toBeGreaterThan(100);
    expect(outcomes.other).toBeGreaterThan(100);
  });
});

describe('a checkpoint', () => {
  const shards = temporaryFolder();
  afterAll(() => shards.remove());
  const shard = (name: string) => join(shards.path, name);
  const writeIndex = (weightMap: Record<string, string>) =>
    writeFileSync(shard('model.safetensors.index.json'), JSON.stringify({ weight_map: weightMap }));
  const one = 'model-00001-of-00002.safetensors';
  const two = 'model-00002-of-00002.safetensors';
  const writeShards = () => {
    writeSafetensors(shard(one), new Map([['a', float32([2], [1, 2])]]));
    writeSafetensors(shard(two), new Map([['b', float32([1, 2], [3, 4])]]));
    writeIndex({ a: one, b: two });
  };

  it('in shards gives each tensor from its file', () => {
    writeShards();
    const checkpoint = openCheckpoint(shards.path);
    expect(Array.from(checkpoint.take('a', [2]))).toEqual([1, 2]);
    expect(Array.from(checkpoint.take('b', [1, 2]))).toEqual([3, 4]);
    expect(() => checkpoint.assertAllTaken([])).not.toThrow();
    checkpoint.close();
  });

  it('says what is missing, misshapen or left over, and leaves out what it may', () => {
    writeShards();
    const checkpoint = openCheckpoint(shards.path);
    expect(() => checkpoint.take('c', [4, 2])).toThrow('c: got no such tensor, expected [4, 2]');
    expect(() => checkpoint.take('b', [2, 1])).toThrow('b: got [1, 2], expected [2, 1]');
    checkpoint.take('a', [2]);
    expect(() => checkpoint.assertAllTaken([])).toThrow(
      `${two}: b: got a tensor this architecture does not have`,
    );
    expect(() => checkpoint.assertAllTaken(['b'])).not.toThrow();
    checkpoint.close();
  });

  it.each([
    [{ a: one, b: one }, `b: got not in ${one}`],
    [{ a: one, b: '../other.safetensors' }, 'a *.safetensors name without a path'],
    [{ a: one, b: 'absent.safetensors' }, 'expected a readable safetensors file'],
  ])('refuses the index %j', (weightMap, message) => {
    writeShards();
    writeIndex(weightMap);
    expect(() => openCheckpoint(shards.path)).toThrow(message);
  });

  it('refuses a tensor that two shards hold', () => {
    writeShards();
    writeSafetensors(
      shard(two),
      new Map([
        ['a', float32([1], [0])],
        ['b', float32([2], [3, 4])],
      ]),
    );
    expect(() => openCheckpoint(shards.path)).toThrow(/a: got also in .*00001-of-00002/);
  });

  it('refuses a folder without weights', () => {
    const empty = temporaryFolder();
    expect(() => openCheckpoint(empty.path)).toThrow(
      'expected model.safetensors, or model.safetensors.index.json and its shards',
    );
    empty.remove();
  });
});
