import { describe, expect, it } from '@jest/globals';
import { RunCounts } from '../../src/commands/runCounts.js';
import type { Tick } from '../../src/control/loop.js';
import type { ActionPrediction, Answer, Refusal, TracePrediction } from '../../src/types.js';

const timing = { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 };

function action(more: Partial<ActionPrediction> = {}): Answer<ActionPrediction> {
  const value: ActionPrediction = {
    ...{ observationStampNs: 5n, episode: 1, confidence: 1, timing },
    chunk: {
      ...{ kind: 'endEffectorDelta', reference: 'observedPose', composition: 'base' },
      ...{ stepPeriodNs: 200_000_000n, frameId: 'base_link' },
      steps: [{ translation: [0.01, 0, 0], rotation: [0, 0, 0], gripper: 1 }],
    },
    ...more,
  };
  return { ok: true, value };
}

function trace(more: Partial<TracePrediction> = {}): Answer<TracePrediction> {
  const value: TracePrediction = {
    ...{ observationStampNs: 5n, episode: 1, camera: 'front', stepPeriodNs: 200_000_000n },
    ...{ marks: [{ id: 1, at: { x: 1, y: 2 } }], traces: [], confidence: 1, timing },
    ...more,
  };
  return { ok: true, value };
}

function refused(kind: Refusal['kind']): { ok: false; refusal: Refusal } {
  return { ok: false, refusal: { kind, message: 'because' } };
}

function hashOf(...add: readonly ((counts: RunCounts) => void)[]): string {
  const counts = new RunCounts();
  for (const one of add) one(counts);
  return counts.predictionsSha256();
}
const acts =
  (answer: Answer<ActionPrediction>) =>
  (counts: RunCounts): void =>
    counts.addAction(answer);
const traces =
  (answer: Answer<TracePrediction>) =>
  (counts: RunCounts): void =>
    counts.addTrace(answer);

describe('the hash of a run', () => {
  it('is the same for the same answers, whatever time they took', () => {
    const slow = { ...timing, totalMs: 900 };
    expect(hashOf(acts(action({ timing: slow })), traces(trace({ timing: slow })))).toBe(
      hashOf(acts(action()), traces(trace())),
    );
  });

  it.each<[string, (counts: RunCounts) => void, (counts: RunCounts) => void]>([
    ['stamp', acts(action()), acts(action({ observationStampNs: 6n }))],
    ['episode', acts(action()), acts(action({ episode: 2 }))],
    ['mark', traces(trace()), traces(trace({ marks: [{ id: 2, at: { x: 1, y: 2 } }] }))],
    ['kind of refusal', acts(refused('deadline')), acts(refused('malformedAnswer'))],
    ['request that was refused', acts(refused('deadline')), traces(refused('deadline'))],
  ])('is another for another %s', (_what, one, other) => {
    expect(hashOf(one)).not.toBe(hashOf(other));
  });

  it('is another where an answer was refused between two others', () => {
    expect(hashOf(acts(action()), acts(refused('deadline')), acts(action()))).not.toBe(
      hashOf(acts(action()), acts(action())),
    );
  });
});

describe('halts', () => {
  const tick = (...codes: readonly string[]): Tick => {
    const reasons = codes.map((code) => ({ code, message: code }));
    return { verdict: { outcome: codes.length > 0 ? 'halt' : 'pass', reasons } } as unknown as Tick;
  };

  it('count once however many ticks they last, and again when they begin again', () => {
    const counts = new RunCounts();
    for (const codes of [['effort'], ['effort'], [], ['effort'], ['effort', 'tracking']])
      counts.addTick(tick(...codes));
    expect(counts.halts).toEqual({ effort: 2, tracking: 1 });
  });

  it('count again under another guard', () => {
    const counts = new RunCounts();
    counts.addTick(tick('effort'));
    counts.newGuard();
    counts.addTick(tick('effort'));
    expect(counts.halts).toEqual({ effort: 2 });
  });
});
