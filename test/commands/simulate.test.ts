import { describe, expect, it } from '@jest/globals';
import { readArm } from '../../src/commands/arm.js';
import { realClock } from '../../src/commands/clock.js';
import type { EpisodeRecord } from '../../src/commands/episodeRecord.js';
import { simulate, type SimulateOptions } from '../../src/commands/simulate.js';
import { readConfig, withoutRecovery } from '../../src/config.js';
import type { Policy } from '../../src/control/policy.js';
import type { ActionPrediction } from '../../src/types.js';

const config = readConfig('config/sim.yaml');
const description = readArm(config)!;
const expert: Omit<SimulateOptions, 'episodes' | 'longest'> = {
  ...{ config, description, policy: 'expert' as const, clock: realClock, pace: 'lockstep' },
  ...{ seed: 3, families: ['pick'], tracePeriod: 0 },
};

/** Wants one small step up, and is as sure of it as told. */
function sure(confidence: number): Policy {
  return {
    name: 'sure',
    requestAction: ({ stampNs, episode }) => {
      const value: ActionPrediction = {
        ...{ observationStampNs: stampNs, episode, confidence },
        timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
        chunk: {
          ...{ kind: 'endEffectorDelta', reference: 'observedPose', composition: 'base' },
          ...{ stepPeriodNs: 200_000_000n, frameId: 'base_link' },
          steps: [{ translation: [0, 0, 0.01], rotation: [0, 0, 0], gripper: 1 }],
        },
      };
      return Promise.resolve({ ok: true, value });
    },
    reset: () => undefined,
    close: () => Promise.resolve(),
  };
}

describe('a simulated run', () => {
  it('measures from picture to played action in simulated time', async () => {
    const result = await simulate({ ...expert, episodes: 1, longest: 2 });
    const statedMs = config.control.lockstepLatency * 1e3;
    const tickMs = 1e3 / config.control.rateHz;
    // An answer is played at the first tick after the stated latency, its question was asked within a tick.
    expect(result.latencyMs!.p50).toBeGreaterThanOrEqual(statedMs);
    expect(result.latencyMs!.p99).toBeLessThanOrEqual(statedMs + 2 * tickMs);
  });

  it('has no latency where nothing is played', async () => {
    const slow = { ...config, control: { ...config.control, lockstepLatency: 5 } };
    const result = await simulate({ ...expert, config: slow, episodes: 1, longest: 1 });
    expect(result.latencyMs).toBeNull();
  });

  it('tells the policy of every episode before it asks about it', async () => {
    const policy = sure(1);
    const told: string[] = [];
    const requestAction = policy.requestAction.bind(policy);
    policy.requestAction = (observation, timeoutMs) => {
      told.push(`asked ${observation.episode}`);
      return requestAction(observation, timeoutMs);
    };
    policy.reset = (episode) => void told.push(`reset ${episode}`);
    await simulate({ ...expert, policy, episodes: 2, longest: 1 });
    const [first, second] = told.filter((entry) => entry.startsWith('reset'));
    const [one, two] = [Number(first!.slice(6)), Number(second!.slice(6))];
    expect(two).toBeGreaterThan(one);
    expect(told.filter((entry, i) => entry !== told[i - 1])).toEqual([
      ...[`reset ${one}`, `asked ${one}`, `reset ${two}`, `asked ${two}`],
    ]);
  });

  it('counts halts that recover, each once, and is not stopped by them', async () => {
    const gated = { ...config, guard: { ...config.guard, minConfidence: 0.5 } };
    const policy = sure(0.1);
    const result = await simulate({ ...expert, config: gated, policy, episodes: 2, longest: 2 });
    expect(Object.keys(result.halts)).toEqual(['lowConfidence']);
    // At least one per episode, at most one per answer: ten a policy period of 0.2 s in 2 s.
    expect(result.halts['lowConfidence']).toBeGreaterThanOrEqual(2);
    expect(result.halts['lowConfidence']).toBeLessThanOrEqual(20);
    expect(result.stopped).toBe(0);
  });

  it('counts a halt that latches once, and its episode as stopped', async () => {
    const result = await simulate({ ...expert, policy: sure(NaN), episodes: 2, longest: 2 });
    expect(Object.values(result.halts)).toEqual([2]);
    expect(result.stopped).toBe(2);
  });
});

describe('Recovery', () => {
  const recovery = {
    ...{ retries: 1, smallestObject: 0.2, closingTime: 0.5, patience: 0.5, rise: 0.05, speed: 0.1 },
    noProgress: { after: 2, within: 0.1, turning: 0.8 },
  };
  /** Up and down by 4 cm, for ever, and sure to 0.7. */
  const dithering = (): Policy => {
    const policy = sure(0.7);
    const requestAction = policy.requestAction.bind(policy);
    let up = 1;
    policy.requestAction = async (observation, timeoutMs) => {
      const answer = await requestAction(observation, timeoutMs);
      if (!answer.ok || answer.value.chunk.kind !== 'endEffectorDelta') return answer;
      const steps = [
        { translation: [0, 0, (up *= -1) * 0.04], rotation: [0, 0, 0], gripper: 1 },
      ] as const;
      return { ok: true, value: { ...answer.value, chunk: { ...answer.value.chunk, steps } } };
    };
    return policy;
  };

  it('is counted, and gives up with a reason before the time is over', async () => {
    const mending = { ...config, recovery };
    const result = await simulate({
      ...{ ...expert, config: mending, policy: dithering(), episodes: 1, longest: 12 },
    });
    expect(result.recoveries).toEqual({ noProgress: 1 });
    expect(result.gaveUp).toBe(1);
    expect(result.timeouts).toBe(0);
    expect(result.meanDuration).toBeLessThan(11);
  });

  it('is none without its section in robot.yaml', async () => {
    const alone = withoutRecovery({ ...config, recovery });
    const result = await simulate({
      ...{ ...expert, config: alone, policy: dithering(), episodes: 1, longest: 3 },
    });
    expect(result).toMatchObject({ recoveries: {}, gaveUp: 0, timeouts: 1, failed: [0] });
  });

  it('leaves the confidence to be judged: 0.7, and nothing came of it', async () => {
    const alone = withoutRecovery(config);
    const { confidence } = await simulate({
      ...{ ...expert, config: alone, policy: dithering(), episodes: 1, longest: 2 },
    });
    expect(confidence!.error).toBeCloseTo(0.7, 9);
    expect(confidence!.calibration).toBeNull();
  });
});

describe('A run of several kinds of episodes', () => {
  const run: SimulateOptions = {
    ...expert,
    ...{ suite: 'extended', families: ['reach', 'hold'], seed: 1001, episodes: 4 },
    disturbances: ['frozen', 'bumped', 'black'],
  };

  it('is the same result when some of it was finished before', async () => {
    const records = new Map<number, EpisodeRecord>();
    const whole = await simulate({ ...run, onEpisode: (one) => void records.set(one.index, one) });
    expect(whole.suite).toEqual({ name: 'extended', version: 1 });
    expect(Object.keys(whole.success.byFamily)).toEqual(['reach', 'hold']);
    expect(whole.success.successes).toBe(4);
    expect(whole.failed).toEqual([]);
    const again: number[] = [];
    const resumed = await simulate({
      ...run,
      finished: new Map([0, 2].map((index) => [index, records.get(index)!])),
      onEpisode: ({ index }) => void again.push(index),
    });
    expect(again).toEqual([1, 3]);
    expect(resumed).toEqual(whole);
  });

  it('disturbs each episode once, in turn, and tells how often that was survived', async () => {
    const upset: (string | null)[] = [];
    const result = await simulate({
      ...{ ...run, families: ['hold'], episodes: 3 },
      onEpisode: ({ disturbed }) => void upset.push(disturbed?.kind ?? null),
    });
    // Seeds 100 100 000 and on: their remainder by three kinds is 2, 0, 1.
    expect(upset).toEqual(['black', 'frozen', 'bumped']);
    expect(Object.keys(result.byDisturbance)).toEqual(['black', 'frozen', 'bumped']);
  });
});
