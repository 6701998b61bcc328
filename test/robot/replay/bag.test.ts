import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import zstd from '@foxglove/wasm-zstd';
import { DataError } from '../../../src/errors.js';
import { Bag } from '../../../src/robot/replay/bag.js';
import { decodeCdr } from '../../../src/robot/messages/cdr.js';
import { layoutOf } from '../../../src/robot/messages/schemas.js';
import {
  inFolder,
  mcapBytes,
  ns,
  picture,
  text,
  writeBag,
  type BagShape,
  type TestMessage,
} from './bags.js';

/** Every text of a bag, in the order it came. */
async function texts(path: string, topics: readonly string[] = ['/a', '/b']): Promise<string[]> {
  const bag = await Bag.open(path);
  const read: string[] = [];
  try {
    for await (const { topic, data } of bag.messages(new Set(topics)))
      read.push(String(decodeCdr(layoutOf(bag.topics.get(topic)!), data, topic)['data']));
  } finally {
    await bag.close();
  }
  return read;
}

const series = (topic: string, from: number, to: number, step: number): TestMessage[] => {
  const count = Math.round((to - from) / step);
  return Array.from({ length: count }, (_, i) =>
    text(topic, from + i * step, `${topic} ${(from + i * step).toFixed(1)}`),
  );
};

describe('a bag', () => {
  const shapes: readonly (readonly [string, BagShape])[] = [
    ['in one chunk', {}],
    ['in many chunks', { chunkSize: 100 }],
    ['with zstd chunks', { compression: 'zstd', chunkSize: 300 }],
    ['with lz4 chunks', { compression: 'lz4', chunkSize: 300 }],
    ['without chunks', { useChunks: false }],
    ['with messages compressed one by one', { compressMessages: true }],
    ['compressed twice over', { compressMessages: true, compression: 'zstd' }],
  ];
  const messages = series('/a', 0, 10, 0.1);

  it.each(shapes)('%s gives every message', async (_, shape) => {
    await inFolder(async (folder) => {
      const path = await writeBag(join(folder, 'x.mcap'), messages, shape);
      expect(await texts(path)).toEqual(messages.map((m) => m.message['data']));
      const bag = await Bag.open(path);
      expect(bag.counts).toEqual(new Map([['/a', 100]]));
      expect([bag.startNs, bag.endNs]).toEqual([0n, ns(9.9)]);
      expect(bag.warnings).toEqual([]);
      await bag.close();
    });
  });

  it('whose whole file is compressed gives every message', async () => {
    await inFolder(async (folder) => {
      const bytes = await mcapBytes(messages, { chunkSize: 200 });
      const path = join(folder, 'x.mcap.zstd');
      writeFileSync(path, zstd.compress(bytes, 1));
      expect(await texts(path)).toEqual(messages.map((m) => m.message['data']));
    });
  });

  it('whose whole file is a zstd stream of undeclared size, as rosbag2 writes it, gives every message', async () => {
    await inFolder(async (folder) => {
      const bytes = await mcapBytes(messages, { chunkSize: 200 });
      const path = join(folder, 'x.mcap.zstd');
      // RFC 8878: no content size, a window of 2 MiB; raw blocks of at most 128 KiB.
      const parts: Uint8Array[] = [Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0x58)];
      for (let at = 0; at < bytes.length; at += 100_000) {
        const block = bytes.subarray(at, at + 100_000);
        const header = (block.length << 3) | Number(at + block.length === bytes.length);
        parts.push(Uint8Array.of(header & 255, (header >> 8) & 255, header >> 16), block);
      }
      writeFileSync(path, Buffer.concat(parts));
      expect(await texts(path)).toEqual(messages.map((m) => m.message['data']));
    });
  });

  it('gives messages in log-time order, whatever their order in chunks and between chunks', async () => {
    await inFolder(async (folder) => {
      const late = series('/a', 5, 8, 0.1);
      const early = series('/b', 0, 6, 0.1).reverse();
      const path = await writeBag(join(folder, 'x.mcap'), [...late, ...early], { chunkSize: 500 });
      const times = (await texts(path)).map((t) => Number(t.split(' ')[1]));
      expect(times).toHaveLength(90);
      expect(times).toEqual([...times].sort((a, b) => a - b));
    });
  });

  it('leaves out what was not asked for', async () => {
    await inFolder(async (folder) => {
      const both = [...series('/a', 0, 1, 0.1), ...series('/b', 0, 1, 0.1)];
      const path = await writeBag(join(folder, 'x.mcap'), both);
      expect(await texts(path, ['/b'])).toHaveLength(10);
      expect(await texts(path, ['/c'])).toEqual([]);
    });
  });

  it('of one log time comes by rank, then as it was written', async () => {
    await inFolder(async (folder) => {
      const same = [text('/b', 1, 'b1'), text('/a', 1, 'a1'), text('/b', 1, 'b2')];
      const path = await writeBag(join(folder, 'x.mcap'), same, { chunkSize: 1 });
      expect(await texts(path)).toEqual(['b1', 'a1', 'b2']);
      const bag = await Bag.open(path);
      const ranked: string[] = [];
      for await (const { topic } of bag.messages(new Set(['/a', '/b']), (t) => +(t === '/b')))
        ranked.push(topic);
      expect(ranked).toEqual(['/a', '/b', '/b']);
      await bag.close();
    });
  });
});

describe('a bag folder', () => {
  const metadata = (files: readonly string[], storage = 'mcap'): string =>
    `rosbag2_bagfile_information:\n  version: 9\n  storage_identifier: ${storage}\n` +
    `  relative_file_paths:\n${files.map((f) => `    - ${f}\n`).join('')}`;

  async function folderBag(folder: string): Promise<void> {
    await writeBag(join(folder, 'x_0.mcap'), series('/a', 0, 2, 0.1));
    const second = await mcapBytes(series('/a', 1.5, 3.5, 0.1));
    writeFileSync(join(folder, 'x_1.mcap.zstd'), zstd.compress(second, 1));
  }

  it('is the files its metadata lists, merged by time', async () => {
    await inFolder(async (folder) => {
      await folderBag(folder);
      await writeBag(join(folder, 'unlisted.mcap'), series('/a', 0, 5, 0.1));
      writeFileSync(join(folder, 'metadata.yaml'), metadata(['x_0.mcap', 'x_1.mcap.zstd']));
      const read = await texts(folder);
      expect(read).toHaveLength(20 + 20);
      expect(read.slice(14, 18)).toEqual(['/a 1.4', '/a 1.5', '/a 1.5', '/a 1.6']);
    });
  });

  it('without metadata is all its MCAP files', async () => {
    await inFolder(async (folder) => {
      await folderBag(folder);
      expect(await texts(folder)).toHaveLength(40);
    });
  });

  it('is refused where its metadata leads out of it, or is no metadata', async () => {
    await inFolder(async (folder) => {
      const refused = async (text: string): Promise<string> => {
        writeFileSync(join(folder, 'metadata.yaml'), text);
        return Bag.open(folder).then(
          () => 'opened',
          (error: unknown) => (error instanceof DataError ? error.message : String(error)),
        );
      };
      expect(await refused(metadata(['../x.mcap']))).toContain('got file ../x.mcap');
      expect(await refused(metadata(['/etc/hosts']))).toContain('got file /etc/hosts');
      expect(await refused('a: [')).toContain('expected YAML of rosbag2');
      expect(await refused('just text')).toContain('got storage undefined');
      expect(await refused(metadata([], 'mcap'))).toContain('relative_file_paths');
      expect(await refused(metadata(['missing.mcap']))).toContain('missing.mcap');
      expect(await refused(metadata(['x.db3'], 'sqlite3'))).toContain('not read yet');
    });
  });

  it('in sqlite3 storage is refused by name, as folder and as file', async () => {
    await inFolder(async (folder) => {
      const file = join(folder, 'x.db3');
      writeFileSync(file, 'SQLite format 3\0 and so on');
      await expect(Bag.open(file)).rejects.toThrow('sqlite3 is not read yet');
      await expect(Bag.open(folder)).rejects.toThrow('sqlite3 is not read yet');
    });
  });

  it('that is empty or absent is refused', async () => {
    await inFolder(async (folder) => {
      mkdirSync(join(folder, 'empty'));
      await expect(Bag.open(join(folder, 'empty'))).rejects.toThrow('no .mcap file');
      await expect(Bag.open(join(folder, 'absent'))).rejects.toThrow(DataError);
    });
  });
});

describe('a bag that was cut off', () => {
  const messages = [...series('/a', 0, 10, 0.1)];

  const cut: readonly (readonly [string, BagShape])[] = [
    ['in chunks', { chunkSize: 200, compression: 'zstd' }],
    ['loose', { useChunks: false }],
  ];

  it.each(cut)('%s gives what is whole, in order, and says how much that is', async (_, shape) => {
    await inFolder(async (folder) => {
      const bytes = await mcapBytes(messages, shape);
      const path = join(folder, 'x.mcap');
      let last = -1;
      for (const part of [0.1, 0.3, 0.5, 0.7]) {
        writeFileSync(path, bytes.subarray(0, Math.floor(bytes.length * part)));
        const bag = await Bag.open(path);
        await bag.close();
        const read = await texts(path);
        expect(bag.warnings).toHaveLength(1);
        expect(bag.warnings[0]!.message).toContain(
          `${read.length} messages read: got a bag that was cut off`,
        );
        expect(read).toEqual(messages.slice(0, read.length).map((m) => m.message['data']));
        expect(read.length).toBeGreaterThan(last);
        last = read.length;
      }
      expect(last).toBeGreaterThan(20);
    });
  });

  it('just before its closing magic is read whole, with a warning', async () => {
    await inFolder(async (folder) => {
      const bytes = await mcapBytes(messages);
      const path = join(folder, 'x.mcap');
      writeFileSync(path, bytes.subarray(0, bytes.length - 1));
      expect(await texts(path)).toHaveLength(100);
      const bag = await Bag.open(path);
      expect(bag.warnings.map((w) => w.got)).toEqual(['a bag that was cut off']);
      await bag.close();
    });
  });

  it('inside a compressed file is refused', async () => {
    await inFolder(async (folder) => {
      const whole = zstd.compress(await mcapBytes(messages), 1);
      const path = join(folder, 'x.mcap.zstd');
      writeFileSync(path, whole.subarray(0, whole.length / 2));
      await expect(Bag.open(path)).rejects.toThrow(DataError);
    });
  });
});

describe('the schema of a topic', () => {
  it('in ros2idl is refused and says so', async () => {
    await inFolder(async (folder) => {
      const path = await writeBag(join(folder, 'x.mcap'), [picture(0, 1)], {
        schemaEncoding: 'ros2idl',
      });
      const bag = await Bag.open(path);
      expect(() => layoutOf(bag.topics.get('/front/image_raw')!)).toThrow(
        'topic /front/image_raw: got schema encoding ros2idl, expected ros2msg',
      );
      await bag.close();
    });
  });

  it('that differs from the type it names is refused', () => {
    const schema = (definition: string): Parameters<typeof layoutOf>[0] => ({
      topic: '/t',
      type: 'std_msgs/msg/String',
      messageEncoding: 'cdr',
      schemaEncoding: 'ros2msg',
      schema: new TextEncoder().encode(definition),
    });
    expect(layoutOf(schema('# a comment\nstring data')).root[0]!.name).toBe('data');
    expect(() => layoutOf(schema('string text'))).toThrow('whose fields differ');
    expect(() => layoutOf(schema('string[] data'))).toThrow('whose fields differ');
    expect(() => layoutOf(schema('string data\nint8 more'))).toThrow('whose fields differ');
    expect(() => layoutOf(schema('}{'))).toThrow('cannot be parsed');
    expect(() => layoutOf(schema(' '.repeat(300_000)))).toThrow('300000 bytes');
    expect(() => layoutOf({ ...schema('string data'), type: 'my_msgs/msg/Thing' })).toThrow(
      'got type my_msgs/msg/Thing',
    );
    expect(() => layoutOf({ ...schema('string data'), messageEncoding: 'json' })).toThrow('json');
  });
});
