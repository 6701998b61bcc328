/**
 * The same graphs on the WebGPU provider: tokens equal to the CPU's. Any device will do, a software one too. Linux without
 * a GPU, libvulkan1 installed: `VK_DRIVER_FILES=<a software driver's icd.json> npm run test:webgpu`; lavapipe of Mesa 25 has
 * float16, SwiftShader has not, and Mesa 22's lavapipe fails. Where there is no device, it says so and nothing is run; where
 * it has no float16, the graphs that need it are skipped.
 */
import { afterAll, describe, expect, it } from '@jest/globals';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { plainFormat, type WeightFormat } from '../../src/convert/weightStore.js';
import { messageOf } from '../../src/errors.js';
import type { GenerationRequest } from '../../src/model/generation.js';
import type { Reference } from '../../src/model/reference.js';
import { openRuntime, readGraphManifest, type Runtime } from '../../src/model/runtime.js';
import { chooseProvider, proveProvider } from '../../src/model/session.js';
import { openVision } from '../../src/model/vision.js';
import { writeTinyBfloat16, writeTinyMagma } from '../support/tinyGraphs.js';
import {
  expectedCases,
  expectedCrops,
  imageId,
  largestDifference,
  temporaryFolder,
} from '../support/tinyMagma.js';

const temporary = temporaryFolder();
afterAll(() => temporary.remove());

const formats: Readonly<Record<string, Partial<WeightFormat>>> = {
  fp32: {},
  int4: { weights: 'int4', accuracyLevel: 0 },
  'int4 with 8-bit activations': { weights: 'int4' },
  int8: { weights: 'int8', accuracyLevel: 0 },
  fp16: { weights: 'fp16', compute: 'float16' },
  'int4 in fp16': { weights: 'int4', compute: 'float16' },
};

/** A device without float16 reads a table of bfloat16, which the CPU looks up, and none of float16. */
const source = writeTinyBfloat16(join(temporary.path, 'checkpoint'));

for (const [name, format] of Object.entries(formats)) {
  const folder = join(temporary.path, name);
  mkdirSync(folder);
  writeTinyMagma(folder, format, source);
}

/** What a try fails with, where that is what is expected; whatever else goes wrong is for the tests to show. */
async function refusal(attempt: () => Promise<void>, expected: RegExp): Promise<string | null> {
  try {
    await attempt();
    return null;
  } catch (error) {
    const message = messageOf(error);
    return expected.test(message) ? message : null;
  }
}

const absent = await refusal(
  () => proveProvider(chooseProvider('webgpu'), 'float32'),
  /WebGPU adapter|not installed/,
);
if (absent !== null) process.stderr.write(`SKIPPED, no WebGPU device: ${absent}\n`);

/** SwiftShader and others have no shader-f16: no such graph is ever opened. */
const halfless = await refusal(async () => {
  if (absent !== null) return;
  const folder = join(temporary.path, 'fp16');
  const manifest = readGraphManifest(folder);
  const vision = await openVision(folder, manifest, chooseProvider('webgpu'), 1);
  await vision.encode(expectedCrops('oneCrop')).finally(() => vision.release());
}, /requires f16 but the device does not support it/);
const needHalf = Object.keys(formats).filter((name) => formats[name]!.compute === 'float16');
if (halfless !== null) {
  process.stderr.write(`SKIPPED ${needHalf.join(', ')}: ${halfless}\n`);
}

async function withBoth(
  folder: string,
  use: (webgpu: Runtime, cpu: Runtime) => Promise<void>,
): Promise<void> {
  const cpu = await openRuntime(folder, { provider: 'cpu', threads: 1 });
  const webgpu = await openRuntime(folder, { provider: 'webgpu', threads: 1 });
  try {
    await use(webgpu, cpu);
  } finally {
    await webgpu.release();
    await cpu.release();
  }
}

async function requestOf(name: string, { vision }: Runtime): Promise<GenerationRequest> {
  const { ids } = expectedCases[name]!;
  const visual = await vision.encode(expectedCrops(name));
  const pictures = ids.flatMap((id, position) => (id === imageId ? [{ position, visual }] : []));
  return { ids, pictures, maxTokens: 12, eosIds: [], actionIds: { first: 100, end: 140 } };
}

(absent === null ? describe : describe.skip)('on WebGPU', () => {
  const answersAsCpu = async (name: string): Promise<void> => {
    const folder = join(temporary.path, name);
    const { compute, weights, accuracyLevel } = { ...plainFormat, ...formats[name] };
    // fp16 rounds, and with level 4 the CPU alone multiplies 8-bit activations: such tokens are compared where clear.
    const isExact = compute === 'float32' && (weights === 'fp32' || accuracyLevel === 0);
    await withBoth(folder, async (webgpu, cpu) => {
      process.stderr.write(`${name}: ${webgpu.generator.decoding.reason}\n`);
      expect(webgpu.provider.provider).toBe('webgpu');
      expect(webgpu.generator.decoding.kind).toBe('step');
      expect(webgpu.generator.decoding.reason).toMatch(/^WebGPU has no Loop; .*the CPU's tokens/);
      for (const golden of ['oneCrop', 'sixCrops']) {
        const seen = await webgpu.vision.encode(expectedCrops(golden));
        const right = await cpu.vision.encode(expectedCrops(golden));
        const most = isExact ? 1e-4 : 0.2;
        expect(largestDifference(seen.data, right.data)).toBeLessThan(most);
        if (!isExact) continue;
        // The decoder alone: both get the CPU's pictures.
        const request = await requestOf(golden, cpu);
        const expected = await cpu.generator.generate(request);
        const answer = await webgpu.generator.generate(request);
        expect(answer.tokens).toEqual(expected.tokens);
      }
    });
  };
  const plain = Object.keys(formats).filter((name) => !needHalf.includes(name));
  it.each(plain)('%s gives the tokens of the CPU', answersAsCpu);
  (halfless === null ? it : it.skip).each(needHalf)(
    '%s gives the tokens of the CPU, as far as its rounding allows',
    answersAsCpu,
  );

  it('reads a prefix once for several questions', async () => {
    await withBoth(join(temporary.path, 'fp32'), async ({ generator }, cpu) => {
      const request = await requestOf('oneCrop', cpu);
      const expected = (await cpu.generator.generate(request)).tokens;
      const cut = request.ids.indexOf(imageId) + 1;
      const beginning = { ids: request.ids.slice(0, cut), pictures: request.pictures };
      const prefix = await generator.prefix(beginning);
      const rest = { ...request, ids: request.ids.slice(cut), pictures: [] };
      expect((await prefix.generate(rest)).tokens).toEqual(expected);
      expect((await prefix.generate(rest)).tokens).toEqual(expected);
      prefix.release();
    });
  });

  it('is refused where it answers otherwise than the CPU', async () => {
    const folder = join(temporary.path, 'fp32');
    const path = join(folder, 'reference.json');
    const kept = readFileSync(path, 'utf8');
    const reference = JSON.parse(kept) as Reference;
    const place = reference.prompts[0]!.margins.findIndex((margin) => margin > 0.05);
    reference.prompts[0]!.tokens[place] = (reference.prompts[0]!.tokens[place]! + 1) % 160;
    writeFileSync(path, JSON.stringify(reference));
    const opened = openRuntime(folder, { provider: 'webgpu', threads: 1 });
    await expect(opened).rejects.toThrow(/^provider webgpu: got .* of prompt 0, where the CPU/);
    writeFileSync(path, kept);
  });
});
