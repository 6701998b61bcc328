/** ROS time by /clock, as simulators and bags publish it: best effort, whenever they like. */
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { Child, stopAll } from './child.js';
import { allTold } from './fixture.js';
import { Peer } from './peer.js';

const S = 1_000_000_000n;
let peer: Peer;

beforeAll(async () => {
  peer = await Peer.start();
});
afterEach(() => stopAll());
afterAll(() => peer.stop());

const start = async (...args: readonly string[]): Promise<Child> => {
  const child = new Child(process.execPath, ['test/ros/fixtures/time.mjs', ...args]);
  await child.waitForOutput(/^ready 1\n/m, 10_000);
  return child;
};
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));
type Said = readonly [string, { readonly code: string; readonly message: string } | null];

test('without use_sim_time it is the system clock, whatever /clock says', async () => {
  const child = await start();
  const stop = await peer.clock({ startNs: 5n * S });
  await pause(600);
  const [now, problem] = allTold(child, 'now').at(-1) as Said;
  expect(Math.abs(Number(now) / 1e9 - Date.now() / 1000)).toBeLessThan(1);
  expect(problem).toBeNull();
  await stop();
});

test('with use_sim_time it follows /clock, and says when that is silent or jumps', async () => {
  const child = await start('--ros-args', '-p', 'use_sim_time:=true');
  await child.waitForOutput(/Nothing has arrived on \/clock yet/, 2000);

  const stop = await peer.clock({ startNs: 100n * S, rate: 0.5 });
  await pause(1500);
  const [early, problem] = allTold(child, 'now').at(-1) as Said;
  expect(Number(early) / 1e9).toBeGreaterThan(100.2);
  expect(Number(early) / 1e9).toBeLessThan(101);
  expect(problem).toBeNull();

  await stop();
  await child.waitForOutput(
    /"clockSilent","message":"\/clock has not advanced for 0\.2\d s\."/,
    1000,
  );
  const from = child.output.length;
  const again = await peer.clock({ startNs: 50n * S });
  await child.waitForOutput(/^jump "\/clock jumped back by \d+\.\d\d s"\n/m, 1000, from);
  await child.waitForOutput(/"clockJump"/, 1000, from);
  await pause(600);
  expect((allTold(child, 'now').at(-1) as Said)[1]).toBeNull();
  await again();

  const ahead = await peer.clock({ startNs: 500n * S });
  await child.waitForOutput(/^jump "\/clock jumped ahead by 4\d\d/m, 1000, from);
  await ahead();
});

test('a bag played five times as fast is no jump', async () => {
  const child = await start('--ros-args', '-p', 'use_sim_time:=true');
  const stop = await peer.clock({ startNs: 100n * S, rate: 5, hz: 40 });
  await pause(2000);
  expect(allTold(child, 'jump')).toEqual([]);
  expect((allTold(child, 'now').at(-1) as Said)[1]).toBeNull();
  await stop();
});
