import { describe, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  contractFromCheckpoint,
  type ContractOptions,
} from '../../src/convert/contractFromCheckpoint.js';
import { checkFiles } from '../../src/commands/checkFiles.js';
import { readConfig } from '../../src/config.js';
import { readContract, type Contract } from '../../src/model/contract.js';

import { bridge, contractFolder, section, type Json } from '../support/contractFolder.js';

const checkpoint = contractFolder();
const { write, change, derive, withStatistics } = checkpoint;
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
      section(modelJson(join(checkpoint.path, 'config.json')), 'norm_stats'),
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
    writeFileSync(join(checkpoint.path, 'dataset_statistics.json'), JSON.stringify(own));
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
    for (const [name, text] of Object.entries(files))
      writeFileSync(join(checkpoint.path, name), text);
    return checkFiles(widowx, checkpoint.path).findings.filter(({ what }) => what === 'model');
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
    expect(() => derive({ ...bridge, statistics: join(checkpoint.path, 'none.json') })).toThrow(
      'none.json',
    );
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
      join(checkpoint.path, 'dataset_statistics.json'),
      JSON.stringify({ aloha: { action: { q01: [0, 0], q99: [1, 1] } } }),
    );
    expect(() => derive()).toThrow(
      'got actions of 2 numbers, expected some of 7, one per dimension',
    );
  });
});
