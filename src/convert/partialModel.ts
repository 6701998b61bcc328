/**
 * `<out>.partial`: where a conversion works until it is whole. It holds `model/`, which becomes the model folder by one
 * rename, and what it takes to go on after an interruption. One process at a time works in it.
 */
import { existsSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { ModelError } from '../errors.js';
import { lockNames, releaseLock, takeLock } from './lock.js';
import { makeFolder } from './newFolder.js';

const known = ['journal.jsonl', 'sources.json', 'model'];

export class PartialModel {
  readonly path: string;
  /** Whether it was made by this call: what another one left is not this one's to throw away. */
  readonly isNew: boolean;
  readonly #out: string;

  /** @param out the model folder to be; must not exist. @throws ModelError */
  constructor(out: string) {
    this.#out = out;
    this.path = `${out}.partial`;
    this.#refuseOld();
    this.isNew = !existsSync(this.path);
    makeFolder(this.path);
    const foreign = readdirSync(this.path).find(
      (name) => !known.includes(name) && !lockNames.test(name),
    );
    if (foreign !== undefined) {
      throw new ModelError(this.path, foreign, 'nothing but an interrupted conversion');
    }
    takeLock(this.#lock);
    try {
      // Whoever had the lock until now may have finished.
      this.#refuseOld();
      makeFolder(join(this.model, 'graphs'));
    } catch (error) {
      this.release();
      throw error;
    }
  }

  get #lock(): string {
    return join(this.path, 'lock');
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
    makeFolder(join(this.model, 'graphs'));
  }

  /** It can be gone on with. */
  release(): void {
    releaseLock(this.#lock);
  }

  discard(): void {
    rmSync(this.path, { recursive: true, force: true });
  }

  /** The model appears, whole. */
  finish(): void {
    renameSync(this.model, this.#out);
    this.discard();
  }

  #refuseOld(): void {
    if (existsSync(this.#out)) throw new ModelError(this.#out, 'a folder that exists', 'a new one');
  }
}
