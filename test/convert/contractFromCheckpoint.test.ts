import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import {
  contractFromCheckpoint,
  type ContractOptions,
} from '../../src/convert/contractFromCheckpoint.js';
import {
  writeSmallFiles,
  type SyntheticName,
  type SyntheticSize,
} from '../../src/convert/syntheticFolder.js';
import { checkFiles } from '../../src/commands/checkFiles.js';
import { readConfig } from '../../src/config.js';
import { readContract, type Contract } from '../../src/model/contract.js';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'magma-vla-contract-'));
});
afterEach(() => rmSync(folder, { recursive: true }));

type Json = Record<string, unknown>;

/** A synthetic folder, and what stands in the way of its contract after a change of one file. */
function write(name: SyntheticName, size: SyntheticSize['size'] = 'tiny'): void {
  writeSmallFiles(folder, name, { size });
}
function change(file: string, edit: (json: Json) => void): void {
  const path = join(folder, file);
  const json = JSON.parse(readFileSync(path, 'utf8')) as Json;
  edit(json);
  writeFileSync(path, JSON.stringify(json));
}
const section = (json: Json, key: string) => json[key] as Json;
const derive = (options: Partial<ContractOptions> = {}) =>
  contractFromCheckpoint(folder, { name: 'test', ...options });
const bridge = { unnormKey: 'bridge_orig' };
const withStatistics = () => ({ ...bridge, statistics: join(folder, 'synthetic_statistics.json') });

const modelJson = (path: string) => JSON.parse(readFileSync(path, 'utf8')) as Json;

describe('the contract of a public checkpoint', () => {
  it('of Magma-8B is the one whose prompts are checked against its own code', () => {
    write('magma-8b', 'full');
    const golden = readContract('test/golden/magma8b');
    const { files } = derive({
      ...bridge,
      name: 'Magma-8B',
      statistics: 'test/golden/magma8b/dataset_statistics.json',
      robots: golden.robots,
    });
    expect(JSON.parse(files['model.json']!)).toEqual(modelJson('test/golden/magma8b/model.json'));
    expect(Object.keys(files).sort()).toEqual([
      'config.json',
      'dataset_statistics.json',
      'model.json',
      'tokenizer.json',
      'tokenizer_config.json',
    ]);
  });

  it('of OpenVLA-7B comes out of its own files, statistics included', () => {
    write('openvla-7b', 'full');
    const { robots } = readContract('test/golden/openvla');
    const { files } = derive({ ...bridge, name: 'OpenVLA-7B', robots, centreCrop: 0.9 });
    expect(JSON.parse(files['model.json']!)).toEqual(modelJson('test/golden/openvla/model.json'));
    expect(JSON.parse(files['dataset_statistics.json']!)).toEqual(
      section(modelJson(join(folder, 'config.json')), 'norm_stats'),
    );
  });

  it.each(['magmaReference', 'openvlaReference'])(
    "reads the folder of %s, of the model's code",
    (name) => {
      const { contract } = contractFromCheckpoint(`test/golden/${name}`, {
        ...bridge,
        name,
        statistics: 'test/golden/magma8b/dataset_statistics.json',
      });
      expect(contract.answers.action.bins).toBe(256);
    },
  );

  it('says what was chosen', () => {
    write('openvla-7b');
    const { notes } = derive(bridge);
    expect(notes.join('\n')).toContain('un-normalised with bridge_orig of ');
    expect(notes.join('\n')).toContain('config.json: norm_stats; 1 others are there');
    expect(notes.join('\n')).toContain('A step is 0.2 s: control_frequency 5 of openvla/openvla');
    expect(notes.join('\n')).toContain('Gripper: 1 is open, 0 is closed');
    expect(notes[0]).toMatch(/^Pictures are resized with bicubic, .*"filter": "lanczos3"/);
    expect(notes.at(-2)).toContain('No robot is listed');
    expect(notes.at(-1)).toContain('answers best with --centre-crop 0.9');
    expect(derive({ ...bridge, centreCrop: 1 }).notes).toEqual(notes.slice(0, -1));
  });
});

describe('what a contract takes from the folder', () => {
  const action = (contract: Contract) => contract.answers.action;

  it('is where the chat template and the tokenizer both put a beginning of sequence', () => {
    write('magma-8b');
    expect(derive(withStatistics()).contract.prompts.action.bos).toBe(2);
    change('tokenizer.json', (json) => {
      json['post_processor'] = { type: 'Sequence', processors: [{ type: 'ByteLevel' }] };
    });
    expect(derive(withStatistics()).contract.prompts.action.bos).toBe(1);
  });

  it('is whether pictures stand between start and end tokens', () => {
    write('magma-8b');
    change('config.json', (json) => {
      json['mm_use_image_start_end'] = false;
    });
    const { contract } = derive(withStatistics());
    expect(JSON.stringify(contract.prompts)).not.toContain('<image_start>');
    expect(JSON.stringify(contract.prompts)).toContain('"image":"primary"');
  });

  it('is the normalisation that the processor loads: stored numbers before those they were made of', () => {
    write('openvla-7b');
    expect(derive(bridge).contract.recipes['dino']!.mean).toEqual([0.484375, 0.455078125, 0.40625]);
    change('preprocessor_config.json', (json) => {
      delete json['tvf_normalize_params'];
    });
    expect(derive(bridge).contract.recipes['dino']!.mean).toEqual([0.485, 0.456, 0.406]);
  });

  it("is a fine-tune's own statistics before those it inherited", () => {
    write('openvla-7b');
    const vector = [1, 1, 1, 1, 1, 1, 1];
    const own = { mine: { action: { q01: vector.map((v) => -v), q99: vector } } };
    writeFileSync(join(folder, 'dataset_statistics.json'), JSON.stringify(own));
    const { contract } = derive({ period: 0.1 });
    expect(action(contract).statistics.default).toBe('mine');
    expect(action(contract).period).toBe(0.1);
    expect(Object.keys(contract.statistics)).toEqual(['mine']);
  });

  it('is no statistics in units of a simulated controller, which a run could choose by name', () => {
    write('openvla-7b');
    change('config.json', (json) => {
      const all = section(json, 'norm_stats');
      all['libero_spatial'] = all['bridge_orig'];
    });
    const { contract, files, notes } = derive(bridge);
    expect(Object.keys(contract.statistics)).not.toContain('libero_spatial');
    expect(files['dataset_statistics.json']).not.toContain('libero_spatial');
    expect(contract.statistics['bridge_orig']!.q99).toHaveLength(7);
    expect(notes.join('\n')).toContain('Left out, because');
    expect(notes.join('\n')).toContain('controller: libero_spatial.');
  });

  it('leaves the centre of the picture alone unless it is asked for', () => {
    write('openvla-7b');
    expect(JSON.stringify(derive(bridge).contract.prompts)).not.toContain('centreCropArea');
  });

  it.each([90, 1.01, 0, -0.9, NaN])('is no centre crop of %d', (centreCrop) => {
    write('openvla-7b');
    expect(() => derive({ ...bridge, centreCrop })).toThrow(
      `--centre-crop: got ${centreCrop}, expected a share of the area`,
    );
  });

  it('is no centre crop of a Magma', () => {
    write('magma-8b');
    expect(() => derive({ ...withStatistics(), centreCrop: 0.9 })).toThrow(
      '--centre-crop: got 0.9, expected none: models of this kind are shown the whole picture',
    );
  });
});

describe('a derived contract and a robot', () => {
  const widowx = 'config/widowx.yaml';
  const { robot, baseFrame } = readConfig(widowx);
  const trained = { robot, baseFrame, statistics: 'bridge_orig', tcp: 'between the fingers' };
  /** What `check --model` says of the model, once the derived files lie in a folder. */
  const findings = (options: Partial<ContractOptions>) => {
    const { files } = derive({ ...withStatistics(), ...options });
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text);
    return checkFiles(widowx, folder).findings.filter(({ what }) => what === 'model');
  };

  it('fit where the contract lists the robot: camera, base frame and rate of widowx.yaml', () => {
    write('magma-8b');
    expect(findings({ robots: [trained] })).toMatchObject([
      { outcome: 'ok', sentence: 'test was trained for robot widowx250s.' },
    ]);
  });

  it('do not fit where it lists none: nobody says that the model was trained for it', () => {
    write('openvla-7b');
    expect(JSON.stringify(findings({}))).toContain(
      'model test, robot: got widowx250s, expected a robot it is trained for: none listed',
    );
  });

  it('do not fit at another rate', () => {
    write('openvla-7b');
    const google = { robots: [trained], unnormKey: 'fractal20220817_data' };
    expect(JSON.stringify(findings(google))).toContain(
      'control.policyPeriod: got 0.2 s, expected 0.333 s',
    );
  });
});

describe('a choice that the folder leaves open', () => {
  it('is asked for: whose statistics', () => {
    write('magma-8b');
    expect(() => derive(bridge)).toThrow('got no statistics of actions, expected a dataset_st');
    expect(() => derive({ ...bridge, statistics: join(folder, 'none.json') })).toThrow('none.json');
  });

  it('is asked for: which of several data sets', () => {
    write('openvla-7b');
    expect(() => derive()).toThrow(
      'got 2 datasets, none chosen, expected --unnorm-key with one of bridge_orig, fractal20220817_data',
    );
    expect(() => derive({ unnormKey: 'bridge' })).toThrow(
      'unnorm key: got "bridge", expected one of bridge_orig, fractal20220817_data',
    );
  });

  it('is asked for: how long a step of an unknown data set is', () => {
    write('openvla-7b');
    change('config.json', (json) => {
      const { bridge_orig } = section(json, 'norm_stats');
      json['norm_stats'] = { my_lab: bridge_orig };
    });
    expect(() => derive()).toThrow(
      'statistics "my_lab": got no public control rate, expected --period SECONDS',
    );
  });

  it('is refused where actions have no unit', () => {
    write('openvla-7b');
    change('config.json', (json) => {
      const { bridge_orig } = section(json, 'norm_stats');
      json['norm_stats'] = { libero_spatial: bridge_orig };
    });
    expect(() => derive()).toThrow("libero_spatial: got inputs of robosuite's controller");
  });

  it('is refused where an action has another number of dimensions', () => {
    write('openvla-7b');
    writeFileSync(
      join(folder, 'dataset_statistics.json'),
      JSON.stringify({ aloha: { action: { q01: [0, 0], q99: [1, 1] } } }),
    );
    expect(() => derive()).toThrow(
      'got actions of 2 numbers, expected some of 7, one per dimension',
    );
  });
});

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
    writeFileSync(join(folder, 'action_head--150000_checkpoint.pt'), '');
    expect(() => derive(bridge)).toThrow(
      'action_head--150000_checkpoint.pt: got a part of OpenVLA-OFT, expected a model that answers in',
    );
  });

  it('is refused without one of its files, and where one is no JSON', () => {
    write('magma-8b');
    rmSync(join(folder, 'preprocessor_config.json'));
    expect(() => derive(withStatistics())).toThrow('ENOENT');
    writeFileSync(join(folder, 'preprocessor_config.json'), '{');
    expect(() => derive(withStatistics())).toThrow('expected JSON');
    writeFileSync(join(folder, 'preprocessor_config.json'), '[]');
    expect(() => derive(withStatistics())).toThrow('preprocessor_config.json');
  });
});
