/** Lifecycle of a node as other nodes see it. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { stopAll, type Child } from './child.js';
import { allTold, fixture } from './fixture.js';
import { Peer, type PeerSubscription } from './peer.js';

let peer: Peer;
let node: Child;
let events: PeerSubscription;

beforeAll(async () => {
  peer = await Peer.start();
});
afterAll(() => peer.stop());
beforeEach(async () => {
  node = fixture();
  await node.waitForOutput(/^ready .*\n/m, 20_000);
  await peer.waitForNode('/facade', 10_000);
  events = await peer.subscribe('/facade/transition_event', 'lifecycle_msgs/msg/TransitionEvent');
  await peer.waitForPublisher('/facade/transition_event', 5000);
  await new Promise((resolve) => setTimeout(resolve, 300));
});
afterEach(async () => {
  await events.dispose();
  await stopAll();
});

const change = (transition: string): Promise<boolean> => peer.changeState('/facade', transition);
const state = (): Promise<string> => peer.getState('/facade');
const breaks = async (how: string): Promise<void> => {
  await peer.publish('/facade/break', 'std_msgs/msg/String', { data: how });
  await new Promise((resolve) => setTimeout(resolve, 300));
};
const path = (): readonly string[] =>
  events.messages.map((m) => `${String(m.start_state.label)} → ${String(m.goal_state.label)}`);

test('up and down: each answer comes when it is true, each step is published', async () => {
  const done = change('configure');
  await node.waitForOutput(/^lifecycle "configure"\n/m, 5000);
  // The fixture takes 0.3 s: meanwhile the state says so.
  expect(await state()).toBe('configuring');
  expect(await done).toBe(true);
  expect(allTold(node, 'lifecycle-done')).toEqual(['configure']);
  expect(await state()).toBe('inactive');
  for (const transition of ['activate', 'deactivate', 'cleanup'])
    expect(await change(transition)).toBe(true);
  expect(await state()).toBe('unconfigured');
  expect(path()).toEqual([
    'unconfigured → configuring',
    'configuring → inactive',
    'inactive → activating',
    'activating → active',
    'active → deactivating',
    'deactivating → inactive',
    'inactive → cleaningup',
    'cleaningup → unconfigured',
  ]);
});

test('illegal, unknown and private transitions are refused', async () => {
  for (const transition of ['activate', 'deactivate', 'cleanup', 'fly', 'transition_success'])
    expect(await change(transition)).toBe(false);
  for (const id of [3, 7, 10, 60, 99, 0]) {
    const request = { transition: { id, label: '' } };
    const type = 'lifecycle_msgs/srv/ChangeState';
    expect(await peer.call('/facade/change_state', type, request)).toEqual({ success: false });
  }
  expect(await state()).toBe('unconfigured');
  expect(node.isRunning).toBe(true);
});

test('a request while another runs is refused', async () => {
  const first = change('configure');
  await node.waitForOutput(/^lifecycle "configure"\n/m, 5000);
  expect(await change('configure')).toBe(false);
  expect(await change('shutdown')).toBe(false);
  expect(await first).toBe(true);
  expect(await state()).toBe('inactive');
});

test('states and transitions can be asked for', async () => {
  const { available_states } = await peer.call(
    '/facade/get_available_states',
    'lifecycle_msgs/srv/GetAvailableStates',
    {},
  );
  expect(available_states.map((s: { label: string }) => s.label)).toEqual(
    expect.arrayContaining(['unconfigured', 'inactive', 'active', 'finalized', 'errorprocessing']),
  );
  const { available_transitions } = await peer.call(
    '/facade/get_available_transitions',
    'lifecycle_msgs/srv/GetAvailableTransitions',
    {},
  );
  expect(
    available_transitions.map((t: { transition: { label: string } }) => t.transition.label),
  ).toEqual(['configure', 'shutdown']);
});

test('what fails on the way up leaves the node where it was', async () => {
  await breaks('configure fails');
  expect(await change('configure')).toBe(false);
  expect(await state()).toBe('unconfigured');
  await node.waitForOutput(/configure: configure was told to fail; now unconfigured/, 2000);
  await breaks('activate fails');
  expect(await change('configure')).toBe(true);
  expect(await change('activate')).toBe(false);
  expect(await state()).toBe('inactive');
});

test('what fails on the way down goes through error processing to unconfigured', async () => {
  await breaks('deactivate fails');
  expect(await change('configure')).toBe(true);
  expect(await change('activate')).toBe(true);
  events.clear();
  expect(await change('deactivate')).toBe(false);
  expect(await state()).toBe('unconfigured');
  expect(allTold(node, 'lifecycle')).toContain('error deactivate was told to fail');
  expect(path()).toEqual([
    'active → deactivating',
    'deactivating → errorprocessing',
    'errorprocessing → unconfigured',
  ]);
});

test('a transition that takes too long fails; what it brings about later is undone', async () => {
  await breaks('activate hangs');
  expect(await change('configure')).toBe(true);
  expect(await change('activate')).toBe(false);
  await node.waitForOutput(/activate took longer than 1 s; now inactive/, 2000);
  expect(await state()).toBe('inactive');
  expect(await change('activate')).toBe(false);
  await node.waitForOutput(/activate: ended late and was undone/, 5000);
  expect(allTold(node, 'lifecycle-done')).toEqual(['configure', 'activate', 'deactivate']);
  await breaks('nothing');
  expect(await change('activate')).toBe(true);
});

test('shutdown from each state ends in finalized', async () => {
  expect(await change('configure')).toBe(true);
  expect(await change('activate')).toBe(true);
  expect(await change('shutdown')).toBe(true);
  expect(allTold(node, 'lifecycle')).toContain('shutdown from active');
  await node.waitForOutput(/^finalized true\n/m, 2000);
  expect(await state()).toBe('finalized');
  expect(await change('configure')).toBe(false);
});

test('a shutdown that fails is finalized all the same, after error processing', async () => {
  await breaks('shutdown fails');
  expect(await change('shutdown')).toBe(false);
  expect(allTold(node, 'lifecycle')).toContain('error shutdown was told to fail');
  expect(await state()).toBe('finalized');
});

test('SIGINT is not taken by the library; SIGTERM takes the same path as a remote shutdown', async () => {
  expect(await change('configure')).toBe(true);
  node.kill('SIGTERM');
  expect(await node.exited).toEqual({ code: 0, signal: null });
  expect(allTold(node, 'lifecycle')).toContain('shutdown from inactive');
  expect(allTold(node, 'down')).toEqual([0]);

  const other = fixture(['--ros-args', '-r', '__node:=other']);
  await other.waitForOutput(/^ready .*\n/m, 20_000);
  // Nobody handles it in the fixture: it ends by the signal, not by a half shut down library.
  other.kill('SIGINT');
  expect(await other.exited).toEqual({ code: null, signal: 'SIGINT' });
});
