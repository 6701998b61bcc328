/**
 * `<out>.partial`: where a conversion works until it is whole. It holds `model/`, which becomes the model folder by one
 * rename, and what it takes to go on after an interruption. One process at a time works in it.
 */
import {
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { ModelError, messageOf } from '../errors.js';
import { StorageError } from './storageError.js';

const lockName = 'lock';
const known = [lockName, 'journal.jsonl', 'sources.json', 'model'];

export class PartialModel {
  readonly path: string;
  /** Whether it was made by this call: what another one left is not this one's to throw away. */
  readonly isNew: boolean;
  readonly #out: string;

  /** @param out the model folder to be; must not exist. @throws ModelError */
  constructor(out: string) {
    this.#out = out;
    this.path = `${out}.partial`;
    if (existsSync(out)) throw new ModelError(out, 'a folder that exists', 'a new one');
    this.isNew = !existsSync(this.path);
    try {
      mkdirSync(this.path, { recursive: true });
    } catch (error) {
      throw new StorageError(this.path, messageOf(error), 'a folder that can be made');
    }
    const foreign = readdirSync(this.path).find((name) => !known.includes(name));
    if (foreign !== undefined) {
      throw new ModelError(this.path, foreign, 'nothing but an interrupted conversion');
    }
    this.#lock();
    mkdirSync(join(this.model, 'graphs'), { recursive: true });
  }

  get model(): string {
    return join(this.path, 'model');
  }

  get journal(): string {
    return join(this.path, 'journal.jsonl');
  }

  get sources(): string {
    return join(this.path, 'sources.json');
  }

  /** Forgets what was written. */
  clear(): void {
    rmSync(this.model, { recursive: true, force: true });
    mkdirSync(join(this.model, 'graphs'), { recursive: true });
  }

  /** It can be gone on with. */
  release(): void {
    rmSync(join(this.path, lockName), { force: true });
  }

  discard(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  /** The model appears, whole. */
  finish(): void {
    renameSync(this.model, this.#out);
    this.discard();
  }

  #lock(): void {
    const path = join(this.path, lockName);
    const owner = existsSync(path) ? Number(readFileSync(path, 'utf8')) : process.pid;
    if (owner !== process.pid && isRunning(owner)) {
      const expected = 'one conversion at a time; delete the file if that process is another one';
      throw new ModelError(path, `process ${owner} at work there`, expected);
    }
    rmSync(path, { force: true });
    try {
      writeFileSync(path, String(process.pid), { flag: 'wx' });
    } catch (error) {
      throw new StorageError(path, messageOf(error), 'a lock nobody else takes');
    }
  }
}

function isRunning(process_: number): boolean {
  if (!Number.isInteger(process_) || process_ <= 0) return false;
  try {
    process.kill(process_, 0);
    return !hasEnded(process_);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** Killed, but nobody has asked how it ended: in a container whose first process never asks, it stays listed. Linux only. */
function hasEnded(process_: number): boolean {
  try {
    // After the name, which stands in brackets and may hold anything: one letter for the state.
    return /\) Z [^)]*$/.test(readFileSync(`/proc/${process_}/stat`, 'utf8'));
  } catch {
    return false;
  }
}
