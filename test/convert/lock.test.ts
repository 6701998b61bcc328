/** One process at a time, and one of those that find a lock that nobody holds any more. */
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { releaseLock, takeLock } from '../../src/convert/lock.js';
import { StorageError } from '../../src/convert/storageError.js';
import { temporaryFolder } from '../support/tinyMagma.js';

/** Above what Linux gives a process, 2 ** 22: of nobody. */
const ended = [2 ** 22 + 1, 2 ** 22 + 2] as const;
/** Its parent runs as long as a test does. */
const running = process.ppid;
const of = (process_: number, host = hostname()): string => `${process_} ${host}`;
const own = of(process.pid);

let work: { readonly path: string; remove(): void };
let lock: string;
beforeEach(() => {
  work = temporaryFolder();
  lock = join(work.path, 'lock');
});
afterEach(() => work.remove());

const files = (): Record<string, string> =>
  Object.fromEntries(
    readdirSync(work.path).map((name) => [name, readFileSync(join(work.path, name), 'utf8')]),
  );

describe('a lock', () => {
  it('names its process, and is gone when it is released', () => {
    takeLock(lock);
    expect(files()).toEqual({ lock: own });
    releaseLock(lock);
    expect(files()).toEqual({});
  });

  it('of a process that runs is refused, and stays', () => {
    writeFileSync(lock, of(running));
    expect(() => takeLock(lock)).toThrow(
      `${lock}: got process ${of(running, `of ${hostname()}`)} at work there, expected one conversion at a time; delete the file if that process has ended or is another one`,
    );
    expect(files()).toEqual({ lock: of(running) });
  });

  it('of another machine, or container, is refused: nobody here can tell whether it runs', () => {
    writeFileSync(lock, of(ended[0], 'elsewhere'));
    expect(() => takeLock(lock)).toThrow(`process ${ended[0]} of elsewhere at work there`);
    expect(files()).toEqual({ lock: of(ended[0], 'elsewhere') });
  });

  it('whose number is still to be written is that of a process that runs', () => {
    writeFileSync(lock, '');
    expect(() => takeLock(lock)).toThrow('got process unknown at work there');
    expect(files()).toEqual({ lock: '' });
  });

  it('of a process that has ended is taken over', () => {
    writeFileSync(lock, of(ended[0]));
    takeLock(lock);
    expect(files()).toEqual({ lock: own });
  });

  it('is not taken over while another process does so', () => {
    writeFileSync(lock, of(ended[0]));
    writeFileSync(`${lock}.${ended[0]}`, of(running));
    expect(() => takeLock(lock)).toThrow(`process ${running} of ${hostname()} at work there`);
    expect(files()).toEqual({ lock: of(ended[0]), [`lock.${ended[0]}`]: of(running) });
  });

  it('is taken over after one that was killed while it did so', () => {
    writeFileSync(lock, of(ended[0]));
    writeFileSync(`${lock}.${ended[0]}`, of(ended[1]));
    takeLock(lock);
    expect(files()).toEqual({ lock: own });
  });

  it('in a folder that is not there cannot be had', () => {
    rmSync(work.path, { recursive: true });
    expect(() => takeLock(lock)).toThrow(StorageError);
  });
});

/** Tries to take the lock of every round, all processes at the same instant; says which it has; stays until its input ends. */
const contender = `
import { takeLock } from ${JSON.stringify(fileURLToPath(new URL('../../dist/convert/lock.js', import.meta.url)))};
const [folder, start, rounds, every] = process.argv.slice(1).map((word, i) => (i === 0 ? word : Number(word)));
const taken = [];
for (let round = 0; round < rounds; round++) {
  while (Date.now() < start + every * round);
  try { takeLock(folder + '/' + round + '/lock'); taken.push(round); } catch {}
}
console.log(JSON.stringify(taken));
process.stdin.resume();
`;

it('goes to exactly one of several processes that find it at once', async () => {
  const [rounds, every] = [200, 5];
  for (let round = 0; round < rounds; round++) {
    mkdirSync(join(work.path, String(round)));
    writeFileSync(join(work.path, String(round), 'lock'), of(ended[0]));
  }
  const start = Date.now() + 1000;
  const words = [work.path, start, rounds, every].map(String);
  const children = Array.from({ length: 3 }, () =>
    spawn(process.execPath, ['--input-type=module', '-e', contender, ...words], {
      stdio: ['pipe', 'pipe', 'inherit'],
    }),
  );
  const taken = await Promise.all(
    children.map(async ({ stdout }) => {
      const [line] = (await once(stdout, 'data')) as [Buffer];
      return JSON.parse(line.toString()) as number[];
    }),
  );
  const closed = children.map((child) => once(child, 'close'));
  children.forEach(({ stdin }) => stdin.end());
  await Promise.all(closed);
  expect(taken.flat().sort((a, b) => a - b)).toEqual([...Array(rounds).keys()]);
  for (let round = 0; round < rounds; round++) {
    expect(readdirSync(join(work.path, String(round)))).toEqual(['lock']);
  }
}, 60_000);
