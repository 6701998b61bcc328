/** Parameters of a node as other nodes see them, and as command line and files set them. */
import { writeFileSync, mkdtempSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { stopAll, type Child } from './child.js';
import { allTold, fixture } from './fixture.js';
import { Peer, type PeerSubscription } from './peer.js';

let peer: Peer;

beforeAll(async () => {
  peer = await Peer.start();
});
afterAll(() => peer.stop());

describe('of a running node', () => {
  let node: Child;
  let events: PeerSubscription;
  const set = (name: string, value: boolean | number | bigint | string | readonly string[]) =>
    peer.setParameter('/facade', name, value);
  const get = (name: string) => peer.getParameter('/facade', name);

  beforeAll(async () => {
    node = fixture();
    await node.waitForOutput(/^ready .*\n/m, 20_000);
    await peer.waitForNode('/facade', 10_000);
    events = await peer.subscribe('/parameter_events', 'rcl_interfaces/msg/ParameterEvent');
    await peer.waitForPublisher('/parameter_events', 5000);
    await new Promise((resolve) => setTimeout(resolve, 300));
  });
  afterAll(() => stopAll());

  test('can be listed, described and read', async () => {
    const { result } = await peer.call(
      '/facade/list_parameters',
      'rcl_interfaces/srv/ListParameters',
      {},
    );
    expect(result.names.sort()).toEqual(
      ['bad', 'count', 'fixed', 'label', 'list.of.words', 'speed', 'use_sim_time'].sort(),
    );
    expect(result.prefixes).toEqual(['list.of']);
    expect(await peer.describe('/facade', 'speed')).toMatchObject({
      name: 'speed',
      type: 3,
      description: 'share of full speed',
      read_only: false,
      floating_point_range: [{ from_value: 0, to_value: 1, step: 0 }],
    });
    expect(await peer.describe('/facade', 'count')).toMatchObject({
      type: 2,
      integer_range: [{ from_value: 0, to_value: 9, step: 1 }],
    });
    expect(await peer.describe('/facade', 'fixed')).toMatchObject({ read_only: true });
    expect(await get('list.of.words')).toEqual(['a']);
    expect(await get('count')).toBe(3);
    expect(await get('nothing')).toBeUndefined();
  });

  test('change to what fits, and the change is told', async () => {
    expect(await set('speed', 0.25)).toBeNull();
    expect(await set('count', 9n)).toBeNull();
    expect(await set('list.of.words', ['b', 'c'])).toBeNull();
    // As `ros2 param set … speed 1` sends it.
    expect(await set('speed', 1n)).toBeNull();
    expect([await get('speed'), await get('count')]).toEqual([1, 9]);
    expect(allTold(node, 'changed').at(-1)).toEqual({ speed: 1 });
    const event = await events.waitFor(
      (e) => e.changed_parameters[0].value.double_value === 1,
      3000,
    );
    expect(event.node).toBe('/facade');
    expect(event.changed_parameters).toHaveLength(1);
  });

  test('refuse what does not fit, with the reason', async () => {
    expect(await set('speed', 1.5)).toBe('parameter speed: got 1.5, expected double in 0 … 1');
    expect(await set('speed', NaN)).toBe('parameter speed: got NaN, expected double in 0 … 1');
    expect(await set('speed', 'fast')).toBe(
      'parameter speed: got string, expected double in 0 … 1',
    );
    expect(await set('count', 10n)).toBe('parameter count: got 10, expected integer in 0 … 9');
    expect(await set('count', 1.5)).toBe('parameter count: got double, expected integer in 0 … 9');
    expect(await set('fixed', false)).toBe('parameter fixed: read-only');
    expect(await set('use_sim_time', true)).toBe('parameter use_sim_time: read-only');
    expect(await set('nothing', 1n)).toBe('parameter nothing: not declared');
    expect(await set('label', 'no')).toBe('label must not be no');
    expect(await get('label')).toBe('a');
  });

  test('change together or not at all', async () => {
    const both = (label: string) =>
      peer.setParametersAtomically('/facade', { speed: 0.125, label });
    expect(await both('no')).toBe('label must not be no');
    expect(await get('speed')).not.toBe(0.125);
    expect(await both('b')).toBeNull();
    expect([await get('speed'), await get('label')]).toEqual([0.125, 'b']);
    expect(allTold(node, 'changed').at(-1)).toEqual({ speed: 0.125, label: 'b' });
  });
});

describe('given at the start', () => {
  const declaredWith = async (args: readonly string[]): Promise<readonly unknown[]> => {
    const node = fixture(['--ros-args', ...args]);
    await node.waitForOutput(/^ready .*\n/m, 20_000);
    const [declared] = allTold(node, 'declared');
    const [bad] = allTold(node, 'bad');
    await node.stop();
    return [...declared, bad];
  };

  test('on the command line: an integer is a double, too', async () => {
    expect(await declaredWith(['-p', 'speed:=1', '-p', 'count:=5', '-p', 'label:=x'])).toEqual([
      ...[1, 5, 'x', true, ['a'], false],
      undefined,
    ]);
  });

  test('in a file shared with other nodes, by name and wildcard, in a namespace', async () => {
    const file = join(mkdtempSync(join(tmpdir(), 'parameters-')), 'p.yaml');
    writeFileSync(
      file,
      `/**:
  ros__parameters: {speed: 0.75, use_sim_time: true}
/left/facade:
  ros__parameters: {count: 7, list: {of: {words: [b, c]}}}
/right/facade:
  ros__parameters: {label: wrong}
other:
  ros__parameters: {whole: [1, 2, 3], label: wrong}
/*/facade:
  ros__parameters: {label: one part}
`,
    );
    expect(await declaredWith(['-r', '__ns:=/left', '--params-file', file])).toEqual([
      ...[0.75, 7, 'one part', true, ['b', 'c'], true],
      undefined,
    ]);
  });

  test('a value that does not fit is refused by name', async () => {
    expect((await declaredWith(['-p', 'bad:=2.0'])).at(-1)).toBe(
      'RosError: parameter bad: got 2, expected double in 0 … 1 (command line or parameter file)',
    );
    expect((await declaredWith(['-p', 'bad:=fast'])).at(-1)).toMatch(/got string, expected double/);
  });

  test('arguments that ROS 2 refuses are an error of ours', async () => {
    const node = fixture(['--ros-args', '-r', 'not a remapping']);
    await node.waitForOutput(/RosError: ROS 2: .*/, 10_000);
    expect((await node.exited).code).toBe(1);
  });
});
