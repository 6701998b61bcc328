import { beforeEach, describe, expect, test } from '@jest/globals';
import type { ActionRequest, Tick } from '../../src/control/loop.js';
import { publishDecisions } from '../../src/node/decisions.js';
import { decodeCdr, encodeCdr } from '../../src/robot/messages/cdr.js';
import { observationHash } from '../../src/robot/messages/observationHash.js';
import { schemaOf } from '../../src/robot/messages/schemas.js';
import type { ActionChunk, Observation, Pose, Refusal, TracePrediction } from '../../src/types.js';
import {
  observationAt,
  prediction,
  testArm,
  testConfig,
  testImage,
} from '../support/controlRobot.js';
import { FakeNode } from './fakeNode.js';

const S = 1_000_000_000n;
const here: Pose = { translation: [0.4, 0.1, 0.3], rotation: [0, 0, 0, 1] };
const at = { nowNs: 0n, stampNs: 0n };
const timing = { decodeMs: 1, preprocessMs: 2, visionMs: 3, generateMs: 4, totalMs: 10 };

const seen: Observation = {
  ...observationAt(5n * S, here),
  images: { front: testImage(5n * S) },
};
const request: ActionRequest = { observation: seen, requestedNs: 0n };
const delta: ActionChunk = {
  ...{ kind: 'endEffectorDelta', stepPeriodNs: S / 5n, frameId: 'base' },
  ...{ reference: 'observedPose', composition: 'base' },
  steps: [
    { translation: [0.1, 0, 0], rotation: [0, 0, 0], gripper: 1 },
    { translation: [0, 0.2, 0], rotation: [0, 0, 0], gripper: 0 },
  ],
};
const traces: TracePrediction = {
  ...{ observationStampNs: 5n * S, episode: 0, camera: 'front', stepPeriodNs: S / 5n },
  marks: [{ id: 1, at: { x: 4, y: 5 } }],
  traces: [{ id: 1, start: { x: 4, y: 5 }, future: [{ x: 6, y: 7 }] }],
  ...{ confidence: 0.6, timing },
};
const settled = () => new Promise((resolve) => setTimeout(resolve, 50));

/** A tick in which the tool was commanded to be at `pose`. */
const tickAt = (pose: Pose): Tick =>
  ({
    ...{ nowNs: 0n, stampNs: 5n * S, prediction: null, sent: true },
    target: { kind: 'pose', pose, frameId: 'base', gripper: null },
    verdict: {
      ...{ outcome: 'pass', reasons: [] },
      command: { kind: 'pose', pose, linear: [0, 0, 0], angular: [0, 0, 0] },
    },
    measured: { endEffector: null },
  }) as unknown as Tick;

let fake: FakeNode;
let decisions: ReturnType<typeof publishDecisions>;
const config = testConfig({ cameras: { front: { topic: '/front', type: 'image' } } });

beforeEach(() => {
  fake = new FakeNode();
  fake.subscriptionCounts.set('~/annotated_image', 0);
  fake.subscriptionCounts.set('~/annotated_image/compressed', 0);
  decisions = publishDecisions({ node: fake.node, config, arm: testArm });
});

describe('~/action_chunk', () => {
  test('carries the prediction, its inputs and their hash', async () => {
    decisions.onRequest?.(seen, at);
    decisions.onAction?.({ ok: true, value: prediction(seen, delta) }, request, null, at);
    await settled();
    expect(fake.publishedOn('~/action_chunk')).toMatchObject([
      {
        header: { frame_id: 'base', stamp: { sec: 5, nanosec: 0 } },
        instruction: 'move',
        input_names: ['front', 'end_effector'],
        input_stamps: [
          { sec: 5, nanosec: 0 },
          { sec: 5, nanosec: 0 },
        ],
        // Made on another thread, equal to the one that replay makes.
        observation_sha256: observationHash(seen),
        confidence: 0.9,
      },
    ]);
  });

  test('is there although the answer was not played, or nothing was asked that it knows of', async () => {
    const late = { code: 'deadline', message: 'late' };
    decisions.onAction?.({ ok: true, value: prediction(seen, delta) }, request, late, at);
    await settled();
    expect(fake.publishedOn('~/action_chunk')).toHaveLength(1);
    // What was not played is not shown as a plan.
    expect(fake.publishedOn('~/markers')).toEqual([]);
  });

  test('is not there for a refusal, nor after disposal', async () => {
    const refusal: Refusal = { kind: 'deadline', message: 'late' };
    decisions.onAction?.({ ok: false, refusal }, request, { code: 'deadline', message: '' }, at);
    decisions.onAction?.({ ok: true, value: prediction(seen, delta) }, request, null, at);
    decisions.dispose();
    await settled();
    expect(fake.publishedOn('~/action_chunk')).toEqual([]);
  });

  test('an answer that no message can hold is told and harms nothing', async () => {
    const value = { ...prediction(seen, delta), observationStampNs: -1n };
    decisions.onAction?.({ ok: true, value }, request, { code: 'x', message: '' }, at);
    await settled();
    expect(fake.logged.at(-1)).toContain('~/action_chunk: a prediction is not published: stamp');
  });
});

describe('~/markers', () => {
  const play = (chunk: ActionChunk): void => {
    decisions.onAction?.({ ok: true, value: prediction(seen, chunk) }, request, null, at);
  };
  const markers = () =>
    (fake.publishedOn('~/markers')[0] as { readonly markers: readonly Record<string, unknown>[] })
      .markers;

  test('are the path of the tool in the base frame, fading, with a lifetime', () => {
    play(delta);
    const [line, dots] = markers();
    expect(line).toMatchObject({
      ...{ header: { frame_id: 'base' }, type: 4, action: 0, lifetime: { sec: 1, nanosec: 0 } },
      points: [
        { x: 0.4, y: 0.1, z: 0.3 },
        { x: 0.5, y: 0.1, z: 0.3 },
        { x: 0.5, y: 0.1 + 0.2, z: 0.3 },
      ],
      // Blue while the gripper opens, orange while it closes.
      colors: [
        { r: 0.2, a: 1 },
        { r: 0.2, a: 0.625 },
        { r: 0.99, a: 0.25 },
      ],
    });
    expect(dots).toMatchObject({ type: 7, points: [{ x: 0.5 }, { x: 0.5 }] });
  });

  test('go on from the commanded pose where the chunk does', () => {
    decisions.onTick?.(tickAt({ ...here, translation: [0.6, 0, 0.2] }));
    play({ ...delta, reference: 'lastTarget' });
    expect(markers()[0]).toMatchObject({ points: [{ x: 0.6 }, { x: 0.7 }, { x: 0.7, y: 0.2 }] });
  });

  test('are not made while nobody looks', () => {
    fake.subscriptionCounts.set('~/markers', 0);
    play(delta);
    expect(fake.publishedOn('~/markers')).toEqual([]);
  });

  test('fit their message definition', () => {
    play(delta);
    const { layout } = schemaOf('visualization_msgs/MarkerArray');
    const bytes = encodeCdr(layout, fake.publishedOn('~/markers')[0]!, 'markers');
    const decoded = decodeCdr(layout, bytes, 'markers') as { markers: Record<string, unknown>[] };
    expect(decoded.markers[1]).toMatchObject({ id: 1, ns: 'plan', points: [{ z: 0.3 }, {}] });
  });
});

describe('~/traces and ~/annotations', () => {
  test('are published as they come, annotations only for whom they are for', () => {
    decisions.onTrace?.({ ok: true, value: traces }, seen, at);
    fake.subscriptionCounts.set('~/annotations', 0);
    decisions.onTrace?.({ ok: true, value: traces }, seen, at);
    expect(fake.publishedOn('~/traces')).toMatchObject([
      { camera: 'front', header: { frame_id: 'front_optical' }, mark_ids: [1], future_x: [6] },
      { camera: 'front' },
    ]);
    expect(fake.publishedOn('~/annotations')).toMatchObject([{ texts: [{ text: '1' }] }]);
  });

  test('without foxglove_msgs there are no annotations, and everything else', () => {
    const poor = new FakeNode();
    poor.missingTypes.add('foxglove_msgs/msg/ImageAnnotations');
    const without = publishDecisions({ node: poor.node, config, arm: null });
    without.onTrace?.({ ok: true, value: traces }, seen, at);
    expect(poor.publishedOn('~/traces')).toHaveLength(1);
    expect(poor.logged[0]).toContain('no ~/annotations');
    without.dispose();
  });
});
