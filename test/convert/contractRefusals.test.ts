/** Folders of public checkpoints that say something no code here does: refused by file and key. */
import { describe, expect, it } from '@jest/globals';
import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { bridge, contractFolder, section, type Json } from '../support/contractFolder.js';

const checkpoint = contractFolder();
const { write, change, derive, withStatistics } = checkpoint;

describe('a folder that this code does not fit', () => {
  const magma = (name: string, edit: (json: Json) => void, message: string) =>
    ['magma-8b', name, edit, message] as const;
  const openVla = (name: string, edit: (json: Json) => void, message: string) =>
    ['openvla-7b', name, edit, message] as const;

  it.each([
    magma(
      'config.json',
      (c) => (c['model_type'] = 'llava'),
      'model_type: got "llava", expected magma | openvla',
    ),
    magma('config.json', (c) => delete c['image_token_index'], 'image_token_index: got nothing'),
    magma(
      'config.json',
      (c) => (c['image_token_index'] = 3),
      'image_token_index: got 3, expected the id of',
    ),
    magma(
      'config.json',
      (c) => (c['quantization_config'] = { bits: 4 }),
      'quantization_config: got {"bits":4}',
    ),
    magma(
      'config.json',
      (c) => (section(c, 'vision_config')['img_size'] = 768),
      'base_img_size: got 64, expected 768, as',
    ),
    magma(
      'config.json',
      (c) => (section(c, 'vision_config')['mm_projector_type'] = 'linear'),
      'mm_projector_type: got "linear", expected mlp2x_gelu',
    ),
    magma(
      'config.json',
      (c) => (section(c, 'vision_config')['mm_hidden_size'] = 3072),
      'mm_hidden_size: got 3072, expected 48',
    ),
    magma(
      'config.json',
      (c) => delete section(c, 'vision_config')['dims'],
      'vision_backbone: got "convnext", expected convnextxxlarge, or',
    ),
    magma(
      'config.json',
      (c) => (section(c, 'vision_config')['vision_feature_layer'] = 'res4'),
      'vision_feature_layer: got "res4"',
    ),
    magma(
      'config.json',
      (c) => (section(c, 'text_config')['rope_scaling'] = { factor: 8 }),
      'rope_scaling: got {"factor":8}',
    ),
    magma(
      'config.json',
      (c) => (section(c, 'text_config')['rope_parameters'] = { rope_theta: 1e6 }),
      'rope_theta: got 500000 and, in rope_parameters, 1000000',
    ),
    magma(
      'config.json',
      (c) => (section(c, 'text_config')['vocab_size'] = 640),
      'largest id: got 772, expected below text_config.vocab_size 640',
    ),
    magma(
      'preprocessor_config.json',
      (c) => (c['anyres_strategy'] = 'global'),
      'anyres_strategy: got "global"',
    ),
    magma(
      'preprocessor_config.json',
      (c) => (c['base_img_size'] = 'large'),
      'base_img_size: got "large"',
    ),
    magma(
      'tokenizer_config.json',
      (c) => delete c['chat_template'],
      "chat template: got none, expected Llama 3's",
    ),
    magma(
      'tokenizer_config.json',
      (c) => (c['chat_template'] = 'USER: {{ x }}'),
      'got one without <|start_header_id|>',
    ),
    magma(
      'tokenizer_config.json',
      (c) => delete c['eos_token'],
      'tokenizer_config.json: eos_token: got nothing',
    ),
    magma('tokenizer_config.json', (c) => (c['eos_token'] = '<|end|>'), 'no token "<|end|>"'),
    magma(
      'tokenizer.json',
      (c) =>
        (c['added_tokens'] = (c['added_tokens'] as Json[]).filter(
          (t) => t['content'] !== '<image_end>',
        )),
      'no token "<image_end>"',
    ),
    magma(
      'generation_config.json',
      (c) => (c['eos_token_id'] = 2),
      'eos_token_id: got 2, expected 521, which is <|eot_id|>',
    ),
    openVla(
      'config.json',
      (c) => (c['llm_backbone_id'] = 'vicuna-v15-7b'),
      'llm_backbone_id: got "vicuna-v15-7b"',
    ),
    openVla(
      'config.json',
      (c) => (c['use_fused_vision_backbone'] = false),
      'use_fused_vision_backbone: got false',
    ),
    openVla(
      'config.json',
      (c) => (c['image_resize_strategy'] = 'letterbox'),
      'image_resize_strategy: got "letterbox"',
    ),
    openVla(
      'config.json',
      (c) => (c['timm_override_act_layers'] = ['quick_gelu', null]),
      'timm_override_act_layers.0: got "quick_gelu"',
    ),
    openVla(
      'config.json',
      (c) => (c['timm_model_ids'] = ['vit_large_patch14_clip_336.openai', 'x']),
      'timm_model_ids.0: got "vit_large_patch14_clip_336.openai", expected vit_large',
    ),
    openVla(
      'config.json',
      (c) => (c['image_sizes'] = [56, 57]),
      'image_sizes: got 56 and 57, expected one size',
    ),
    openVla(
      'config.json',
      (c) => (c['pad_token_id'] = 7),
      'pad_token_id: got 7, expected the id of',
    ),
    openVla('config.json', (c) => (c['pad_to_multiple_of'] = 0), 'pad_to_multiple_of: got 0'),
    openVla(
      'config.json',
      (c) => (c['timm_model_args'] = [{}]),
      'timm_model_args: got 1 entries, expected 2',
    ),
    openVla(
      'preprocessor_config.json',
      (c) => (c['input_sizes'] = [56, 64].map((side) => [3, side, side])),
      'input_sizes.1: got 64×64, expected 56×56, as config.json says',
    ),
    openVla(
      'preprocessor_config.json',
      (c) => (c['interpolations'] = ['bilinear', 'bicubic']),
      'interpolations.0: got "bilinear"',
    ),
    openVla(
      'preprocessor_config.json',
      (c) => {
        const [bicubic, lanczos] = [3, 1].map((interpolation) => ({
          size: [56, 56],
          interpolation,
        }));
        c['tvf_resize_params'] = [bicubic, lanczos];
      },
      'tvf_resize_params.1.interpolation: got 1',
    ),
    openVla(
      'preprocessor_config.json',
      (c) => (c['tvf_resize_params'] = [56, 64].map((n) => ({ size: [n, n], interpolation: 3 }))),
      'tvf_resize_params.1: got 64×64, expected 56×56, as config.json says',
    ),
    openVla(
      'preprocessor_config.json',
      (c) => (c['tvf_crop_params'] = [50, 56].map((n) => ({ output_size: [n, n] }))),
      'tvf_crop_params.0: got 50×50, expected 56×56, as config.json says',
    ),
    openVla(
      'preprocessor_config.json',
      (c) => (c['tvf_do_letterbox'] = true),
      'tvf_do_letterbox: got true',
    ),
    openVla(
      'tokenizer.json',
      (c) => delete section(section(c, 'model'), 'vocab')['▁'],
      'tokenizer.json: ',
    ),
  ])('of %s is refused by file and key: %s %#', (name, file, edit, message) => {
    write(name);
    change(file, edit);
    expect(() => derive(withStatistics())).toThrow(message);
  });

  it('is refused where the decoder is one that config.json does not tell of', () => {
    write('openvla-7b');
    writeFileSync(join(checkpoint.path, 'action_head--150000_checkpoint.pt'), '');
    expect(() => derive(bridge)).toThrow(
      'action_head--150000_checkpoint.pt: got a part of OpenVLA-OFT, expected a model that answers in',
    );
  });

  it('is refused without one of its files, and where one is no JSON', () => {
    write('magma-8b');
    rmSync(join(checkpoint.path, 'preprocessor_config.json'));
    expect(() => derive(withStatistics())).toThrow('ENOENT');
    writeFileSync(join(checkpoint.path, 'preprocessor_config.json'), '{');
    expect(() => derive(withStatistics())).toThrow('expected JSON');
    writeFileSync(join(checkpoint.path, 'preprocessor_config.json'), '[]');
    expect(() => derive(withStatistics())).toThrow('preprocessor_config.json');
  });
});
