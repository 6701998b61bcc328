/**
 * Text ↔ token ids with a Hugging Face tokenizer.json. Text is only ever text: a special token's name inside it (say,
 * `<image>` in an instruction) is spelt out in ordinary tokens. Special ids come from `idOf`, by name, from the contract.
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Tokenizer as HuggingFaceTokenizer } from '@huggingface/tokenizers';
import { z } from 'zod';
import { ModelError, messageOf } from '../errors.js';
import type { Contract } from './contract.js';
import { piecesOf, promptsOf } from './promptPieces.js';
import { parseJson } from './parseJson.js';

/** The part of the library that is used: its own declarations do not resolve under TypeScript's `nodenext`. */
interface LibraryTokenizer {
  encode(text: string, options: { add_special_tokens: boolean }): { ids: number[] };
  decode(ids: number[], options: { skip_special_tokens: boolean }): string;
  token_to_id(token: string): number | undefined;
}
const LibraryTokenizer = HuggingFaceTokenizer as unknown as new (
  tokenizer: object,
  config: object,
) => LibraryTokenizer;

export interface Tokenizer {
  /** How many ordinary ids there are: 0 … ordinary − 1. Special tokens lie above, or have names of their own. */
  readonly ordinary: number;
  /** Ids of a text, without any special id. */
  encode(text: string): number[];
  /** Text of ordinary ids; bytes that are no UTF-8 become U+FFFD. @throws ModelError on any other id. */
  decode(ids: readonly number[]): string;
  /** Whether the id stands for text. */
  isOrdinary(id: number): boolean;
  /** Id of the token of exactly this name, special tokens included. @throws ModelError if there is none. */
  idOf(token: string): number;
}

const tokenizerJson = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.number().int(), content: z.string() })).default([]),
  model: z.looseObject({ vocab: z.record(z.string(), z.number().int().nonnegative()) }),
});

/**
 * Texts of tokenizer.json and tokenizer_config.json → Tokenizer.
 * @throws ConfigError on anything but a tokenizer.json with a vocabulary, ModelError where two tokens share an id, and where
 *   the library refuses it or does not write back what it has read.
 */
export function parseTokenizer(
  tokenizerText: string,
  configText: string,
  where: string,
): Tokenizer {
  const parsed = parseJson(tokenizerJson, tokenizerText, where);
  const config = parseJson(z.looseObject({}), configText, `${where} (configuration)`);
  checkIds(parsed, where);
  const special = new Map(parsed.added_tokens.map(({ content, id }) => [content, id]));
  const specialIds = new Set(special.values());
  const ordinaryIds = new Set(
    Object.values(parsed.model.vocab).filter((id) => !specialIds.has(id)),
  );
  const library = build({ ...parsed, added_tokens: [] }, config, where);
  const encode: Tokenizer['encode'] = (text) =>
    inLibrary(where, () => library.encode(text, { add_special_tokens: false }).ids);
  const decode: Tokenizer['decode'] = (ids) => {
    const odd = ids.find((id) => !ordinaryIds.has(id));
    if (odd !== undefined) throw new ModelError(where, `id ${odd}`, 'ids that stand for text');
    if (ids.length === 0) return '';
    return inLibrary(where, () => library.decode([...ids], { skip_special_tokens: false }));
  };
  checkRoundTrip(encode, decode, where);
  return {
    ordinary: ordinaryIds.size,
    encode,
    decode,
    isOrdinary: (id) => ordinaryIds.has(id),
    idOf: (token) => {
      const id = special.get(token) ?? library.token_to_id(token);
      if (id === undefined)
        throw new ModelError(where, `no token "${token}"`, 'a token of that name');
      return id;
    },
  };
}

/** Reads tokenizer.json and tokenizer_config.json of a model folder. */
export function readTokenizer(folder: string): Tokenizer {
  const path = join(folder, 'tokenizer.json');
  return parseTokenizer(readText(path), readText(join(folder, 'tokenizer_config.json')), path);
}

/**
 * That contract and tokenizer belong together: every token a prompt names exists, and the action ids are ordinary.
 * @throws ModelError saying what is missing.
 */
export function checkVocabulary(contract: Contract, tokenizer: Tokenizer, where: string): void {
  const segments = promptsOf(contract).flatMap(piecesOf);
  const named = segments.flatMap((segment) => ('token' in segment ? [segment.token] : []));
  [...Object.values(contract.tokens), ...named].forEach((token) => tokenizer.idOf(token));
  const { vocabulary, bins } = contract.answers.action;
  for (const id of [vocabulary - bins, vocabulary - 1]) {
    if (tokenizer.isOrdinary(id)) continue;
    const got = `${tokenizer.ordinary} ordinary ids without ${id}`;
    throw new ModelError(
      where,
      got,
      `action ids ${vocabulary - bins} … ${vocabulary - 1} among them`,
    );
  }
}

/** An id is one token's: an added one may repeat a piece of the vocabulary, but only by name and id together. */
function checkIds({ added_tokens, model }: z.infer<typeof tokenizerJson>, where: string): void {
  const names = new Map<number, string>();
  for (const [name, id] of Object.entries(model.vocab)) add(name, id);
  for (const { content, id } of added_tokens) if (names.get(id) !== content) add(content, id);

  function add(name: string, id: number): void {
    const other = names.get(id);
    if (other !== undefined) {
      const got = `id ${id} for ${JSON.stringify(other)} and ${JSON.stringify(name)}`;
      throw new ModelError(where, got, 'an id of its own for each token');
    }
    names.set(id, name);
  }
}

/** What a grammar is made of: letters, digits, brackets and a line feed. */
const sentence = 'Mark 12 at [0,255] should be moved.\n"Mark 3": "[[7,8]]"';

/** A tokenizer of the wrong kind, or one that the library reads as another, shows here and not in answers. */
function checkRoundTrip(
  encode: Tokenizer['encode'],
  decode: Tokenizer['decode'],
  where: string,
): void {
  const back = decode(encode(sentence));
  if (back === sentence) return;
  throw new ModelError(`${where}: self-test`, JSON.stringify(back), JSON.stringify(sentence));
}

/** The library throws what its code happens to stumble over. */
function inLibrary<T>(where: string, run: () => T): T {
  try {
    return run();
  } catch (error) {
    throw new ModelError(where, messageOf(error), 'a tokenizer.json the library reads');
  }
}

function build(tokenizer: object, config: object, where: string): LibraryTokenizer {
  return inLibrary(where, () => new LibraryTokenizer(tokenizer, config));
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ModelError(path, (error as Error).message, 'a readable file');
  }
}
