import { appendFileSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { EpisodeFile } from '../../src/commands/episodeFile.js';
import { AnswerLines, placedLines, type EpisodeRecord } from '../../src/commands/episodeRecord.js';
import { actionFields, answerLine } from '../../src/commands/runCounts.js';
import type { ActionPrediction, Answer } from '../../src/types.js';
import { inFolder } from '../robot/replay/bags.js';

const record = (index: number): EpisodeRecord => ({
  ...{ index, seed: 700_000 + index, family: 'pick', scenery: 'core' },
  ...{ instruction: 'pick the red block', outcome: 'success', cause: null, duration: 2.5 },
  ...{ spanNs: '2600000000', latched: null, gaveUp: null, disturbed: null },
  ...{
    reasons: { rest: 3 },
    halts: {},
    refusals: {},
    recoveries: {},
    playedMs: [60, 60],
    confidences: [0.9, 0.8],
  },
  traces: {
    ...{ ade: 0, fde: 0, still: 0, straight: 0, moved: 0, missed: 0 },
    ...{ adeOfAll: 0, marks: 0, answers: 0, refusals: 0 },
  },
  answers: new AnswerLines(0n, 0).packed(),
});
const identity = { suite: 'core 1', seed: 7, longest: null };

describe('Finished episodes on disk', () => {
  it('are found again, but for a last line that was cut off', async () => {
    await inFolder((folder) => {
      const path = join(folder, 'episodes.jsonl');
      const file = EpisodeFile.open(path, identity, 'anew');
      file.add(record(2));
      file.add(record(0));
      appendFileSync(path, JSON.stringify(record(1)).slice(0, 90));
      const { finished } = EpisodeFile.open(path, identity, 'goOn');
      expect([...finished.keys()]).toEqual([2, 0]);
      expect(finished.get(2)).toEqual(record(2));
      return Promise.resolve();
    });
  });

  it('are the same file in the end, whatever the order they came in', async () => {
    await inFolder((folder) => {
      const texts = [
        [0, 1, 2],
        [2, 0, 1],
      ].map((order, i) => {
        const path = join(folder, `${i}.jsonl`);
        const file = EpisodeFile.open(path, identity, 'anew');
        for (const index of order) file.add(record(index));
        file.complete([0, 1, 2].map(record));
        return readFileSync(path, 'utf8');
      });
      expect(texts[0]).toBe(texts[1]);
      return Promise.resolve();
    });
  });

  it('are refused for another run, and where they are something else', async () => {
    await inFolder((folder) => {
      const path = join(folder, 'episodes.jsonl');
      EpisodeFile.open(path, identity, 'anew').add(record(0));
      expect(() => EpisodeFile.open(path, { ...identity, seed: 8 }, 'goOn')).toThrow(
        /--resume: got .*seed 7.*expected.*seed 8/,
      );
      appendFileSync(path, '{"index":1}\n');
      expect(() => EpisodeFile.open(path, identity, 'goOn')).toThrow('episodes.jsonl:3');
      expect(EpisodeFile.open(path, identity, 'anew').finished.size).toBe(0);
      return Promise.resolve();
    });
  });
});

describe('Answers of an episode', () => {
  const answer = (stampNs: bigint, episode: number): Answer<ActionPrediction> => ({
    ok: true,
    value: {
      ...{ observationStampNs: stampNs, episode, confidence: 0.5 },
      timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
      chunk: {
        ...{ kind: 'endEffectorDelta', reference: 'observedPose', composition: 'base' },
        ...{ stepPeriodNs: 200_000_000n, frameId: 'base_link' },
        steps: [{ translation: [0.01, 0, -0.02], rotation: [0, 0, 0.1], gripper: 1 }],
      },
    },
  });
  const refused: Answer<ActionPrediction> = {
    ok: false,
    refusal: { kind: 'deadline', message: 'late' },
  };

  it('are hashed as if the episode had been where it is put', () => {
    const there = new AnswerLines(5_000_000_000n, 8);
    const here = [answer(2_200_000_000n, 2), refused, answer(2_400_000_000n, 2)];
    for (const each of [answer(5_200_000_000n, 8), refused, answer(5_400_000_000n, 8)])
      there.add(actionFields(each));
    expect(placedLines(there.packed(), 2_000_000_000n, 2)).toBe(
      here.map((each) => answerLine(actionFields(each))).join(''),
    );
  });
});
