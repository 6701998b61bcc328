import type { Answer, Refusal } from '../types.js';

/** A refusal whose one sentence says where, what was got and what was expected. */
export function refuse<T>(
  kind: Refusal['kind'],
  where: string,
  got: string,
  expected: string,
): Answer<T> {
  return { ok: false, refusal: { kind, message: `${where}: got ${got}, expected ${expected}` } };
}

export function accept<T>(value: T): Answer<T> {
  return { ok: true, value };
}
