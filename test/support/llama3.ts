/**
 * Llama 3's tokenizer.json, put together here from the vocabulary and merges of npm llama3-tokenizer-js (MIT): only for
 * tests, never shipped. Its rules and special tokens are those of Meta-Llama-3-8B-Instruct and of Magma-8B.
 */
import llama3 from 'llama3-tokenizer-js';
import { parseTokenizer, type Tokenizer } from '../../src/model/tokenizer.js';

const split =
  "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}{1,3}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*" +
  '|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+';

/** By id; the rest of 128000 … 128255 is reserved. */
const special: Readonly<Record<number, string>> = {
  128000: '<|begin_of_text|>',
  128001: '<|end_of_text|>',
  128006: '<|start_header_id|>',
  128007: '<|end_header_id|>',
  128009: '<|eot_id|>',
  128256: '<pad>',
  128257: '<image>',
  128258: '<action>',
  128259: '<image_start>',
  128260: '<image_end>',
};

/** Ids of the npm package itself, for ordinary text. */
export const llama3Ids = (text: string): number[] =>
  llama3.encode(text, { bos: false, eos: false });

/** Text of the whole tokenizer.json, 128000 ordinary tokens. */
export function llama3TokenizerJson(): string {
  const ordinary = llama3.vocabById.slice(0, 128000);
  const byteLevel = {
    type: 'ByteLevel',
    add_prefix_space: false,
    trim_offsets: true,
    use_regex: false,
  };
  return JSON.stringify({
    version: '1.0',
    added_tokens: Object.entries(special).map(([id, content]) => ({
      id: Number(id),
      content,
      special: true,
    })),
    normalizer: null,
    pre_tokenizer: {
      type: 'Sequence',
      pretokenizers: [
        { type: 'Split', pattern: { Regex: split }, behavior: 'Isolated', invert: false },
        byteLevel,
      ],
    },
    post_processor: byteLevel,
    decoder: byteLevel,
    model: {
      type: 'BPE',
      ignore_merges: true,
      vocab: Object.fromEntries(ordinary.map((token, id) => [token, id])),
      merges: [...llama3.merges.keys()].map((pair) => pair.split(' ')),
    },
  });
}

export function llama3Tokenizer(): Tokenizer {
  return parseTokenizer(llama3TokenizerJson(), '{}', 'tokenizer.json');
}
