import type { z } from 'zod';
import { ConfigError } from '../errors.js';

/**
 * JSON text → value of `schema`. Unknown keys are refused where the schema is strict.
 * @throws ConfigError naming file and key, what was got and what was expected.
 */
export function parseJson<T>(schema: z.ZodType<T>, text: string, where: string): T {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch (error) {
    throw new ConfigError(where, (error as Error).message, 'JSON');
  }
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  const unknownKeys = issue.code === 'unrecognized_keys' ? issue.keys : [];
  const path = [...issue.path, ...unknownKeys].join('.') || '(root)';
  throw new ConfigError(`${where}: ${path}`, shown(valueAt(raw, issue.path)), issue.message);
}

function valueAt(raw: unknown, path: readonly PropertyKey[]): unknown {
  let value = raw;
  for (const key of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return value;
}

function shown(value: unknown): string {
  return value === undefined ? 'nothing' : JSON.stringify(value).slice(0, 80);
}
