/** Small files of a checkpoint that are damaged or made to harm: a typed error that names the file, or a contract. */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { contractFromCheckpoint } from '../../src/convert/contractFromCheckpoint.js';
import { writeSmallFiles } from '../../src/convert/syntheticFolder.js';
import { InputError, ModelError } from '../../src/errors.js';
import { seededRandom } from '../../src/math/random.js';
import { temporaryFolder } from '../support/tinyMagma.js';

type Json = Record<string, unknown>;
const folder = temporaryFolder();
const path = (name: string) => join(folder.path, name);
const original = new Map<string, string>();
const files = [
  'generation_config.json',
  'tokenizer_config.json',
  'config.json',
  'preprocessor_config.json',
];

beforeAll(() => {
  // The tokenizer library warns of what it does not know before it throws.
  jest.spyOn(console, 'warn').mockImplementation(() => undefined);
  writeSmallFiles(folder.path, 'magma-8b', { size: 'tiny' });
  for (const name of files) original.set(name, readFileSync(path(name), 'utf8'));
});
afterAll(() => folder.remove());

/** The contract with one file's text replaced, which is put back afterwards. */
function derivedWith(name: string, text: string) {
  writeFileSync(path(name), text);
  try {
    return contractFromCheckpoint(folder.path, {
      name: 'test',
      unnormKey: 'bridge_orig',
      statistics: path('synthetic_statistics.json'),
    });
  } finally {
    writeFileSync(path(name), original.get(name)!);
  }
}

const changed = (name: string, more: Json): string =>
  JSON.stringify({ ...(JSON.parse(original.get(name)!) as Json), ...more });

describe('a folder with a LoRA adapter', () => {
  const adapter = temporaryFolder();
  afterAll(() => adapter.remove());

  it('and no model is refused, and how to merge them is said', () => {
    writeFileSync(join(adapter.path, 'adapter_config.json'), '{"peft_type": "LORA"}');
    const read = () => contractFromCheckpoint(adapter.path, { name: 'test' });
    expect(read).toThrow(ModelError);
    expect(read).toThrow(/got a LoRA adapter alone, expected a whole model: .*merge_and_unload/);
  });
});

describe('a generation_config.json', () => {
  it.each([
    ['no JSON', '{"eos_token_id": 12800', 'generation_config.json: got'],
    ['a list', '[128009]', 'generation_config.json'],
    ['nothing', 'null', 'generation_config.json'],
    ['nothing at all', '', 'expected JSON'],
  ])('that is %s is refused', (_, text, message) => {
    expect(() => derivedWith('generation_config.json', text)).toThrow(ModelError);
    expect(() => derivedWith('generation_config.json', text)).toThrow(message);
  });

  it.each([['128009'], [[]], [[null]], [{ id: 1 }], [-1], [1e300], [true], [['128009']]])(
    'that ends answers with %j is refused',
    (end) => {
      const text = changed('generation_config.json', { eos_token_id: end });
      expect(() => derivedWith('generation_config.json', text)).toThrow(
        `generation_config.json: eos_token_id: got ${JSON.stringify(end)}`,
      );
    },
  );

  it('may end answers with several ids, the chat template’s among them, or say nothing', () => {
    const { generation, contract } = whole();
    const id = generation['eos_token_id'] as number | number[];
    const several = changed('generation_config.json', { eos_token_id: [1, id].flat() });
    expect(derivedWith('generation_config.json', several).contract).toEqual(contract);
    expect(derivedWith('generation_config.json', '{}').contract).toEqual(contract);
  });
});

describe('any small file', () => {
  it('changed at one place gives a contract or a typed error', () => {
    const random = seededRandom(29);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random.uniform() * list.length)]!;
    let refused = 0;
    for (let round = 0; round < 40; round++) {
      const name = files[round % files.length]!;
      const json = JSON.parse(original.get(name)!) as Json;
      const at = pick(pathsOf(json));
      const parent = at.slice(0, -1).reduce<Json>((inside, key) => inside[key] as Json, json);
      if (random.uniform() < 0.3) Reflect.deleteProperty(parent, at.at(-1)!);
      else parent[at.at(-1)!] = pick(junk);
      try {
        expect(derivedWith(name, JSON.stringify(json)).contract.name).toBe('test');
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
        refused++;
      }
    }
    expect(refused).toBeGreaterThan(4);
    expect(refused).toBeLessThan(40);
  });
});

function whole() {
  const text = original.get('generation_config.json')!;
  const { contract } = derivedWith('generation_config.json', text);
  return { generation: JSON.parse(text) as Json, contract };
}

const junk: readonly unknown[] = [
  ...[null, true, -1, 0, 1.5, 1e300, '', 'x', '{{', '__proto__', [], [[]], {}, { a: 1 }, [null]],
];

function pathsOf(value: unknown, at: readonly string[] = []): readonly (readonly string[])[] {
  const here = at.length === 0 ? [] : [at];
  if (typeof value !== 'object' || value === null) return here;
  const inside = Object.keys(value).slice(0, 20);
  return [...here, ...inside.flatMap((key) => pathsOf((value as Json)[key], [...at, key]))];
}
