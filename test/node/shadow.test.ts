import { beforeEach, describe, expect, test } from '@jest/globals';
import { chunkPath } from '../../src/control/chunkPath.js';
import { pathDifference } from '../../src/node/pathDifference.js';
import { Shadow } from '../../src/node/shadow.js';
import type {
  ActionChunk,
  ActionPrediction,
  Answer,
  Observation,
  Pose,
  Vec3,
} from '../../src/types.js';
import { ScriptedPolicy } from '../support/scriptedPolicy.js';
import { FakeNode } from './fakeNode.js';

const start: Pose = { translation: [0.4, 0, 0.3], rotation: [0, 0, 0, 1] };
const period = 200_000_000n;

function deltas(steps: readonly Vec3[], gripper = 1, stepPeriodNs = period): ActionChunk {
  return {
    ...{ kind: 'endEffectorDelta', stepPeriodNs, frameId: 'base' },
    ...{ reference: 'observedPose', composition: 'base' },
    steps: steps.map((translation) => ({ translation, rotation: [0, 0, 0], gripper })),
  };
}

const observation = (stampNs: bigint, episode = 1): Observation => ({
  ...{ stampNs, episode, instruction: 'pick', images: {}, joints: null, gripper: null },
  endEffector: { stampNs, frameId: 'base', pose: start },
});

const answerTo = (seen: Observation, chunk: ActionChunk): Answer<ActionPrediction> => ({
  ok: true,
  value: {
    ...{ observationStampNs: seen.stampNs, episode: seen.episode, chunk, confidence: 0.8 },
    timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
  },
});

describe('the path of a chunk', () => {
  test('adds deltas up from where it starts', () => {
    const path = chunkPath(deltas([[0.1, 0, 0], [0, 0.2, 0]]), start, null)!; // prettier-ignore
    expect(path.map(({ translation }) => translation)).toEqual([
      [0.5, 0, 0.3],
      [0.5, 0.2, 0.3],
    ]);
  });

  test('is not known for joints of an unknown arm', () => {
    const chunk: ActionChunk = {
      ...{ kind: 'jointPosition', stepPeriodNs: period, frameId: 'base' },
      steps: [{ position: [0, 1], gripper: 1 }],
    };
    expect(chunkPath(chunk, start, null)).toBeNull();
  });
});

describe('the difference of two paths', () => {
  test('is none between the same', () => {
    const chunk = deltas([[0.1, 0, 0]]);
    expect(pathDifference(chunk, chunk, start, null)).toEqual({
      ...{ translation: 0, rotation: 0, gripperAgreement: 1 },
    });
  });

  test('is the mean over the common time: 1 cm after one step, 2 cm after two, then the other ends', () => {
    const first = deltas([[0.1, 0, 0], [0.1, 0, 0], [0.1, 0, 0]]); // prettier-ignore
    const second = deltas([[0.11, 0, 0], [0.11, 0, 0]], 0); // prettier-ignore
    const difference = pathDifference(first, second, start, null)!;
    expect(difference.translation).toBeCloseTo(0.015, 12);
    expect(difference.gripperAgreement).toBe(0);
  });

  test('reads a chunk of another step period at the same times', () => {
    // 0.1 m in 0.2 s, once as one step and once as two of 0.1 s.
    const one = deltas([[0.1, 0, 0]]);
    const two = deltas([[0.05, 0, 0], [0.05, 0, 0]], 1, 100_000_000n); // prettier-ignore
    expect(pathDifference(one, two, start, null)!.translation).toBeCloseTo(0, 12);
    expect(pathDifference(two, one, start, null)!.translation).toBeCloseTo(0, 12);
    // A longer step is cut where the shorter chunk ends: half of 0.1 m against 0.05 m.
    const half = deltas([[0.05, 0, 0]], 1, 100_000_000n);
    expect(pathDifference(one, half, start, null)!.translation).toBeCloseTo(0, 12);
  });

  test('is not known between two frames, nor where a number is none', () => {
    const chunk = deltas([[0.1, 0, 0]]);
    expect(pathDifference(chunk, { ...chunk, frameId: 'world' }, start, null)).toBeNull();
    expect(pathDifference(chunk, deltas([[NaN, 0, 0]]), start, null)).toBeNull();
  });
});

describe('the shadow', () => {
  let fake: FakeNode;
  let policy: ScriptedPolicy;
  let shadow: Shadow;
  let nowMs: number;
  const settled = () => new Promise((resolve) => setImmediate(resolve));

  beforeEach(() => {
    fake = new FakeNode();
    nowMs = 0;
    policy = new ScriptedPolicy((seen) =>
      Promise.resolve(answerTo(seen, deltas([[0.1, 0, 0.03]]))),
    );
    shadow = new Shadow({
      ...{ node: fake.node, policy, arm: null },
      now: () => ({ nowNs: BigInt(nowMs) * 1_000_000n, stampNs: 0n }),
    });
  });

  test('is asked what the first is asked, and measured against it', async () => {
    const seen = observation(10n);
    shadow.onRequest(seen);
    nowMs += 30;
    await settled();
    shadow.onAction(answerTo(seen, deltas([[0.1, 0.04, 0]])), { observation: seen });
    expect(policy.asked).toEqual([seen]);
    expect(policy.episodes).toEqual([1]);
    const { translation, compared, latencyMs, gripperAgreement } = shadow.comparison;
    // [0, −0.04, 0.03]: 5 cm apart.
    expect(translation.mean).toBeCloseTo(0.05, 12);
    expect([compared, latencyMs.worst, gripperAgreement]).toEqual([1, 30, 1]);
    expect(fake.publishedOn('~/shadow/action_chunk')).toMatchObject([
      { values: [0.1, 0, 0.03, 0, 0, 0], instruction: 'pick', header: { frame_id: 'base' } },
    ]);
  });

  test('compares whichever answers first, and keeps mean and worst', async () => {
    for (const [stamp, y] of [
      [1n, 0.04],
      [2n, 0.0],
    ] as const) {
      // prettier-ignore
      const seen = observation(stamp);
      shadow.onRequest(seen);
      // The first is there before the shadow.
      shadow.onAction(answerTo(seen, deltas([[0.1, y, 0]])), { observation: seen });
      await settled();
    }
    const { compared, translation } = shadow.comparison;
    expect(compared).toBe(2);
    expect(translation.mean).toBeCloseTo(0.04, 12);
    expect(translation.worst).toBeCloseTo(0.05, 12);
  });

  test('one that is slow misses requests, and is never asked twice at once', async () => {
    const waiting: (() => void)[] = [];
    policy.answer = (seen) =>
      new Promise((resolve) => waiting.push(() => resolve(answerTo(seen, deltas([[0, 0, 0]])))));
    const [a, b, c] = [observation(1n), observation(2n), observation(3n)];
    shadow.onRequest(a);
    shadow.onRequest(b);
    shadow.onAction(answerTo(b, deltas([[0.1, 0, 0]])), { observation: b });
    waiting[0]!();
    await settled();
    // a was never answered by the first: nothing to compare.
    shadow.onRequest(c);
    shadow.onAction(answerTo(c, deltas([[0.1, 0, 0]])), { observation: c });
    waiting[1]!();
    await settled();
    expect(policy.mostAtOnce).toBe(1);
    expect(shadow.comparison).toMatchObject({ compared: 1, missed: 1 });
  });

  test.each([
    ['rejects', () => Promise.reject(new Error('out of memory'))],
    [
      'throws',
      () => {
        throw new Error('out of memory');
      },
    ],
    [
      'refuses',
      () =>
        Promise.resolve({
          ok: false,
          refusal: { kind: 'malformedAnswer', message: 'out of memory' },
        } as const),
    ],
  ])('one that %s is counted, told once, and asked again', async (_, answer) => {
    policy.answer = answer;
    for (const stamp of [1n, 2n]) {
      shadow.onRequest(observation(stamp));
      await settled();
    }
    expect(shadow.comparison).toMatchObject({ refused: 2, compared: 0, problem: 'out of memory' });
    expect(fake.logged).toEqual(['warn: shadow: out of memory']);
    policy.answer = (seen) => Promise.resolve(answerTo(seen, deltas([[0, 0, 0]])));
    const seen = observation(3n);
    shadow.onRequest(seen);
    shadow.onAction(answerTo(seen, deltas([[0, 0, 0]])), { observation: seen });
    await settled();
    expect(shadow.comparison.compared).toBe(1);
  });

  test('an answer that no message can hold does not get out', async () => {
    policy.answer = (seen) =>
      Promise.resolve(answerTo({ ...seen, stampNs: -1n }, deltas([[0, 0, 0]])));
    shadow.onRequest(observation(1n));
    await settled();
    expect(shadow.comparison).toMatchObject({ refused: 1 });
    expect(fake.published).toEqual([]);
  });

  test('a refusal of the first is not comparable', async () => {
    const seen = observation(1n);
    shadow.onRequest(seen);
    shadow.onAction(
      { ok: false, refusal: { kind: 'deadline', message: 'late' } },
      { observation: seen },
    );
    await settled();
    expect(shadow.comparison).toMatchObject({ compared: 0, incomparable: 1 });
  });

  test('closed, it says nothing more', async () => {
    shadow.onRequest(observation(1n));
    await shadow.close();
    await settled();
    shadow.onRequest(observation(2n));
    await settled();
    expect(policy.asked).toHaveLength(1);
    expect(fake.published).toEqual([]);
  });
});
