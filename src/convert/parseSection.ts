/** Parts of the JSON files of a checkpoint → checked values. */
import type { z } from 'zod';
import { ModelError, gotAt } from '../errors.js';

/**
 * @param section path of `raw` inside the file.
 * @throws ModelError at the first key that does not fit.
 */
export function parseSection<T>(
  schema: z.ZodType<T>,
  raw: unknown,
  where: string,
  section: readonly string[] = [],
): T {
  const parsed = schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const { path, message } = parsed.error.issues[0]!;
  const at = [...section, ...path].join('.') || '(root)';
  throw new ModelError(`${where}: ${at}`, gotAt(raw, path), message);
}
