/** Tokenizers that are damaged, of another model, or made to harm: a typed error, or a tokenizer that works. */
import { beforeAll, describe, expect, it, jest } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { ConfigError, InputError, ModelError } from '../../src/errors.js';
import { seededRandom } from '../../src/math/random.js';
import { readContract } from '../../src/model/contract.js';
import { checkVocabulary, parseTokenizer } from '../../src/model/tokenizer.js';

type Json = Record<string, unknown>;
const text = readFileSync('models/nano/tokenizer.json', 'utf8');
const configText = readFileSync('models/nano/tokenizer_config.json', 'utf8');
const contract = readContract('models/nano');
const sentence = 'pick the red block 12, <image>.';

// The library warns of what it does not know before it throws.
beforeAll(() => void jest.spyOn(console, 'warn').mockImplementation(() => undefined));

/** nano's tokenizer.json after `edit`, parsed and used. */
function used(edit: (json: Json) => void, config = configText): string {
  const json = JSON.parse(text) as Json;
  edit(json);
  return use(JSON.stringify(json), config);
}

function use(tokenizerText: string, config = configText): string {
  const tokenizer = parseTokenizer(tokenizerText, config, 'tokenizer.json');
  checkVocabulary(contract, tokenizer, 'tokenizer.json');
  return tokenizer.decode(tokenizer.encode(sentence));
}

const section = (json: Json, key: string) => json[key] as Json;
const vocab = (json: Json) => section(section(json, 'model'), 'vocab');
const added = (json: Json) => json['added_tokens'] as Json[];

describe('a tokenizer.json', () => {
  it('as it is, writes back what it reads', () => {
    expect(used(() => undefined)).toBe(sentence);
  });

  it.each<[string, string, string, new (...rest: never[]) => Error]>([
    ['nothing', '', 'expected JSON', ConfigError],
    ['half a file', text.slice(0, text.length / 2), 'expected JSON', ConfigError],
    ['another kind of file', '[1, 2]', 'tokenizer.json', ConfigError],
    ['a byte order mark', `\uFEFF${text}`, 'expected JSON', ConfigError],
    ['a page that a server sent instead', '<!DOCTYPE html>', 'expected JSON', ConfigError],
    [
      'a Git LFS pointer',
      'version https://git-lfs.github.com/spec/v1\noid sha256:00',
      'expected JSON',
      ConfigError,
    ],
    ['lists in lists', '['.repeat(100_000), 'expected JSON', ConfigError],
  ])('that holds %s is refused', (_, content, message, type) => {
    expect(() => use(content)).toThrow(type);
    expect(() => use(content)).toThrow(message);
  });

  it.each<[string, (json: Json) => void, string]>([
    ['without a model', (t) => delete t['model'], 'tokenizer.json: model: got nothing'],
    [
      'without a vocabulary',
      (t) => delete section(t, 'model')['vocab'],
      'model.vocab: got nothing',
    ],
    [
      'with a vocabulary of pairs',
      (t) => (section(t, 'model')['vocab'] = [['a', -1]]),
      'model.vocab',
    ],
    ['with an id below zero', (t) => (vocab(t)['a'] = -1), 'model.vocab.a: got -1'],
    ['with half an id', (t) => (vocab(t)['a'] = 0.5), 'model.vocab.a: got 0.5'],
    ['with an id in words', (t) => (vocab(t)['a'] = '7'), 'model.vocab.a: got "7"'],
    [
      'with an id for two pieces',
      (t) => (vocab(t)['zzz'] = vocab(t)['a']),
      'expected an id of its own for each token',
    ],
    [
      'with a special token on a piece',
      (t) => (added(t)[0]!['id'] = vocab(t)['a']),
      'expected an id of its own for each token',
    ],
    [
      'with two special tokens of one id',
      (t) => (added(t)[1]!['id'] = added(t)[0]!['id']),
      'an id of its own',
    ],
    [
      'with a special token without a name',
      (t) => delete added(t)[0]!['content'],
      'added_tokens.0.content: got nothing',
    ],
    ['without the special tokens of the prompts', (t) => (t['added_tokens'] = []), 'no token "'],
    ['without its action ids', (t) => removeIds(t, 752, 800), 'action ids 752 … 1007 among them'],
    ['without merges', (t) => delete section(t, 'model')['merges'], 'tokenizer.json'],
    [
      'that is read as another kind',
      (t) => (section(t, 'model')['type'] = 'WordPiece'),
      'tokenizer.json',
    ],
    [
      'that does not write back spaces',
      (t) => (t['decoder'] = { type: 'Fuse' }),
      'tokenizer.json: self-test: got',
    ],
    [
      'that lowers what it reads',
      (t) => (t['normalizer'] = { type: 'Lowercase' }),
      'tokenizer.json: self-test: got',
    ],
    [
      'with a pattern that is none',
      (t) =>
        (t['pre_tokenizer'] = { type: 'Split', pattern: { Regex: '(' }, behavior: 'Isolated' }),
      'a tokenizer.json the library reads',
    ],
    [
      'with a template of something else',
      (t) =>
        (t['post_processor'] = { type: 'TemplateProcessing', single: true, special_tokens: {} }),
      'a tokenizer.json the library reads',
    ],
  ])('%s is refused', (_, edit, message) => {
    expect(() => used(edit)).toThrow(InputError);
    expect(() => used(edit)).toThrow(message);
  });

  it('may name what every object has, and means only itself', () => {
    const named = JSON.stringify(JSON.parse(text)).replace(
      '"vocab":{',
      '"vocab":{"__proto__":999999,"constructor":999998,',
    );
    expect(named.includes('__proto__')).toBe(true);
    const tokenizer = parseTokenizer(named, configText, 'tokenizer.json');
    expect(tokenizer.decode(tokenizer.encode(sentence))).toBe(sentence);
    expect(({} as Json)['a']).toBeUndefined();
    expect(() => tokenizer.idOf('toString')).toThrow(ModelError);
    expect(() => tokenizer.idOf('hasOwnProperty')).toThrow(ModelError);
  });

  it('changed at any one place works as before, or is refused with a typed error', () => {
    const whole = JSON.parse(text) as Json;
    const paths = pathsOf(whole);
    const random = seededRandom(17);
    const pick = <T>(list: readonly T[]): T => list[Math.floor(random.uniform() * list.length)]!;
    let worked = 0;
    for (let round = 0; round < 80; round++) {
      const json = structuredClone(whole);
      const path = pick(paths);
      const parent = path.slice(0, -1).reduce<Json>((at, key) => at[key] as Json, json);
      if (random.uniform() < 0.3) Reflect.deleteProperty(parent, path.at(-1)!);
      else parent[path.at(-1)!] = pick(junk);
      try {
        expect(use(JSON.stringify(json))).toBe(sentence);
        worked++;
      } catch (error) {
        expect(error).toBeInstanceOf(InputError);
      }
    }
    expect(worked).toBeGreaterThan(10);
    expect(worked).toBeLessThan(75);
  });
});

describe('a tokenizer_config.json', () => {
  it.each([
    ['nothing', '', 'tokenizer.json (configuration): got'],
    ['a list', '[]', 'tokenizer.json (configuration): (root)'],
    ['half a file', configText.slice(0, 5), 'expected JSON'],
  ])('that holds %s is refused', (_, config, message) => {
    expect(() => use(text, config)).toThrow(ConfigError);
    expect(() => use(text, config)).toThrow(message);
  });

  it('changed at any one place works as before, or is refused with a typed error', () => {
    const random = seededRandom(23);
    const keys = [
      ...Object.keys(JSON.parse(configText) as Json),
      ...['remove_space', 'clean_up_tokenization_spaces', 'do_lowercase_and_remove_accent'],
      ...['added_tokens_decoder', 'chat_template', 'eos_token', 'tokenizer_class', 'legacy'],
    ];
    for (const key of keys)
      for (const value of junk.filter(() => random.uniform() < 0.2)) {
        const config = JSON.stringify({ ...(JSON.parse(configText) as Json), [key]: value });
        try {
          expect(use(text, config)).toBe(sentence);
        } catch (error) {
          expect(error).toBeInstanceOf(InputError);
        }
      }
  });
});

const junk: readonly unknown[] = [
  ...[null, true, -1, 0, 1.5, 1e300, '', 'x', '(', '__proto__', [], [[]], {}, { a: 1 }, [null]],
  ...[[1, 2, 3], 'ByteLevel', 'BPE', { type: 'Sequence' }, { type: 'Replace' }, { type: 'Nope' }],
  { type: 'Split', pattern: { Regex: '(' }, behavior: [[]] },
];

function removeIds(json: Json, from: number, end: number): void {
  for (const [piece, id] of Object.entries(vocab(json)))
    if (Number(id) >= from && Number(id) < end) Reflect.deleteProperty(vocab(json), piece);
}

/** Paths into the file, of long lists and maps the first entries. */
function pathsOf(value: unknown, at: readonly string[] = []): readonly (readonly string[])[] {
  const here = at.length === 0 ? [] : [at];
  if (typeof value !== 'object' || value === null || at.length > 6) return here;
  const inside = Object.keys(value).slice(0, 12);
  return [...here, ...inside.flatMap((key) => pathsOf((value as Json)[key], [...at, key]))];
}
