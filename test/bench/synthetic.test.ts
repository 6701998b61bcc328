/** `bench --synthetic`: its arithmetic by hand, and one run at tiny size. */
import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Command } from 'commander';
import { answerCost } from '../../src/bench/answerCost.js';
import { measureBounds } from '../../src/bench/machineBounds.js';
import { benchSynthetic, type SyntheticBenchOptions } from '../../src/bench/synthetic.js';
import {
  addSyntheticOptions,
  runSyntheticBench,
  syntheticBenchTable,
  type SyntheticBenchFlags,
} from '../../src/commands/syntheticBench.js';
import type { CheckpointConfig } from '../../src/convert/checkpointConfig.js';
import { plainFormat } from '../../src/convert/weightStore.js';
import type { GraphManifest } from '../../src/model/graphs.js';
import { chooseProvider } from '../../src/model/session.js';
import { temporaryFolder } from '../support/tinyMagma.js';

const folder = temporaryFolder();
afterAll(() => folder.remove());
const nowNs = (): bigint => process.hrtime.bigint();

describe('the least an answer takes', () => {
  const config: CheckpointConfig = {
    towers: [
      {
        ...{ kind: 'convnext', keyPrefix: '', patchSize: 4, epsilon: 1e-5 },
        ...{ widths: [8, 16], depths: [1, 2] },
      },
    ],
    projector: {
      ...{ kind: 'mlp2x_gelu', keyPrefix: '', rowSeparator: null },
      layers: [{ key: '0', inputs: 16, outputs: 32 }],
    },
    decoder: {
      ...{ keyPrefix: '', layers: 2, hiddenSize: 32, intermediateSize: 64, heads: 4 },
      ...{ keyValueHeads: 2, headDim: 8, vocabulary: 100, maxPositions: 50 },
      ...{ epsilon: 1e-5, ropeTheta: 1e4 },
    },
    ignoredKeys: [],
  };
  const manifest: GraphManifest = {
    ...{ builder: '', sha256: '' },
    decoder: {
      ...{ layers: 2, hiddenSize: 32, keyValueHeads: 2, headDim: 8, vocabulary: 100 },
      ...{ maxPositions: 50, keyValueType: 'float32', weights: 'int4' },
    },
    vision: { stride: 8, towers: 1, cropSize: null },
    files: { 'decoder.weights': 100_000 },
  };

  it('counts every multiplication and every byte', () => {
    const sizes = { crops: 1, cropSize: 16, visualTokens: 4, positions: 10 };
    const cost = answerCost(config, manifest, sizes);
    // 4×4 cells of 8 channels: patches of 4·4·3, one block of 7·7·8 and 2·4·8·8; then 2×2 of 16 from 2·2·8, two blocks.
    const tower = 16 * (48 * 8 + 49 * 8 + 8 * 64) + 4 * (32 * 16 + 2 * (49 * 16 + 8 * 256));
    expect(cost.visionFlop).toBe(2 * (tower + 4 * 16 * 32));
    // Queries, keys and values, output; gate, up, down. Attention over 10 positions. The head once.
    const layer = 32 * (32 + 16 + 16) + 32 * 32 + 3 * 32 * 64;
    expect(cost.promptFlop).toBe(2 * (10 * 2 * layer + 2 * 4 * 8 * 100 + 3200));
    // Without a 16-bit table of 100·32 and cosines and sines of 50·4; the cache is 2 layers of keys and values, 2·8 each.
    expect(cost.tokenBytes).toBe(100_000 - 6400 - 2 * 50 * 4 * 4 + 2 * 2 * 16 * 4 * 10);
  });
});

describe('the bounds of a machine', () => {
  it('are positive numbers', async () => {
    const shared = { provider: chooseProvider('cpu'), threads: 1, nowNs } as const;
    const bounds = await measureBounds({
      ...{ ...shared, compute: 'float32', bytes: 2 ** 24, side: 128 },
    });
    for (const value of Object.values(bounds)) {
      expect(Number.isFinite(value)).toBe(true);
      expect(value).toBeGreaterThan(0);
    }
  }, 120_000);
});

describe('a synthetic run', () => {
  const options: SyntheticBenchOptions = {
    ...{ name: 'magma-8b', size: 'tiny', provider: 'cpu', threads: 1, rounds: 2 },
    ...{ clock: 'wall', nowNs },
    format: { ...plainFormat, weights: 'int4' },
    ...{ folder: folder.path, afterwards: 'keep', say: () => undefined },
  };

  it('measures from picture to tokens, keeps the graphs when asked, and takes those of this builder again', async () => {
    const result = await benchSynthetic(options);
    expect(result).toMatchObject({ model: 'magma-8b', layers: 2, answerTokens: 8, rounds: 2 });
    // 2×2 crops of 64 px: 4 rows of 4 tokens and a separator; beside them the 41 ids of the public prompt.
    expect(result.positions).toBe(4 * 5 + 41);
    expect(result.decoding.kind).toBe('loop');
    expect(result.makeSeconds).toBeGreaterThan(0);
    expect(result.answerMs.max).toBeGreaterThanOrEqual(result.answerMs.p50);
    expect(result.answerMs).toMatchObject({ count: 2, p99: null });
    expect(result.answerMs.p50).toBeGreaterThan(result.visionMs.p50);
    expect(result.memory.peakMb).toBeGreaterThan(10);
    expect(syntheticBenchTable(result)).toMatch(/picture to 8 tokens .* ms \(max .* ms\), /);
    expect(readdirSync(folder.path)).toEqual(['magma-8b-tiny-int4-b32-a4-float32']);
    // What was kept is not deleted by a run that was not told to keep it.
    const again = await benchSynthetic({ ...options, rounds: 1, afterwards: 'delete' });
    expect(again.makeSeconds).toBeNull();
    expect(again.cost).toEqual(result.cost);
    const manifest = join(folder.path, readdirSync(folder.path)[0]!, 'graphs', 'graphs.json');
    const text = readFileSync(manifest, 'utf8');
    writeFileSync(manifest, text.replace(/"builder":"\d+"/, '"builder":"0"'));
    expect(readFileSync(manifest, 'utf8')).not.toBe(text);
    const anew = await benchSynthetic({ ...options, rounds: 1 });
    expect(anew.makeSeconds).toBeGreaterThan(0);
    expect(readFileSync(manifest, 'utf8')).toBe(text);
  }, 120_000);

  it('does so for two towers and fp16, with fewer layers, and leaves nothing behind', async () => {
    const result = await benchSynthetic({
      ...{ ...options, name: 'openvla-7b', layers: 1, rounds: 1, afterwards: 'delete' },
      format: { ...plainFormat, weights: 'fp16', compute: 'float16' },
    });
    expect(result).toMatchObject({ model: 'openvla-7b', layers: 1, answerTokens: 8 });
    expect(existsSync(join(folder.path, 'openvla-7b-tiny-1layers-fp16-float16'))).toBe(false);
  }, 120_000);
});

describe('the options of --synthetic', () => {
  const flagsOf = (...words: string[]): SyntheticBenchFlags =>
    addSyntheticOptions(new Command())
      .exitOverride()
      .configureOutput({ writeErr: () => undefined })
      .parse(['--synthetic', 'magma-8b', ...words], { from: 'user' })
      .opts();

  it('refuse weights per scale that no graph has', () => {
    expect(flagsOf('--block', '128').block).toBe(128);
    expect(() => flagsOf('--block', '64')).toThrow(/'--block <n>' argument '64'.* 32 or 128/);
  });

  it('refuse CPU time where a GPU does the work', async () => {
    const flags = { ...flagsOf('--cpu-time'), provider: 'webgpu', threads: 1 } as const;
    const run = runSyntheticBench('magma-8b', flags, folder.path, () => undefined);
    await expect(run).rejects.toThrow(/^--cpu-time: got with --provider webgpu, expected the CPU/);
  });
});
