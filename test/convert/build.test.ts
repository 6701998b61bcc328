import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import {
  appendFileSync,
  copyFileSync,
  readFileSync,
  readdirSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { buildGraphs, type BuildProgress } from '../../src/convert/build.js';
import { parseCheckpointConfig } from '../../src/convert/checkpointConfig.js';
import {
  openSafetensors,
  writeSafetensors,
  type RawTensor,
} from '../../src/convert/safetensors.js';
import { ModelError } from '../../src/errors.js';
import { graphFiles } from '../../src/model/graphs.js';
import { openRuntime } from '../../src/model/runtime.js';
import {
  expectedCrops,
  magmaLayout,
  temporaryFolder,
  tinyMagmaFolder,
} from '../support/tinyMagma.js';

const quiet = () => undefined;
let model: { readonly path: string; remove(): void };
let cache: { readonly path: string; remove(): void };

beforeEach(() => {
  model = temporaryFolder();
  cache = temporaryFolder();
  for (const file of ['config.json', 'model.safetensors']) {
    copyFileSync(join(tinyMagmaFolder, file), join(model.path, file));
  }
});

afterEach(() => {
  model.remove();
  cache.remove();
});

/** Rewrites the checkpoint of this test with other tensors. */
function changeTensors(change: (tensors: Map<string, RawTensor>) => void): void {
  const path = join(model.path, 'model.safetensors');
  const file = openSafetensors(path);
  const tensors = new Map<string, RawTensor>();
  for (const { name, shape } of file.entries.values()) {
    tensors.set(name, {
      dtype: 'F32',
      shape,
      data: new Uint8Array(file.readFloat32(name).buffer),
    });
  }
  file.close();
  change(tensors);
  writeSafetensors(path, tensors);
}

describe('a build', () => {
  it('writes every file of the boundary once, tells how far it is, and comes from the cache then', () => {
    const stages: BuildProgress[] = [];
    const built = buildGraphs(model.path, magmaLayout, cache.path, (step) => stages.push(step));
    expect(built.origin).toBe('built');
    expect(readdirSync(built.folder).sort()).toEqual(Object.values(graphFiles).sort());
    expect(readdirSync(cache.path)).toHaveLength(1);
    expect(new Set(stages.map((step) => step.stage))).toEqual(
      new Set(['hash', 'vision', 'decoder']),
    );
    expect(stages.at(-1)).toEqual({ stage: 'decoder', fraction: 1 });

    const again = buildGraphs(model.path, magmaLayout, cache.path, quiet);
    expect(again).toEqual({ folder: built.folder, origin: 'cache' });
  });

  it('gives the same bytes for the same checkpoint', () => {
    const other = temporaryFolder();
    const a = buildGraphs(model.path, magmaLayout, cache.path, quiet).folder;
    const b = buildGraphs(model.path, magmaLayout, other.path, quiet).folder;
    for (const file of Object.values(graphFiles)) {
      expect(readFileSync(join(b, file)).equals(readFileSync(join(a, file)))).toBe(true);
    }
    other.remove();
  });

  it('has another place for other weights, another configuration and another layout', () => {
    const folder = () => buildGraphs(model.path, magmaLayout, cache.path, quiet).folder;
    const first = folder();
    changeTensors((tensors) => {
      const norm = tensors.get('language_model.model.norm.weight')!;
      norm.data[3]! ^= 1;
    });
    const second = folder();
    const config = join(model.path, 'config.json');
    writeFileSync(config, readFileSync(config, 'utf8').replace('10000.0', '20000.0'));
    const third = folder();
    const layout = { ...magmaLayout, ignoredKeys: ['unused.'] };
    const fourth = buildGraphs(model.path, layout, cache.path, quiet).folder;
    expect(new Set([first, second, third, fourth]).size).toBe(4);
  });

  it('repairs a cache in which a file was cut or grew', () => {
    const { folder } = buildGraphs(model.path, magmaLayout, cache.path, quiet);
    const weights = join(folder, graphFiles.decoderWeights);
    const original = readFileSync(weights);
    appendFileSync(weights, 'x');
    expect(buildGraphs(model.path, magmaLayout, cache.path, quiet).origin).toBe('built');
    expect(readFileSync(weights).equals(original)).toBe(true);
    writeFileSync(join(folder, graphFiles.manifest), '{');
    expect(buildGraphs(model.path, magmaLayout, cache.path, quiet).origin).toBe('built');
  });

  it('keeps the folder of another process that was faster', () => {
    const written: number[] = [];
    const manifestTime = (folder: string) => statSync(join(folder, graphFiles.manifest)).mtimeMs;
    const built = buildGraphs(model.path, magmaLayout, cache.path, ({ stage }) => {
      if (stage !== 'vision') return;
      const faster = buildGraphs(model.path, magmaLayout, cache.path, quiet);
      expect(faster.origin).toBe('built');
      written.push(manifestTime(faster.folder));
    });
    expect(written).toEqual([manifestTime(built.folder)]);
    expect(readdirSync(cache.path)).toHaveLength(1);
  });

  it('leaves nothing behind when it fails', () => {
    changeTensors((tensors) => tensors.delete('language_model.lm_head.weight'));
    expect(() => buildGraphs(model.path, magmaLayout, cache.path, quiet)).toThrow(
      'language_model.lm_head.weight: got no such tensor, expected [160, 32]',
    );
    expect(readdirSync(cache.path)).toEqual([]);
  });

  it('names a tensor of another shape', () => {
    changeTensors((tensors) => {
      const key = 'vision_tower.clip_vision_model.trunk.stages.1.blocks.0.mlp.fc1.weight';
      tensors.set(key, { ...tensors.get(key)!, shape: [16, 64] });
    });
    expect(() => buildGraphs(model.path, magmaLayout, cache.path, quiet)).toThrow(
      'stages.1.blocks.0.mlp.fc1.weight: got [16, 64], expected [64, 16]',
    );
  });

  it('refuses a tensor it does not know, unless the contract says to ignore it', () => {
    changeTensors((tensors) => {
      const key = 'multi_modal_projector.img_start_seperator';
      tensors.set(key, { dtype: 'F32', shape: [1], data: new Uint8Array(4) });
    });
    expect(() => buildGraphs(model.path, magmaLayout, cache.path, quiet)).toThrow(
      'img_start_seperator: got a tensor this architecture does not have',
    );
    const layout = { ...magmaLayout, ignoredKeys: ['multi_modal_projector.img_start'] };
    expect(buildGraphs(model.path, layout, cache.path, quiet).origin).toBe('built');
  });

  it('leaves the separators out where the layout has none', async () => {
    const path = join(model.path, 'config.json');
    const config = readFileSync(path, 'utf8');
    writeFileSync(path, config.replace(/("mm_use_row_seperator": )true/, '$1false'));
    const projector = { ...magmaLayout.projector, rowSeparator: null };
    const layout = {
      ...magmaLayout,
      projector,
      ignoredKeys: ['multi_modal_projector.row_seperator'],
    };
    const { folder } = buildGraphs(model.path, layout, cache.path, quiet);
    const runtime = await openRuntime(folder, { provider: 'cpu', threads: 1 });
    const visual = await runtime.vision.encode(expectedCrops('sixCrops'));
    // 2 × 3 crops of 2 × 3 cells.
    expect(visual.count).toBe(4 * 9);
    await runtime.release();
  });

  it('refuses a folder without config.json', () => {
    const empty = temporaryFolder();
    expect(() => buildGraphs(empty.path, magmaLayout, cache.path, quiet)).toThrow(ModelError);
    empty.remove();
  });
});

describe('config.json', () => {
  const text = readFileSync(join(tinyMagmaFolder, 'config.json'), 'utf8');
  const change = (section: string, values: Record<string, unknown>) => {
    const config = JSON.parse(text) as Record<string, Record<string, unknown>>;
    return JSON.stringify({ ...config, [section]: { ...config[section], ...values } });
  };

  it('gives the sizes', () => {
    const { towers, decoder } = parseCheckpointConfig(text, magmaLayout, 'config.json');
    expect(towers).toMatchObject([
      { kind: 'convnext', patchSize: 4, widths: [8, 16, 24], depths: [1, 2, 1] },
    ]);
    expect(decoder).toMatchObject({ layers: 3, heads: 4, keyValueHeads: 2, headDim: 16 });
  });

  it('gives the head size that the width implies where it does not say it', () => {
    const config = change('text_config', { head_dim: undefined, hidden_size: 64 });
    expect(parseCheckpointConfig(config, magmaLayout, 'x').decoder.headDim).toBe(16);
  });

  it.each([
    ['text_config', { rope_scaling: { type: 'linear' } }, 'text_config.rope_scaling: got {"type"'],
    ['text_config', { hidden_act: 'gelu' }, 'text_config.hidden_act: got "gelu"'],
    ['text_config', { tie_word_embeddings: true }, 'tie_word_embeddings: got true'],
    ['text_config', { attention_bias: true }, 'attention_bias: got true'],
    ['text_config', { hidden_size: -1 }, 'text_config.hidden_size: got -1'],
    ['text_config', { vocab_size: undefined }, 'text_config.vocab_size: got nothing'],
    ['text_config', { num_key_value_heads: 3 }, 'got 4 heads for 3 key/value heads'],
    ['text_config', { head_dim: 24 }, 'text_config.head_dim: got 24, expected a multiple of 16'],
    ['vision_config', { depths: [1, 2] }, 'got 2 depths for 3 dims, expected one depth per stage'],
    ['vision_config', { kernel_size: 5 }, 'vision_config.kernel_size: got 5'],
  ])('is refused with %s %j, by key', (section, values, message) => {
    expect(() =>
      parseCheckpointConfig(change(section, values), magmaLayout, 'config.json'),
    ).toThrow(message);
  });

  it('is refused for towers this builder does not know', () => {
    const layout = {
      ...magmaLayout,
      towers: [{ kind: 'siglip' as const, recipe: 'siglip', keyPrefix: 'x.' }],
    };
    expect(() => parseCheckpointConfig(text, layout, 'config.json')).toThrow(
      'timm_model_ids: got nothing',
    );
  });
});
