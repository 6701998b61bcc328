/**
 * Stand-in tokenizers: the special tokens, the sizes and the way of splitting of the real ones, with a vocabulary of single
 * bytes and of pieces no text is made of. Prompts are longer than with the real one, and every id that matters is its own.
 */

export interface StandInTokenizer {
  readonly tokenizer: object;
  readonly config: object;
  readonly specialTokens: object;
}

const special = (id: number, content: string) => ({
  ...{ id, content, single_word: false, lstrip: false, rstrip: false },
  ...{ normalized: false, special: true },
});

/** Post processor that puts a token before a text. */
const prefixed = (token: string, id: number) => ({
  type: 'TemplateProcessing',
  single: [{ SpecialToken: { id: token, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
  pair: [{ Sequence: { id: 'A', type_id: 0 } }, { Sequence: { id: 'B', type_id: 1 } }],
  special_tokens: { [token]: { id: token, ids: [id], tokens: [token] } },
});

const named = (tokens: readonly (readonly [number, string])[]) =>
  tokens.map(([id, content]) => special(id, content));

/** Llama 3's chat template, as Meta-Llama-3-8B-Instruct has it. */
const llama3Template =
  "{% set loop_messages = messages %}{% for message in loop_messages %}{% set content = '<|start_header_id|>' + message['role'] + '<|end_header_id|>\n\n'+ message['content'] | trim + '<|eot_id|>' %}{% if loop.index0 == 0 %}{% set content = bos_token + content %}{% endif %}{{ content }}{% endfor %}{{ '<|start_header_id|>assistant<|end_header_id|>\n\n' }}";

/**
 * Of Magma: byte-level BPE, `vocabulary` ordinary ids, then Llama 3's 256 special ones and Magma's five.
 * @param vocabulary at least 256; 128000 in Magma-8B.
 */
export function llama3StandIn(vocabulary: number): StandInTokenizer {
  const pieces = [...byteCharacters(), ...fillers(vocabulary - 256)];
  const ofLlama: Readonly<Record<number, string>> = {
    0: '<|begin_of_text|>',
    1: '<|end_of_text|>',
    6: '<|start_header_id|>',
    7: '<|end_header_id|>',
    9: '<|eot_id|>',
  };
  const reserved = Array.from(
    { length: 256 },
    (_, i) => [vocabulary + i, ofLlama[i] ?? `<|reserved_special_token_${i}|>`] as const,
  );
  const ofMagma = ['<pad>', '<image>', '<action>', '<image_start>', '<image_end>'].map(
    (name, i) => [vocabulary + 256 + i, name] as const,
  );
  const tokens = { bos_token: '<|begin_of_text|>', eos_token: '<|eot_id|>', pad_token: '<pad>' };
  return {
    tokenizer: {
      version: '1.0',
      added_tokens: named([...reserved, ...ofMagma]),
      normalizer: null,
      pre_tokenizer: {
        type: 'ByteLevel',
        add_prefix_space: false,
        trim_offsets: true,
        use_regex: true,
      },
      post_processor: prefixed('<|begin_of_text|>', vocabulary),
      decoder: { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true },
      model: {
        ...{ type: 'BPE', dropout: null, unk_token: null, fuse_unk: false, byte_fallback: false },
        vocab: Object.fromEntries(pieces.map((piece, id) => [piece, id])),
        merges: [],
      },
    },
    config: {
      ...tokens,
      chat_template: llama3Template,
      tokenizer_class: 'PreTrainedTokenizerFast',
    },
    specialTokens: tokens,
  };
}

/** Where Llama-2 keeps the lone space, counted from the end of its 32000 pieces. */
const spaceFromEnd = 32000 - 29871;

/**
 * Of OpenVLA: BPE over characters with bytes to fall back to, `vocabulary` ids of Llama-2, and `<PAD>`.
 * @param vocabulary at least 512; 32000 in OpenVLA-7B.
 */
export function llama2StandIn(vocabulary: number): StandInTokenizer {
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  );
  const characters = ['▁', ...Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i))];
  const space = Math.max(3 + 256, vocabulary - spaceFromEnd);
  const before = ['<unk>', '<s>', '</s>', ...bytes];
  const pieces = [...before, ...fillers(space - before.length), ...characters];
  pieces.push(...fillers(vocabulary - pieces.length, space));
  const vocab = Object.fromEntries(pieces.map((piece, id) => [piece, id]));
  const tokens = { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>', pad_token: '<PAD>' };
  return {
    tokenizer: {
      version: '1.0',
      added_tokens: named([
        [0, '<unk>'],
        [1, '<s>'],
        [2, '</s>'],
        [vocabulary, '<PAD>'],
      ]),
      normalizer: {
        type: 'Sequence',
        normalizers: [
          { type: 'Prepend', prepend: '▁' },
          { type: 'Replace', pattern: { String: ' ' }, content: '▁' },
        ],
      },
      pre_tokenizer: null,
      post_processor: prefixed('<s>', 1),
      decoder: {
        type: 'Sequence',
        decoders: [
          { type: 'Replace', pattern: { String: '▁' }, content: ' ' },
          { type: 'ByteFallback' },
          { type: 'Fuse' },
          { type: 'Strip', content: ' ', start: 1, stop: 0 },
        ],
      },
      model: {
        ...{ type: 'BPE', dropout: null, unk_token: '<unk>', fuse_unk: true, byte_fallback: true },
        vocab,
        merges: [],
      },
    },
    config: { ...tokens, tokenizer_class: 'LlamaTokenizer' },
    specialTokens: tokens,
  };
}

/** Pieces that no text is split into, because nothing is merged into them. */
function fillers(count: number, from = 0): string[] {
  return Array.from({ length: count }, (_, i) => `filler${from + i}`);
}

/** The characters that stand for the 256 bytes in GPT-2's byte-level BPE: the printable ones, then U+0100 upwards. */
function byteCharacters(): string[] {
  const isPrintable = (byte: number) =>
    (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
  const bytes = Array.from({ length: 256 }, (_, byte) => byte);
  const others = bytes.filter((byte) => !isPrintable(byte)).map((_, i) => 256 + i);
  return [...bytes.filter(isPrintable), ...others].map((code) => String.fromCharCode(code));
}
