import type { z } from 'zod';
import { ConfigError, gotAt } from '../errors.js';

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
  throw new ConfigError(`${where}: ${path}`, gotAt(raw, issue.path), issue.message);
}
