/**
 * Numbers in −1 … 1 ↔ action ids, the way OpenVLA and Magma write them (openvla `action_tokenizer.py`): bin edges
 * linspace(−1, 1, bins), k = digitize(x) = 1 … bins, id = V − k. Decoding yields the bin's centre, and there is one
 * centre fewer than edges, so the two highest bins share the last.
 */
import { InputError } from '../errors.js';
import type { Answer } from '../types.js';
import type { ActionAnswer } from './contract.js';
import { accept, refuse } from './refusal.js';

export type BinLayout = Pick<ActionAnswer, 'vocabulary' | 'bins'>;

/** Edge 0 … bins − 1, computed as numpy.linspace does: the last is exactly 1. */
export function binEdge(index: number, bins: number): number {
  return index === bins - 1 ? 1 : -1 + index * (2 / (bins - 1));
}

/** Value → id. Values outside −1 … 1 are clipped. @throws InputError on NaN and infinities. */
export function encodeBin(value: number, { vocabulary, bins }: BinLayout): number {
  if (!Number.isFinite(value))
    throw new InputError('action token', String(value), 'a finite number');
  const x = Math.min(1, Math.max(-1, value));
  let edge = Math.min(bins - 1, Math.floor(((x + 1) / 2) * (bins - 1)));
  while (edge + 1 < bins && binEdge(edge + 1, bins) <= x) edge += 1;
  while (edge > 0 && binEdge(edge, bins) > x) edge -= 1;
  return vocabulary - (edge + 1);
}

/** Id → centre of its bin. The id must be in range: see isActionId. */
export function decodeBin(id: number, { vocabulary, bins }: BinLayout): number {
  const index = Math.min(bins - 2, Math.max(0, vocabulary - id - 1));
  return (binEdge(index, bins) + binEdge(index + 1, bins)) / 2;
}

export function isActionId(id: number, { vocabulary, bins }: BinLayout): boolean {
  return Number.isInteger(id) && id >= vocabulary - bins && id < vocabulary;
}

/** K steps of normalised values, in the order of `dims` → K · dims ids and the end id. */
export function encodeAction(
  steps: readonly (readonly number[])[],
  action: ActionAnswer,
  endId: number,
): number[] {
  const fits = steps.length === action.chunk && steps.every((s) => s.length === action.dims.length);
  if (!fits) {
    const got = `steps of ${steps.map((step) => step.length).join(', ') || 'nothing'} values`;
    throw new InputError('action', got, `${action.chunk} × ${action.dims.length} values`);
  }
  return [...steps.flat().map((value) => encodeBin(value, action)), endId];
}

/** An answer's ids, end id included → K steps of normalised values. Anything but K · dims action ids and then the end is refused. */
export function decodeAction(
  ids: readonly number[],
  action: ActionAnswer,
  endId: number,
): Answer<readonly (readonly number[])[]> {
  const dims = action.dims.length;
  const length = action.chunk * dims;
  const expected = `${length} action tokens and the end`;
  const odd = ids.slice(0, length).findIndex((id) => !isActionId(id, action));
  if (odd >= 0) {
    const what = ids[odd] === endId ? 'the end' : `token ${ids[odd]}, which is no action,`;
    return refuse('malformedAnswer', 'action answer', `${what} at position ${odd}`, expected);
  }
  if (ids.length < length) {
    return refuse('malformedAnswer', 'action answer', `only ${ids.length} tokens`, expected);
  }
  if (ids[length] !== endId) {
    const got = ids.length === length ? 'no end' : `token ${ids[length]} instead of the end`;
    return refuse('malformedAnswer', 'action answer', got, expected);
  }
  if (ids.length > length + 1) {
    const got = `${ids.length - length - 1} tokens after the end`;
    return refuse('malformedAnswer', 'action answer', got, expected);
  }
  const values = ids.slice(0, length).map((id) => decodeBin(id, action));
  const steps = Array.from({ length: action.chunk }, (_, k) =>
    values.slice(k * dims, (k + 1) * dims),
  );
  return accept(steps);
}
