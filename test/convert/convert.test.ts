import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { createHash } from 'node:crypto';
import { dirname, join } from 'node:path';
import { buildGraphs, openGraphs } from '../../src/convert/build.js';
import { type ConversionProgress } from '../../src/convert/conversionWatch.js';
import { convertModel, type Conversion } from '../../src/convert/convert.js';
import { ExternalData } from '../../src/convert/external.js';
import { openSafetensors } from '../../src/convert/safetensors.js';
import { StorageError } from '../../src/convert/storageError.js';
import { verifyModel } from '../../src/convert/verify.js';
import { plainFormat, type WeightFormat } from '../../src/convert/weightStore.js';
import { ModelError } from '../../src/errors.js';
import { graphFiles } from '../../src/model/graphs.js';
import { openRuntime } from '../../src/model/runtime.js';
import {
  expectedCases,
  expectedCrops,
  imageId,
  magmaLayout,
  temporaryFolder,
  tinyMagmaFolder,
  vocabulary,
} from '../support/tinyMagma.js';
import { contents, flip, int4, quiet, tinyConversion } from '../support/tinyConversion.js';

const work = tinyConversion();
const conversion = (change: Partial<Conversion> = {}): Conversion => work.of(change);

describe('a conversion', () => {
  it('makes a folder of contract, graphs and a record, and nothing else', async () => {
    const { record, manifest, kept } = await convertModel(conversion(), quiet);
    expect(kept).toBe(0);
    expect(readdirSync(work.path).sort()).toEqual(['checkpoint', 'model']);
    expect(readdirSync(work.out).sort()).toEqual([
      'config.json',
      'conversion.json',
      'graphs',
      'model.json',
    ]);
    expect(readdirSync(join(work.out, 'graphs')).sort()).toEqual(Object.values(graphFiles).sort());
    expect(manifest.decoder).toMatchObject({ keyValueType: 'float32', weights: 'int4' });
    expect(JSON.parse(readFileSync(join(work.out, 'conversion.json'), 'utf8'))).toEqual(record);
    expect(record.notes).toEqual(['said once']);
    const { weights, files } = record;
    const head = weights.find(({ tensors }) => tensors[0]!.name.includes('lm_head'))!;
    expect(head.tensors[0]).toMatchObject({ type: 'uint8', shape: [160, 1, 32] });
    expect(head.error!.relativeRms).toBeLessThan(0.007);
    const down = weights.find(({ tensors }) => tensors[0]!.name.endsWith('layers.0.down.packed'))!;
    expect(down.tensors[0]).toMatchObject({ type: 'uint8', shape: [32, 2, 16] });
    expect(down.error!.relativeRms).toBeGreaterThan(0.03);
    expect(files.map(({ name }) => name)).toEqual(
      expect.arrayContaining(['model.json', 'graphs/graphs.json', 'graphs/decoder.weights']),
    );
  });

  it('as fp32 writes the graphs that a build writes', async () => {
    await convertModel(conversion({ format: plainFormat }), quiet);
    const { folder } = buildGraphs(
      work.source,
      magmaLayout,
      join(work.path, 'cache'),
      () => undefined,
    );
    for (const name of Object.values(graphFiles)) {
      if (name === graphFiles.manifest) continue;
      const same = readFileSync(join(work.out, 'graphs', name)).equals(
        readFileSync(join(folder, name)),
      );
      expect([name, same]).toEqual([name, true]);
    }
  });

  it('gives the same bytes again, and other ones for another format', async () => {
    await convertModel(conversion(), quiet);
    const first = contents(work.out);
    const again = join(work.path, 'again');
    await convertModel(conversion({ out: again }), quiet);
    expect(contents(again)).toEqual(first);
    const wide = join(work.path, 'wide');
    await convertModel(conversion({ out: wide, format: { ...int4, block: 128 } }), quiet);
    expect(contents(wide)['graphs/decoder.weights']).not.toBe(first['graphs/decoder.weights']);
  });

  it('tells how far it is in every stage', async () => {
    const seen: ConversionProgress[] = [];
    await convertModel(conversion(), { onProgress: (progress) => seen.push(progress) });
    for (const stage of ['sources', 'weights', 'check'] as const) {
      const all = seen.filter((progress) => progress.stage === stage);
      const done = all.map((progress) => progress.done);
      expect(done).toEqual([...done].sort((a, b) => a - b));
      expect(done.at(-1)).toBe(all[0]!.total);
    }
  });

  it('replaces nothing', async () => {
    mkdirSync(work.out);
    await expect(convertModel(conversion(), quiet)).rejects.toThrow('a folder that exists');
    rmSync(work.out, { recursive: true });
    mkdirSync(`${work.out}.partial`);
    writeFileSync(join(`${work.out}.partial`, 'thesis.txt'), 'mine');
    await expect(convertModel(conversion(), quiet)).rejects.toThrow('thesis.txt');
    expect(readFileSync(join(`${work.out}.partial`, 'thesis.txt'), 'utf8')).toBe('mine');
  });

  it('is used by the runtime as it is, and refused when it is not whole', async () => {
    await convertModel(conversion(), quiet);
    const cache = join(work.path, 'cache');
    const open = () => openGraphs(work.out, magmaLayout, cache, () => undefined);
    expect(open()).toEqual({ folder: join(work.out, 'graphs'), origin: 'converted' });
    expect(existsSync(cache)).toBe(false);
    const step = join(work.out, 'graphs', graphFiles.step);
    renameSync(step, `${step}.away`);
    expect(open).toThrow('step.onnx absent, expected what it lists; convert the checkpoint again');
    renameSync(`${step}.away`, step);
    const manifest = join(work.out, 'graphs', graphFiles.manifest);
    writeFileSync(
      manifest,
      readFileSync(manifest, 'utf8').replace(/"builder": "\d+"/, '"builder": "0"'),
    );
    expect(open).toThrow('graphs of builder 0');
    writeFileSync(manifest, '{');
    expect(open).toThrow(ModelError);
  });
});

describe('a converted model', () => {
  const folders: { remove(): void }[] = [];
  const graphsOf: Record<string, string> = {};
  const formats: Record<string, WeightFormat> = {
    fp32: plainFormat,
    fp16: { weights: 'fp16', block: 32, compute: 'float16', accuracyLevel: 0 },
    int8: { weights: 'int8', block: 32, compute: 'float32', accuracyLevel: 0 },
    int4: { weights: 'int4', block: 32, compute: 'float32', accuracyLevel: 0 },
    'int4 in fp16': { weights: 'int4', block: 32, compute: 'float16', accuracyLevel: 0 },
  };

  beforeAll(async () => {
    for (const [name, format] of Object.entries(formats)) {
      const folder = temporaryFolder();
      folders.push(folder);
      const model = join(folder.path, 'model');
      const from = { source: tinyMagmaFolder, out: model, layout: magmaLayout };
      await convertModel({ ...from, format, files: {}, notes: [] }, quiet);
      graphsOf[name] = join(model, 'graphs');
    }
  });
  afterAll(() => folders.forEach((folder) => folder.remove()));

  /** Log-probabilities of PyTorch's greedy answer to a picture, and the tokens. */
  async function answer(format: string) {
    const runtime = await openRuntime(graphsOf[format]!, { provider: 'cpu', threads: 1 });
    const { ids } = expectedCases['oneCrop']!;
    const visual = await runtime.vision.encode(expectedCrops('oneCrop'));
    const result = await runtime.generator.generate({
      ids,
      pictures: [{ position: ids.indexOf(imageId), visual }],
      maxTokens: 6,
      eosIds: [],
      actionIds: { first: 0, end: vocabulary },
    });
    await runtime.release();
    return { visual, ...result };
  }

  it.each([
    ['fp32', 1e-6, 1e-6],
    ['fp16', 2e-3, 0.01],
    ['int8', 0.01, 0.1],
    ['int4', 0.15, 0.4],
    ['int4 in fp16', 0.15, 0.4],
  ])(
    'as %s sees and answers as the checkpoint, as closely as that allows',
    async (format, ofSight, ofWord) => {
      const exact = await answer('fp32');
      const got = await answer(format);
      const norm = (data: Float32Array) => Math.sqrt(data.reduce((sum, v) => sum + v * v, 0));
      const off = got.visual.data.map((value, i) => value - exact.visual.data[i]!);
      expect(norm(off) / norm(exact.visual.data)).toBeLessThan(ofSight);
      expect(Math.abs(got.logProbabilities[0]! - exact.logProbabilities[0]!)).toBeLessThan(ofWord);
      if (!format.startsWith('int4')) expect(got.tokens).toEqual(exact.tokens);
      expect(exact.tokens).toEqual(expectedCases['oneCrop']!.tokens.slice(0, 6));
    },
  );
});

describe('checksums', () => {
  it('find a flipped byte of any file, and the weight it lies in', async () => {
    const { record } = await convertModel(conversion(), quiet);
    const whole = await verifyModel(work.out, null, quiet);
    expect(whole).toMatchObject({ sources: 'checked', differences: [] });
    const head = record.weights.find((w) => w.tensors[0]!.name.includes('lm_head'))!.tensors[0]!;
    for (const { name } of record.files) {
      const path = join(work.out, name);
      const at = name.endsWith(head.file) ? head.offset + 77 : statSync(path).size - 1;
      flip(path, at);
      const { differences } = await verifyModel(work.out, null, quiet);
      expect(differences.map((difference) => difference.path)).toEqual([path]);
      expect(differences[0]!.got).toMatch(/^SHA-256 [0-9a-f]{64}$/);
      if (name.endsWith(head.file)) expect(differences[0]!.weights).toEqual([head.name]);
      flip(path, at);
    }
  });

  it('find a flipped byte of the checkpoint, and say when it is not there', async () => {
    await convertModel(conversion(), quiet);
    const weights = join(work.source, 'model.safetensors');
    flip(weights, 5000);
    const { differences } = await verifyModel(work.out, null, quiet);
    expect(differences.map(({ path }) => path)).toEqual([weights]);
    rmSync(work.source, { recursive: true });
    expect(await verifyModel(work.out, null, quiet)).toMatchObject({
      sources: 'absent',
      differences: [],
    });
    const [missing] = (await verifyModel(work.out, work.source, quiet)).differences;
    expect(missing!.got).toBe('no file');
  });

  it('find a file that is absent or cut', async () => {
    await convertModel(conversion(), quiet);
    rmSync(join(work.out, 'model.json'));
    writeFileSync(join(work.out, 'graphs', graphFiles.vision), 'x');
    const { differences } = await verifyModel(work.out, null, quiet);
    expect(differences.map(({ got }) => got).sort()).toEqual(['1 bytes', 'no file']);
    await expect(verifyModel(work.source, null, quiet)).rejects.toThrow(
      'the record of a converted model',
    );
  });

  it('of the publisher are compared, where a download left them', async () => {
    const weights = join(work.source, 'model.safetensors');
    const sha256 = createHash('sha256').update(readFileSync(weights)).digest('hex');
    const metadata = join(work.source, '.cache/huggingface/download/model.safetensors.metadata');
    mkdirSync(dirname(metadata), { recursive: true });
    writeFileSync(metadata, `0123\n${sha256}\n1700000000.0\n`);
    const { record } = await convertModel(conversion(), quiet);
    expect(record.source.files.map(({ publishedIn }) => publishedIn)).toEqual([
      null,
      expect.stringContaining('model.safetensors.metadata'),
    ]);
    rmSync(work.out, { recursive: true });
    const { size, mtime } = statSync(weights);
    flip(weights, size - 1);
    utimesSync(weights, mtime, mtime);
    await expect(convertModel(conversion(), quiet)).rejects.toThrow(
      new RegExp(
        `got SHA-256 [0-9a-f]{64}, expected ${sha256}, as published .*download it again, or`,
      ),
    );
    expect(existsSync(`${work.out}.partial`)).toBe(false);
  });
});

describe('a checkpoint that cannot be converted', () => {
  const refused = async (message: string | RegExp) => {
    await expect(convertModel(conversion(), quiet)).rejects.toThrow(message);
    expect(readdirSync(work.path)).toEqual(['checkpoint']);
  };

  it('leaves nothing behind: no weights', async () => {
    rmSync(join(work.source, 'model.safetensors'));
    await refused('got no weights, expected model.safetensors');
  });

  it.each(['pytorch_model.bin', 'consolidated.00.pth', 'model.pt'])(
    'is one of pickles only: %s',
    async (name) => {
      rmSync(join(work.source, 'model.safetensors'));
      writeFileSync(join(work.source, name), 'x');
      await refused(/a Python pickle, which can run any program .*expected safetensors/);
    },
  );

  it('has a config.json of another size', async () => {
    const config = join(work.source, 'config.json');
    const wider = readFileSync(config, 'utf8').replace(
      '"intermediate_size": 56',
      '"intermediate_size": 64',
    );
    writeFileSync(config, wider);
    await refused('mlp.gate_proj.weight [56, 32] instead of [64, 32]');
  });

  it.each([
    // Whole numbers, the table as it is, fp32 of several rows and of one.
    ['language_model.model.layers.1.mlp.down_proj.weight', 60, 1],
    ['language_model.model.embed_tokens.weight', 70, 2],
    ['vision_tower.clip_vision_model.trunk.stem.0.bias', 3, 0],
    ['language_model.model.norm.weight', 5, 0],
  ] as const)('has a weight that is not finite: %s', async (key, index, row) => {
    const path = join(work.source, 'model.safetensors');
    const file = openSafetensors(path);
    const { begin } = file.entries.get(key)!;
    const tensor = file.source(key);
    const numberBytes = tensor.type === 'F32' ? 4 : 2;
    file.close();
    const bytes = readFileSync(path);
    const at = 8 + Number(bytes.readBigUInt64LE(0)) + begin + index * numberBytes;
    // All bits set is NaN in every floating-point type.
    bytes.fill(0xff, at, at + numberBytes);
    writeFileSync(path, bytes);
    await refused(`${key}, row ${row}: got a number that is not finite`);
  });

  it('has a layer scale that is not finite, which is folded into other weights', async () => {
    const path = join(work.source, 'model.safetensors');
    const file = openSafetensors(path);
    const block = 'vision_tower.clip_vision_model.trunk.stages.0.blocks.0';
    const { begin, end } = file.entries.get(`${block}.gamma`)!;
    file.close();
    const bytes = readFileSync(path);
    const data = 8 + Number(bytes.readBigUInt64LE(0));
    bytes.fill(0xff, data + begin, data + end);
    writeFileSync(path, bytes);
    await refused(`${block}.mlp.fc2.weight, row 0: got a number that is not finite`);
  });

  it('cannot be written to a disk that is not there', async () => {
    writeFileSync(join(work.path, 'file'), '');
    const nowhere = conversion({ out: join(work.path, 'file', 'model') });
    await expect(convertModel(nowhere, quiet)).rejects.toThrow(StorageError);
  });

  // Node 20 tries for ever to make all folders at once there.
  (existsSync('/proc/self') ? it : it.skip)('cannot be written to /proc, and says so', async () => {
    for (const path of ['/proc/magma', '/proc/magma/model']) {
      await expect(convertModel(conversion({ out: path }), quiet)).rejects.toThrow(
        /^\/proc\/magma(\.partial)?: got (Error: )?ENOENT.*, expected a folder that can be made$/,
      );
    }
  });

  (existsSync('/dev/full') ? it : it.skip)('says so where the disk is full', () => {
    const external = new ExternalData('/dev/full', 'resume');
    const tensor = external.allocate('layers.0.qkv', 'float32', [16]);
    expect(() => external.write(tensor, 0, new Uint8Array(64))).toThrow(StorageError);
    expect(() => external.write(tensor, 0, new Uint8Array(64))).toThrow(
      '/dev/full: got no space left on the disk, expected room for 64 bytes of layers.0.qkv',
    );
    external.close();
  });

  it('is too large to be built unasked', () => {
    const large = join(work.source, 'model.safetensors');
    const descriptor = openSync(large, 'r+');
    writeSync(descriptor, new Uint8Array(1), 0, 1, 2 ** 31 + 1);
    closeSync(descriptor);
    expect(() =>
      openGraphs(work.source, magmaLayout, join(work.path, 'cache'), () => undefined),
    ).toThrow(/got 2\.1 GB of raw weights, expected a converted model: npx magma-vla convert/);
  });
});
