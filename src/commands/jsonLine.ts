import type { z } from 'zod';
import { DataError } from '../errors.js';

/** One line of a file of ours → value of `schema`. @throws DataError on anything else, saying what was expected. */
export function parseJsonLine<T>(
  schema: z.ZodType<T>,
  text: string,
  where: string,
  expected: string,
): T {
  let raw: unknown;
  try {
    raw = JSON.parse(text);
  } catch {
    raw = undefined;
  }
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  throw new DataError(where, text.slice(0, 80), expected);
}
