import { describe, expect, it } from '@jest/globals';
import type { FromWorker, Outcome, ToWorker } from '../../src/model/protocol.js';
import { Scheduler, type Predicts } from '../../src/model/scheduler.js';
import type { Observation } from '../../src/types.js';

const timing = { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 };
const question = { camera: 'front', marks: [] };

function observed(instruction: string): Observation {
  return {
    stampNs: 0n,
    episode: 0,
    instruction,
    images: {},
    joints: null,
    endEffector: null,
    gripper: null,
  };
}

const action = (id: number, name = 'action'): ToWorker & { kind: 'action' } => ({
  kind: 'action',
  id,
  observation: observed(name),
});
const trace = (id: number): ToWorker & { kind: 'trace' } => ({
  kind: 'trace',
  id,
  observation: observed('trace'),
  question,
});

function outcome<T>(): Outcome<T> {
  return { answer: { ok: false, refusal: { kind: 'malformedAnswer', message: '' } }, timing };
}

/** Traces of four slices; `during` is called in each slice. Everything that happens is written to `log`. */
function scheduled(during: (slice: number, scheduler: Scheduler) => void = () => undefined) {
  const log: string[] = [];
  const failures: unknown[] = [];
  const predictor: Predicts = {
    predictAction: async ({ instruction }) => {
      if (instruction === 'broken') throw new Error('bug');
      log.push(`${instruction} begins`);
      await Promise.resolve();
      log.push(`${instruction} ends`);
      return outcome();
    },
    predictTrace: async (_observation, _question, pause) => {
      for (let slice = 1; slice <= 4; slice++) {
        const refusal = await pause();
        if (refusal) {
          log.push(`trace ends: ${refusal.message}`);
          return { answer: { ok: false, refusal }, timing };
        }
        log.push(`slice ${slice}`);
        during(slice, scheduler);
      }
      return outcome();
    },
  };
  const reply = (message: FromWorker): void => {
    if ('id' in message) log.push(`reply ${message.id}`);
  };
  const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));
  const scheduler = new Scheduler({
    predictor,
    reply,
    turn,
    onFailure: (error) => failures.push(error),
  });
  const idle = async (): Promise<void> => {
    for (let i = 0; i < 20; i++) await turn();
  };
  return { scheduler, log, failures, idle };
}

describe('the scheduler', () => {
  it('suspends a trace between slices, runs the action, and goes on with the trace', async () => {
    const { scheduler, log, idle } = scheduled((slice, self) => {
      if (slice === 2) self.receive(action(2));
    });
    scheduler.receive(trace(1));
    await idle();
    expect(log).toEqual([
      'slice 1',
      'slice 2',
      'action begins',
      'action ends',
      'reply 2',
      'slice 3',
      'slice 4',
      'reply 1',
    ]);
  });

  it('serves an action first where both wait', async () => {
    const { scheduler, log, idle } = scheduled();
    scheduler.receive(action(1, 'earlier'));
    scheduler.receive(trace(2));
    scheduler.receive(action(3, 'later'));
    await idle();
    expect(log.filter((line) => !line.startsWith('slice'))).toEqual([
      'earlier begins',
      'earlier ends',
      'reply 1',
      'later begins',
      'later ends',
      'reply 3',
      'reply 2',
    ]);
  });

  it('lets an action in that came in the turn before a slice', async () => {
    const { scheduler, log, idle } = scheduled();
    scheduler.receive(trace(1));
    setImmediate(() => scheduler.receive(action(2)));
    await idle();
    expect(log.indexOf('reply 2')).toBeLessThan(log.indexOf('slice 2'));
  });

  it('ends a cancelled trace at its next pause, with a reply', async () => {
    const { scheduler, log, idle } = scheduled((slice, self) => {
      if (slice === 1) self.receive({ kind: 'cancel', id: 1 });
    });
    scheduler.receive(trace(1));
    await idle();
    expect(log).toEqual(['slice 1', 'trace ends: the request was cancelled', 'reply 1']);
  });

  it('answers a cancelled request that has not begun at once, and never runs it', async () => {
    const { scheduler, log, idle } = scheduled();
    scheduler.receive(action(1, 'first'));
    scheduler.receive(action(2, 'second'));
    scheduler.receive({ kind: 'cancel', id: 2 });
    await idle();
    expect(log).toEqual(['first begins', 'reply 2', 'first ends', 'reply 1']);
  });

  it('ignores the cancelling of what has been answered', async () => {
    const { scheduler, log, idle } = scheduled();
    scheduler.receive(trace(1));
    await idle();
    scheduler.receive({ kind: 'cancel', id: 1 });
    scheduler.receive(trace(2));
    await idle();
    expect(log.at(-1)).toBe('reply 2');
    expect(log.filter((line) => line === 'slice 4')).toHaveLength(2);
  });

  it('reports anything thrown, and serves nothing after it', async () => {
    const { scheduler, log, failures, idle } = scheduled();
    scheduler.receive(action(1, 'broken'));
    await idle();
    scheduler.receive(action(2));
    await idle();
    expect(failures).toEqual([new Error('bug')]);
    expect(log).toEqual([]);
  });

  it('says nothing more once it is stopped', async () => {
    const { scheduler, log, idle } = scheduled((slice, self) => {
      if (slice === 2) self.stop();
    });
    scheduler.receive(trace(1));
    await idle();
    expect(log).toEqual(['slice 1', 'slice 2', 'trace ends: the request was cancelled']);
  });
});
