import { describe, expect, it } from '@jest/globals';
import { parseCheckpointConfig, towerWidth } from '../../src/convert/checkpointConfig.js';
import { magmaFiles, openVlaFiles, type SyntheticFiles } from '../../src/convert/syntheticFiles.js';
import { readContract } from '../../src/model/contract.js';

type Json = Record<string, unknown>;

const parse = (files: SyntheticFiles, contract: string, edit: (config: Json) => void) => {
  const config = JSON.parse(files('full', undefined)['config.json']!) as Json;
  edit(config);
  return parseCheckpointConfig(JSON.stringify(config), readContract(contract), 'config.json');
};
const unchanged = () => undefined;
const magma = (edit: (config: Json) => void = unchanged) =>
  parse(magmaFiles, 'test/golden/magma8b', edit);
const openVla = (edit: (config: Json) => void = unchanged) =>
  parse(openVlaFiles, 'test/golden/openvla', edit);
const text = (config: Json) => config['text_config'] as Json;

describe('the sizes of Magma-8B', () => {
  it('are those of the backbone that its config.json names', () => {
    const { towers, projector, decoder } = magma();
    expect(towers).toEqual([
      {
        kind: 'convnext',
        keyPrefix: 'vision_tower.clip_vision_model.trunk.',
        patchSize: 4,
        widths: [384, 768, 1536, 3072],
        depths: [3, 4, 30, 3],
        epsilon: 1e-5,
      },
    ]);
    expect(projector.layers).toEqual([
      { key: 'multi_modal_projector.proj.0', inputs: 3072, outputs: 4096 },
      { key: 'multi_modal_projector.proj.2', inputs: 4096, outputs: 4096 },
    ]);
    expect(decoder).toMatchObject({ ropeTheta: 500_000, epsilon: 1e-5, vocabulary: 128_320 });
  });

  it('are read from what transformers 5 writes, too', () => {
    const config = magma((json) => {
      delete text(json)['rope_theta'];
      text(json)['rope_parameters'] = { rope_theta: 500_000, rope_type: 'default' };
    });
    expect(config.decoder).toEqual(magma().decoder);
    expect(() =>
      magma((json) => {
        text(json)['rope_parameters'] = { rope_theta: 500_000, rope_type: 'llama3', factor: 8 };
      }),
    ).toThrow('text_config.rope_parameters');
  });
});

describe('the sizes of OpenVLA-7B', () => {
  it('are those of LlamaConfig where its config.json leaves them out', () => {
    expect(openVla().decoder).toEqual({
      keyPrefix: 'language_model.',
      layers: 32,
      hiddenSize: 4096,
      intermediateSize: 11_008,
      heads: 32,
      keyValueHeads: 32,
      headDim: 128,
      vocabulary: 32_064,
      maxPositions: 2048,
      epsilon: 1e-6,
      ropeTheta: 10_000,
    });
  });

  it("are those of timm's towers, run up to their second-to-last block", () => {
    const { towers, projector, ignoredKeys } = openVla();
    expect(towers).toMatchObject([
      {
        ...{ kind: 'vit', width: 1024, depth: 23, heads: 16, mlpWidth: 4096 },
        ...{ prefixTokens: 5, layerScaleName: 'scale_factor', activation: 'gelu' },
      },
      {
        ...{ kind: 'vit', width: 1152, depth: 26, heads: 16, mlpWidth: 4304 },
        ...{ prefixTokens: 0, layerScaleName: null, activation: 'gelu' },
      },
    ]);
    expect(towers.map(towerWidth)).toEqual([1024, 1152]);
    // 1024 + 1152 = 2176, four times that between.
    expect(projector.layers.map(({ inputs, outputs }) => [inputs, outputs])).toEqual([
      [2176, 8704],
      [8704, 4096],
      [4096, 4096],
    ]);
    expect(ignoredKeys).toEqual([
      'vision_backbone.featurizer.blocks.23.',
      'vision_backbone.featurizer.norm.',
      'vision_backbone.fused_featurizer.blocks.26.',
      'vision_backbone.fused_featurizer.norm.',
      'vision_backbone.fused_featurizer.attn_pool.',
    ]);
  });

  it('are refused where a tower is another than the contract says, or does not fit its picture', () => {
    expect(() => openVla((json) => (json['timm_model_ids'] as string[]).reverse())).toThrow(
      'timm_model_ids.0: got "vit_so400m_patch14_siglip_224", expected a dinov2 tower',
    );
    expect(() => openVla((json) => (json['image_sizes'] = [225, 224]))).toThrow(
      'tower 0: image size: got 225, expected a multiple of the patch size 14',
    );
    expect(() => openVla((json) => (json['timm_model_args'] = [{ num_heads: 3 }, {}]))).toThrow(
      'tower 0: got 3 heads for a width of 1024, expected a divisor of the width',
    );
    expect(() => openVla((json) => (json['timm_model_args'] = [{ reg_tokens: 3 }, {}]))).toThrow(
      'timm_model_args.0',
    );
  });
});
