/**
 * What of a conversion is on the disk already: one line of JSON per finished job, after its data. Bound to the identity
 * of the conversion; a line that was cut off by a crash, and everything after it, never happened.
 */
import {
  appendFileSync,
  closeSync,
  existsSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { messageOf } from '../errors.js';
import { writtenSchema, type Written } from './conversionRecord.js';
import type { StoredTensor } from './onnx.js';
import { StorageError } from './storageError.js';
import type { TensorJob } from './tensorJob.js';

export class Journal {
  readonly #path: string;
  readonly #descriptor: number;
  readonly #known: ReadonlyMap<string, Written>;

  /** @param identity another one than that of the file begins it anew. @throws StorageError */
  constructor(path: string, identity: string) {
    this.#path = path;
    try {
      this.#known = readLines(path, identity);
      this.#descriptor = openSync(path, 'a');
    } catch (error) {
      throw new StorageError(path, messageOf(error), 'a journal that can be written');
    }
  }

  /** Jobs that were finished before. */
  get length(): number {
    return this.#known.size;
  }

  /** What is said about exactly these tensors at exactly these places; undefined: nothing. */
  find({ tensors }: TensorJob): Written | undefined {
    const written = this.#known.get(tensors[0]!.name);
    const same = written?.tensors.map(placeOf).join() === tensors.map(placeOf).join();
    return same ? written : undefined;
  }

  add(written: Written): void {
    try {
      appendFileSync(this.#descriptor, `${JSON.stringify(written)}\n`);
    } catch (error) {
      throw new StorageError(this.#path, messageOf(error), 'room for a line');
    }
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** Leaves the file with its header and its whole lines. */
function readLines(path: string, identity: string): ReadonlyMap<string, Written> {
  const header = `${JSON.stringify({ identity })}\n`;
  const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
  const known = new Map<string, Written>();
  if (!text.startsWith(header)) {
    writeFileSync(path, header);
    return known;
  }
  let end = header.length;
  for (let next; (next = text.indexOf('\n', end)) !== -1; end = next + 1) {
    const written = parseLine(text.slice(end, next));
    if (!written) break;
    known.set(written.tensors[0]!.name, written);
  }
  truncateSync(path, Buffer.byteLength(text.slice(0, end)));
  return known;
}

const placeOf = ({ name, type, shape, file, offset, bytes }: StoredTensor): string =>
  JSON.stringify([name, type, shape, file, offset, bytes]);

function parseLine(line: string): Written | undefined {
  try {
    return writtenSchema.parse(JSON.parse(line));
  } catch {
    return undefined;
  }
}
