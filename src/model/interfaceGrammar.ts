/**
 * Magma's text form of where to click on a screen, written and read side by side:
 *
 *     Coordinate: (0.17, 0.43). Mark: 3.
 *
 * Coordinates are shares of the picture's width and height, from its top-left corner; `Mark` is the number of the box
 * around the place, and is missing where no box fits. Its public code reads mark and numbers by pattern, wherever they
 * stand (magma `agents/ui_agent/util/process_utils.py`) and writes points without a space; here the sentence must be
 * whole. The last full stop may be missing.
 */
import type { Answer } from '../types.js';
import { parsed } from './textReader.js';

export interface ScreenTarget {
  /** 0 … 1, of the width and of the height. */
  readonly at: { readonly x: number; readonly y: number };
  /** Number of the box around it; null: the answer names none. */
  readonly mark: number | null;
}

export function formatScreenTarget({ at, mark }: ScreenTarget): string {
  const point = `Coordinate: (${at.x.toFixed(2)}, ${at.y.toFixed(2)}).`;
  return mark === null ? point : `${point} Mark: ${mark}.`;
}

/**
 * Text → target. Every character is accounted for; anything else is refused, with the place.
 * @param drawn numbers of the boxes on the picture.
 */
export function parseScreenTarget(text: string, drawn: readonly number[]): Answer<ScreenTarget> {
  return parsed(text, 'screen answer', (reader) => {
    reader.literal('Coordinate: (');
    const x = reader.fraction();
    if (!reader.accepts(', ')) reader.literal(',');
    const y = reader.fraction();
    reader.literal(')');
    const at = { x, y };
    if (reader.atEnd()) return { at, mark: null };
    reader.literal('.');
    if (reader.atEnd()) return { at, mark: null };
    reader.literal(' Mark: ');
    const mark = reader.integer();
    if (!drawn.includes(mark)) {
      reader.fail(`mark ${mark}`, `one of the boxes drawn: ${drawn.join(', ') || 'none'}`);
    }
    if (!reader.atEnd()) reader.literal('.');
    reader.end();
    return { at, mark };
  });
}
