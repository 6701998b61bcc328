/** What is kept of the CPU's answers beside the graphs, and what is done with it. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { buildGraphs } from '../../src/convert/build.js';
import type { Reference } from '../../src/model/reference.js';
import { openRuntime } from '../../src/model/runtime.js';
import { magmaLayout, temporaryFolder, tinyMagmaFolder } from '../support/tinyMagma.js';

const built = temporaryFolder();
const copies = temporaryFolder();
let folder: string;
let count = 0;

/** Opens the copy, and says how it decodes. */
async function open(): Promise<{ readonly kind: string; readonly reason: string }> {
  const runtime = await openRuntime(folder, { provider: 'cpu', threads: 1 });
  await runtime.release();
  return runtime.generator.decoding;
}

const file = (): string => join(folder, 'reference.json');
const read = (): Reference => JSON.parse(readFileSync(file(), 'utf8')) as Reference;
const write = (reference: Reference): void => writeFileSync(file(), JSON.stringify(reference));
const elsewhere = { runtime: '1.29.0', processor: 'another' };

let original: string;
beforeAll(() => {
  original = buildGraphs(tinyMagmaFolder, magmaLayout, built.path, () => undefined).folder;
});
beforeEach(() => {
  folder = join(copies.path, String(count++));
  cpSync(original, folder, { recursive: true });
});
afterAll(() => {
  built.remove();
  copies.remove();
});

describe('the reference', () => {
  it('is recorded at the first load: three prompts of twelve tokens with their margins', async () => {
    await open();
    const { prompts, sha256, recordedBy } = read();
    expect(sha256).toMatch(/^[0-9a-f]{64}$/);
    expect(recordedBy.runtime).toMatch(/^\d+\.\d+\.\d+/);
    expect(prompts.map(({ tokens }) => tokens.length)).toEqual([12, 12, 12]);
    expect(prompts.map(({ margins }) => margins.length)).toEqual([12, 12, 12]);
    // 320, where the model reads as many: this one ends at 256, twelve tokens included.
    expect(prompts.map(({ ids }) => ids.length)).toEqual([16, 48, 244]);
    expect(readdirSync(folder).filter((name) => name.includes('reference'))).toHaveLength(1);
  });

  it('saves the step graph from being loaded when it is there', async () => {
    await open();
    rmSync(join(folder, 'step.onnx'));
    expect(await open()).toEqual({
      kind: 'loop',
      reason: 'gives the same tokens and scores as the step-by-step reference',
    });
  });

  it('is compared where its tokens are clear when another machine recorded it', async () => {
    await open();
    write({ ...read(), recordedBy: elsewhere });
    const { kind, reason } = await open();
    expect(kind).toBe('loop');
    const clear = read().prompts.flatMap(({ margins }) => margins.filter((m) => m >= 0.01)).length;
    expect(reason).toBe(
      `gives the CPU's tokens where these are clear (${clear} of ${clear}, ${36 - clear} too close to tell)`,
    );
    expect(read().recordedBy).toEqual(elsewhere);
  });

  it('refuses what answers otherwise where it is clear', async () => {
    await open();
    const { prompts, ...rest } = read();
    const place = prompts[1]!.margins.findIndex((margin) => margin > 0.05);
    const right = prompts[1]!.tokens[place]!;
    prompts[1]!.tokens[place] = right === 0 ? 1 : right - 1;
    write({ ...rest, prompts, recordedBy: elsewhere });
    await expect(open()).rejects.toThrow(
      new RegExp(
        `^provider cpu: got .*decode.onnx: self-test: got token ${right} at place ${place} of prompt 1, where the CPU gives .*step.onnx: self-test: got token ${right}.* expected the answers of the CPU, in reference.json beside the graphs$`,
      ),
    );
  });

  it('lets near ties pass that fall the other way', async () => {
    await open();
    const { prompts, ...rest } = read();
    // The last token is fed to nothing: another one changes no other place.
    prompts[1]!.tokens[11] = prompts[1]!.tokens[11] === 0 ? 1 : 0;
    prompts[1]!.margins[11] = 0.001;
    write({ ...rest, prompts, recordedBy: elsewhere });
    expect((await open()).kind).toBe('loop');
  });

  it('is recorded anew by the CPU where another machine recorded near ties only', async () => {
    await open();
    const { prompts, ...rest } = read();
    const ties = prompts.map((prompt) => ({ ...prompt, margins: prompt.margins.map(() => 0) }));
    write({ ...rest, prompts: ties, recordedBy: elsewhere });
    expect((await open()).reason).toMatch(/same tokens and scores/);
    expect(read().recordedBy).not.toEqual(elsewhere);
  });

  it('finds weights that have changed since', async () => {
    await open();
    const path = join(folder, 'decoder.weights');
    const weights = readFileSync(path);
    const floats = new Float32Array(weights.buffer, weights.byteOffset, weights.length / 4);
    for (let i = 0; i < floats.length; i += 7) floats[i] = -floats[i]!;
    writeFileSync(path, weights);
    await expect(open()).rejects.toThrow(/^provider cpu: got .*self-test: got tok/);
  });

  it('of other graphs is recorded anew', async () => {
    await open();
    const { sha256 } = read();
    write({ ...read(), sha256: 'of other graphs', recordedBy: elsewhere });
    await open();
    expect(read().sha256).toBe(sha256);
  });

  it('is no condition: where it cannot be kept, every load records it', async () => {
    mkdirSync(join(file(), 'in the way'), { recursive: true });
    expect((await open()).kind).toBe('loop');
    expect(existsSync(join(file(), 'in the way'))).toBe(true);
    expect(readdirSync(folder).filter((name) => name.startsWith('reference'))).toHaveLength(1);
  });

  it('that cannot be read is named', async () => {
    writeFileSync(file(), '{"version": 1, "prompts": []}');
    await expect(open()).rejects.toThrow(/reference\.json/);
  });
});
