/**
 * Magma's text form of where marks are (magma `data/conversations.py`), written and read side by side:
 *
 *     Mark 1 at [12,200]. Mark 2 at [0,255]⏎
 *
 * Coordinates are cells of a grid × grid raster over the picture, x before y, as in traces. The line feed at the very end
 * may be missing: chat templates trim what a model is trained to answer.
 */
import type { Answer } from '../types.js';
import type { LocationAnswer } from './contract.js';
import { parsed } from './textReader.js';
import { readCell, readMark, type Cell } from './traceGrammar.js';

/** Where the model says that a mark is. */
export interface LocatedMark {
  readonly id: number;
  readonly at: Cell;
}

export function formatLocations(marks: readonly LocatedMark[]): string {
  return marks.map(({ id, at: [x, y] }) => `Mark ${id} at [${x},${y}]`).join('. ') + '\n';
}

/**
 * Text → marks, at least one. Every character is accounted for; anything else is refused, with the place.
 * @param drawn ids that were drawn on the picture: the answer may name any of them, once each, and no other.
 */
export function parseLocations(
  text: string,
  drawn: readonly number[],
  { grid }: Pick<LocationAnswer, 'grid'>,
): Answer<readonly LocatedMark[]> {
  return parsed(text, 'location answer', (reader) => {
    const marks: LocatedMark[] = [];
    do {
      reader.literal('Mark ');
      const id = readMark(reader, drawn);
      if (marks.some((other) => other.id === id)) reader.fail(`mark ${id} twice`, 'each mark once');
      reader.literal(' at ');
      marks.push({ id, at: readCell(reader, grid) });
    } while (reader.accepts('. '));
    if (!reader.atEnd()) reader.literal('\n');
    reader.end();
    return marks;
  });
}
