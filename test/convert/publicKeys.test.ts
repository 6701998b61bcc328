/**
 * At full size, the weights that the graphs are built from have the names, shapes and order of the public classes' own
 * state_dict: test/oracle/public_keys.py built those on torch's meta device.
 */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseCheckpointConfig } from '../../src/convert/checkpointConfig.js';
import { everyTensor } from '../../src/convert/keyLayout.js';
import { magmaFiles, openVlaFiles } from '../../src/convert/syntheticFiles.js';
import { readContract } from '../../src/model/contract.js';

const golden = JSON.parse(readFileSync('test/golden/public_keys.json', 'utf8')) as Record<
  'magma-8b' | 'openvla-7b',
  { tensors: number; elements: number; sha256: string }
>;

describe('the weights at full size', () => {
  it.each([
    ['magma-8b', magmaFiles, 'test/golden/magma8b'],
    ['openvla-7b', openVlaFiles, 'test/golden/openvla'],
  ] as const)('of %s are those of the public model class', (name, files, folder) => {
    const text = files('full', undefined)['config.json']!;
    const config = parseCheckpointConfig(text, readContract(folder), 'config.json');
    const tensors = everyTensor(config);
    const counts = tensors.map(({ shape }) =>
      shape.reduce((product, extent) => product * extent, 1),
    );
    const lines = tensors.map(({ key, shape }) => `${key} ${shape.join('x')}\n`).join('');
    expect({
      tensors: tensors.length,
      elements: counts.reduce((sum, count) => sum + count, 0),
      sha256: createHash('sha256').update(lines).digest('hex'),
    }).toEqual(golden[name]);
  });
});
