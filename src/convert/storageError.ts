import { ModelError } from '../errors.js';

/** The disk failed or is full: the data may be fine, and what was written so far can be gone on with. */
export class StorageError extends ModelError {
  override name = 'StorageError';
}
