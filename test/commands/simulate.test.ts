import { describe, expect, it } from '@jest/globals';
import { readArm } from '../../src/commands/arm.js';
import { realClock } from '../../src/commands/clock.js';
import { simulate, type SimulateOptions } from '../../src/commands/simulate.js';
import { readConfig } from '../../src/config.js';
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
