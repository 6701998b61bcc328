/** The client against a worker that misbehaves on command, with time in the test's hand. */
import { afterEach, describe, expect, it } from '@jest/globals';
import { ModelClient, type ClientOptions } from '../../src/model/client.js';
import type { Health } from '../../src/model/supervisor.js';
import type { Observation } from '../../src/types.js';
import { FakeClock } from '../support/fakeClock.js';

const worker = new URL('../support/fakeWorker.mjs', import.meta.url);
const ms = 1_000_000n;
const clients: ModelClient[] = [];

interface Fixture {
  readonly client: ModelClient;
  readonly clock: FakeClock;
  readonly health: Health[];
  /** Resolves when the client reports this state for the nth time. */
  readonly reaches: (state: Health['state'], times?: number) => Promise<Health>;
}

async function open(folder = 'ready', more: Partial<ClientOptions> = {}): Promise<Fixture> {
  const clock = new FakeClock();
  const health: Health[] = [];
  const client = await ModelClient.open({
    ...optionsFor(folder, clock),
    onHealth: (now) => health.push(now),
    ...more,
  });
  clients.push(client);
  const reaches = async (state: Health['state'], times = 1): Promise<Health> => {
    for (;;) {
      const seen = health.filter((one) => one.state === state);
      if (seen.length >= times) return seen[times - 1]!;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  };
  return { client, clock, health, reaches };
}

function optionsFor(folder: string, clock: FakeClock): ClientOptions {
  return {
    settings: {
      folder,
      cache: '',
      robot: { robot: 'sim', baseFrame: 'base_link' },
      cameras: { front: 'primary' },
      provider: 'cpu',
      threads: 1,
      sliceTokens: 16,
    },
    clock,
    worker,
    graceMs: 100,
    restarts: { max: 2, backOffMs: 50 },
  };
}

afterEach(async () => {
  await Promise.all(clients.splice(0).map((client) => client.close()));
});

function observed(instruction: string, episode = 1): Observation {
  return {
    stampNs: 7_000_000_000n,
    episode,
    instruction,
    images: {},
    joints: null,
    endEffector: null,
    gripper: null,
  };
}

const question = { camera: 'front', marks: [] };

describe('a model client', () => {
  it('hands on an answer with the worker’s timing', async () => {
    const { client } = await open();
    const answer = await client.requestAction(observed('answer'), 500);
    expect(answer).toMatchObject({ ok: true, value: { observationStampNs: 7_000_000_000n } });
    expect(client.timings.action).toMatchObject({ visionMs: 3, totalMs: 10 });
    expect(client.timings.trace).toBeNull();
  });

  it('sends copies of exactly the bytes the worker looks at, and leaves the caller’s alone', async () => {
    const { client } = await open();
    const chunk = Uint8Array.from({ length: 1000 }, (_, i) => i % 256);
    const frame = (from: number) =>
      ({
        kind: 'compressed',
        stampNs: 1n,
        frameId: 'f',
        format: 'jpeg',
        data: chunk.subarray(from, from + 3),
      }) as const;
    const observation = { ...observed('answer'), images: { front: frame(10), wrist: frame(20) } };
    const answer = await client.requestAction(observation, 500);
    // The whole buffer that travelled is as long as the frame: not the chunk the frame lies in.
    expect(answer).toMatchObject({
      value: { bytes: { front: { data: Uint8Array.of(10, 11, 12), buffer: 3 } } },
    });
    expect(Object.keys((answer as unknown as { value: { bytes: object } }).value.bytes)).toEqual([
      'front',
    ]);
    expect(chunk).toHaveLength(1000);
    expect(observation.images.front.data).toEqual(Uint8Array.of(10, 11, 12));
  });

  it('keeps at most one action and one trace under way', async () => {
    const { client } = await open();
    const first = client.requestAction(observed('hold'), 500);
    const trace = client.requestTrace(observed('hold'), question, 500);
    expect(await client.requestAction(observed('answer'), 500)).toEqual({
      ok: false,
      refusal: { kind: 'preempted', message: 'one action request is under way already' },
    });
    expect(await client.requestTrace(observed('answer'), question, 500)).toMatchObject({
      refusal: { kind: 'preempted' },
    });
    // The trace's message makes the worker answer the held action, a later action the held trace.
    expect((await first).ok).toBe(true);
    expect((await client.requestAction(observed('answer'), 500)).ok).toBe(true);
    expect((await trace).ok).toBe(true);
  });

  it('refuses at the deadline, drops the late reply, and goes on', async () => {
    const { client, clock } = await open();
    const late = client.requestAction(observed('late'), 200);
    await clock.pass(199n * ms);
    expect(await settledBy(late)).toBe(false);
    await clock.pass(1n * ms);
    expect(await late).toEqual({
      ok: false,
      refusal: { kind: 'deadline', message: 'the model gave no action within 200 ms' },
    });
    expect((await client.requestAction(observed('answer'), 200)).ok).toBe(true);
    expect(client.dropped).toEqual({ late: 1, staleEpisode: 0 });
    // The late reply was a sign of life: nothing is restarted when the grace is over.
    await clock.pass(500n * ms);
    expect(client.health).toMatchObject({ state: 'ready', restarts: 0 });
  });

  it('gives an action and a trace a deadline of their own', async () => {
    const { client, clock } = await open();
    const trace = client.requestTrace(observed('late'), question, 250);
    await clock.pass(100n * ms);
    const action = client.requestAction(observed('late'), 120);
    await clock.pass(120n * ms);
    expect(await action).toMatchObject({ refusal: { kind: 'deadline' } });
    // 220 of its 250 ms have passed; the worker answers now.
    expect((await trace).ok).toBe(true);
  });

  it('refuses what an earlier episode asked, and drops its reply', async () => {
    const { client } = await open();
    const stale = client.requestAction(observed('late', 4), 500);
    client.reset(5);
    expect(await stale).toEqual({
      ok: false,
      refusal: {
        kind: 'staleEpisode',
        message: 'an action of episode 4 is of no use in episode 5',
      },
    });
    expect((await client.requestAction(observed('answer', 5), 500)).ok).toBe(true);
    expect(client.dropped).toEqual({ late: 0, staleEpisode: 1 });
    expect(await client.requestAction(observed('answer', 4), 500)).toMatchObject({
      refusal: { kind: 'staleEpisode' },
    });
  });

  it('lets requests of the new episode go on at a reset', async () => {
    const { client } = await open();
    const action = client.requestAction(observed('hold', 5), 500);
    client.reset(5);
    await client.requestTrace(observed('answer', 5), question, 500);
    expect((await action).ok).toBe(true);
  });
});

describe('a worker that fails', () => {
  it('is refused at once when it crashes, and started again after the back-off', async () => {
    const { client, clock, reaches } = await open();
    const [action, trace] = [
      client.requestTrace(observed('hold'), question, 500),
      client.requestAction(observed('crash'), 500),
    ];
    const message = 'the model worker is down: it crashed: the fake worker was told to';
    expect(await action).toEqual({ ok: false, refusal: { kind: 'workerFailed', message } });
    expect(await trace).toEqual({ ok: false, refusal: { kind: 'workerFailed', message } });
    expect(client.health).toEqual({
      state: 'restarting',
      restarts: 0,
      because: `${message}; restart 1 of at most 2 in a row, in 50 ms`,
    });
    expect(await client.requestAction(observed('answer'), 500)).toMatchObject({
      refusal: { kind: 'workerFailed' },
    });
    await passUntilReady(clock, client);
    await reaches('ready', 2);
    expect(client.health.restarts).toBe(1);
    expect((await client.requestAction(observed('answer'), 500)).ok).toBe(true);
  });

  it('is noticed when it ends without an error', async () => {
    const { client, clock } = await open();
    expect(await client.requestAction(observed('exit'), 500)).toMatchObject({
      refusal: { kind: 'workerFailed', message: expect.stringContaining('ended with code 3') },
    });
    await passUntilReady(clock, client);
    expect(client.health.restarts).toBe(1);
  });

  it('is refused by the deadline when it hangs, and ended and started again after the grace', async () => {
    const { client, clock } = await open();
    const hung = client.requestAction(observed('hang'), 200);
    await clock.pass(200n * ms);
    expect(await hung).toMatchObject({ refusal: { kind: 'deadline' } });
    expect(client.health.state).toBe('ready');
    await clock.pass(100n * ms);
    expect(client.health).toMatchObject({
      state: 'restarting',
      because: expect.stringContaining('asked for an action it gave no reply for 300 ms'),
    });
    await passUntilReady(clock, client);
    expect((await client.requestAction(observed('answer'), 500)).ok).toBe(true);
  });

  it('is given up after so many restarts in a row, and says so', async () => {
    const { client, clock, health } = await open();
    for (let crash = 1; crash <= 2; crash++) {
      await client.requestAction(observed('crash'), 500);
      await passUntilReady(clock, client);
    }
    await client.requestAction(observed('crash'), 500);
    expect(client.health).toMatchObject({
      state: 'failed',
      restarts: 2,
      because: expect.stringContaining('after 2 restarts in a row'),
    });
    const waits = health.map(({ because }) => /in (\d+) ms$/.exec(because)?.[1]);
    expect(waits.filter((wait) => wait !== undefined)).toEqual(['50', '100']);
    expect(await client.requestAction(observed('answer'), 500)).toMatchObject({
      refusal: { kind: 'workerFailed' },
    });
  });

  it('earns new restarts by answering', async () => {
    const { client, clock } = await open();
    for (let crash = 1; crash <= 3; crash++) {
      await client.requestAction(observed('crash'), 500);
      await passUntilReady(clock, client);
      expect((await client.requestAction(observed('answer'), 500)).ok).toBe(true);
    }
    expect(client.health).toMatchObject({ state: 'ready', restarts: 3 });
  });

  it.each([
    ['unusable', 'model.json: got x, expected y'],
    ['crash', 'model worker: got it crashed: the fake worker cannot start, expected'],
  ])('is not opened when its start is %s', async (folder, message) => {
    await expect(ModelClient.open(optionsFor(folder, new FakeClock()))).rejects.toThrow(message);
  });

  it('is not opened when it never gets ready', async () => {
    const clock = new FakeClock();
    const opening = ModelClient.open({ ...optionsFor('silent', clock), startTimeoutMs: 1000 });
    const outcome = expect(opening).rejects.toThrow('no sign of progress for 1000 ms');
    await clock.pass(1001n * ms);
    // Closing waits one second for a thread that is there; this one is gone.
    await outcome;
  });
});

describe('closing', () => {
  it('refuses what is under way', async () => {
    const { client } = await open();
    const action = client.requestAction(observed('hold'), 500);
    await client.close();
    expect(await action).toEqual({
      ok: false,
      refusal: { kind: 'workerFailed', message: 'the model was closed' },
    });
    expect(client.health.state).toBe('closed');
  });

  it('ends a thread that hangs', async () => {
    const { client, clock } = await open();
    const hung = client.requestAction(observed('hang'), 500);
    const closing = client.close();
    await clock.pass(1000n * ms);
    await closing;
    expect((await hung).ok).toBe(false);
  });

  it('ends the wait for a restart', async () => {
    const { client } = await open();
    await client.requestAction(observed('crash'), 500);
    await client.close();
    expect(client.health.state).toBe('closed');
  });
});

async function settledBy(promise: Promise<unknown>): Promise<boolean> {
  const open = Symbol();
  return (await Promise.race([promise, Promise.resolve(open)])) !== open;
}

/** Threads start in real time, back-offs pass in the clock's. */
async function passUntilReady(clock: FakeClock, client: ModelClient): Promise<void> {
  while (client.health.state !== 'ready') {
    await clock.pass(10n * ms);
    await new Promise((resolve) => setTimeout(resolve, 2));
  }
}
