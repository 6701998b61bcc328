import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { ModelError } from '../../src/errors.js';
import { readContract } from '../../src/model/contract.js';
import { checkVocabulary, parseTokenizer, readTokenizer } from '../../src/model/tokenizer.js';

const golden = JSON.parse(readFileSync('test/golden/nano_tokens.json', 'utf8')) as {
  cases: { text: string; ids: number[] }[];
};
const nano = readTokenizer('models/nano');

describe("nano's tokenizer", () => {
  it.each(golden.cases)('splits $text as the Hugging Face library does', ({ text, ids }) => {
    expect(nano.encode(text)).toEqual(ids);
  });

  it.each(golden.cases)('writes $text back', ({ text, ids }) => {
    expect(nano.decode(ids)).toBe(text);
  });

  it('has one token for every integer 0 … 255 and for nothing above', () => {
    const lengths = Array.from({ length: 257 }, (_, n) => nano.encode(String(n)).length);
    expect(lengths.slice(0, 256).every((length) => length === 1)).toBe(true);
    expect(lengths[256]).toBe(3);
  });

  it('has 1008 ordinary ids, the last 256 of them for actions, and special ids above', () => {
    expect(nano.ordinary).toBe(1008);
    expect(nano.idOf('<action_0>')).toBe(752);
    expect(nano.idOf('<action_255>')).toBe(1007);
    expect(nano.idOf('<|begin_of_text|>')).toBe(1008);
    expect(nano.idOf('<|end_of_text|>')).toBe(1009);
    expect(nano.idOf('<image>')).toBe(1011);
  });

  it('never makes a special or an action id from text that spells one', () => {
    const ids = nano.encode('<image><|begin_of_text|> <action_7> <|end_of_text|>');
    expect(ids.every((id) => id < 752)).toBe(true);
  });

  it('writes bytes that are no UTF-8 as replacement characters', () => {
    expect(nano.decode([0xc3, 0x30])).toBe('\ufffd0');
  });

  it('refuses to decode a special id', () => {
    expect(() => nano.decode([72, 1011])).toThrow(/got id 1011, expected ids that stand for text/);
  });

  it('refuses a name that is no token', () => {
    expect(() => nano.idOf('<video>')).toThrow(/no token "<video>"/);
  });
});

describe('a tokenizer file', () => {
  it('is refused without a vocabulary', () => {
    expect(() => parseTokenizer('{"model":{}}', '{}', 'tokenizer.json')).toThrow(
      /tokenizer\.json: model\.vocab: got nothing/,
    );
  });

  it('is refused when the library cannot build it', () => {
    const text = '{"model":{"type":"Morse","vocab":{"a":0},"x":1},"pre_tokenizer":{"type":"Odd"}}';
    expect(() => parseTokenizer(text, '{}', 'tokenizer.json')).toThrow(ModelError);
  });

  it('is refused when it is not there', () => {
    expect(() => readTokenizer('models/none')).toThrow(/models\/none\/tokenizer\.json/);
  });

  it('fits the contract beside it', () => {
    expect(() => checkVocabulary(readContract('models/nano'), nano, 'nano')).not.toThrow();
  });

  it('of another model does not fit', () => {
    const magma = readContract('test/golden/magma8b');
    expect(() => checkVocabulary(magma, nano, 'here')).toThrow(/no token "<\|eot_id\|>"/);
  });

  it('with too few ordinary ids does not fit', () => {
    const contract = readContract('models/nano');
    const action = { ...contract.answers.action, vocabulary: 1016 };
    const wide = { ...contract, answers: { ...contract.answers, action } };
    expect(() => checkVocabulary(wide, nano, 'here')).toThrow(
      /1008 ordinary ids without 1015, expected action ids 760 … 1015/,
    );
  });
});
