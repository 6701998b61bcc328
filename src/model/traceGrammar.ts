/**
 * Magma's text form of future traces (magma `data/openx_magma/data_utils.py`), written and read side by side:
 *
 *     Mark 3 at [12,200], Mark 5 at [0,255] should be moved, and their future positions are:⏎⏎
 *     "Mark 3": "[[14,190],[16,181]]"⏎⏎"Mark 5": "[[1,250],[2,244]]"⏎⏎
 *
 * Coordinates are cells of a grid × grid raster over the picture, x before y. The start point is not repeated among the
 * future ones. When nothing should move the answer is `No mark should be moved.⏎`. The line feeds at the very end may be
 * missing: chat templates trim what a model is trained to answer.
 */
import { InputError } from '../errors.js';
import type { Answer, Mark, MarkTrace, Pixel } from '../types.js';
import type { TraceAnswer } from './contract.js';
import { accept } from './refusal.js';
import { parsed, type TextReader } from './textReader.js';

/** A cell, 0 … grid − 1. */
export type Cell = readonly [x: number, y: number];

export interface GridTrace {
  readonly id: number;
  readonly start: Cell;
  readonly future: readonly Cell[];
}

export type TraceLayout = Pick<TraceAnswer, 'grid' | 'steps' | 'length'>;

const NOTHING_MOVES = 'No mark should be moved.\n';
const END_OF_HEADER = ' should be moved, and their future positions are:\n\n';

/** Traces → text, in the given order. @throws InputError on a trace that parseTrace would refuse. */
export function formatTrace(traces: readonly GridTrace[], layout: TraceLayout): string {
  if (traces.length === 0) return NOTHING_MOVES;
  const cell = ([x, y]: Cell): string => `[${x},${y}]`;
  const starts = traces.map(({ id, start }) => `Mark ${id} at ${cell(start)}`);
  const futures = traces.map(
    ({ id, future }) => `"Mark ${id}": "[${future.map(cell).join(',')}]"\n\n`,
  );
  const text = starts.join(', ') + END_OF_HEADER + futures.join('');
  const ids = traces.map(({ id }) => id);
  const readBack = parseTrace(text, ids, layout);
  if (!readBack.ok)
    throw new InputError('trace', readBack.refusal.message, 'a trace of this grammar');
  return text;
}

/**
 * Text → traces. Every character is accounted for; anything else is refused, with the place.
 * @param marks ids that were drawn on the picture: the answer may move any of them, once each, and no other.
 */
export function parseTrace(
  text: string,
  marks: readonly number[],
  layout: TraceLayout,
): Answer<readonly GridTrace[]> {
  if (text === NOTHING_MOVES || text === NOTHING_MOVES.trimEnd()) return accept([]);
  return parsed(text, 'trace answer', (reader) => readTraces(reader, marks, layout));
}

function readTraces(
  reader: TextReader,
  marks: readonly number[],
  layout: TraceLayout,
): GridTrace[] {
  // 1. The header: which marks move, and where they are now.
  const starts: { id: number; start: Cell }[] = [];
  do {
    reader.literal('Mark ');
    const id = readMark(reader, marks);
    if (starts.some((other) => other.id === id)) reader.fail(`mark ${id} twice`, 'each mark once');
    reader.literal(' at ');
    starts.push({ id, start: readCell(reader, layout.grid) });
  } while (reader.accepts(', '));
  reader.literal(END_OF_HEADER);
  // 2. One list of future points per mark of the header, in its order.
  const traces = starts.map(({ id, start }, index) => {
    reader.literal(`"Mark ${id}": "[`);
    const future = readFuture(reader, id, layout);
    reader.literal(']"');
    if (index < starts.length - 1 || !reader.atEnd()) reader.literal('\n\n');
    return { id, start, future };
  });
  // 3. Nothing else.
  reader.end();
  return traces;
}

function readFuture(reader: TextReader, id: number, { grid, steps, length }: TraceLayout): Cell[] {
  const future: Cell[] = [];
  do future.push(readCell(reader, grid));
  while (future.length <= steps && reader.accepts(','));
  const fits = length === 'exact' ? future.length === steps : future.length <= steps;
  if (!fits) {
    const got = future.length > steps ? `more than ${steps} points` : `${future.length} points`;
    reader.fail(`${got} for mark ${id}`, length === 'exact' ? `${steps}` : `1 to ${steps}`);
  }
  return future;
}

/** An id that is drawn. */
export function readMark(reader: TextReader, marks: readonly number[]): number {
  const id = reader.integer();
  if (!marks.includes(id)) reader.fail(`mark ${id}`, `one of the marks drawn: ${marks.join(', ')}`);
  return id;
}

/** `[x,y]` */
export function readCell(reader: TextReader, grid: number): Cell {
  reader.literal('[');
  const x = readCoordinate(reader, grid);
  reader.literal(',');
  const y = readCoordinate(reader, grid);
  reader.literal(']');
  return [x, y];
}

function readCoordinate(reader: TextReader, grid: number): number {
  const value = reader.integer();
  if (value >= grid) reader.fail(`coordinate ${value}`, `0 to ${grid - 1}`);
  return value;
}

/** Size of a picture, pixels. */
export interface PictureSize {
  readonly height: number;
  readonly width: number;
}

/** Pixel → cell: int(grid · x / width), clipped to the raster. */
export function cellFromPixel({ x, y }: Pixel, { height, width }: PictureSize, grid: number): Cell {
  const clip = (value: number): number => Math.min(grid - 1, Math.max(0, Math.floor(value)));
  return [clip((grid * x) / width), clip((grid * y) / height)];
}

/** Cell → the pixel at its centre: back to the same cell, and within half a cell of any pixel in it. */
export function pixelFromCell([x, y]: Cell, { height, width }: PictureSize, grid: number): Pixel {
  return { x: ((x + 0.5) * width) / grid, y: ((y + 0.5) * height) / grid };
}

/** The cell of every mark, by id. */
export function cellsOf(
  marks: readonly Mark[],
  size: PictureSize,
  grid: number,
): ReadonlyMap<number, Cell> {
  return new Map(marks.map(({ id, at }) => [id, cellFromPixel(at, size, grid)]));
}

/** Traces in cells → traces in pixels of the source picture. */
export function tracesInPixels(
  traces: readonly GridTrace[],
  size: PictureSize,
  grid: number,
): MarkTrace[] {
  return traces.map(({ id, start, future }) => ({
    id,
    start: pixelFromCell(start, size, grid),
    future: future.map((cell) => pixelFromCell(cell, size, grid)),
  }));
}
