/** The port to ROS 2 (src/robot/ros) against a real one: a fixture process on one side, rclpy on the other. */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { encodeCdr } from '../../src/robot/messages/cdr.js';
import { schemaOf } from '../../src/robot/messages/schemas.js';
import { stopAll, type Child } from './child.js';
import { fixture, told } from './fixture.js';
import { Peer, type Message } from './peer.js';

let peer: Peer;
let node: Child;

beforeAll(async () => {
  peer = await Peer.start();
  node = fixture();
  await node.waitForOutput(/^ready .*\n/m, 20_000);
  await peer.waitForNode('/facade', 10_000);
});
afterAll(async () => {
  await stopAll();
  await peer.stop();
});

const say = (topic: string, data: string): Promise<void> =>
  peer.publish(`/facade/${topic}`, 'std_msgs/msg/String', { data });
const survives = async (): Promise<void> => {
  expect(node.isRunning).toBe(true);
  await told(node, 'string', () => say('string', 'still here'));
};

describe('topics', () => {
  const echo = async (
    name: string,
    type: string,
    message: Message,
  ): Promise<[Message, Message]> => {
    const back = await peer.subscribe(`/facade/${name}/back`, type);
    await peer.advertise(`/facade/${name}`, type);
    await peer.waitForSubscriber(`/facade/${name}`, 5000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const arrived = await told(node, name, () => peer.publish(`/facade/${name}`, type, message));
    const returned = await back.waitFor(() => true, 5000);
    await back.dispose();
    return [arrived, returned];
  };
  const header = { stamp: { sec: 7, nanosec: 8 }, frame_id: 'base' };

  test('text with bytes beyond ASCII goes there and back', async () => {
    const [arrived, returned] = await echo('string', 'std_msgs/msg/String', { data: 'größer 漢' });
    expect([arrived.data, returned.data]).toEqual(['größer 漢', 'größer 漢']);
  });

  test('numeric arrays arrive as typed arrays that begin at byte 0', async () => {
    const joints = {
      header,
      name: ['a', 'b'],
      position: [0.5, -1.25],
      velocity: [],
      effort: [1, 2],
    };
    const best = await peer.subscribe('/facade/joints/back', 'sensor_msgs/msg/JointState', {
      reliability: 'bestEffort',
    });
    await peer.advertise('/facade/joints', 'sensor_msgs/msg/JointState');
    await new Promise((resolve) => setTimeout(resolve, 500));
    const arrived = await told(node, 'joints', () =>
      peer.publish('/facade/joints', 'sensor_msgs/msg/JointState', joints),
    );
    expect(arrived.position).toEqual(['Float64Array', 0, 2]);
    const returned = await best.waitFor(() => true, 5000);
    expect(returned).toEqual(joints);
  });

  test('a picture of 900 KB goes there and back unchanged', async () => {
    const data = Buffer.alloc(640 * 480 * 3, 0);
    data.forEach((_, i) => (data[i] = (i * 7) % 251));
    const image = {
      header,
      height: 480,
      width: 640,
      encoding: 'rgb8',
      is_bigendian: 0,
      step: 1920,
      data,
    };
    const best = await peer.subscribe('/facade/image/back', 'sensor_msgs/msg/Image', {
      reliability: 'bestEffort',
    });
    await peer.advertise('/facade/image', 'sensor_msgs/msg/Image');
    await new Promise((resolve) => setTimeout(resolve, 500));
    const arrived = await told(node, 'image', () =>
      peer.publish('/facade/image', 'sensor_msgs/msg/Image', image),
    );
    expect(arrived.data).toEqual(['Uint8Array', 0, 921_600]);
    const returned = await best.waitFor(() => true, 5000);
    expect(data.equals(returned.data)).toBe(true);
  });

  test('a trajectory of nested arrays is encoded by our own codec', async () => {
    const points = [1, 2].map((sec) => ({
      positions: [0.1 * sec, 0.2],
      velocities: [0, 0],
      accelerations: [],
      effort: [],
      time_from_start: { sec, nanosec: 500_000_000 },
    }));
    const sent = { header, joint_names: ['a', 'b'], points };
    const [, returned] = await echo('trajectory', 'trajectory_msgs/msg/JointTrajectory', sent);
    expect(returned).toEqual(sent);
  });

  test('64-bit integers are bigints on both sides', async () => {
    const data = 9_007_199_254_740_993n;
    const [arrived, returned] = await echo('int64', 'std_msgs/msg/Int64', { data });
    expect([arrived.data, returned.data]).toEqual(['9007199254740993n', data]);
  });

  test('types unknown to our codec go through the library: nested and fixed arrays', async () => {
    const marker = { header, ns: 'x', id: 3, type: 4, points: [{ x: 1, y: 2, z: 3 }], colors: [] };
    const [, markers] = await echo('markers', 'visualization_msgs/msg/MarkerArray', {
      markers: [marker],
    });
    expect(markers.markers[0]).toMatchObject(marker);
    const k = [1, 2, 3, 4, 5, 6, 7, 8, 9.5];
    const [, info] = await echo('info', 'sensor_msgs/msg/CameraInfo', { height: 3, k, d: [0.25] });
    expect([info.height, info.k, info.d]).toEqual([3, k, [0.25]]);
    const [numbers] = await echo('numbers', 'std_msgs/msg/Int32MultiArray', { data: [-5, 6] });
    expect(numbers.data).toEqual(['Int32Array', 0, 2]);
  });

  test('the bytes of a view into a larger buffer are those of the view', async () => {
    const latched = { durability: 'transientLocal', depth: 1 } as const;
    const ours = await peer.subscribe('/facade/bytes', 'sensor_msgs/msg/CompressedImage', latched);
    const native = await peer.subscribe(
      '/facade/native_bytes',
      'std_msgs/msg/UInt8MultiArray',
      latched,
    );
    const floats = await peer.subscribe(
      '/facade/native_floats',
      'std_msgs/msg/Float32MultiArray',
      latched,
    );
    expect([...(await ours.waitFor(() => true, 5000)).data]).toEqual([1, 2, 3]);
    expect([...(await native.waitFor(() => true, 5000)).data]).toEqual([1, 2, 3]);
    // Float64Array into float32[]: by value, not by memory.
    expect((await floats.waitFor(() => true, 5000)).data).toEqual([0.5, -1]);
  });

  test('a message that does not fit its type is refused, by name', async () => {
    const [, text] = await node.waitForOutput(/^refused (.*)$/m, 1000);
    const refused = JSON.parse(text!);
    expect(refused.unknown).toBe(
      'RosError: topic /facade/native_floats: dat: got a field the type does not have',
    );
    expect(refused.kind).toBe(
      'RosError: topic /facade/native_floats: data: got 1, expected float32',
    );
    expect(refused.range).toBe(
      'RosError: topic /facade/native_bytes: data: got 300, expected uint8',
    );
    expect(refused.missing).toMatch(/^DataError: topic \/facade\/bytes: header/);
    expect(refused.type).toBe(
      'RosError: publisher x (std_msgs/msg/Nothing): got no interface std_msgs/msg/Nothing, ' +
        'expected the workspace that has it to be sourced',
    );
  });

  test('a raw subscription hands over the bytes as they came', async () => {
    const message = { header, joint_names: ['ä'], points: [] };
    const cdr = encodeCdr(schemaOf('trajectory_msgs/JointTrajectory').layout, message, 'test');
    const type = 'trajectory_msgs/msg/JointTrajectory';
    await peer.advertise('/facade/raw', type);
    await new Promise((resolve) => setTimeout(resolve, 300));
    const got = await told(node, 'raw', () => peer.publishRaw('/facade/raw', type, cdr));
    expect(Buffer.from(got, 'base64').subarray(0, cdr.length).equals(Buffer.from(cdr))).toBe(true);
  });

  test('names are resolved, and the graph shows who publishes with which quality of service', async () => {
    const ready = await node.waitForOutput(/^ready (.*)$/m, 1000);
    expect(JSON.parse(ready[1]!)).toEqual({
      full: '/facade',
      distro: process.env['ROS_DISTRO'],
      resolved: ['/facade/x', '/y', '/z'],
    });
    const bestEffort = { reliability: 'bestEffort', depth: 3 } as const;
    await peer.advertise('/facade/image', 'sensor_msgs/msg/Image', bestEffort);
    const match = await node.waitForOutput(/^graph (.*bestEffort.*)$/m, 5000);
    const graph = JSON.parse(match[1]!);
    expect(graph.raw).toBe(1);
    expect(graph.image).toContainEqual({
      node: '/test_peer',
      type: 'sensor_msgs/msg/Image',
      qos: expect.objectContaining({ reliability: 'bestEffort', durability: 'volatile' }),
    });
  });
});

describe('what must not end the process', () => {
  test('callbacks that throw or reject are logged once and counted', async () => {
    for (const topic of ['throw', 'reject']) {
      await peer.advertise(`/facade/${topic}`, 'std_msgs/msg/String');
      await peer.waitForSubscriber(`/facade/${topic}`, 5000);
    }
    await new Promise((resolve) => setTimeout(resolve, 300));
    for (let i = 0; i < 3; i++) {
      await say('throw', 'x');
      await say('reject', 'x');
    }
    await survives();
    const { message } = await peer.call('/facade/failures', 'std_srvs/srv/Trigger', {});
    const failures = new Map(JSON.parse(message) as [string, number][]);
    expect(failures.get('subscription ~/throw')).toBe(3);
    expect(failures.get('subscription ~/reject')).toBe(3);
    expect(node.output.match(/told to throw/g)).toHaveLength(1);
  });

  test('200 malformed messages on every kind of subscription', async () => {
    const good = encodeCdr(
      schemaOf('trajectory_msgs/JointTrajectory').layout,
      { header: { stamp: { sec: 1, nanosec: 1 }, frame_id: 'b' }, joint_names: ['a'], points: [] },
      'test',
    );
    const targets = [
      ['trajectory', 'trajectory_msgs/msg/JointTrajectory'],
      ['raw', 'trajectory_msgs/msg/JointTrajectory'],
      ['joints', 'sensor_msgs/msg/JointState'],
      ['image', 'sensor_msgs/msg/Image'],
      ['string', 'std_msgs/msg/String'],
    ] as const;
    for (const [topic, type] of targets) {
      await peer.advertise(`/facade/${topic}`, type);
      await peer.waitForSubscriber(`/facade/${topic}`, 5000);
    }
    // A publisher that sees its subscriber may not be seen by it yet.
    await new Promise((resolve) => setTimeout(resolve, 500));
    let seed = 1;
    const random = (n: number): number => (seed = (seed * 48_271) % 2_147_483_647) % n;
    for (let i = 0; i < 200; i++) {
      const bytes = Uint8Array.from(good.subarray(0, 4 + random(good.length - 3)));
      for (let k = 0; k < 3; k++) bytes[4 + random(Math.max(1, bytes.length - 4))] = random(256);
      const [topic, type] = targets[i % targets.length]!;
      await peer.publishRaw(`/facade/${topic}`, type, bytes);
      if (i % 25 === 24) await new Promise((resolve) => setTimeout(resolve, 20));
    }
    await survives();
    // They did arrive: the raw subscription, which keeps the last 10, is given 5 of its 40 at a time.
    expect(node.output.match(/^raw /gm)!.length).toBeGreaterThan(10);
  });

  test('requests that make the library itself throw', async () => {
    const parameters = [{ name: '', value: { type: 77 } }];
    const { results } = await peer.call(
      '/facade/set_parameters',
      'rcl_interfaces/srv/SetParameters',
      {
        parameters,
      },
    );
    expect(results).toEqual([{ successful: false, reason: 'parameter : not declared' }]);
    await survives();
  });
});

describe('services', () => {
  test('a service may take its time', async () => {
    expect(await peer.call('/facade/service', 'std_srvs/srv/SetBool', { data: true })).toEqual({
      success: true,
      message: 'gut, größer',
    });
  });

  test('a service that fails answers so, with the reason', async () => {
    expect(await peer.call('/facade/service', 'std_srvs/srv/SetBool', { data: false })).toEqual({
      success: false,
      message: 'told to fail',
    });
  });

  test('a client gets its answer, or an error in time', async () => {
    const requests = await peer.serve('/peer/set', 'std_srvs/srv/SetBool', {
      success: true,
      message: 'ok',
    });
    await peer.serve('/peer/slow', 'std_srvs/srv/Trigger', {}, { delayMs: 600 });
    await peer.advertise('/facade/ask', 'std_msgs/msg/String');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await told(node, 'answer', () => say('ask', 'set'))).toEqual({
      success: true,
      message: 'ok',
    });
    expect(requests).toEqual([{ data: true }]);
    expect(await told(node, 'answer', () => say('ask', 'slow'))).toMatch(
      /^RosError: service \/peer\/slow .*/,
    );
    expect(await told(node, 'answer', () => say('ask', 'nobody'))).toBe(
      'RosError: service /nobody (std_srvs/srv/Trigger): no server within 200 ms',
    );
    expect(await told(node, 'answer', () => say('ask', 'wrong'))).toMatch(/dat: got a field/);
    await survives();
  });
});

describe('action servers', () => {
  const type = 'example_interfaces/action/Fibonacci';
  const send = (order: number) => peer.sendGoal('/facade/count', type, { order });

  test('a goal is accepted, gives feedback and ends', async () => {
    await peer.advertise('/facade/go', 'std_msgs/msg/String');
    const goal = await send(4);
    expect(goal.accepted).toBe(true);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await say('go', 'succeed');
    expect(await goal.result).toEqual({ status: 'succeeded', result: { sequence: [0, 1, 2, 3] } });
    expect(goal.feedback).toEqual([{ sequence: [4] }]);
  });

  test('a goal is refused with a reason in the log, also where judging it fails', async () => {
    expect((await send(101)).accepted).toBe(false);
    await node.waitForOutput(/action ~\/count: goal refused: too far/, 2000);
    expect((await send(13)).accepted).toBe(false);
    await node.waitForOutput(/goal refused: unlucky/, 2000);
  });

  test('cancel is agreed to; the goal ends when the server ends it, once', async () => {
    const goal = await send(5);
    expect(await goal.cancel()).toBe(1);
    expect(await goal.result).toEqual({ status: 'canceled', result: { sequence: [-1] } });
  });

  test('a goal nobody asked to cancel ends as aborted', async () => {
    const goal = await send(2);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await say('go', 'canceled');
    expect((await goal.result).status).toBe('aborted');
  });

  test('execution that throws aborts the goal', async () => {
    expect((await (await send(99)).result).status).toBe('aborted');
    await survives();
  });
});

describe('action clients', () => {
  const type = 'example_interfaces/action/Fibonacci';
  const order = (data: bigint) => () =>
    peer.publish('/facade/send', 'std_msgs/msg/Int64', { data });

  test('no server, acceptance, feedback, result, cancel', async () => {
    await peer.advertise('/facade/send', 'std_msgs/msg/Int64');
    await peer.waitForSubscriber('/facade/send', 5000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await told(node, 'sent', order(1n))).toMatch(/no server within 2000 ms/);

    const server = await peer.serveAction('/peer/count', type);
    expect(await told(node, 'sent', order(3n))).toBe(32);
    const goal = await server.waitForGoal(1, 5000);
    expect(goal.request).toEqual({ order: 3 });
    expect(await told(node, 'fed', () => goal.feedback({ sequence: [1] }))).toEqual({
      sequence: ['Int32Array', 0, 1],
    });
    expect(await told(node, 'ended', () => goal.end('succeeded', { sequence: [8] }))).toMatchObject(
      {
        status: 'succeeded',
      },
    );

    expect(await told(node, 'cancelled', order(5n))).toBe(true);
    const second = await server.waitForGoal(2, 5000);
    expect(await told(node, 'ended', () => second.end('canceled'))).toMatchObject({
      status: 'canceled',
    });

    await told(node, 'sent', order(6n));
    const third = await server.waitForGoal(3, 5000);
    expect(await told(node, 'ended', () => third.end('aborted'))).toMatchObject({
      status: 'aborted',
    });
  });

  test('a goal whose server has gone ends with status unknown', async () => {
    const gone = await Peer.start({ name: 'gone' });
    await gone.serveAction('/gone/count', type);
    const goal = () => peer.publish('/facade/send_gone', 'std_msgs/msg/Int64', { data: 4n });
    await peer.advertise('/facade/send_gone', 'std_msgs/msg/Int64');
    await peer.waitForSubscriber('/facade/send_gone', 5000);
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(await told(node, 'sent', goal)).toBe(32);
    // Killed, it takes leave of nobody: DDS notices after its lease.
    const ended = await told(node, 'ended', () => gone.stop(), 30_000);
    expect(ended).toEqual({ status: 'unknown', result: {} });
  });
});
