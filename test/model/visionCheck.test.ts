/** What is done before another provider's pictures are trusted, with the CPU in its place. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { buildGraphs } from '../../src/convert/build.js';
import { readGraphManifest } from '../../src/model/runtime.js';
import { chooseProvider, type ProviderChoice } from '../../src/model/session.js';
import { openVision, type VisionEncoder } from '../../src/model/vision.js';
import { assertSeesAsCpu } from '../../src/model/visionCheck.js';
import { magmaLayout, temporaryFolder, tinyMagmaFolder } from '../support/tinyMagma.js';

const temporary = temporaryFolder();
const other: ProviderChoice = { provider: 'cuda', reason: 'a test' };
let folder: string;
let cpu: VisionEncoder;

beforeAll(async () => {
  ({ folder } = buildGraphs(tinyMagmaFolder, magmaLayout, temporary.path, () => undefined));
  cpu = await openVision(folder, readGraphManifest(folder), chooseProvider('cpu'), 1);
});
afterAll(async () => {
  await cpu.release();
  temporary.remove();
});

/** A provider that does something to what the CPU sees. */
const seeing = (change: (value: number, index: number) => number): VisionEncoder => ({
  ...cpu,
  encode: async (crops) => {
    const { count, data } = await cpu.encode(crops);
    return { count, data: data.map(change) };
  },
});
const check = (vision: VisionEncoder) =>
  assertSeesAsCpu(vision, folder, readGraphManifest(folder), other, 1);

describe("another provider's pictures", () => {
  it('are trusted where they are the same but for rounding', async () => {
    await expect(check(seeing((value) => value * (1 + 1e-4)))).resolves.toBeUndefined();
  });

  it.each<[string, (value: number, index: number) => number]>([
    ['are a little larger', (value) => 1.01 * value],
    ['lack a row', (value, index) => (index < 32 ? 0 : value)],
  ])('are refused where they %s', async (_name, change) => {
    await expect(check(seeing(change))).rejects.toThrow(
      /^provider cuda: visual tokens of a made-up picture: got numbers that differ from the CPU's by 0\.\d+ of their size, expected at most 0\.005$/,
    );
  });

  it('are refused where they are fewer', async () => {
    const half: VisionEncoder = {
      ...cpu,
      encode: async (crops) => {
        const { count, data } = await cpu.encode(crops);
        return { count: count / 2, data: data.slice(0, data.length / 2) };
      },
    };
    await expect(check(half)).rejects.toThrow(/tokens, expected \d+, as from the CPU/);
  });
});
