import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { readCheckpointConfig } from '../../src/convert/checkpointConfig.js';
import { everyTensor } from '../../src/convert/keyLayout.js';
import { writeSyntheticShards } from '../../src/convert/syntheticShards.js';
import { readContract } from '../../src/model/contract.js';
import { nanoFolder } from '../support/randomNano.js';
import { temporaryFolder } from '../support/tinyMagma.js';

const command = fileURLToPath(new URL('../../dist/main.js', import.meta.url));
const work = temporaryFolder();
afterAll(() => work.remove());

/** Nano's contract with a decoder of other sizes, random bf16 weights, in shards of at most so many bytes. */
function writeCheckpoint(name: string, text: Record<string, number>, shardBytes: number): string {
  const folder = join(work.path, name);
  mkdirSync(folder);
  for (const file of readdirSync(nanoFolder)) {
    if (file.endsWith('.json')) copyFileSync(join(nanoFolder, file), join(folder, file));
  }
  const path = join(folder, 'config.json');
  const config = JSON.parse(readFileSync(path, 'utf8')) as Record<string, object>;
  const changed = { ...config, text_config: { ...config['text_config'], ...text } };
  writeFileSync(path, JSON.stringify(changed));
  const tensors = everyTensor(readCheckpointConfig(path, readContract(folder)));
  const options = { seed: 1, maxShardBytes: shardBytes };
  writeSyntheticShards(folder, tensors, options, () => undefined);
  return folder;
}

const argumentsOf = (source: string, out: string, ...more: readonly string[]) => [
  ...[command, 'convert', source, '--out', out, '--json', ...more],
];

function run(source: string, out: string, ...more: readonly string[]): Record<string, unknown> {
  const text = execFileSync(process.execPath, argumentsOf(source, out, ...more), {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return JSON.parse(text) as Record<string, unknown>;
}

/** Every file with its checksum. The record names nothing but the checkpoint's folder, and is the same too. */
function contents(folder: string): Record<string, string> {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
  const files = names.filter((name) => statSync(join(folder, name)).isFile());
  const hash = (name: string) =>
    createHash('sha256')
      .update(readFileSync(join(folder, name)))
      .digest('hex');
  return Object.fromEntries(files.map((name) => [name, hash(name)]));
}

const journalLines = (out: string): number => {
  const path = join(`${out}.partial`, 'journal.jsonl');
  return existsSync(path) ? readFileSync(path, 'utf8').split('\n').length - 2 : 0;
};

/** Starts a conversion and sends it a signal in the middle. */
async function interrupt(source: string, out: string, signal: NodeJS.Signals): Promise<Ended> {
  const child = spawn(process.execPath, argumentsOf(source, out, '--weights', 'int4'));
  const ended = endOf(child);
  while (journalLines(out) < 60 && child.exitCode === null) await setTimeout(1);
  child.kill(signal);
  return ended;
}

interface Ended {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly said: string;
}

function endOf(child: ChildProcess): Promise<Ended> {
  let said = '';
  child.stderr!.on('data', (data: Buffer) => (said += data.toString()));
  return new Promise((resolve) => {
    child.on('close', (code, signal) => resolve({ code, signal, said }));
  });
}

/** Processes are started, on machines that may be busy. */
const patience = 120_000;

describe('a process that converts', () => {
  // 40 layers are 400 weights; the last of them is far when the signal comes.
  let source: string;
  let whole: Record<string, string>;

  beforeAll(() => {
    source = writeCheckpoint('deep', { num_hidden_layers: 40 }, 4e6);
    const out = join(work.path, 'whole');
    expect(run(source, out, '--weights', 'int4')).toMatchObject({ kept: 0 });
    whole = contents(out);
  }, patience);

  it(
    'goes on to the same bytes after kill -9',
    async () => {
      const out = join(work.path, 'killed');
      expect(await interrupt(source, out, 'SIGKILL')).toMatchObject({
        code: null,
        signal: 'SIGKILL',
      });
      expect(existsSync(out)).toBe(false);
      const done = journalLines(out);
      expect(done).toBeGreaterThanOrEqual(60);
      expect(run(source, out, '--weights', 'int4')).toMatchObject({ kept: done });
      expect(contents(out)).toEqual(whole);
      expect(existsSync(`${out}.partial`)).toBe(false);
    },
    patience,
  );

  it(
    'stops when it is asked to, says how to go on, and does',
    async () => {
      const out = join(work.path, 'stopped');
      const { code, said } = await interrupt(source, out, 'SIGINT');
      expect(code).toBe(130);
      expect(said).toContain(`interrupted: ${out}.partial keeps what is done; the same command`);
      expect(run(source, out, '--weights', 'int4')['kept']).toBeGreaterThanOrEqual(60);
      expect(contents(out)).toEqual(whole);
    },
    patience,
  );

  it(
    'finds a flipped byte',
    () => {
      const out = join(work.path, 'whole');
      const path = join(out, 'graphs', 'decoder.weights');
      const bytes = readFileSync(path);
      const verify = (): unknown =>
        execFileSync(process.execPath, [command, 'convert', '--verify', out], { stdio: 'pipe' });
      expect(verify).not.toThrow();
      bytes[bytes.length - 9]! ^= 0x10;
      writeFileSync(path, bytes);
      expect(verify).toThrow(/decoder\.weights: got SHA-256 .*; in rotary\.sin/);
    },
    patience,
  );

  it(
    'needs little memory for large tensors',
    () => {
      // Embedding and head have 77 million numbers each: 307 MB as fp32.
      const large = writeCheckpoint('wide', { vocab_size: 600_000 }, 1e9);
      const out = join(work.path, 'large');
      const { peakMemory, bytes } = run(large, out, '--weights', 'int4');
      expect(bytes).toBeGreaterThan(230e6);
      expect(peakMemory).toBeLessThan(350e6);
    },
    patience,
  );
});
