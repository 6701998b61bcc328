/** `--marks` → what is drawn on a picture before a question: points `x,y;…` or boxes `x,y,width,height;…`, or a JSON file. */
import { readFileSync } from 'node:fs';
import { z } from 'zod';
import { ConfigError } from '../errors.js';
import type { Box } from '../image/boxes.js';
import { parseJson } from '../model/parseJson.js';
import type { Mark } from '../types.js';

const lists = z.array(z.array(z.number()));

/** Numbers of every mark, of one length. A text that ends in `.json` names a file: an array of arrays. */
function readLists(text: string, length: number, form: string): readonly (readonly number[])[] {
  const read = text.endsWith('.json') ? parseJson(lists, readText(text), text) : parseLists(text);
  read.forEach((list, k) => {
    if (list.length === length && list.every(Number.isFinite)) return;
    throw new ConfigError(`--marks: mark ${k}`, list.join(',') || 'nothing', form);
  });
  return read;
}

function parseLists(text: string): readonly (readonly number[])[] {
  const numberOf = (part: string): number => (part.trim() === '' ? NaN : Number(part));
  const marks = text.split(';').filter((mark) => mark.trim() !== '');
  return marks.map((mark) => mark.split(',').map(numberOf));
}

function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError('--marks', (error as Error).message, 'a readable file');
  }
}

/** Boxes, numbered from 0 in their order; whole pixels. @throws ConfigError */
export function boxesFrom(text: string): readonly Box[] {
  return readLists(text, 4, 'x,y,width,height in pixels').map(([x, y, width, height]) => ({
    ...{ x: x!, y: y!, width: width!, height: height! },
  }));
}

/** Points, numbered from 1 in their order. @throws ConfigError */
export function pointsFrom(text: string): readonly Mark[] {
  return readLists(text, 2, 'x,y in pixels').map(([x, y], i) => ({
    id: i + 1,
    at: { x: x!, y: y! },
  }));
}
