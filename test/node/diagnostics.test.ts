import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Tick } from '../../src/control/loop.js';
import { Diagnostics } from '../../src/node/diagnostics.js';
import {
  type ConfiguredFacts,
  type Facts,
  type InputFacts,
  Recently,
} from '../../src/node/facts.js';
import { Monitor } from '../../src/node/monitor.js';
import { percentileOf, SlidingWindow } from '../../src/node/slidingWindow.js';
import { statusesFrom } from '../../src/node/statuses.js';
import { decodeCdr, encodeCdr } from '../../src/robot/messages/cdr.js';
import { schemaOf } from '../../src/robot/messages/schemas.js';
import type { Reason } from '../../src/types.js';
import { FakeNode } from './fakeNode.js';

const S = 1_000_000_000n;
const nowNs = 1000n * S;

const camera: InputFacts = {
  ...{ topic: '/front', type: 'sensor_msgs/msg/Image', count: 300, refused: 0, hz: 29.97 },
  ...{ lastReceivedNs: nowNs - S / 50n, publishers: 1, unheard: [], maxAge: 0.6 },
  ...{ lastRefusal: null, missingJoints: [] },
};

function configured(more: Partial<ConfiguredFacts> = {}): ConfiguredFacts {
  return {
    ...{ controlPeriod: 0.02, actionDeadlineMs: 500, inputs: [camera], transformsRefused: 0 },
    policy: { facts: { model: 'nano', provider: 'cpu' }, dropped: { late: 2 } },
    control: new Monitor().facts(nowNs),
    output: { target: '/arm/joint_trajectory', isOpen: true, withheld: 0, problem: null },
    shadow: null,
    ...more,
  };
}

function facts(more: Partial<Facts> = {}): Facts {
  return {
    ...{ now: { nowNs, stampNs: 77n * S }, robot: 'sim', lifecycle: 'active' },
    ...{ isTakenOver: false, isDryRun: false, latched: null, clock: null },
    ...{ failures: new Map(), configured: configured() },
    ...more,
  };
}

const statusOf = (name: string, of: Facts, recently = new Recently()) =>
  statusesFrom(of, recently).find((status) => status.name === name)!;

describe('an input', () => {
  const of = (more: Partial<InputFacts>, lifecycle: Facts['lifecycle'] = 'active') =>
    statusOf(
      'input /front',
      facts({ lifecycle, configured: configured({ inputs: [{ ...camera, ...more }] }) }),
    );

  test('that comes is ok, with its rate', () => {
    expect(of({})).toMatchObject({ level: 'ok', message: '30.0 Hz', values: { age: '0.020' } });
  });

  test('that is older than the guard accepts is stale', () => {
    expect(of({ lastReceivedNs: nowNs - 2n * S })).toMatchObject({
      ...{ level: 'stale', message: 'silent for 2.00 s; at most 0.6 s is accepted' },
    });
  });

  test('that never came says whether anybody publishes it', () => {
    const never = { lastReceivedNs: null, count: 0 };
    expect(of({ ...never, publishers: 0 })).toMatchObject({
      ...{ level: 'error', message: 'nobody publishes it' },
    });
    expect(of(never, 'inactive')).toMatchObject({ level: 'warn' });
  });

  test('that is not heard for its quality of service says so', () => {
    const why = 'camera publishes best effort, reliable is asked for: set qos in robot.yaml';
    expect(of({ unheard: [why], lastReceivedNs: null })).toMatchObject({
      ...{ level: 'error', message: why },
    });
  });

  test('says why it refused what it refused, and which joints nobody reports', () => {
    expect(of({ refused: 3, lastRefusal: 'position NaN' })).toMatchObject({
      level: 'warn',
      message: '3 of 300 messages were refused, the last: position NaN',
      values: { last_refusal: 'position NaN' },
    });
    expect(of({ missingJoints: ['joint7'] })).toMatchObject({
      level: 'error',
      message: 'not reported yet: joint7',
    });
  });

  test('that refused messages within the last minute is a warning, and then history', () => {
    const recently = new Recently();
    const at = (seconds: bigint, refused: number) =>
      statusOf(
        'input /front',
        facts({
          now: { nowNs: nowNs + seconds * S, stampNs: 0n },
          configured: configured({
            inputs: [{ ...camera, refused, lastReceivedNs: nowNs + seconds * S }],
          }),
        }),
        recently,
      ).level;
    expect([at(0n, 0), at(1n, 3), at(60n, 3), at(62n, 3), at(63n, 4)]).toEqual([
      ...['ok', 'warn', 'warn', 'ok', 'warn'],
    ]);
  });
});

describe('the monitor', () => {
  let monitor: Monitor;
  const tick = (ms: number, outcome: string, reasons: readonly Reason[] = []): void =>
    monitor.observer.onTick?.({
      nowNs: BigInt(ms) * 1_000_000n,
      verdict: { outcome, reasons },
    } as unknown as Tick);
  const reason = (code: string): Reason => ({ code, message: `${code} happened.` });

  beforeEach(() => {
    monitor = new Monitor();
  });

  test('measures from tick to tick, and not over a pause between sessions', () => {
    for (const ms of [0, 20, 40, 75, 95, 60_000, 60_020]) tick(ms, 'pass');
    // 20, 20, 35, 20, pause, 20.
    expect(monitor.facts(60n * S).tickIntervalMs).toEqual({ count: 5, p50: 20, p99: 35, max: 35 });
  });

  test('forgets after a minute', () => {
    for (const ms of [0, 20, 40]) tick(ms, 'pass');
    expect(monitor.facts(59n * S).tickIntervalMs.count).toBe(2);
    expect(monitor.facts(61n * S).tickIntervalMs).toEqual({
      ...{ count: 0, p50: null, p99: null, max: null },
    });
  });

  test('counts a reason when it begins, not at every tick', () => {
    tick(0, 'limited', [reason('rampIn')]);
    tick(20, 'limited', [reason('rampIn'), reason('workspace')]);
    tick(40, 'limited', [reason('workspace')]);
    tick(60, 'halt', [reason('trackingError')]);
    tick(80, 'halt', [reason('trackingError')]);
    tick(100, 'pass');
    tick(120, 'limited', [reason('workspace')]);
    const { limits, halts, lastHalt } = monitor.facts(S);
    expect([...limits]).toEqual([
      ['rampIn', 1],
      ['workspace', 2],
    ]);
    expect([...halts]).toEqual([['trackingError', 1]]);
    expect(lastHalt).toEqual([reason('trackingError')]);
  });

  test('measures a policy from request to answer, predictions only', () => {
    const answered = (requestedMs: number, atMs: number, ok: boolean): void =>
      monitor.observer.onAction?.(
        { ok } as never,
        { requestedNs: BigInt(requestedMs) * 1_000_000n } as never,
        null,
        { nowNs: BigInt(atMs) * 1_000_000n, stampNs: 0n },
      );
    for (let i = 0; i < 100; i++) answered(i * 100, i * 100 + 30 + i, true);
    answered(20_000, 25_000, false);
    expect(monitor.facts(26n * S).actionLatencyMs).toEqual({
      ...{ count: 100, p50: 79, p99: 128, max: 129 },
    });
  });
});

describe('a sliding window', () => {
  test('keeps the newest values where more come than it holds', () => {
    const window = new SlidingWindow(10, 3);
    for (const value of [5, 1, 4, 2]) window.add(S, value);
    expect([...window.sorted(2n * S)]).toEqual([1, 2, 4]);
    expect(percentileOf(window.sorted(2n * S), 50)).toBe(2);
    expect(percentileOf(new Float64Array(), 50)).toBeNull();
  });
});

describe('the parts', () => {
  const halt = { code: 'trackingError', message: 'The arm is not where it was commanded to be.' };

  test('a latched stop is an error of node and guard, with its reason', () => {
    const stopped = facts({ latched: halt });
    for (const name of ['node', 'guard'])
      expect(statusOf(name, stopped)).toMatchObject({
        ...{ level: 'error', message: expect.stringContaining(halt.message) },
      });
  });

  test('a halt is an error while the node is active', () => {
    const control = { ...new Monitor().facts(nowNs), outcome: 'halt', reasons: [halt] } as const;
    const of = (lifecycle: Facts['lifecycle']) =>
      statusOf('guard', facts({ lifecycle, configured: configured({ control }) })).level;
    expect([of('active'), of('inactive')]).toEqual(['error', 'ok']);
  });

  test('a tick that came half a period late is a warning', () => {
    const of = (max: number) =>
      statusOf(
        'control',
        facts({
          configured: configured({
            control: {
              ...new Monitor().facts(nowNs),
              tickIntervalMs: { count: 100, p50: 20, p99: 21, max },
            },
          }),
        }),
      );
    expect(of(29.9)).toMatchObject({ level: 'ok', message: 'every 20.0 ms' });
    expect(of(31)).toMatchObject({
      ...{ level: 'warn', message: 'a tick came 11.0 ms late within the last minute' },
    });
  });

  test('the policy tells provider, latency, drops, and why an answer was not played', () => {
    const control = {
      ...new Monitor().facts(nowNs),
      actionLatencyMs: { count: 10, p50: 40, p99: 61, max: 61 },
      refusals: new Map([['lowConfidence', 2]]),
      lastRefusal: { code: 'lowConfidence', message: 'the policy is not sure' },
    };
    expect(statusOf('policy', facts({ configured: configured({ control }) }))).toMatchObject({
      ...{ level: 'warn', message: 'not played: the policy is not sure' },
      values: {
        ...{ provider: 'cpu', latency_p99: '61.0 ms' },
        ...{ 'dropped/late': '2', 'not_played/lowConfidence': '2' },
      },
    });
  });

  test('waiting for an instruction is no fault of the policy', () => {
    const control = {
      ...new Monitor().facts(nowNs),
      refusals: new Map([['noInstruction', 200]]),
      lastRefusal: { code: 'noInstruction', message: 'no instruction has been given yet' },
    };
    expect(statusOf('policy', facts({ configured: configured({ control }) })).level).toBe('ok');
  });

  test('a problem of the output, of the clock, and failed callbacks show', () => {
    const problem = { code: 'commandRefused', message: 'The controller refused.' };
    const output = { target: '/arm', isOpen: true, withheld: 0, problem };
    const bad = facts({
      clock: { code: 'clockSilent', message: '/clock is silent' },
      failures: new Map([['subscription /joint_states', 3]]),
      configured: configured({ output }),
    });
    expect(statusOf('output', bad)).toMatchObject({ level: 'error', message: problem.message });
    expect(statusOf('clock', bad)).toMatchObject({ level: 'error', message: '/clock is silent' });
    expect(statusOf('callbacks', bad)).toMatchObject({
      ...{ level: 'warn', values: { 'subscription /joint_states': '3' } },
    });
  });

  test('the shadow is compared in words and figures', () => {
    const shadow = {
      ...{ policy: 'other', compared: 4, missed: 1, refused: 0, incomparable: 0, problem: null },
      translation: { mean: 0.0123, worst: 0.05 },
      rotation: { mean: 0.1, worst: 0.2 },
      ...{ gripperAgreement: 0.75, latencyMs: { mean: 80, worst: 120 } },
    };
    expect(statusOf('shadow', facts({ configured: configured({ shadow }) }))).toMatchObject({
      ...{ level: 'ok', message: '12.3 mm and 0.100 rad apart' },
      values: { gripper_agreement: '0.750', latency_worst: '120.0 ms' },
    });
  });

  test('before it is configured the node has a clock and callbacks, and no parts', () => {
    const names = statusesFrom(facts({ configured: null, robot: '' }), new Recently());
    expect(names.map(({ name }) => name)).toEqual(['node', 'clock', 'callbacks']);
  });
});

describe('/diagnostics', () => {
  test('fits its message definition, under the name of the node', () => {
    const fake = new FakeNode();
    const diagnostics = new Diagnostics(fake.node, { facts: () => facts() });
    diagnostics.publish();
    diagnostics.dispose();
    const { layout } = schemaOf('diagnostic_msgs/DiagnosticArray');
    const bytes = encodeCdr(layout, fake.publishedOn('/diagnostics')[0]!, 'diagnostics');
    const decoded = decodeCdr(layout, bytes, 'diagnostics') as { status: object[] };
    expect(decoded).toMatchObject({ header: { stamp: { sec: 77, nanosec: 0 } } });
    expect(decoded.status).toContainEqual(
      expect.objectContaining({
        ...{ level: 0, name: 'magma_vla: input /front', message: '30.0 Hz', hardware_id: 'sim' },
      }),
    );
  });

  test('says so where it cannot be made', async () => {
    const fake = new FakeNode();
    const diagnostics = new Diagnostics(fake.node, {
      facts: () => {
        throw new Error('no facts');
      },
    });
    await new Promise((resolve) => setTimeout(resolve, 1200));
    diagnostics.dispose();
    expect(fake.publishedOn('/diagnostics')).toMatchObject([
      { status: [{ level: 2, message: 'diagnostics failed: no facts' }] },
    ]);
  });
});
