import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { EpisodeRecord } from '../../src/commands/episodeRecord.js';
import { bestOf, chooseGates, effectOf, stopOf } from '../../src/commands/gate.js';
import { judgeGates } from '../../src/commands/gateRun.js';
import { gateTable } from '../../src/commands/gateTable.js';
import { seededRandom } from '../../src/math/random.js';
import { inFolder } from '../robot/replay/bags.js';

type Episode = Pick<EpisodeRecord, 'confidences' | 'outcome' | 'duration'>;
const good = (...confidences: readonly number[]): Episode => episode('success', confidences);
const failing = (...confidences: readonly number[]): Episode => episode('running', confidences);
/** An action every 0.2 s. */
const episode = (outcome: EpisodeRecord['outcome'], confidences: readonly number[]): Episode => ({
  ...{ outcome, confidences: [...confidences], duration: 0.2 * confidences.length },
});

describe('A gate', () => {
  it('stops where the mean of the last so many actions is below, as the guard does', () => {
    // Means over two: 0.6, 0.4, 0.3.
    const one = failing(0.8, 0.4, 0.4, 0.2);
    expect(stopOf(one, { over: 2, below: 0.5 })).toBe(2);
    expect(stopOf(one, { over: 2, below: 0.4 })).toBe(3);
    expect(stopOf(one, { over: 2, below: 0.3 })).toBeNull();
    expect(stopOf(one, { over: 1, below: 0.5 })).toBe(1);
    expect(stopOf(one, { over: 5, below: 1 })).toBeNull();
  });

  it('counts failing episodes that it stops, how much earlier, and good ones', () => {
    const episodes = [failing(0.1, 0.1, 0.1, 0.1, 0.1), failing(0.9, 0.9, 0.1), failing(0.9)];
    const effect = effectOf([...episodes, good(0.9, 0.1), good(0.9), good(0.8), good(0.7)], {
      ...{ over: 1, below: 0.5 },
    });
    expect(effect.failing).toMatchObject({ episodes: 3, stopped: 2 });
    expect(effect.good).toMatchObject({ episodes: 4, stopped: 1 });
    // After one action of five 0.8 s are left, after three of three none.
    expect(effect.earlier!.mean).toBeCloseTo(0.4, 12);
  });

  it('says nothing of a time where nothing failing is stopped', () => {
    expect(effectOf([failing(0.9)], { over: 1, below: 0.5 }).earlier).toBeNull();
    expect(effectOf([], { over: 1, below: 0.5 }).failing).toEqual({
      ...{ episodes: 0, stopped: 0, low: 0, high: 1 },
    });
  });
});

describe('The choice of gates', () => {
  it('is the threshold that leaves all good ones but the share: 0.04, 0.05 and 0.06 of 99', () => {
    const episodes = Array.from({ length: 99 }, (_, i) => good(0.9, (i + 4) / 100));
    const below = (most: number): number => chooseGates(episodes, [1], most)[0]!.below;
    expect([0.01, 0.02, 0.03].map(below)).toEqual([0.04, 0.05, 0.06]);
    expect(effectOf(episodes, { over: 1, below: below(0.03) }).good.stopped).toBe(2);
  });

  it('asks for as many good episodes as the share needs', () => {
    const episodes = Array.from({ length: 98 }, () => good(0.9));
    expect(() => chooseGates(episodes, [1], 0.01)).toThrow(
      'got 98 episodes that succeeded, expected at least 99',
    );
  });

  it('has none for a window longer than what it must let through', () => {
    const episodes = Array.from({ length: 99 }, () => good(0.9, 0.9));
    expect(chooseGates(episodes, [2, 3], 0.01).map(({ over }) => over)).toEqual([2]);
  });

  it('stops about that share of new good episodes, whatever their distribution', () => {
    const random = seededRandom(4);
    const draw = (): Episode[] =>
      Array.from({ length: 199 }, () => good(...[1, 2, 3, 4].map(() => random.uniform() ** 3)));
    const shares = Array.from({ length: 60 }, () => {
      const gate = chooseGates(draw(), [3], 0.05)[0]!;
      const { stopped, episodes } = effectOf(draw(), gate).good;
      return stopped / episodes;
    });
    const mean = shares.reduce((sum, share) => sum + share, 0) / shares.length;
    // 60 runs whose shares spread by some 0.02: the mean by 0.003.
    expect(mean).toBeGreaterThan(0.04);
    expect(mean).toBeLessThan(0.06);
  });

  it('prefers what stops most, then what stops sooner', () => {
    const episodes = [failing(0.3, 0.1), failing(0.3, 0.3)];
    const [weak, late, soon] = [0.2, 0.31, 0.31].map((below, i) => ({
      over: i === 1 ? 2 : 1,
      below,
    }));
    expect(bestOf([weak!, late!, soon!], episodes)).toEqual(soon);
    expect(bestOf([], episodes)).toBeNull();
  });
});

describe('Two finished runs', () => {
  const identity = (seed: number, more: object = {}): object => ({
    ...{
      suite: 'core 1',
      seed,
      recovery: 'off',
      policy: 'model',
      config: 'c',
      ranWith: { sha256: 'm' },
    },
    ...more,
  });
  const traces = {
    ade: 0,
    fde: 0,
    still: 0,
    straight: 0,
    moved: 0,
    missed: 0,
    adeOfAll: 0,
    marks: 0,
  };
  const line = (one: Episode, index: number): object => ({
    ...{ index, seed: index, family: 'put', scenery: 'core', instruction: 'put', spanNs: '1' },
    ...{ cause: null, latched: null, gaveUp: null, disturbed: null, reasons: {}, halts: {} },
    ...{ refusals: {}, recoveries: {}, playedMs: [], answers: '', ...one },
    traces: { ...traces, answers: 0, refusals: 0 },
  });
  const write = (
    folder: string,
    name: string,
    who: object,
    episodes: readonly Episode[],
  ): string => {
    const path = join(folder, name);
    const lines = [who, ...episodes.map(line)].map((each) => JSON.stringify(each));
    writeFileSync(path, `${lines.join('\n')}\n`);
    return path;
  };
  const episodes = [...Array.from({ length: 19 }, () => good(0.9, 0.8)), failing(0.2, 0.2, 0.2)];
  const judge = (chooseOn: string, judgeOn: string) =>
    judgeGates({ chooseOn, judgeOn, most: 0.05, windows: [1, 2] });

  it('tell a gate by the one and judge it on the other', async () => {
    await inFolder((folder) => {
      const first = write(folder, 'a.jsonl', identity(1), episodes);
      const second = write(folder, 'b.jsonl', identity(2), [good(0.9), good(0.5), failing(0.9)]);
      const { best, gates, judgedOn } = judge(first, second);
      expect(gates.map(({ over, below }) => [over, below])).toEqual([
        [1, 0.8],
        [2, 0.85],
      ]);
      expect(best).toMatchObject({ over: 1, below: 0.8 });
      expect(best!.judgedOn.good).toMatchObject({ episodes: 2, stopped: 1 });
      expect(best!.judgedOn.failing).toMatchObject({ episodes: 1, stopped: 0 });
      expect(judgedOn).toMatchObject({ seed: 2, episodes: 3 });
      expect(gateTable(judge(first, second))).toContain('1 of 2 good ones stopped wrongly');
      return Promise.resolve();
    });
  });

  it('must be of one model, alone, on different scenes', async () => {
    await inFolder((folder) => {
      const first = write(folder, 'a.jsonl', identity(1), episodes);
      const other = (who: object): string => write(folder, 'b.jsonl', who, episodes);
      expect(() => judge(first, other(identity(1)))).toThrow('another --seed');
      expect(() => judge(first, other(identity(2, { recovery: 'on' })))).toThrow('--recovery off');
      expect(() => judge(first, other(identity(2, { ranWith: { sha256: 'n' } })))).toThrow(
        'ranWith {"sha256":"n"}, expected that of',
      );
      expect(() => judge(first, other(identity(2, { calibration: [] })))).toThrow('calibration []');
      expect(() => judge(first, join(folder, 'none'))).toThrow('no such file');
      return Promise.resolve();
    });
  });
});
