/** The node's parameters, and what they do to the arm. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { farthest, fastest, MOVING, pause, REST, Stage } from './stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
}, 120_000);
afterAll(() => stage.close());

const set = (name: string, value: boolean | number | string): Promise<string | null> =>
  stage.peer.setParameter(stage.name, name, value);
const get = (name: string): Promise<unknown> => stage.peer.getParameter(stage.name, name);

describe('of an active node', () => {
  beforeAll(async () => {
    await stage.startNode();
  }, 120_000);
  afterAll(async () => {
    await stage.stopNode();
  });

  test('are listed and described', async () => {
    const { result } = await stage.peer.call(
      `${stage.name}/list_parameters`,
      'rcl_interfaces/srv/ListParameters',
      {},
    );
    expect(result.names).toEqual(
      expect.arrayContaining([
        ...['allow_mismatch', 'autostart', 'config_file', 'control_rate', 'dry_run', 'model'],
        ...['policy_rate', 'provider', 'shadow_model', 'speed_scale', 'statistics'],
        ...['threads', 'trace_period', 'use_sim_time'],
      ]),
    );
    const speed = await stage.peer.describe(stage.name, 'speed_scale');
    expect(speed).toMatchObject({
      ...{ type: 3, read_only: false, floating_point_range: [{ from_value: 0, to_value: 1 }] },
    });
    expect(speed.description).toContain('velocity limits');
    expect(await stage.peer.describe(stage.name, 'autostart')).toMatchObject({ read_only: true });
    expect([await get('dry_run'), await get('speed_scale')]).toEqual([false, 1]);
  });

  test('out of range or out of time are refused, with the reason, and stay what they were', async () => {
    expect(await set('speed_scale', 1.5)).toBe(
      'parameter speed_scale: got 1.5, expected double in 0 … 1',
    );
    expect(await set('speed_scale', -0.1)).toContain('expected double in 0 … 1');
    expect(await set('speed_scale', NaN)).toContain('got NaN');
    expect(await set('dry_run', true)).toBe(
      'dry_run does not change while the node is active: deactivate it first',
    );
    expect(await set('policy_rate', 3)).toContain('does not change while the node is active');
    expect(await set('model', '/nowhere')).toBe(
      'model is read when the node is configured; the node is active: deactivate it, then clean it up, set it, and configure anew',
    );
    expect(await set('config_file', '/nowhere')).toContain('clean it up');
    // One bad value, and none is taken.
    expect(
      await stage.peer.setParametersAtomically(stage.name, { speed_scale: 0.5, dry_run: true }),
    ).toContain('dry_run does not change');
    expect([await get('speed_scale'), await get('dry_run')]).toEqual([1, false]);
    await stage.change('deactivate');
    expect(await set('model', '/nowhere')).toContain('the node is inactive: clean it up, set it');
    expect(await set('provider', 'abacus')).toContain('expected auto');
    expect([await set('dry_run', true), await set('dry_run', false)]).toEqual([null, null]);
    expect(await stage.change('activate')).toBe(true);
  }, 60_000);

  test('speed_scale slows the arm down while it moves, to 0, and lets it go on', async () => {
    const goal = await stage.goal(await stage.scene(700_002), 60);
    const speeds = async (ms: number): Promise<number> => {
      const from = stage.states.messages.length;
      await pause(ms);
      return Math.max(...stage.states.messages.slice(from).map(fastest));
    };
    await stage.moving();
    expect(await speeds(1200)).toBeGreaterThan(0.6);
    expect(await set('speed_scale', 0.05)).toBeNull();
    await pause(400);
    stage.commands.clear();
    const slow = await speeds(1500);
    // 0.05 of 2.6 rad/s is commanded at most; the servos swing about it.
    const commanded = stage.commands.messages.flatMap(({ points }) => [...points[0].velocities]);
    expect(Math.max(...commanded.map(Math.abs))).toBeLessThan(0.05 * 2.6 + 1e-6);
    expect(slow).toBeLessThan(2 * 0.05 * 2.6);
    expect(slow).toBeGreaterThan(REST);
    expect(await stage.status.next(2000)).toMatchObject({ speed_scale: 0.05 });
    expect(await set('speed_scale', 0)).toBeNull();
    await pause(400);
    expect(await speeds(800)).toBeLessThan(REST);
    expect(await set('speed_scale', 1)).toBeNull();
    await stage.moving(MOVING);
    // By now it may be done as well.
    await goal.cancel();
    await goal.result;
  }, 90_000);
});

test('dry_run: predictions and verdicts, but no command for the arm or its gripper', async () => {
  const name = '/gripper_controller/gripper_cmd/_action/status';
  const gripper = await stage.peer.subscribe(name, 'action_msgs/msg/GoalStatusArray');
  await stage.startNode({ parameters: { dry_run: true } });
  const chunks = await stage.peer.subscribe(
    `${stage.name}/action_chunk`,
    'magma_vla/msg/ActionChunk',
  );
  const before = stage.arm;
  stage.forget();
  const goal = await stage.goal('pick the red block', 3);
  expect(goal.accepted).toBe(true);
  const { status, result } = await goal.result;
  expect([status, result.code]).toEqual(['aborted', 'timeLimit']);
  expect(result.actions).toBeGreaterThan(3);
  expect(chunks.messages.length).toBeGreaterThan(3);
  // The guard followed: it is not the policy that kept still.
  expect(stage.status.messages.map((s) => s.state)).toContain('following');
  expect(stage.status.messages.every((s) => s.dry_run === true)).toBe(true);
  expect(await stage.trigger('go_home')).toMatchObject({ success: true });
  await pause(1000);
  expect(stage.commands.messages).toEqual([]);
  expect(gripper.messages).toEqual([]);
  expect(farthest(stage.arm, before)).toBeLessThan(0.001);
  await stage.stopNode();
}, 120_000);
