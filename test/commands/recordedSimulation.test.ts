import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readArm } from '../../src/commands/arm.js';
import { realClock } from '../../src/commands/clock.js';
import { replay } from '../../src/commands/replay.js';
import { simulate } from '../../src/commands/simulate.js';
import { readConfig } from '../../src/config.js';
import type { Policy } from '../../src/control/policy.js';
import type { Observation } from '../../src/types.js';
import { inFolder } from '../robot/replay/bags.js';

const config = readConfig('config/sim.yaml');
const description = readArm(config)!;

/** Small steps that hang on every bit of what it sees: one other pixel, and the arm goes elsewhere. */
class HashPolicy implements Policy {
  readonly name = 'hash';
  readonly seen: Observation[] = [];

  requestAction(observation: Observation): ReturnType<Policy['requestAction']> {
    this.seen.push(observation);
    const hash = createHash('sha256');
    const { images, stampNs, episode, ...rest } = observation;
    for (const { data } of Object.values(images)) hash.update(data);
    hash.update(JSON.stringify(rest, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v)));
    const bytes = hash.digest();
    const step = (i: number): number => (bytes[i]! / 255 - 0.5) * 0.02;
    return Promise.resolve({
      ok: true,
      value: {
        ...{ observationStampNs: stampNs, episode, confidence: 1 },
        timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
        chunk: {
          ...{ kind: 'endEffectorDelta', reference: 'observedPose', composition: 'base' },
          ...{ stepPeriodNs: 200_000_000n, frameId: 'base_link' },
          steps: [
            {
              translation: [step(0), step(1), step(2)],
              rotation: [0, 0, step(3)],
              gripper: bytes[4]! % 2,
            },
          ],
        },
      },
    });
  }

  reset(): void {
    // It remembers nothing of an episode.
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

describe('a simulated run, recorded and replayed', () => {
  it('gives the same Observations and the same predictions, to the last bit', async () => {
    await inFolder(async (folder) => {
      const record = join(folder, 'episodes.mcap');
      const [live, replayed] = [new HashPolicy(), new HashPolicy()];
      const run = await simulate({
        ...{ config, description, policy: live, clock: realClock, pace: 'lockstep', record },
        ...{ episodes: 2, seed: 5, families: ['pick', 'push'], longest: 1.5, tracePeriod: 0 },
      });
      const { result } = await replay({
        ...{ bag: record, config, description, policy: replayed, clock: realClock },
        ...{ decoding: null, tracePeriod: 0, traceCamera: null },
      });
      expect(run.refusals).toEqual({});
      expect(live.seen.length).toBeGreaterThanOrEqual(14);
      const asked = new Map(replayed.seen.map((observation) => [observation.stampNs, observation]));
      for (const observation of live.seen)
        expect(asked.get(observation.stampNs)).toEqual(observation);
      expect(result.recordedRun!.compared).toBeGreaterThanOrEqual(live.seen.length - 2);
      expect(result.recordedRun!.identical).toBe(result.recordedRun!.compared);
      expect(result.messages.refused).toEqual({});
      expect(result.actionError['x']!.mean).toBeLessThan(1e-15);
    });
  });

  it('carries the truth of its frames: the expert answers in the replay as it did in the run', async () => {
    await inFolder(async (folder) => {
      const record = join(folder, 'episodes.mcap');
      await simulate({
        ...{ config, description, policy: 'expert', clock: realClock, pace: 'lockstep', record },
        ...{ episodes: 2, seed: 4, families: ['put', 'push'], longest: 2, tracePeriod: 0 },
      });
      const { result } = await replay({
        ...{ bag: record, config, description, policy: 'expert', clock: realClock },
        ...{ decoding: null, tracePeriod: 0, traceCamera: null },
      });
      expect(result.refusals).toEqual({});
      expect(result.recordedRun!.compared).toBeGreaterThanOrEqual(12);
      expect(result.recordedRun!.identical).toBe(result.recordedRun!.compared);
    });
  });

  it('replays what was played: the recorded actions pass control and guard again', async () => {
    await inFolder(async (folder) => {
      const record = join(folder, 'episodes.mcap');
      const run = await simulate({
        ...{ config, description, policy: 'expert', clock: realClock, pace: 'lockstep', record },
        ...{ episodes: 1, seed: 3, families: ['pick'], longest: 6, tracePeriod: 0 },
      });
      const { result } = await replay({
        ...{ bag: record, config, description, policy: 'recorded', clock: realClock },
        ...{ decoding: null, tracePeriod: 0, traceCamera: null },
      });
      expect(run.success.successes).toBe(1);
      expect(result.predictions).toBeGreaterThan(5);
      expect(result.halts).toEqual({});
    });
  });
});
