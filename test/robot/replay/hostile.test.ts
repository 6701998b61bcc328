import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import zstd from '@foxglove/wasm-zstd';
import { McapRecordBuilder } from '@mcap/core';
import { DataError } from '../../../src/errors.js';
import { seededRandom } from '../../../src/math/random.js';
import { Bag } from '../../../src/robot/replay/bag.js';
import { ReplayRobot } from '../../../src/robot/replay/replayRobot.js';
import {
  action,
  config,
  eventLog,
  inFolder,
  joints,
  mcapBytes,
  picture,
  text,
  type BagShape,
} from './bags.js';

const MAGIC = Uint8Array.of(0x89, 0x4d, 0x43, 0x41, 0x50, 0x30, 0x0d, 0x0a);

const messages = [
  text('/episode', 0, 'one'),
  text('/instruction', 0, 'pick the red block'),
  ...Array.from({ length: 20 }, (_, i) => [
    picture(i / 10, i),
    joints(i / 10, { shoulder: i, elbow: 1, finger: 0.02 }),
    action(i / 10, [0, 0, 0, 0, 0, 0, 1]),
  ]).flat(),
];

/** Opens and replays. @returns what happened in a word; anything but a DataError is thrown. */
async function outcomeOf(path: string, bytes: Uint8Array): Promise<string> {
  writeFileSync(path, bytes);
  let bag: Bag | undefined;
  try {
    bag = await Bag.open(path);
    const robot = new ReplayRobot(bag, config);
    const { events, listener } = eventLog(() => robot.stampNs);
    await robot.start(listener);
    for (let tick = 0; tick < 100 && !robot.ended; tick++) await robot.advance(1_000_000_000n);
    await robot.stop();
    return events.length === 2 + 3 * 20 ? 'whole' : 'partly';
  } catch (error) {
    if (!(error instanceof DataError)) throw error;
    return error.message;
  } finally {
    await bag?.close();
  }
}

/** A file of one record after the magic. */
function record(opcode: number, length: bigint, content: Uint8Array): Uint8Array {
  const head = new Uint8Array(9);
  head[0] = opcode;
  new DataView(head.buffer).setBigUint64(1, length, true);
  return new Uint8Array(Buffer.concat([MAGIC, head, content]));
}

function chunkFile(chunk: Partial<Parameters<McapRecordBuilder['writeChunk']>[0]>): Uint8Array {
  const builder = new McapRecordBuilder();
  builder.writeChunk({
    messageStartTime: 0n,
    messageEndTime: 1n,
    uncompressedSize: 0n,
    uncompressedCrc: 0,
    compression: '',
    records: new Uint8Array(0),
    ...chunk,
  });
  return new Uint8Array(Buffer.concat([MAGIC, builder.buffer]));
}

describe('a hostile bag', () => {
  const cases: readonly (readonly [string, Uint8Array, RegExp])[] = [
    ['that is empty', new Uint8Array(0), /begins with nothing/],
    ['of other magic', new TextEncoder().encode('hello, world, this is text'), /an MCAP file/],
    ['with record type 0', record(0, 4n, new Uint8Array(4)), /record type 0/],
    [
      'with a record of 2^63 bytes',
      record(6, 1n << 63n, new Uint8Array(64)),
      /at byte 8: got a record of 9223372036854775808 bytes/,
    ],
    [
      'with a record of 2 GB',
      record(5, 1n << 31n, new Uint8Array(64)),
      /at byte 8: got a record of 2147483648 bytes/,
    ],
    [
      'whose chunk claims 2^60 bytes of content',
      chunkFile({ compression: 'zstd', uncompressedSize: 1n << 60n, records: new Uint8Array(9) }),
      /a chunk of 1152921504606846976 bytes/,
    ],
    [
      'whose chunk holds something else than zstd',
      chunkFile({ compression: 'zstd', uncompressedSize: 100n, records: new Uint8Array(50) }),
      /at byte 8/,
    ],
    [
      'of a compression nobody knows',
      chunkFile({ compression: 'brotli', uncompressedSize: 9n, records: new Uint8Array(9) }),
      /Unsupported compression brotli/,
    ],
    [
      'whose chunk has a wrong checksum',
      chunkFile({ uncompressedCrc: 12345, uncompressedSize: 9n, records: new Uint8Array(9) }),
      /Incorrect chunk CRC/,
    ],
    [
      'with a chunk in a chunk',
      chunkFile({ records: chunkFile({}).subarray(8) }),
      /Chunk record not allowed inside a chunk/,
    ],
    [
      'with a message on a channel that was never declared',
      record(5, 30n, new Uint8Array(30)),
      /without prior channel record/,
    ],
    ['with a schema that overruns its record', record(3, 3n, new Uint8Array(3)), /at byte 8/],
  ];

  it.each(cases)('%s is refused with file and place', async (_, bytes, expected) => {
    await inFolder(async (folder) => {
      const outcome = await outcomeOf(join(folder, 'x.mcap'), bytes);
      expect(outcome).toMatch(/x\.mcap/);
      expect(outcome).toMatch(expected);
    });
  });

  it('whose chunk expands to less than it declares is refused', async () => {
    await zstd.isLoaded;
    await inFolder(async (folder) => {
      const records = new Uint8Array(zstd.compress(new Uint8Array(50), 1));
      const bytes = chunkFile({ compression: 'zstd', uncompressedSize: 100n, records });
      expect(await outcomeOf(join(folder, 'x.mcap'), bytes)).toContain(
        'a chunk of 50 bytes that declares 100',
      );
    });
  });

  it('of whole-file zstd that declares exabytes, or a window of terabytes, is refused before it is expanded', async () => {
    await inFolder(async (folder) => {
      const path = join(folder, 'x.mcap.zstd');
      // Frame header: 8-byte content size, single segment (RFC 8878).
      const huge = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0xe0, 0, 0, 0, 0, 0, 0, 16, 0, 1, 0, 0);
      expect(await outcomeOf(path, huge)).toMatch(/bytes when expanded|window/);
      // No content size, and a window of 2^41 bytes.
      const endless = Uint8Array.of(0x28, 0xb5, 0x2f, 0xfd, 0, 0xf8, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0);
      expect(await outcomeOf(path, endless)).toMatch(/a zstd window of 2199023255552 bytes/);
    });
  });

  it('of whole-file zstd that holds more than it declares is refused', async () => {
    await zstd.isLoaded;
    await inFolder(async (folder) => {
      const frame = Buffer.from(zstd.compress(new Uint8Array(1000).fill(7), 1));
      const twice = new Uint8Array(Buffer.concat([frame, frame]));
      expect(await outcomeOf(join(folder, 'x.mcap.zstd'), twice)).toContain(
        'more than the 1000 bytes it declares',
      );
    });
  });

  it('with one message of another century is refused for its length in time', async () => {
    await inFolder(async (folder) => {
      const bytes = await mcapBytes([...messages, text('/instruction', 4e9, 'later')]);
      expect(await outcomeOf(join(folder, 'x.mcap'), bytes)).toContain('at most 7 days');
    });
  });

  it('whose chunks all overlap in time is refused instead of held in memory', async () => {
    await inFolder(async (folder) => {
      const path = join(folder, 'x.mcap');
      const pairs = Array.from({ length: 1200 }, () => [
        text('/instruction', 0, 'early'),
        text('/instruction', 10, 'late'),
      ]).flat();
      writeFileSync(path, await mcapBytes(pairs, { chunkSize: 70 }));
      const bag = await Bag.open(path);
      const reading = bag.messages(new Set(['/instruction'])).next();
      await expect(reading).rejects.toThrow('1025 chunks');
      await bag.close();
    });
  });

  const shapes: readonly (readonly [string, BagShape])[] = [
    ['in plain chunks', { chunkSize: 400 }],
    ['in zstd chunks', { chunkSize: 400, compression: 'zstd' }],
    ['in lz4 chunks', { chunkSize: 400, compression: 'lz4' }],
    ['without chunks', { useChunks: false }],
    ['of compressed messages', { compressMessages: true }],
  ];

  it.each(shapes)(
    'made by 150 random mutations of one %s never crashes',
    async (_, shape) => {
      await inFolder(async (folder) => {
        const path = join(folder, 'x.mcap');
        const original = await mcapBytes(messages, shape);
        expect(await outcomeOf(path, original)).toBe('whole');
        const random = seededRandom(11);
        const before = process.memoryUsage();
        const outcomes = new Set<string>();
        for (let i = 0; i < 150; i++) {
          const bytes = original.slice(
            0,
            original.length - random.integer(2) * random.integer(500),
          );
          for (let k = 0; k <= random.integer(5); k++)
            bytes[random.integer(bytes.length)] = random.pick([
              0,
              1,
              127,
              128,
              255,
              random.integer(256),
            ]);
          outcomes.add(await outcomeOf(path, bytes));
        }
        const after = process.memoryUsage();
        // The decompressors' heaps may grow once to the largest chunk that is allowed; nothing may add up.
        expect(after.rss - before.rss).toBeLessThan(600e6);
        expect(outcomes.size).toBeGreaterThan(20);
      });
    },
    120_000,
  );
});
