/**
 * The header of a safetensors file: 8 bytes little-endian length, then JSON {name: {dtype, shape, data_offsets}}.
 * Weights are downloaded from strangers, so every number is checked before a byte of a tensor is read. The rules are
 * the format's own (github.com/huggingface/safetensors, "Format"): no duplicate keys, no holes, no overlap.
 */
import { ModelError } from '../errors.js';

/**
 * Bytes. The format allows 100 MB, of which 16 million objects, one in the other, need more memory than there is; every
 * public checkpoint stays below 1 MB.
 */
export const maxHeaderBytes = 2 ** 24;
const maxRank = 16;

/** Bytes per element of every type the format knows. Only floating types ≥ 16 bit are ever read as weights. */
const elementBytes: Readonly<Record<string, number>> = {
  BOOL: 1,
  U8: 1,
  I8: 1,
  F8_E5M2: 1,
  F8_E4M3: 1,
  U16: 2,
  I16: 2,
  F16: 2,
  BF16: 2,
  U32: 4,
  I32: 4,
  F32: 4,
  U64: 8,
  I64: 8,
  F64: 8,
};

export interface TensorEntry {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  /** Byte range inside the data section, [begin, end). */
  readonly begin: number;
  readonly end: number;
}

/**
 * Header text → entries by name, in file order of their data.
 * @param dataBytes size of the data section: the file without length field and header.
 * @throws ModelError naming the file, the key, what was got and what was expected.
 */
export function parseHeader(
  text: string,
  dataBytes: number,
  where: string,
): ReadonlyMap<string, TensorEntry> {
  const header = parseObject(text, where);
  const entries = Object.entries(header)
    .filter(([name]) => name !== '__metadata__')
    .map(([name, value]) => parseEntry(name, value, dataBytes, where));
  entries.sort((a, b) => a.begin - b.begin || a.end - b.end);
  let expected = 0;
  for (const { name, begin, end } of entries) {
    if (begin !== expected) {
      const what = begin < expected ? 'overlapping' : 'leaving a hole before';
      fail(where, name, `data_offsets ${what} [${begin}, ${end})`, `a start at byte ${expected}`);
    }
    expected = end;
  }
  if (expected !== dataBytes) {
    throw new ModelError(where, `${dataBytes} data bytes`, `${expected}, the end of the tensors`);
  }
  return new Map(entries.map((entry) => [entry.name, entry]));
}

function parseObject(text: string, where: string): object {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (error) {
    throw new ModelError(`${where}: header`, (error as Error).message, 'JSON');
  }
  if (!isObject(value)) throw new ModelError(`${where}: header`, typeof value, 'a JSON object');
  const duplicate = findDuplicateKey(text);
  if (duplicate !== undefined) fail(where, duplicate, 'the key twice', 'every key once');
  return value;
}

function parseEntry(name: string, value: unknown, dataBytes: number, where: string): TensorEntry {
  if (!isObject(value)) fail(where, name, typeof value, 'an object');
  const { dtype, shape, data_offsets: offsets } = value as Record<string, unknown>;
  const bytes =
    typeof dtype === 'string' && Object.hasOwn(elementBytes, dtype)
      ? elementBytes[dtype]!
      : fail(where, name, `dtype ${show(dtype)}`, Object.keys(elementBytes).join(' | '));
  if (!isSizes(shape) || shape.length > maxRank) {
    fail(where, name, `shape ${show(shape)}`, `at most ${maxRank} non-negative integers`);
  }
  if (!isSizes(offsets) || offsets.length !== 2) {
    fail(where, name, `data_offsets ${show(offsets)}`, 'two non-negative integers');
  }
  const [begin, end] = offsets as [number, number];
  if (begin > end || end > dataBytes) {
    fail(
      where,
      name,
      `data_offsets [${begin}, ${end})`,
      `a range inside the ${dataBytes} data bytes`,
    );
  }
  const size = shape.reduce((product, extent) => product * extent, bytes);
  if (size !== end - begin) {
    fail(where, name, `${end - begin} bytes`, `${size} for ${String(dtype)} [${shape.join(', ')}]`);
  }
  return { name, dtype: dtype as string, shape, begin, end };
}

/**
 * JSON.parse silently keeps the last of two equal keys. `text` is known to be valid JSON. Read character by character: a
 * regular expression that matches strings runs out of stack on long ones.
 */
function findDuplicateKey(text: string): string | undefined {
  const open: Set<string>[] = [];
  let pending = '""';
  for (let i = 0; i < text.length; i++) {
    const character = text[i];
    if (character === '{') open.push(new Set());
    else if (character === '}') open.pop();
    else if (character === '"') {
      const end = endOfString(text, i);
      pending = text.slice(i, end + 1);
      i = end;
    } else if (character === ':') {
      const key = JSON.parse(pending) as string;
      const keys = open.at(-1)!;
      if (keys.has(key)) return key;
      keys.add(key);
    }
  }
  return undefined;
}

/** Index of the quote that closes the string which begins at `start`. */
function endOfString(text: string, start: number): number {
  let i = start + 1;
  while (text[i] !== '"') i += text[i] === '\\' ? 2 : 1;
  return i;
}

function isObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function isSizes(value: unknown): value is number[] {
  return Array.isArray(value) && value.every((n) => Number.isSafeInteger(n) && n >= 0);
}

function show(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80);
}

function fail(where: string, key: string, got: string, expected: string): never {
  throw new ModelError(`${where}: ${key.slice(0, 200)}`, got, expected);
}
