import { describe, expect, test } from '@jest/globals';
import { Lifecycle, transitionFrom, type StateMachine } from '../../../src/robot/ros/lifecycle.js';
import type { LifecycleHandlers } from '../../../src/robot/ros/ros.js';

const quiet = { info: () => undefined, error: () => undefined };
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

/** A lifecycle whose handlers do nothing but what `overrides` say, and all that happened in order. */
function made(overrides: Partial<LifecycleHandlers> = {}) {
  const log: string[] = [];
  const machine: StateMachine = {
    begin: (transition) => void log.push(`begin ${transition}`),
    end: (outcome) => void log.push(`end ${outcome}`),
  };
  const done = (what: string) => (): Promise<void> => Promise.resolve(void log.push(what));
  const deadlines = {
    configure: 0.05,
    activate: 0.05,
    deactivate: 0.05,
    cleanup: 0.05,
    shutdown: 0.05,
  };
  const handlers: LifecycleHandlers = {
    configure: done('configured'),
    activate: done('activated'),
    deactivate: done('deactivated'),
    cleanup: done('cleaned up'),
    shutdown: (from) => done(`shut down from ${from}`)(),
    onError: (error) => done(`error: ${error.message}`)(),
    deadlines,
    ...overrides,
  };
  return { lifecycle: new Lifecycle(machine, handlers, quiet), log };
}
const fails = (message: string) => (): Promise<void> => Promise.reject(new Error(message));
const hangs = (): Promise<void> => new Promise(() => undefined);

describe('a transition', () => {
  test('begins, does its work, and is concluded before it is answered', async () => {
    const { lifecycle, log } = made();
    expect(await lifecycle.request('configure')).toBeNull();
    expect(log).toEqual(['begin configure', 'configured', 'end success']);
    expect(lifecycle.state).toBe('inactive');
  });

  test('that is not possible is refused without touching anything', async () => {
    const { lifecycle, log } = made();
    expect(await lifecycle.request('activate')).toBe(
      'not possible when unconfigured (possible: configure, shutdown)',
    );
    expect(log).toEqual([]);
  });

  test('is refused while another is under way', async () => {
    const { lifecycle } = made({ configure: () => pause(10) });
    const first = lifecycle.request('configure');
    expect(await lifecycle.request('shutdown')).toBe('configure is under way');
    expect(await first).toBeNull();
  });

  test('that throws at once is one that failed', async () => {
    const { lifecycle } = made({
      configure: () => {
        throw new Error('no robot.yaml');
      },
    });
    expect(await lifecycle.request('configure')).toBe('no robot.yaml');
  });

  test('is answered with the reason where the client library refuses it', async () => {
    const machine: StateMachine = {
      begin: () => {
        throw new Error('out of step');
      },
      end: () => undefined,
    };
    const { lifecycle } = made();
    const other = new Lifecycle(
      machine,
      Reflect.get(lifecycle, 'handlers') as LifecycleHandlers,
      quiet,
    );
    expect(await other.request('configure')).toBe('the client library refused: out of step');
    expect(other.state).toBe('unconfigured');
  });
});

describe('what fails', () => {
  test('on the way up leaves the node where it was', async () => {
    const { lifecycle, log } = made({ activate: fails('joints silent') });
    await lifecycle.request('configure');
    expect(await lifecycle.request('activate')).toBe('joints silent');
    expect(lifecycle.state).toBe('inactive');
    expect(log.slice(-2)).toEqual(['begin activate', 'end failure']);
  });

  test.each(['deactivate', 'cleanup'] as const)(
    'on the way down (%s) goes through error processing to unconfigured',
    async (transition) => {
      const { lifecycle, log } = made({ [transition]: fails('stuck') });
      await lifecycle.request('configure');
      if (transition === 'deactivate') await lifecycle.request('activate');
      expect(await lifecycle.request(transition)).toBe('stuck');
      expect(log.slice(-4)).toEqual([
        `begin ${transition}`,
        'end error',
        'error: stuck',
        'end success',
      ]);
      expect(lifecycle.state).toBe('unconfigured');
    },
  );

  test('in error processing, too, is the end of the node', async () => {
    const { lifecycle, log } = made({ cleanup: fails('stuck'), onError: fails('worse') });
    await lifecycle.request('configure');
    expect(await lifecycle.request('cleanup')).toBe('stuck');
    expect(log.slice(-2)).toEqual(['end error', 'end failure']);
    expect(lifecycle.state).toBe('finalized');
  });

  test('at shutdown ends in finalized all the same', async () => {
    const { lifecycle, log } = made({ shutdown: fails('busy') });
    expect(await lifecycle.request('shutdown')).toBe('busy');
    expect(log).toEqual(['begin shutdown', 'error: busy', 'end failure']);
    expect(lifecycle.state).toBe('finalized');
  });
});

describe('what takes too long', () => {
  test('counts as failed, and is undone where it comes true later', async () => {
    const { lifecycle, log } = made({ activate: () => pause(100) });
    await lifecycle.request('configure');
    expect(await lifecycle.request('activate')).toBe('activate took longer than 0.05 s');
    expect(lifecycle.state).toBe('inactive');
    expect(await lifecycle.request('activate')).toBe(
      'activate ran out of time and has not ended yet',
    );
    await pause(120);
    expect(log.at(-1)).toBe('deactivated');
    expect(lifecycle.state).toBe('inactive');
  });

  test('and never ends leaves only shutdown', async () => {
    const { lifecycle } = made({ configure: hangs });
    await lifecycle.request('configure');
    expect(await lifecycle.request('configure')).toMatch(/has not ended yet/);
    expect(await lifecycle.request('shutdown')).toBeNull();
    expect(lifecycle.state).toBe('finalized');
  });

  test('and cannot be undone is given to error processing', async () => {
    const { lifecycle, log } = made({ configure: () => pause(80), cleanup: fails('still open') });
    await lifecycle.request('configure');
    await pause(100);
    expect(log.at(-1)).toBe('error: still open');
  });

  test('on the way down goes through error processing as well', async () => {
    const { lifecycle, log } = made({ deactivate: hangs });
    await lifecycle.request('configure');
    await lifecycle.request('activate');
    expect(await lifecycle.request('deactivate')).toBe('deactivate took longer than 0.05 s');
    expect(log.at(-2)).toBe('error: deactivate took longer than 0.05 s');
    expect(lifecycle.state).toBe('unconfigured');
  });
});

test.each(['unconfigured', 'inactive', 'active'] as const)(
  'shutdown from %s is told once',
  async (from) => {
    const { lifecycle, log } = made();
    let told = 0;
    lifecycle.onFinalized(() => told++);
    if (from !== 'unconfigured') await lifecycle.request('configure');
    if (from === 'active') await lifecycle.request('activate');
    expect(await lifecycle.request('shutdown')).toBeNull();
    expect(log).toContain(`shut down from ${from}`);
    expect(await lifecycle.request('shutdown')).toBe(
      'not possible when finalized (possible: nothing)',
    );
    await pause(5);
    expect(told).toBe(1);
  },
);

test('a remote request names a transition by number or label', () => {
  const named = (id: number, label = '') => transitionFrom({ id, label }, 'inactive');
  expect([1, 2, 3, 4].map((id) => named(id))).toEqual([
    'configure',
    'cleanup',
    'activate',
    'deactivate',
  ]);
  // Shutdown has a number per state: 6 is that of inactive.
  expect([5, 6, 7].map((id) => named(id))).toEqual([null, 'shutdown', null]);
  expect([0, 10, 60, -1, 2.5].map((id) => named(id))).toEqual([null, null, null, null, null]);
  expect(named(1, 'cleanup')).toBe('cleanup');
  expect(named(1, 'transition_success')).toBeNull();
});
