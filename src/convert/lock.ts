/**
 * A file that one process has at a time: it holds the number of that process and the name of its machine. A process that is
 * killed leaves it behind, so that of one that has ended it is taken over; where several find it at once, one of them goes
 * on. Whether a process of another machine or container runs cannot be seen from here: it is taken to.
 * Those of one name are taken for one.
 */
import { readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
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
  if (owner === null || isAtWork(owner)) throw atWork(path, owner);
  const right = `${path}.${owner.process}`;
  takeLock(right);
  const now = ownerOf(path);
  if (now?.process !== owner.process || now.host !== owner.host) {
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
    writeFileSync(path, `${process.pid} ${hostname()}`, { flag: 'wx' });
    return true;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false;
    throw new StorageError(path, messageOf(error), 'a lock nobody else takes');
  }
}

interface Owner {
  readonly process: number;
  readonly host: string;
}

/** Null: it is gone, or its words are still to be written. */
function ownerOf(path: string): Owner | null {
  try {
    const words = /^([1-9]\d*) (.+)$/.exec(readFileSync(path, 'utf8'));
    return words ? { process: Number(words[1]), host: words[2]! } : null;
  } catch {
    return null;
  }
}

function atWork(path: string, owner: Owner | null): ModelError {
  const who = owner ? `${owner.process} of ${owner.host}` : 'unknown';
  const expected =
    'one conversion at a time; delete the file if that process has ended or is another one';
  return new ModelError(path, `process ${who} at work there`, expected);
}

/** This process does not ask twice: its number is that of an earlier one. */
function isAtWork({ process: number, host }: Owner): boolean {
  return host !== hostname() || (number !== process.pid && isRunning(number));
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
