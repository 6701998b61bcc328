import { describe, expect, it } from '@jest/globals';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { parseCheckpointConfig } from '../../src/convert/checkpointConfig.js';
import { contractFromCheckpoint } from '../../src/convert/contractFromCheckpoint.js';
import {
  checkTensors,
  demandedTensors,
  everyTensor,
  unusedTensors,
} from '../../src/convert/keyLayout.js';
import { openSafetensors } from '../../src/convert/safetensors.js';
import { magmaFiles, openVlaFiles, type SyntheticFiles } from '../../src/convert/syntheticFiles.js';
import { shardsOf } from '../../src/convert/syntheticShards.js';
import { readContract } from '../../src/model/contract.js';

const configOf = (folder: string, statistics: string) =>
  contractFromCheckpoint(folder, { name: 'x', statistics, unnormKey: 'bridge_orig' }).config;
const bridge = 'test/golden/magma8b/dataset_statistics.json';
const magma = configOf('test/golden/magmaReference', bridge);
const openVla = configOf('test/golden/openvlaReference', bridge);

/** The tensors of a public checkpoint of full size. */
const fullSize = {
  'magma-8b': () => fullTensors(magmaFiles, 'test/golden/magma8b'),
  'openvla-7b': () => fullTensors(openVlaFiles, 'test/golden/openvla'),
};

function fullTensors(files: SyntheticFiles, contract: string) {
  const text = files('full', undefined)['config.json']!;
  return everyTensor(parseCheckpointConfig(text, readContract(contract), 'config.json'));
}

const elements = (shape: readonly number[]) => shape.reduce((a, b) => a * b, 1);

describe('the tensors of a checkpoint', () => {
  it("are those of MagmaForCausalLM as microsoft/Magma's own code saved it", () => {
    const folder = 'test/golden/magmaReference';
    const saved = readdirSync(folder)
      .filter((name) => name.startsWith('model-') && name.endsWith('.safetensors'))
      .flatMap((name) => {
        const file = openSafetensors(join(folder, name));
        file.close();
        return [...file.entries.values()].map(({ name: key, shape }) => ({ key, shape }));
      });
    const known = new Map(everyTensor(magma).map((tensor) => [tensor.key, tensor]));
    expect(saved.length).toBeGreaterThan(80);
    // The size of the projection head, which is not used, is open_clip's own.
    const head = 'vision_tower.clip_vision_model.head.proj.weight';
    for (const tensor of saved.filter(({ key }) => key !== head)) {
      expect(known.get(tensor.key)).toEqual(tensor);
    }
    const demanded = new Set(demandedTensors(magma).map(({ key }) => key));
    const savedKeys = new Set(saved.map(({ key }) => key));
    expect([...demanded].filter((key) => !savedKeys.has(key))).toEqual([]);
    expect([...savedKeys].filter((key) => !known.has(key))).toEqual([]);
  });

  it("are those of OpenVLAForActionPrediction, in the order of openvla/openvla's own state_dict", () => {
    const { weights } = JSON.parse(
      readFileSync('test/golden/openvlaReference/expected.json', 'utf8'),
    ) as { weights: Record<string, { shape: number[] }> };
    const expected = Object.entries(weights).map(([key, { shape }]) => ({ key, shape }));
    expect(everyTensor(openVla)).toEqual(expected);
  });

  it('are used, or are ignored by name', () => {
    expect(unusedTensors(magma).map(({ key }) => key)).toEqual([
      'vision_tower.clip_vision_model.trunk.head.norm.weight',
      'vision_tower.clip_vision_model.trunk.head.norm.bias',
      'vision_tower.clip_vision_model.head.proj.weight',
    ]);
    const modules = unusedTensors(openVla).map(({ key }) => key.split('.').slice(0, 3).join('.'));
    expect([...new Set(modules)]).toEqual([
      'vision_backbone.featurizer.blocks',
      'vision_backbone.featurizer.norm',
      'vision_backbone.fused_featurizer.blocks',
      'vision_backbone.fused_featurizer.norm',
      'vision_backbone.fused_featurizer.attn_pool',
    ]);
  });

  it.each([
    // Llama-3-8B's 8030261248 and 64 rows more of both tables, 29372416 of the projector, 846543744 of ConvNeXt-XXL.
    ['magma-8b', 5e9, 8_030_261_248 + 64 * 4096 * 2 + 29_372_416 + 846_543_744, 4],
    // The index of openvla/openvla-7b has total_size 15082474368.
    ['openvla-7b', 7e9, 7_541_237_184, 3],
  ] as const)('of %s are as many as the public one has, in as many files', (name, most, all, n) => {
    const tensors = fullSize[name]();
    expect(tensors.reduce((sum, { shape }) => sum + elements(shape), 0)).toBe(all);
    expect(shardsOf(tensors, most)).toHaveLength(n);
  });
});

describe('a check of the tensors before a conversion', () => {
  const found = () => new Map(everyTensor(magma).map(({ key, shape }) => [key, shape]));
  const check = (change: (tensors: Map<string, readonly number[]>) => void) => () => {
    const tensors = found();
    change(tensors);
    checkTensors(tensors, magma, 'folder');
  };

  it('lets pass what is complete, with or without what is ignored', () => {
    expect(check(() => undefined)).not.toThrow();
    expect(
      check((tensors) => unusedTensors(magma).forEach(({ key }) => tensors.delete(key))),
    ).not.toThrow();
  });

  it('names what is missing, unknown and misshapen', () => {
    const norm = 'language_model.model.norm.weight';
    expect(check((tensors) => tensors.delete(norm))).toThrow(
      `folder: got no ${norm} [32], expected the`,
    );
    expect(check((tensors) => tensors.set(norm, [31]))).toThrow(
      `got ${norm} [31] instead of [32], expected`,
    );
    expect(check((tensors) => tensors.set('lora_A.weight', [4, 4]))).toThrow(
      'got lora_A.weight, which this architecture does not have',
    );
  });

  it('names three and counts the others', () => {
    expect(check((tensors) => tensors.clear())).toThrow(
      `and ${demandedTensors(magma).length - 3} more of such`,
    );
  });

  it('meets a checkpoint whose layer scales an old transformers renamed', () => {
    const renamed = check((tensors) => {
      for (const [key, shape] of [...tensors]) {
        if (!key.endsWith('.gamma')) continue;
        tensors.delete(key);
        tensors.set(key.replace(/gamma$/, 'weight'), shape);
      }
    });
    expect(renamed).toThrow('blocks.0.gamma [8]');
  });
});
