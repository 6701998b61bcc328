/**
 * A file that one process has at a time: it holds the number of that process. A process that is killed leaves it behind, so
 * that of one that has ended it is taken over; where several find it at once, one of them goes on.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { ModelError, messageOf } from '../errors.js';
import { StorageError } from './storageError.js';

/** `lock`, and `lock.<number>` where a takeover was interrupted. */
export const lockNames = /^lock(\.\d+)*$/;

/**
 * To take over, a process must first have the file beside it that names the owner before, which then becomes the lock by
 * one renaming. So nobody puts away a lock that somebody else has taken since it was read.
 * @throws ModelError where another process has it, StorageError where it cannot be written.
 */
export function takeLock(path: string): void {
  if (isCreated(path)) return;
  const owner = ownerOf(path);
  // This process does not ask twice: its number is that of an earlier one.
  if (owner === null || (owner !== process.pid && isRunning(owner))) throw atWork(path, owner);
  const right = `${path}.${owner}`;
  takeLock(right);
  const now = ownerOf(path);
  if (now !== owner) {
    releaseLock(right);
    throw atWork(path, now);
  }
  renameSync(right, path);
}

export function releaseLock(path: string): void {
  rmSync(path, { force: true });
}

/** False: it is there already. */
function isCreated(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new StorageError(path, messageOf(error), 'a lock nobody else takes');
  }
}

/** Null: it is gone, or its number is still to be written. */
function ownerOf(path: string): number | null {
  try {
    const text = readFileSync(path, 'utf8');
    return /^[1-9]\d*$/.test(text) ? Number(text) : null;
  } catch {
    return null;
  }
}

function atWork(path: string, owner: number | null): ModelError {
  const expected = 'one conversion at a time; delete the file if that process is another one';
  return new ModelError(path, `process ${owner ?? 'unknown'} at work there`, expected);
}

function isRunning(process_: number): boolean {
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
