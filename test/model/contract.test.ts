import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { ConfigError } from '../../src/errors.js';
import { parseContract, readContract } from '../../src/model/contract.js';
import { imagesOf } from '../../src/model/promptPieces.js';
import { temporaryFolder } from '../support/tinyMagma.js';

type Json = Record<string, unknown>;
const textOf = (path: string): string => readFileSync(path, 'utf8');

/** nano's model.json with the value at `path` replaced (undefined: removed), and its statistics. */
function nanoWith(path: readonly (string | number)[], value: unknown, statistics?: string) {
  const model = JSON.parse(textOf('models/nano/model.json')) as Json;
  const parent = path.slice(0, -1).reduce<Json>((at, key) => at[key] as Json, model);
  parent[path.at(-1)!] = value;
  const beside = statistics ?? textOf('models/nano/dataset_statistics.json');
  return () => parseContract(JSON.stringify(model), beside, 'model.json');
}

describe('a contract', () => {
  it.each(['models/nano', 'test/golden/magma8b', 'test/golden/openvla'])(
    'is read from %s',
    (folder) => {
      expect(() => readContract(folder)).not.toThrow();
    },
  );

  it('of nano says 7 numbers per answer, 5 Hz, 8 trace steps of 0.2 s', () => {
    const { action, trace } = readContract('models/nano').answers;
    expect(action).toMatchObject({
      chunk: 1,
      period: 0.2,
      vocabulary: 1008,
      bins: 256,
      reference: 'observedPose',
      composition: 'base',
    });
    expect(action.dims).toHaveLength(7);
    expect(trace).toMatchObject({ grid: 256, steps: 8, period: 0.2 });
  });

  it("of Magma-8B carries both robots' statistics and the crops of 512 px", () => {
    const magma = readContract('test/golden/magma8b');
    expect(Object.keys(magma.statistics)).toEqual(['bridge_orig', 'google_robot']);
    expect(magma.statistics['google_robot']!.q99[3]).toBe(0.5892666035890578);
    expect(magma.recipes['clip']!.canvas).toEqual({ cropSize: 512, maxCrops: 4 });
    expect(magma.prompts.action.bos).toBe(2);
  });

  it('of OpenVLA has two towers, no row separators and no traces', () => {
    const openVla = readContract('test/golden/openvla');
    expect(openVla.towers.map(({ kind }) => kind)).toEqual(['dinov2', 'siglip']);
    expect(openVla.projector.rowSeparator).toBeNull();
    expect(openVla.answers.trace).toBeUndefined();
    expect(imagesOf(openVla.prompts.action).map(({ image }) => image)).toEqual(['primary']);
  });

  it('is frozen to the bottom', () => {
    const contract = readContract('models/nano');
    expect(Object.isFrozen(contract.answers.action.gripper)).toBe(true);
    expect(Object.isFrozen(contract.statistics['sim']!.q01)).toBe(true);
  });

  it('without a mask normalises every dimension', () => {
    const statistics = '{"sim":{"action":{"q01":[0,0,0,0,0,0,0],"q99":[1,1,1,1,1,1,1]}}}';
    const contract = nanoWith(['name'], 'other', statistics)();
    expect(contract.statistics['sim']!.mask).toEqual(Array(7).fill(true));
  });
});

describe('a contract is refused', () => {
  const refused: [string, (string | number)[], unknown, string][] = [
    ['with an unknown key', ['answers', 'action', 'speed'], 3, 'model.json: answers.action.speed'],
    ['with an unknown segment', ['prompts', 'action', 'segments', 0], { sound: 1 }, 'segments.0'],
    ['with a wrong version', ['version'], 2, 'model.json: version: got 2'],
    ['without a period', ['answers', 'action', 'period'], undefined, 'period: got nothing'],
    ['with a negative period', ['answers', 'action', 'period'], -1, 'period: got -1'],
    [
      'with a recipe nobody defines',
      ['towers', 0, 'recipe'],
      'dino',
      'towers.0.recipe: got "dino", expected one of clip',
    ],
    [
      'with default statistics nobody defines',
      ['answers', 'action', 'statistics', 'default'],
      'real',
      'default: got "real", expected one of sim',
    ],
    [
      "with a robot's statistics nobody defines",
      ['robots', 0, 'statistics'],
      'real',
      'robots.0.statistics: got "real"',
    ],
    [
      'with statistics in another folder',
      ['answers', 'action', 'statistics', 'file'],
      '../x.json',
      'statistics.file: got "../x.json"',
    ],
    [
      'with a dimension twice',
      ['answers', 'action', 'dims'],
      ['x', 'y', 'z', 'roll', 'roll', 'yaw', 'gripper'],
      'got roll twice',
    ],
    [
      'with a calibration that falls',
      ['answers', 'action', 'calibration'],
      [
        [0.1, 0.6],
        [0.2, 0.5],
      ],
      'got a table that does not rise at its knot 1',
    ],
    [
      'without a gripper dimension',
      ['answers', 'action', 'dims'],
      ['x', 'y', 'z', 'roll', 'pitch', 'yaw', 'x'],
      'expected gripper among them',
    ],
    [
      'with fewer ids than bins',
      ['answers', 'action', 'vocabulary'],
      100,
      'vocabulary: got 100, expected at least the 256 bins',
    ],
    [
      'with a gripper that has one position',
      ['answers', 'action', 'gripper', 'closed'],
      1,
      'got open = closed = 1',
    ],
    [
      'with an empty state range',
      ['state', 0, 'min'],
      0.68,
      'state.0 (x): got 0.68 … 0.68, expected min < max',
    ],
    ['with a {state} segment and no state', ['state'], [], 'state: got no fields'],
    [
      'with a trace prompt and no trace answer',
      ['answers', 'trace'],
      undefined,
      'got prompts.trace without answers.trace',
    ],
    [
      'with a trace answer and no trace prompt',
      ['prompts', 'trace'],
      undefined,
      'got answers.trace without prompts.trace',
    ],
    [
      'with marks on another picture',
      ['answers', 'trace', 'camera'],
      'wrist',
      'answers.trace.camera: got "wrist", expected one of primary',
    ],
    [
      'with more marks at least than at most',
      ['answers', 'trace', 'marks', 'min'],
      10,
      'got 10 … 9',
    ],
    [
      'with marks in the action prompt',
      ['prompts', 'action', 'segments', 3],
      { marks: ',' },
      'got a trace segment',
    ],
    [
      'with a {speed} segment and no speed',
      ['prompts', 'trace', 'segments', 3],
      { speed: 'gridPerStep' },
      'answers.trace.speed: got nothing',
    ],
  ];

  it.each(refused)('%s', (_, path, value, message) => {
    const parse = nanoWith(path, value);
    expect(parse).toThrow(ConfigError);
    expect(parse).toThrow(message);
  });

  it('when it is no JSON, or not there', () => {
    expect(() => parseContract('{', '{}', 'model.json')).toThrow(
      /model\.json: got .*expected JSON/,
    );
    expect(() => readContract('models/none')).toThrow(
      'models/none/model.json: got no such file, expected a model folder, such as models/nano',
    );
  });

  it('when a checkpoint was not converted yet, with what to type', () => {
    const folder = temporaryFolder();
    const { path } = folder;
    writeFileSync(join(path, 'config.json'), '{}');
    expect(() => readContract(path)).toThrow(
      `got no such file, expected a model folder; of this checkpoint: npx magma-vla convert ${path} --out`,
    );
    folder.remove();
  });
});

it('leaves out statistics of other arms', () => {
  const seven = '[0,0,0,0,0,0,0]';
  const sim = `"sim":{"action":{"q01":${seven},"q99":${seven}}}`;
  const both = `{"two arms":{"action":{"q01":[0,0],"q99":[1,1]}},${sim}}`;
  expect(Object.keys(nanoWith(['name'], 'nano', both)().statistics)).toEqual(['sim']);
});

describe('statistics are refused', () => {
  const seven = '[0,0,0,0,0,0,0]';
  it.each([
    [
      'of another length',
      `{"sim":{"action":{"q01":[0],"q99":${seven}}}}`,
      'sim.action.q01: got 1 entries, expected 7',
    ],
    [
      'with a short mask',
      `{"sim":{"action":{"q01":${seven},"q99":${seven},"mask":[true]}}}`,
      'mask: got 1 entries',
    ],
    [
      'upside down',
      `{"sim":{"action":{"q01":[0,0,1,0,0,0,0],"q99":${seven}}}}`,
      'q01.2: got 1, expected at most q99 = 0',
    ],
    [
      'of other arms only',
      `{"two arms":{"action":{"q01":[0,0],"q99":[1,1]}}}`,
      'got actions of 2 numbers, expected some of 7, one per dimension',
    ],
    ['without quantiles', '{"sim":{"action":{"mean":[0]}}}', 'sim.action.q01: got nothing'],
  ])('%s', (_, statistics, message) => {
    expect(nanoWith(['name'], 'nano', statistics)).toThrow(message);
  });
});
