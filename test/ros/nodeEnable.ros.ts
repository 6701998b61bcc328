/** A person's consent as a topic that must keep coming (`enable` of robot.yaml): what the arm does without it. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { Fields, PeerGoal } from './peer.js';
import { MOVING, OUTCOME, pause, REST, restsWithin, Stage } from './stage.js';

const topic = '/enable';
const timeout = 0.4;
const heartbeatHz = 20;
/** How much later than the publisher's period a heartbeat may come on a busy machine, s. */
const LATE = 0.05;

let stage: Stage;
let stopRate: (() => Promise<void>) | null = null;

beforeAll(async () => {
  stage = await Stage.open({ robot: { enable: { topic, type: 'bool', timeout } } });
}, 120_000);
afterEach(() => release());
afterAll(() => stage.close());

/** Begins to publish `message`, instead of what was published before; `release` ends it. */
async function hold(type: string, message: Fields, on = topic): Promise<void> {
  await release();
  stopRate = await stage.peer.publishRate(on, type, message, heartbeatHz);
}

async function release(): Promise<void> {
  await stopRate?.();
  stopRate = null;
}

/** A goal whose arm moves. */
async function moving(): Promise<PeerGoal> {
  const goal = await stage.goal(await stage.scene(700_001));
  await stage.moving(0.6);
  return goal;
}

/** The task is over, and what made it end coming back does not begin it again. */
async function ended(goal: PeerGoal, message: RegExp): Promise<void> {
  const { status, result } = await goal.result;
  expect([status, result.outcome]).toEqual(['aborted', OUTCOME.stopped]);
  expect(result.message).toMatch(message);
}

describe('a heartbeat', () => {
  const type = 'std_msgs/msg/Bool';

  test('nobody takes up the arm before the first one', async () => {
    await stage.startNode({ until: 'started', parameters: { autostart: true } });
    await stage.logged(/not active yet: Nobody enables motion on \/enable yet\./, 0, 60_000);
    expect(await stage.peer.getState(stage.name)).toBe('inactive');
    expect(await stage.status.next(3000)).toMatchObject({ enabled: false });
    await hold(type, { data: true });
    await stage.status.waitFor((s) => s.state === 'holding' && s.enabled === true, 20_000);
  }, 120_000);

  test('that falls silent stops the arm within its timeout; one that comes back moves nothing', async () => {
    await hold(type, { data: true });
    const goal = await moving();
    await release();
    // The last one was sent before this moment.
    const silent = Date.now();
    await ended(goal, /^Nothing on \/enable for 0\.4\d s; 0\.4 s without it is a stop\.$/);
    await pause(800);
    const stopped = stage.restAfter(silent);
    expect(stopped.fastest).toBeGreaterThan(MOVING);
    expect(stopped.seconds).toBeLessThan(timeout + restsWithin(stopped.fastest, 2));
    expect(stage.status.messages.at(-1)).toMatchObject({
      ...{ state: 'holding', enabled: false, latched: '', instruction: '' },
    });

    await hold(type, { data: true });
    await stage.status.waitFor((s) => s.enabled === false, 3000);
    expect((await stage.watch(2000)).fastest).toBeLessThan(REST);
    expect(stage.status.messages.at(-1)).toMatchObject({ enabled: true, state: 'holding' });
    const next = await moving();
    await next.cancel();
    expect((await next.result).status).toBe('canceled');
  }, 90_000);

  test('of false stops it at once', async () => {
    await hold(type, { data: true });
    await pause(500);
    const goal = await moving();
    const said = Date.now();
    await hold(type, { data: false });
    await ended(goal, /^Motion is not enabled on \/enable\.$/);
    await pause(800);
    const stopped = stage.restAfter(said);
    expect(stopped.seconds).toBeLessThan(1 / heartbeatHz + LATE + restsWithin(stopped.fastest, 2));
    expect((await stage.watch(500)).fastest).toBeLessThan(REST);
  }, 60_000);

  test('that is missing refuses activation', async () => {
    expect(await stage.change('deactivate')).toBe(true);
    await pause(600);
    expect(await stage.change('activate')).toBe(false);
    await stage.logged(/activate: Nothing on \/enable for .* s; 0\.4 s without it is a stop\./);
    expect(await stage.stopNode()).toEqual({ code: 0, signal: null });
  }, 60_000);
});

describe('a button of a joystick', () => {
  const type = 'sensor_msgs/msg/Joy';
  const joy = (...buttons: readonly number[]): Fields => ({ axes: [0.5], buttons });

  test('moves the arm while it is held: released, or absent, it is a stop', async () => {
    const config_file = stage.robotFile('joy', {
      enable: { topic: '/joy', type: 'joy', button: 2, timeout },
    });
    await hold(type, joy(0, 0, 1), '/joy');
    await stage.startNode({ parameters: { config_file } });
    for (const let_go of [joy(0, 0, 0), joy(1, 1), joy()]) {
      const goal = await moving();
      const released = Date.now();
      await hold(type, let_go, '/joy');
      await ended(goal, /^Motion is not enabled on \/joy\.$/);
      await pause(600);
      const stopped = stage.restAfter(released);
      expect(stopped.fastest).toBeGreaterThan(MOVING);
      expect(stopped.seconds).toBeLessThan(
        1 / heartbeatHz + LATE + restsWithin(stopped.fastest, 2),
      );
      await hold(type, joy(0, 0, 1), '/joy');
      expect((await stage.watch(1000)).fastest).toBeLessThan(REST);
    }
    await stage.stopNode();
  }, 120_000);
});
