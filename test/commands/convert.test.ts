import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { convert, formatOf, type ConvertFlags } from '../../src/commands/convert.js';
import { conversionProgress, progressLine } from '../../src/commands/convertProgress.js';
import {
  conversionTable,
  errorSummary,
  nextSteps,
  verificationTable,
} from '../../src/commands/convertTable.js';
import type { ConversionProgress } from '../../src/convert/conversionWatch.js';
import { writeSyntheticFolder } from '../../src/convert/syntheticFolder.js';
import { readContract } from '../../src/model/contract.js';
import { nanoFolder, writeRandomNano } from '../support/randomNano.js';
import { temporaryFolder } from '../support/tinyMagma.js';

let work: { readonly path: string; remove(): void };
beforeEach(() => {
  work = temporaryFolder();
});
afterEach(() => work.remove());

const flags = (change: Partial<ConvertFlags> = {}): ConvertFlags => ({
  ...{ out: join(work.path, 'model'), weights: 'int8', block: 32, accuracyLevel: 4 },
  ...change,
});
const quiet = { onProgress: () => undefined };

describe('options of a conversion', () => {
  it('compute in fp16 where weights are fp16, and in fp32 otherwise', () => {
    expect(formatOf(flags({ weights: 'fp16' })).compute).toBe('float16');
    expect(formatOf(flags({ weights: 'fp16', compute: 'fp32' })).compute).toBe('float32');
    expect(formatOf(flags({ weights: 'int4' })).compute).toBe('float32');
    expect(formatOf(flags({ weights: 'int4', compute: 'fp16' })).compute).toBe('float16');
    expect(() => formatOf(flags({ weights: 'fp32', compute: 'fp16' }))).toThrow(
      '--compute: got fp16 with fp32 weights, expected --weights fp16, int8 or int4',
    );
  });

  it('that a model.json answers are refused', async () => {
    const nano = nanoFolder;
    await expect(convert(nano, flags({ unnormKey: 'x' }), quiet)).rejects.toThrow(
      /--unnorm-key: got a value, expected none: .*model\.json says it/,
    );
    await expect(convert(nano, flags({ centreCrop: 0.9 }), quiet)).rejects.toThrow('--centre-crop');
  });

  it('that belong together are asked for together', async () => {
    const folder = join(work.path, 'magma');
    writeSyntheticFolder(folder, 'magma-8b', { size: 'tiny', seed: 1 });
    await expect(convert(folder, flags({ robot: 'config/sim.yaml' }), quiet)).rejects.toThrow(
      '--robot: got --robot, expected --robot, --tcp and --unnorm-key together',
    );
  });
});

describe('a converted folder', () => {
  it('keeps the contract of a folder that has one', async () => {
    const nano = join(work.path, 'nano');
    mkdirSync(nano);
    writeRandomNano(nano, 3);
    const { record } = await convert(nano, flags({ weights: 'int4' }), quiet);
    const out = flags().out;
    for (const name of ['model.json', 'config.json', 'tokenizer.json', 'dataset_statistics.json']) {
      expect(readFileSync(join(out, name), 'utf8')).toBe(readFileSync(join(nano, name), 'utf8'));
    }
    expect(readdirSync(out)).not.toContain('model.safetensors');
    expect(readContract(out).name).toBe(readContract(nano).name);
    const { tensors, mean, worst } = errorSummary(record);
    // 18 linear layers and the head; the table, fp32 here, as fp16.
    expect(tensors).toBe(20);
    expect(mean).toBeGreaterThan(0.05);
    const table = conversionTable(out, record);
    expect(table).toContain('weights int4 in blocks of 32, computing in float32');
    expect(table).toContain('0 of them have the checksum of their publisher');
    expect(table).toContain(worst!.name.replace('.packed', ''));
  });

  it('has the contract that its checkpoint and the options give, where it had none', async () => {
    const folder = join(work.path, 'magma');
    writeSyntheticFolder(folder, 'magma-8b', { size: 'tiny', seed: 1 });
    const statistics = join(folder, 'synthetic_statistics.json');
    expect(existsSync(join(folder, 'model.json'))).toBe(false);
    const given = { statistics, unnormKey: 'bridge_orig', tcp: 'gripper tip, axes of the base' };
    const { record } = await convert(folder, flags({ ...given, robot: 'config/sim.yaml' }), quiet);
    const contract = readContract(flags().out);
    expect(contract.name).toBe('model');
    expect(contract.robots).toEqual([
      expect.objectContaining({ statistics: 'bridge_orig', tcp: given.tcp }),
    ]);
    expect(conversionTable('x', record)).toContain(`note: ${record.notes[0]}`);
    expect(record.notes.join()).not.toContain('fp16');
  });

  it('says what fp16 takes on the CPU', async () => {
    const nano = join(work.path, 'nano');
    mkdirSync(nano);
    writeRandomNano(nano, 3);
    const { record } = await convert(nano, flags({ weights: 'fp16' }), quiet);
    expect(record.notes).toEqual([expect.stringContaining('twice the memory')]);
  });
});

describe('what a person reads', () => {
  it('is what to type next, of commands that there are', () => {
    const lines = nextSteps('models/x').split('\n');
    expect(lines[0]).toBe('  npx magma-vla check --config <robot.yaml> --model models/x');
    // A node is started from anywhere.
    expect(lines[1]).toBe(
      `  ros2 launch magma_vla robot.launch.py config_file:=<robot.yaml> model:=${resolve('models/x')}`,
    );
  });

  const at = (done: number, change: Partial<ConversionProgress> = {}): ConversionProgress => ({
    ...{ stage: 'weights', done, total: 18e9, what: 'layers.3.qkv' },
    ...change,
  });

  it('is how far, how fast and how long still', () => {
    expect(progressLine(at(6e9), 100e6)).toBe(
      'converting weights  33 %  6.00 GB of 18.00 GB  100 MB/s, 2 min 0 s left  layers.3.qkv',
    );
    expect(progressLine(at(18e9), 95e6)).toBe(
      'converting weights 100 %  18.00 GB of 18.00 GB  95 MB/s',
    );
    expect(progressLine(at(0), 0)).toContain('0.0 MB/s  layers.3.qkv');
  });

  it('comes every two seconds, and once at the end of a stage', () => {
    const lines: string[] = [];
    const clock = { ms: 0 };
    const now = () => ({ nowNs: BigInt(clock.ms * 1e6), rosNs: 0n, wallNs: 0n });
    const tell = conversionProgress((line) => lines.push(line), { now } as never);
    for (let step = 0; step <= 100; step++) {
      clock.ms = 100 * step;
      tell(at(0.18e9 * step));
    }
    tell(at(18e9));
    expect(lines).toHaveLength(5);
    expect(lines[0]).toContain('20 %');
    // 1.8 GB/s from the first to the last.
    expect(lines[1]).toContain('1800 MB/s, 6 s left');
    tell(at(0, { stage: 'check', total: 5e9 }));
    clock.ms += 2000;
    tell(at(1e9, { stage: 'check', total: 5e9 }));
    expect(lines.at(-1)).toMatch(/^reading back {2}20 % {2}1\.00 GB of 5\.00 GB {2}500 MB\/s/);
  });

  it('names the file that differs, and what of it', () => {
    const same = { files: 9, bytes: 5.1e9, sources: 'absent', differences: [] } as const;
    expect(verificationTable('models/x', same)).toBe(
      'models/x: 9 files, 5.10 GB, are what they were (its checkpoint is not there any more)',
    );
    const differences = [{ path: 'a.weights', got: 'b', expected: 'c', weights: ['k', 'l'] }];
    expect(verificationTable('models/x', { ...same, differences })).toBe(
      'a.weights: got b, expected c; in k, l',
    );
  });
});
