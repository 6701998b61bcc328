/** The whole node through its lifecycle, with the simulation: each answer is true when it is given. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { OUTCOME, pause, REST, Stage } from './stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
}, 120_000);
afterAll(() => stage.close());

const state = (): Promise<string> => stage.peer.getState(stage.name);
const possible = async (): Promise<readonly string[]> => {
  const type = 'lifecycle_msgs/srv/GetAvailableTransitions';
  const answer = await stage.peer.call(`${stage.name}/get_available_transitions`, type, {});
  return answer.available_transitions
    .map(({ transition }: { transition: { label: string } }) => transition.label)
    .sort();
};
const changes = async (...transitions: readonly string[]): Promise<void> => {
  for (const transition of transitions)
    expect([transition, await stage.change(transition)]).toEqual([transition, true]);
};

describe('one node', () => {
  beforeAll(async () => {
    await stage.startNode({ until: 'started' });
  }, 120_000);

  test('begins unconfigured, refuses what is not possible then, and lives', async () => {
    expect(await state()).toBe('unconfigured');
    expect(await possible()).toEqual(['configure', 'shutdown']);
    for (const illegal of ['activate', 'deactivate', 'cleanup', 'transition_success', 'dance'])
      expect([illegal, await stage.change(illegal)]).toEqual([illegal, false]);
    expect(await state()).toBe('unconfigured');
    expect(stage.node.isRunning).toBe(true);
    await stage.logged(
      /activate: not possible when unconfigured \(possible: configure, shutdown\)/,
    );
  });

  test('of two requests at the same time one is refused', async () => {
    const both = await Promise.all([stage.change('configure'), stage.change('configure')]);
    expect([...both].sort()).toEqual([false, true]);
    await stage.logged(/configure: configure is under way/);
    expect(await state()).toBe('inactive');
    expect(await possible()).toEqual(['activate', 'cleanup', 'shutdown']);
    await stage.status.waitFor((s) => s.state === 'inactive', 3000);
  }, 90_000);

  test('an inactive node sends nothing; an active one holds the arm where it is', async () => {
    expect(await stage.watch(1000)).toMatchObject({ commands: 0 });
    expect(await stage.change('configure')).toBe(false);
    await changes('activate');
    expect(await state()).toBe('active');
    expect(await possible()).toEqual(['deactivate', 'shutdown']);
    const { fastest, commands } = await stage.watch(1000);
    expect(fastest).toBeLessThan(REST);
    expect(commands).toBeGreaterThan(30);
    for (const illegal of ['configure', 'activate', 'cleanup'])
      expect([illegal, await stage.change(illegal)]).toEqual([illegal, false]);
    expect(await state()).toBe('active');
  }, 60_000);

  test('deactivation in mid-motion is answered when the arm rests, and ends the goal', async () => {
    const goal = await stage.goal(await stage.scene(700_001));
    await stage.moving(0.6);
    const said = stage.node.output.length;
    await changes('deactivate');
    const answered = await stage.logged(/deactivate: now inactive/, said);
    expect(await stage.speedFrom(answered)).toBeLessThan(REST);
    expect(await goal.result).toMatchObject({
      ...{ status: 'aborted', result: { outcome: OUTCOME.stopped, code: 'deactivated' } },
    });
    expect(await stage.watch(1000)).toMatchObject({ commands: 0 });
    expect((await stage.goal('pick the red block')).accepted).toBe(false);
  }, 90_000);

  test('a latched stop outlives deactivation, cleanup and configuration, until ~/rearm', async () => {
    await changes('activate');
    await stage.trigger('stop');
    await changes('deactivate', 'cleanup');
    expect(await state()).toBe('unconfigured');
    expect(await stage.status.next(3000)).toMatchObject({
      ...{ state: 'latched', latched: 'An operator asked for a stop (~/stop).' },
    });
    await changes('configure');
    expect(await stage.change('activate')).toBe(false);
    await stage.logged(
      /activate: stopped: An operator asked .*\. Call ~\/rearm when it is safe\.; now inactive/,
    );
    expect(await state()).toBe('inactive');
    expect(await stage.trigger('rearm')).toMatchObject({ success: true });
    await changes('activate');
    expect(await stage.status.next(3000)).toMatchObject({ latched: '' });
  }, 120_000);

  test('is not activated on readings that have gone silent, and is once they are back', async () => {
    await changes('deactivate');
    await stage.stopSimulator();
    await pause(1000);
    expect(await stage.change('activate')).toBe(false);
    await stage.logged(/activate: \/clock has not advanced for \d+\.\d+ s\.; now inactive/);
    expect(await state()).toBe('inactive');
    await stage.startSimulator();
    let active = false;
    for (let attempt = 0; attempt < 10 && !active; attempt++)
      active = await stage.change('activate');
    expect(active).toBe(true);
    await changes('deactivate');
  }, 120_000);

  test('cleaned up, it can be configured anew; shut down, it ends with code 0', async () => {
    await changes('cleanup', 'configure');
    // A picture comes five times a second; without one, activation is refused.
    await pause(1500);
    await changes('activate', 'shutdown');
    expect(await stage.node.exited).toEqual({ code: 0, signal: null });
    expect((await stage.watch(500)).fastest).toBeLessThan(REST);
  }, 120_000);
});

test('a robot that never reports is not taken up: autostart waits and says what for', async () => {
  await stage.stopSimulator();
  await stage.startNode({ until: 'started', parameters: { autostart: true } });
  await stage.node.waitForOutput(/not active yet: .*clock/i, 60_000);
  expect(await state()).toBe('inactive');
  expect((await stage.goal('pick the red block')).accepted).toBe(false);
  await stage.startSimulator();
  await stage.status.waitFor((s) => s.state === 'holding', 30_000);
  expect(await stage.stopNode()).toEqual({ code: 0, signal: null });
}, 120_000);
