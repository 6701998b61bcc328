import { mkdirSync, statSync } from 'node:fs';
import { dirname } from 'node:path';
import { messageOf } from '../errors.js';
import { StorageError } from './storageError.js';

/**
 * Makes a folder and those above it, one after the other: told to make them all (`recursive`), Node 20 never returns where
 * a folder is there and nothing can be made in it, as in /proc. @throws StorageError
 */
export function makeFolder(path: string): void {
  try {
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
  } catch (error) {
    throw new StorageError(path, messageOf(error), 'a folder that can be made');
  }
  if (dirname(path) !== path) makeFolder(dirname(path));
  try {
    mkdirSync(path);
  } catch (error) {
    // Another process may have made it meanwhile.
    if (statSync(path, { throwIfNoEntry: false })?.isDirectory()) return;
    throw new StorageError(path, messageOf(error), 'a folder that can be made');
  }
}
