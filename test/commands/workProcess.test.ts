import { EventEmitter } from 'node:events';
import { describe, expect, it } from '@jest/globals';
import { serveWork, WorkProcess, type ParentChannel } from '../../src/commands/workProcess.js';
import { ConfigError, InputError } from '../../src/errors.js';

const program = 'test/support/fakeWork.mjs';
const open = (job: unknown) =>
  WorkProcess.open<{ argument: string; job: unknown }, bigint>(program, job);

describe('A worker process', () => {
  it('opens its job, does what it is asked to, and ends when it is closed', async () => {
    const one = await open({ seed: 7n });
    expect(one.facts).toEqual({ argument: 'work', job: { seed: 7n } });
    expect(await one.do(5)).toBe(25n);
    await expect(one.do(12)).rejects.toThrow('twelve');
    expect(await one.do(6)).toBe(36n);
    await one.close();
    await one.close();
  });

  it('that cannot open its job says so, as a refused input', async () => {
    const refused = open('refuse');
    await expect(refused).rejects.toBeInstanceOf(InputError);
    await expect(refused).rejects.toThrow('no such model');
  });

  it('that dies fails what it was asked, and what it is asked after', async () => {
    const one = await open(null);
    await expect(one.do(13)).rejects.toThrow('a worker process ended (3)');
    await expect(one.do(1)).rejects.toThrow('a worker process ended (3)');
    await one.close();
  });
});

describe("A worker process's own end", () => {
  it('answers in order, tells what failed, and closes what it opened', async () => {
    const replies: unknown[] = [];
    const parent = Object.assign(new EventEmitter(), {
      send: (reply: unknown) => Boolean(replies.push(reply)),
      disconnect: () => undefined,
    }) as unknown as ParentChannel & EventEmitter;
    const told: string[] = [];
    const served = serveWork(parent, (job) =>
      Promise.resolve({
        facts: { job },
        do: (index: number) =>
          index === 2
            ? Promise.reject(new ConfigError('a file', 'nothing', 'something'))
            : Promise.resolve(`did ${index}`),
        close: () => Promise.resolve(void told.push('closed')),
      }),
    );
    for (const request of [
      { kind: 'open', job: 'any' },
      { kind: 'do', index: 1 },
      { kind: 'do', index: 2 },
    ]) {
      parent.emit('message', request);
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(replies).toEqual([
      { kind: 'opened', facts: { job: 'any' } },
      { kind: 'done', result: 'did 1' },
      { kind: 'failed', message: 'a file: got nothing, expected something', isInput: true },
    ]);
    parent.emit('disconnect');
    await served;
    expect(told).toEqual(['closed']);
  });
});
