import { describe, expect, it } from '@jest/globals';
import { type EvaluatedEpisode, summary } from '../../src/commands/evaluate.js';
import { evaluateTable } from '../../src/commands/evaluateTable.js';
import { nameOnly } from '../../src/commands/simulatorNode.js';

const episode = (
  family: EvaluatedEpisode['family'],
  judged: string,
  reported: EvaluatedEpisode['reported'],
): EvaluatedEpisode => ({
  ...{ seed: 1, family, instruction: 'x', judged, reported, message: '', elapsed: 2 },
});

describe('an evaluation', () => {
  const episodes = [
    episode('pick', 'success', 'succeeded'),
    episode('pick', 'running', 'timeLimit'),
    episode('push', 'success', 'stopped'),
    episode('push', 'wrongObject', 'failed'),
  ];

  it('counts what the simulation judged, and where the node saw it differently', () => {
    const result = summary(episodes, []);
    expect(result.success).toMatchObject({ episodes: 4, successes: 2, rate: 0.5 });
    // Wilson, 2 of 4 at z = 1.96: 0.5 ± 0.35.
    expect(result.success.low).toBeCloseTo(0.15, 2);
    expect(result.success.high).toBeCloseTo(0.85, 2);
    expect(result.success.byFamily['push']).toMatchObject({ episodes: 2, successes: 1 });
    expect(result.judged).toEqual({ success: 2, running: 1, wrongObject: 1 });
    expect(result.reported).toEqual({ succeeded: 1, timeLimit: 1, stopped: 1, failed: 1 });
    expect(result.disagreements).toBe(1);
    expect(result.pictureToCommandMs).toBeNull();
    expect(evaluateTable(result)).toContain('(1 disagree about success)');
  });

  it('spreads the latencies: linear between neighbours', () => {
    const { pictureToCommandMs } = summary(episodes, [10, 20, 30, 40, 50]);
    // Position p · 4: p50 at 2, p95 at 3.8, p99 at 3.96.
    expect(pictureToCommandMs).toMatchObject({ count: 5, p50: 30, max: 50 });
    expect(pictureToCommandMs!.p95).toBeCloseTo(48, 9);
    expect(pictureToCommandMs!.p99).toBeCloseTo(49.6, 9);
  });
});

describe('a node name on the command line of several nodes', () => {
  it('is given to the one it is meant for; other remappings are left alone', () => {
    const args = ['--ros-args', '-r', '__node:=table', '-r', '__ns:=/left', '-r', 'a:=b'];
    const given = ['--ros-args', '-r', 'simulator:__node:=table', ...args.slice(3)];
    expect(nameOnly(args, 'simulator')).toEqual(given);
    expect(nameOnly(given, 'simulator')).toEqual(given);
  });
});
