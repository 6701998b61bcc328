/** A text answer ↔ the ids a model generates for it. */
import type { Answer } from '../types.js';
import { accept, refuse } from './refusal.js';
import type { Tokenizer } from './tokenizer.js';

/** Text → ids, end id included: what a model is trained to answer. */
export function idsFromText(text: string, tokenizer: Tokenizer, endId: number): number[] {
  return [...tokenizer.encode(text), endId];
}

/** Ids → text. Refused unless every id stands for text and the end id comes last, once. */
export function textFromIds(
  ids: readonly number[],
  tokenizer: Tokenizer,
  endId: number,
): Answer<string> {
  const end = ids.indexOf(endId);
  if (end < 0) {
    return refuse(
      'malformedAnswer',
      'text answer',
      `${ids.length} tokens without the end`,
      'the end',
    );
  }
  if (end < ids.length - 1) {
    const got = `${ids.length - 1 - end} tokens after the end`;
    return refuse('malformedAnswer', 'text answer', got, 'the end last');
  }
  const words = ids.slice(0, end);
  const odd = words.find((id) => !tokenizer.isOrdinary(id));
  if (odd !== undefined) {
    return refuse('malformedAnswer', 'text answer', `token ${odd}`, 'tokens that stand for text');
  }
  return accept(tokenizer.decode(words));
}
