/** Instructions, decisions, diagnostics and tf over the wire, each end decoded by another implementation. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { decodeImage } from '../../src/image/codec.js';
import { Child, stopAll } from './child.js';
import { told } from './fixture.js';
import { Peer } from './peer.js';

const ACTION = 'magma_vla/action/ExecuteInstruction';
const STRING = 'std_msgs/msg/String';
const outcome = { succeeded: 0, timeLimit: 2, canceled: 3, preempted: 4, stopped: 5 };

let peer: Peer;
let child: Child;

// One process for all: a client that knew a server which was killed may send its next goal to the dead one.
beforeAll(async () => {
  peer = await Peer.start();
  child = new Child(process.execPath, ['test/ros/fixtures/nodeParts.mjs']);
  await child.waitForOutput(/^ready 1\n/m, 20_000);
  for (const topic of [...['latch', 'act', 'look_up', 'instruction'].map(own), '/outcome']) {
    await peer.advertise(topic, STRING);
    await peer.waitForSubscriber(topic, 10_000);
  }
});
afterEach(async () => {
  await say(own('latch'), '');
  await say(own('instruction'), '');
});
afterAll(async () => {
  await peer.stop();
  await stopAll();
});

const own = (name: string): string => `/parts/${name}`;
const say = (topic: string, data = ''): Promise<void> => peer.publish(topic, STRING, { data });
const goalFor = (instruction: string, sec = 0) =>
  peer.sendGoal('/parts/execute_instruction', ACTION, {
    instruction,
    time_limit: { sec, nanosec: 0 },
  });
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms));

describe('ExecuteInstruction', () => {
  test('feeds back 5 times a second, and succeeds on the judge’s word when the arm rests', async () => {
    await say('/outcome', 'success');
    // Nothing orders a topic before an action: it would be a verdict on what begins.
    await pause(200);
    const goal = await goalFor('pick up the größte block');
    expect(goal.accepted).toBe(true);
    // What is fed back before the client knows that it was accepted does not reach it: the next is 0.2 s later.
    await pause(400);
    await say('/parts/act');
    await pause(2000);
    const decided = performance.now();
    await say('/outcome', 'success');
    const { status, result } = await goal.result;
    // The arm of the fixture needs half a second to stop, and is watched for 0.15 s after that.
    expect(performance.now() - decided).toBeGreaterThan(500);
    expect(status).toBe('succeeded');
    expect(result).toMatchObject({ outcome: outcome.succeeded, actions: 1, mean_confidence: 0.75 });
    expect(result.elapsed.sec).toBe(2);
    expect(goal.feedback.length).toBeGreaterThanOrEqual(8);
    expect(goal.feedback.at(-1)).toMatchObject({
      ...{ actions: 1, confidence: 0.75, time_limit: { sec: 60, nanosec: 0 } },
      traces: { camera: 'front', mark_ids: [1], future_x: [30] },
    });
    expect(goal.feedback[0].traces.mark_ids).toEqual([]);
  });

  test('cancel is answered when the arm rests', async () => {
    const goal = await goalFor('pick');
    await pause(300);
    const asked = performance.now();
    expect(await goal.cancel()).toBe(1);
    expect(await goal.result).toMatchObject({
      ...{ status: 'canceled', result: { outcome: outcome.canceled, code: 'canceled' } },
    });
    expect(performance.now() - asked).toBeGreaterThan(500);
  });

  test('a newer goal preempts; time runs out; what cannot be done is refused', async () => {
    const first = await goalFor('pick');
    const second = await goalFor('push', 1);
    expect(await first.result).toMatchObject({
      ...{ status: 'aborted', result: { outcome: outcome.preempted } },
    });
    expect(await second.result).toMatchObject({
      ...{ status: 'aborted', result: { outcome: outcome.timeLimit, code: 'timeLimit' } },
    });
    expect((await goalFor('  ')).accepted).toBe(false);
    expect((await goalFor('pick', -5)).accepted).toBe(false);
  });

  test('a latched stop ends the goal with its reason, and refuses the next', async () => {
    const goal = await goalFor('pick');
    await say('/parts/latch', 'stopped by hand');
    expect(await goal.result).toMatchObject({
      status: 'aborted',
      result: { outcome: outcome.stopped, code: 'operatorStop', message: 'stopped by hand' },
    });
    expect((await goalFor('pick')).accepted).toBe(false);
  });

  test('~/instruction preempts a goal, and empty is rest', async () => {
    const from = child.output.length;
    const begun = [...child.output.matchAll(/episode \d+: "push"/g)].length;
    const goal = await goalFor('pick');
    await say('/parts/instruction', 'push');
    expect((await goal.result).result.outcome).toBe(outcome.preempted);
    await child.waitForOutput(/episode \d+: "push"/, 2000, from);
    await say('/parts/instruction', 'push');
    await say('/parts/instruction', '');
    await child.waitForOutput(/"push": an empty text/, 2000);
    expect(child.output.match(/episode \d+: "push"/g)).toHaveLength(begun + 1);
  });
});

describe('decisions', () => {
  test('are decoded by another implementation', async () => {
    const [chunks, traces, markers, jpegs, images] = await Promise.all([
      peer.subscribe('/parts/action_chunk', 'magma_vla/msg/ActionChunk'),
      peer.subscribe('/parts/traces', 'magma_vla/msg/TraceOfMarks'),
      peer.subscribe('/parts/markers', 'visualization_msgs/msg/MarkerArray'),
      peer.subscribe('/parts/annotated_image/compressed', 'sensor_msgs/msg/CompressedImage'),
      peer.subscribe('/parts/annotated_image', 'sensor_msgs/msg/Image'),
    ]);
    for (const topic of ['action_chunk', 'traces', 'markers', 'annotated_image'])
      await peer.waitForPublisher(`/parts/${topic}`, 5000);
    await pause(500);
    await say('/parts/act');
    const chunk = await chunks.waitFor(() => true, 5000);
    expect(chunk).toMatchObject({
      ...{ values: [0.1, 0, 0, 0, 0, 0, 0.2, 0, 0, 0, 0, 0], gripper: [1, 1] },
      ...{ input_names: ['front', 'end_effector'], confidence: 0.75 },
    });
    expect(Buffer.from(chunk.observation_sha256 as Uint8Array).every((byte) => byte === 0)).toBe(
      false,
    );
    expect(await traces.waitFor(() => true, 5000)).toMatchObject({
      ...{ header: { frame_id: 'front_optical' }, mark_x: [10], trace_lengths: [1] },
    });
    const marked = await markers.waitFor(() => true, 5000);
    expect(marked.markers[0]).toMatchObject({
      ...{ type: 4, ns: 'plan', header: { frame_id: 'base' }, lifetime: { sec: 1, nanosec: 0 } },
      points: [{ x: 0.4 }, { x: 0.5 }, { x: expect.closeTo(0.7, 9) }],
    });
    expect(await images.waitFor(() => true, 5000)).toMatchObject({
      ...{ height: 384, width: 512, encoding: 'rgb8', header: { frame_id: 'front_optical' } },
    });
    const jpeg = await jpegs.waitFor(() => true, 5000);
    expect((await decodeImage(jpeg.data as Uint8Array, 'test')).width).toBe(512);
  });
});

test('/diagnostics come once a second, with a latched stop as an error', async () => {
  const heard = await peer.subscribe('/diagnostics', 'diagnostic_msgs/msg/DiagnosticArray');
  await heard.next(5000);
  await pause(3000);
  expect(heard.messages.length).toBeGreaterThanOrEqual(3);
  expect(heard.messages.length).toBeLessThanOrEqual(5);
  const node = heard.messages[0].status[0];
  expect(node).toMatchObject({ name: 'parts: node', message: 'active', hardware_id: 'parts' });
  await say('/parts/latch', 'stopped by hand');
  const bad = await heard.waitFor((m) => String(m.status[0].message).includes('by hand'), 5000);
  expect(Buffer.from(bad.status[0].level)[0]).toBe(2);
});

test('tf is heard, static transforms that were sent before too, and NaN is not', async () => {
  const transform = (parent: string, frame: string, x: number) => ({
    ...{ header: { stamp: { sec: 10, nanosec: 0 }, frame_id: parent }, child_frame_id: frame },
    transform: { translation: { x, y: 0, z: 0 }, rotation: { x: 0, y: 0, z: 0, w: 1 } },
  });
  const type = 'tf2_msgs/msg/TFMessage';
  const latched = { durability: 'transientLocal', depth: 1 } as const;
  await peer.publish('/tf_static', type, { transforms: [transform('base', 'arm', 1)] }, latched);
  await peer.advertise('/tf', type);
  await peer.waitForSubscriber('/tf', 5000);
  await peer.publish('/tf', type, {
    transforms: [transform('arm', 'tool', 0.5), transform('tool', 'bad', NaN)],
  });
  await pause(500);
  const found = await told(child, 'tf', () => say('/parts/look_up', 'base tool'));
  expect(found).toEqual([[1.5, 0, 0], 1]);
  expect(await told(child, 'tf', () => say('/parts/look_up', 'base bad'))).toEqual([
    'unknownFrame',
    1,
  ]);
});
