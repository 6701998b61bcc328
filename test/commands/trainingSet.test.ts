import { appendFileSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Doer } from '../../src/commands/shareOut.js';
import {
  checkTrainingSeed,
  onPolicyFrames,
  TrainingSet,
  writeDemonstrations,
} from '../../src/commands/trainingSet.js';
import type { Demonstration } from '../../src/robot/sim/demonstrate.js';
import type { Frame } from '../../src/robot/sim/protocol.js';
import type { SimRobot } from '../../src/robot/sim/simRobot.js';
import type { Observation } from '../../src/types.js';
import { inFolder } from '../robot/replay/bags.js';

const model = 'models/nano';
const identity = { suite: 'extended 1', seed: 3 };
/** Episode n: n + 1 frames that tell which they are. */
const made = (n: number): readonly Demonstration[] =>
  Array.from({ length: n + 1 }, (_, k) => ({
    ...{ episode: n, instruction: 'pick the red block', state: [n, k, 0, 0, 1] },
    image: { height: 2, width: 2, data: new Uint8Array(12).fill(10 * n + k) },
    labels: [{ instruction: 'pick the red block', action: [k / 3, 0, 0, 0, 0, 0, 1] }],
    points: [{ name: 'gripper', at: { x: k, y: n } }],
    yaws: [{ name: 'red', yaw: 0.1 * k }],
    motion: null,
  }));
/** Takes so many turns of the event loop for an episode. */
const doer = (turns: number, begun: number[] = []): Doer<readonly Demonstration[]> => ({
  do: async (n) => {
    begun.push(n);
    for (let i = 0; i < turns; i++) await new Promise((resolve) => setImmediate(resolve));
    return made(n);
  },
});
const contents = (folder: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(folder).map((name) => [name, readFileSync(join(folder, name), 'latin1')]),
  );
const nothing = (): void => undefined;

async function write(
  folder: string,
  how: 'anew' | 'goOn',
  doers: readonly Doer<readonly Demonstration[]>[],
  frames: number,
): Promise<number> {
  const set = TrainingSet.open(folder, model, identity, how);
  try {
    await writeDemonstrations(set, doers, frames, nothing);
    return set.counts.episodes;
  } finally {
    set.close();
  }
}

describe('A training set', () => {
  it('is the same files in one go, interrupted, and by several who end in any order', async () => {
    await inFolder(async (whole) => {
      // 1 + 2 + … + 6 = 21 frames are the first that are no fewer than 20.
      expect(await write(whole, 'anew', [doer(1)], 20)).toBe(6);
      await inFolder(async (parts) => {
        expect(await write(parts, 'anew', [doer(0)], 2)).toBe(2);
        // Half an episode was written when the power failed.
        appendFileSync(join(parts, 'frames.rgb'), Buffer.alloc(7));
        appendFileSync(join(parts, 'labels.jsonl'), '{"episode":2,"instr');
        expect(await write(parts, 'goOn', [doer(9), doer(2), doer(5)], 20)).toBe(6);
        expect(contents(parts)).toEqual(contents(whole));
      });
      const { 'frames.rgb': pixels, 'labels.jsonl': labels } = contents(whole);
      expect(pixels).toHaveLength(21 * 12);
      const lines = labels!
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as { episode: number });
      expect(lines.map(({ episode }) => episode)).toEqual(
        [0, 1, 2, 3, 4, 5].flatMap((n) => Array.from({ length: n + 1 }, () => n)),
      );
    });
  });

  it('lets nobody run far ahead of the slowest, and ends where one fails', async () => {
    await inFolder(async (folder) => {
      const begun: number[] = [];
      await write(folder, 'anew', [doer(300), doer(0, begun)], 40);
      // The slow one has episode 0: until it is done the others may finish the seven after it.
      expect(begun.slice(0, 8)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
      const failing = { do: () => Promise.reject(new Error('fell')) };
      await expect(write(folder, 'anew', [failing, doer(0)], 1000)).rejects.toThrow('fell');
    });
  });

  it('does not go on with another one', async () => {
    await inFolder(async (folder) => {
      await write(folder, 'anew', [doer(0)], 1);
      expect(() => TrainingSet.open(folder, model, { ...identity, seed: 4 }, 'goOn')).toThrow(
        /progress.json with seed 3, expected seed 4/,
      );
    });
  });

  it('is never of scenes that are kept for evaluation', () => {
    for (const seed of [7, 1000, 1001]) expect(() => checkTrainingSeed(seed)).toThrow('--seed');
    expect(() => checkTrainingSeed(8)).not.toThrow();
  });
});

/** A hand that goes one pixel to the right per picture, over an empty table, asked about at every picture. */
function driven(pictures: number, disturbed: boolean): readonly Demonstration[] {
  const frames: Demonstration[] = [];
  const seen: Frame[] = [];
  const robot = { frames: seen, task, instruction: 'pick the red block' } as unknown as SimRobot;
  const options = { suite: 'core', families: ['pick'], seed: 3, disturbed } as const;
  const watch = onPolicyFrames(frames, robot, options, 0);
  for (let k = 0; k < pictures; k++) {
    const stampNs = BigInt(k);
    seen.push({ stampNs, shows: 'scene', state, camera, points: [{ name: 'gripper', at: at(k) }] });
    const images = {
      front: { stampNs, kind: 'raw', height: 1, width: 1, data: new Uint8Array(3) },
    };
    watch.onRequest!({ stampNs, images } as unknown as Observation, { nowNs: stampNs, stampNs });
  }
  return frames;
}
const task = { family: 'pick', block: 'red' } as const;
const camera = {
  ...{ height: 128, width: 128, fx: 100, fy: 100, cx: 64, cy: 64 },
  cameraFromBase: { translation: [0, 0, 1], rotation: [0, 1, 0, 0] },
} as const;
const state: Frame['state'] = {
  ...{ tcp: [0.4, 0, 0.2], tcpYaw: 0, gripperWidth: 0.08 },
  blocks: { red: { position: [0.5, 0, 0.02], yaw: 0 } },
  pads: { purple: [0.5, 0.1, 0], teal: [0.5, -0.1, 0] },
};
const at = (k: number) => ({ x: 10 + k, y: 20 });

describe('frames of an episode that a policy drives', () => {
  it('say where things went, as soon as that has come to pass', () => {
    const frames = driven(11, false);
    expect(frames).toHaveLength(11);
    frames.forEach(({ motion }, k) => {
      const future = k <= 2 ? Array.from({ length: 9 }, (_, i) => at(k + i)) : null;
      expect(motion?.[0]?.at ?? null).toEqual(future);
    });
  });

  it('say nothing of it where something else moved them', () => {
    expect(driven(11, true).map(({ motion }) => motion)).toEqual(new Array(11).fill(null));
  });
});
