/** Conversions that are stopped, and go on to what they would have come to. */
import { describe, expect, it } from '@jest/globals';
import { existsSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { Interrupted, type ConversionProgress } from '../../src/convert/conversionWatch.js';
import { convertModel, type Conversion } from '../../src/convert/convert.js';
import { verifyModel } from '../../src/convert/verify.js';
import { graphFiles } from '../../src/model/graphs.js';
import { contents, flip, int4, quiet, tinyConversion } from '../support/tinyConversion.js';

const work = tinyConversion();
const conversion = (change: Partial<Conversion> = {}): Conversion => work.of(change);

/** Stops a conversion after so many reports of weights. */
async function stopAfter(reports: number, change: Partial<Conversion> = {}): Promise<void> {
  const stop = new AbortController();
  let seen = 0;
  const onProgress = ({ stage }: ConversionProgress) => {
    if (stage === 'weights' && ++seen === reports) stop.abort();
  };
  const stopped = convertModel(conversion(change), { onProgress, signal: stop.signal });
  await expect(stopped).rejects.toThrow(Interrupted);
}

const journalLines = () =>
  readFileSync(join(`${work.out}.partial`, 'journal.jsonl'), 'utf8')
    .trimEnd()
    .split('\n').length - 1;

describe('an interrupted conversion', () => {
  it('leaves nothing that looks like a model, and goes on to the same bytes', async () => {
    const reference = join(work.path, 'reference');
    await convertModel(conversion({ out: reference }), quiet);
    await stopAfter(40);
    expect(existsSync(work.out)).toBe(false);
    expect(existsSync(join(`${work.out}.partial`, 'model', 'graphs', graphFiles.manifest))).toBe(
      false,
    );
    const before = journalLines();
    expect(before).toBeGreaterThan(30);
    const { kept } = await convertModel(conversion(), quiet);
    expect(kept).toBe(before);
    expect(contents(work.out)).toEqual(contents(reference));
    expect(existsSync(`${work.out}.partial`)).toBe(false);
  });

  it('does not read again what it has hashed, unless it changed', async () => {
    await stopAfter(3);
    const stages: string[] = [];
    const onProgress = ({ stage, what }: ConversionProgress) => {
      if (stage === 'sources') stages.push(what);
    };
    await convertModel(conversion(), { onProgress });
    expect(stages).toEqual([]);
  });

  it('verifies what it keeps', async () => {
    await stopAfter(60);
    const before = journalLines();
    const weights = join(`${work.out}.partial`, 'model', 'graphs', graphFiles.visionWeights);
    flip(weights, 130);
    const { kept } = await convertModel(conversion(), quiet);
    expect(kept).toBe(before - 1);
    expect((await verifyModel(work.out, work.source, quiet)).differences).toEqual([]);
  });

  it('finds what changed after it was written, and mends it when it goes on', async () => {
    const reference = join(work.path, 'reference');
    await convertModel(conversion({ out: reference }), quiet);
    const weights = join(`${work.out}.partial`, 'model', 'graphs', graphFiles.visionWeights);
    let isFlipped = false;
    const onProgress = ({ stage, done, total }: ConversionProgress) => {
      if (stage !== 'weights' || done < total || isFlipped) return;
      isFlipped = true;
      flip(weights, 130);
    };
    await expect(convertModel(conversion(), { onProgress })).rejects.toThrow(
      /vision\.weights: got .*stem\.0\.\w+ with other bytes than were written/,
    );
    expect(existsSync(work.out)).toBe(false);
    const { record, kept } = await convertModel(conversion(), quiet);
    expect(kept).toBe(record.weights.length - 1);
    expect(contents(work.out)).toEqual(contents(reference));
  });

  it('is no conversion of a checkpoint that changed meanwhile', async () => {
    const weights = join(work.source, 'model.safetensors');
    let isFlipped = false;
    const onProgress = ({ stage, done, total }: ConversionProgress) => {
      if (stage !== 'weights' || done < total / 2 || isFlipped) return;
      isFlipped = true;
      flip(weights, statSync(weights).size - 2);
    };
    await expect(convertModel(conversion(), { onProgress })).rejects.toThrow(
      'got files that changed while they were converted',
    );
    expect(existsSync(work.out)).toBe(false);
    expect((await convertModel(conversion(), quiet)).kept).toBe(0);
    expect((await verifyModel(work.out, work.source, quiet)).differences).toEqual([]);
  });

  it('survives a journal whose last line was cut off, and data that was cut off', async () => {
    const reference = join(work.path, 'reference');
    await convertModel(conversion({ out: reference }), quiet);
    await stopAfter(40);
    const journal = join(`${work.out}.partial`, 'journal.jsonl');
    const text = readFileSync(journal, 'utf8');
    writeFileSync(journal, text.slice(0, -25));
    const before = journalLines();
    const { kept } = await convertModel(conversion(), quiet);
    expect(kept).toBe(before - 1);
    expect(contents(work.out)).toEqual(contents(reference));
  });

  it('begins anew with other options, and with another checkpoint', async () => {
    await stopAfter(40);
    const wide = await convertModel(conversion({ format: { ...int4, block: 128 } }), quiet);
    expect(wide.kept).toBe(0);
    expect((await verifyModel(work.out, null, quiet)).differences).toEqual([]);
    rmSync(work.out, { recursive: true });
    await stopAfter(40);
    const weights = join(work.source, 'model.safetensors');
    flip(weights, statSync(weights).size - 2);
    expect((await convertModel(conversion(), quiet)).kept).toBe(0);
  });

  it('is not thrown away for a checkpoint that is not there for once', async () => {
    await stopAfter(40);
    const before = journalLines();
    const weights = join(work.source, 'model.safetensors');
    renameSync(weights, `${weights}.away`);
    await expect(convertModel(conversion(), quiet)).rejects.toThrow('no weights');
    renameSync(`${weights}.away`, weights);
    expect((await convertModel(conversion(), quiet)).kept).toBe(before);
  });

  it('is not shared by two processes', async () => {
    await stopAfter(10);
    const lock = join(`${work.out}.partial`, 'lock');
    writeFileSync(lock, `1 ${hostname()}`);
    await expect(convertModel(conversion(), quiet)).rejects.toThrow(
      /process 1 of \S+ at work there, .*delete the file if/,
    );
    // A process that is gone holds nothing.
    writeFileSync(lock, `${2 ** 22 + 1} ${hostname()}`);
    expect((await convertModel(conversion(), quiet)).kept).toBeGreaterThan(0);
  });

  const onLinux = process.platform === 'linux' ? it : it.skip;
  onLinux('goes on after a process that has ended, though its parent never asked how', async () => {
    await stopAfter(10);
    // The shell becomes a program that does not know of its child.
    const parent = spawn('sh', ['-c', 'sleep 0.3 & echo $!; exec sleep 60']);
    try {
      const [line] = (await once(parent.stdout, 'data')) as [Buffer];
      const child = line.toString().trim();
      while (!readFileSync(`/proc/${child}/stat`, 'utf8').includes(') Z ')) await setTimeout(5);
      writeFileSync(join(`${work.out}.partial`, 'lock'), `${child} ${hostname()}`);
      expect((await convertModel(conversion(), quiet)).kept).toBeGreaterThan(0);
    } finally {
      parent.kill();
    }
  });
});
