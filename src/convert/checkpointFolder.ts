/** The small files of a Hugging Face-style folder, read and parsed; the weights are openCheckpoint's. */
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ModelError, messageOf } from '../errors.js';
import { parseTokenizer, type Tokenizer } from '../model/tokenizer.js';
import { parseSection } from './parseSection.js';

type Json = Readonly<Record<string, unknown>>;

export interface CheckpointFolder {
  readonly path: string;
  /** Path of a file of the folder, for messages. */
  readonly file: (name: string) => string;
  /** Of everything in it, sorted. */
  readonly names: readonly string[];
  readonly config: Json;
  readonly preprocessor: Json;
  readonly generation: Json | null;
  readonly tokenizer: TokenizerFacts;
  /** dataset_statistics.json. */
  readonly statistics: string | null;
  /** Texts of config.json, tokenizer.json and tokenizer_config.json, which a model folder keeps. */
  readonly kept: Readonly<Record<string, string>>;
}

export interface TokenizerFacts {
  readonly vocabulary: Tokenizer;
  /** Id of every piece of the base vocabulary. */
  readonly pieces: Readonly<Record<string, number>>;
  /** Name of every added token by id. */
  readonly added: ReadonlyMap<number, string>;
  readonly bos: string;
  readonly eos: string;
  /** Whether encoding a text puts a beginning-of-sequence token first. */
  readonly addsBos: boolean;
  /** Jinja text; null: none. */
  readonly chatTemplate: string | null;
}

/** @throws ModelError naming the file that is missing or damaged. */
export function readCheckpointFolder(path: string): CheckpointFolder {
  const file = (name: string) => join(path, name);
  const textOf = (name: string): string => readText(file(name));
  const optional = (name: string): string | null => (existsSync(file(name)) ? textOf(name) : null);
  const json = (name: string): Json => parseJson(textOf(name), file(name));
  refuseAdapter(path);
  const kept = Object.fromEntries(
    ['config.json', 'tokenizer.json', 'tokenizer_config.json'].map((name) => [name, textOf(name)]),
  );
  const names = readdirSync(path).sort();
  const generation = optional('generation_config.json');
  const template = optional('chat_template.jinja');
  return {
    path,
    file,
    names,
    config: json('config.json'),
    preprocessor: json('preprocessor_config.json'),
    generation: generation === null ? null : parseJson(generation, file('generation_config.json')),
    tokenizer: tokenizerFacts(kept, template, file),
    statistics: optional('dataset_statistics.json'),
    kept,
  };
}

/** What fine-tuning with LoRA leaves: differences from another model, which is not here. */
function refuseAdapter(path: string): void {
  const adapter = join(path, 'adapter_config.json');
  if (!existsSync(adapter) || existsSync(join(path, 'config.json'))) return;
  throw new ModelError(
    adapter,
    'a LoRA adapter alone',
    'a whole model: merged in Python by PeftModel.from_pretrained(base, folder).merge_and_unload(), and saved with its tokenizer and processor',
  );
}

/** A special token in tokenizer_config.json: its name, or an object with it. */
const tokenName = z
  .union([z.string(), z.looseObject({ content: z.string() })])
  .transform((token) => (typeof token === 'string' ? token : token.content));

const tokenizerConfig = z.looseObject({
  bos_token: tokenName,
  eos_token: tokenName,
  chat_template: z
    .union([z.string(), z.array(z.looseObject({ name: z.string(), template: z.string() }))])
    .optional(),
});

const tokenizerJson = z.looseObject({
  added_tokens: z.array(z.looseObject({ id: z.int(), content: z.string() })).default([]),
  model: z.looseObject({ vocab: z.record(z.string(), z.int().nonnegative()) }),
  post_processor: z.unknown().optional(),
});

function tokenizerFacts(
  kept: Readonly<Record<string, string>>,
  template: string | null,
  file: (name: string) => string,
): TokenizerFacts {
  const where = file('tokenizer.json');
  const configWhere = file('tokenizer_config.json');
  const [text, configText] = [kept['tokenizer.json']!, kept['tokenizer_config.json']!];
  const parsed = parseSection(tokenizerJson, parseJson(text, where), where);
  const config = parseSection(tokenizerConfig, parseJson(configText, configWhere), configWhere);
  return {
    vocabulary: parseTokenizer(text, configText, where),
    pieces: parsed.model.vocab,
    added: new Map(parsed.added_tokens.map(({ id, content }) => [id, content])),
    bos: config.bos_token,
    eos: config.eos_token,
    addsBos: putsFirst(parsed.post_processor, config.bos_token),
    chatTemplate: template ?? defaultTemplate(config.chat_template),
  };
}

type Templates = z.infer<typeof tokenizerConfig>['chat_template'];

function defaultTemplate(templates: Templates): string | null {
  if (templates === undefined || typeof templates === 'string') return templates ?? null;
  return templates.find(({ name }) => name === 'default')?.template ?? null;
}

const templateProcessing = z.looseObject({
  type: z.literal('TemplateProcessing'),
  single: z.array(z.looseObject({ SpecialToken: z.looseObject({ id: z.string() }).optional() })),
});
const sequence = z.looseObject({
  type: z.literal('Sequence'),
  processors: z.array(z.unknown()),
});

/** A post processor of tokenizer.json puts this token before a text (tokenizers `TemplateProcessing`). */
function putsFirst(processor: unknown, token: string): boolean {
  const several = sequence.safeParse(processor);
  if (several.success) return several.data.processors.some((inner) => putsFirst(inner, token));
  const parsed = templateProcessing.safeParse(processor);
  return parsed.success && parsed.data.single[0]?.SpecialToken?.id === token;
}

function parseJson(text: string, where: string): Json {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ModelError(where, messageOf(error), 'JSON');
  }
  return parseSection(z.looseObject({}), value, where);
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ModelError(path, messageOf(error), 'a readable file');
  }
}
