import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { realClock } from '../../src/commands/clock.js';
import { readModelWords } from '../../src/commands/openModel.js';
import { replay, type ReplayOptions } from '../../src/commands/replay.js';
import type { Replayed } from '../../src/commands/replayResult.js';
import { ReplayAlbum } from '../../src/commands/replayAlbum.js';
import { replayReport } from '../../src/commands/replayReport.js';
import { episodeLine, replayTable } from '../../src/commands/replayTable.js';
import type { Tick } from '../../src/control/loop.js';
import type { Policy } from '../../src/control/policy.js';
import { ConfigError } from '../../src/errors.js';
import { decodeImage } from '../../src/image/codec.js';
import * as vec3 from '../../src/math/vec3.js';
import { renderReport } from '../../src/report/page.js';
import { Bag } from '../../src/robot/replay/bag.js';
import { decodeCdr } from '../../src/robot/messages/cdr.js';
import { compressedImageFromMessage } from '../../src/robot/messages/messages.js';
import { layoutOf } from '../../src/robot/messages/schemas.js';
import type { ActionChunk, Answer, Observation, TracePrediction } from '../../src/types.js';
import { inFolder } from '../robot/replay/bags.js';
import { bridge, forwardStep, stepsPerEpisode, writeBridgeBag } from '../support/bridgeBag.js';
import { nanoFolder } from '../support/randomNano.js';

const timing = { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 };
const words = readModelWords(nanoFolder, bridge);

const base: Omit<ReplayOptions, 'bag'> = {
  config: bridge,
  description: null,
  policy: 'recorded',
  clock: realClock,
  ...words,
  tracePeriod: 1,
};

/** Moves 1.2 cm forward where the record moves 1 cm, and turns like it; every answer for which `refuses` is refused. */
function almostRight(refuses: (index: number) => boolean = () => false): Policy {
  let asked = 0;
  return {
    name: 'almost right',
    requestAction: (observation) => {
      if (refuses(asked++)) {
        const refusal = { kind: 'malformedAnswer', message: 'prose' } as const;
        return Promise.resolve({ ok: false, refusal });
      }
      const value = {
        ...{ observationStampNs: observation.stampNs, episode: observation.episode },
        ...{ chunk: chunkOf({}), confidence: 1, timing },
      };
      return Promise.resolve({ ok: true, value });
    },
    requestTrace: (observation, { camera }) => Promise.resolve(trace(observation, camera)),
    reset: () => undefined,
    close: () => Promise.resolve(),
  };
}

function chunkOf(changed: { readonly composition?: 'base' | 'tool' }): ActionChunk {
  return {
    kind: 'endEffectorDelta',
    stepPeriodNs: 200_000_000n,
    frameId: 'base_link',
    reference: 'observedPose',
    composition: 'base',
    steps: [{ translation: [0.012, 0, 0.005], rotation: [0, 0, 0.02], gripper: 1 }],
    ...changed,
  };
}

function trace(observation: Observation, camera: string): Answer<TracePrediction> {
  const value = {
    ...{ observationStampNs: observation.stampNs, episode: observation.episode, camera },
    ...{ stepPeriodNs: 200_000_000n, confidence: 1, timing },
    marks: [{ id: 1, at: { x: 20, y: 30 } }],
    traces: [{ id: 1, start: { x: 20, y: 30 }, future: [{ x: 24, y: 32 }] }],
  };
  return { ok: true, value };
}

/** Replays a bag of writeBridgeBag. */
function run(
  bag: Parameters<typeof writeBridgeBag>[1],
  options: Partial<ReplayOptions> = {},
): Promise<Replayed> {
  return inFolder(async (folder) => {
    const path = await writeBridgeBag(join(folder, 'bag.mcap'), bag);
    return replay({ ...base, bag: path, ...options });
  });
}

const ticksInto = (ticks: Tick[]): Required<Pick<ReplayOptions, 'watch'>> => ({
  watch: () =>
    Promise.resolve({
      listener: {
        onImage: () => undefined,
        onJoints: () => undefined,
        onEndEffector: () => undefined,
        onGripper: () => undefined,
        onInstruction: () => undefined,
        onReset: () => undefined,
      },
      settle: () => Promise.resolve(),
      onTick: (tick) => ticks.push(tick),
    }),
});

describe('replay', () => {
  it('plays the recorded actions of every observation, and their error is none', async () => {
    const ticks: Tick[] = [];
    const { result, episodes } = await run({}, ticksInto(ticks));
    expect(result).toMatchObject({
      policy: 'recorded',
      episodes: 2,
      requests: 12,
      predictions: 12,
    });
    expect(result.refusals).toEqual({});
    expect(result.halts).toEqual({});
    expect(result.staleInputs).toEqual({});
    expect(result.messages.read).toMatchObject({ images: 12, endEffector: 12, episodes: 2 });
    for (const { mean, count } of Object.values(result.actionError)) {
      expect(mean).toBeLessThan(1e-15);
      expect(count).toBe(12);
    }
    expect(episodes.map(({ name, start }) => [name, start])).toEqual([
      ['trajectory 0', 0],
      ['trajectory 1', 4],
    ]);
    expect(ticks.every(({ sent }) => !sent)).toBe(true);
  });

  it('takes the arm up where the record has it, at each episode anew', async () => {
    const ticks: Tick[] = [];
    await run({}, ticksInto(ticks));
    const second = ticks.find(({ stampNs }) => stampNs >= 104_000_000_000n + 20_000_000n)!;
    const { command } = second.verdict;
    expect(command.kind).toBe('pose');
    if (command.kind === 'pose') expect(command.pose.translation).toEqual([0.3, 0, 0.15]);
    // Between the last reading at 101 s and the next episode at 104 s nobody drives the arm.
    const between = ticks.filter(
      ({ stampNs }) => stampNs > 101_200_000_000n && stampNs < 104_000_000_000n,
    );
    expect(between).toEqual([]);
  });

  it('moves the commanded tool along the record', async () => {
    const ticks: Tick[] = [];
    await run({ episodes: 1 }, ticksInto(ticks));
    const { command } = ticks.at(-1)!.verdict;
    // Five of six steps of 1 cm have been played at the last reading, less the second of ramp-in.
    const moved = command.kind === 'pose' ? command.pose.translation : vec3.zero;
    expect(moved[0]).toBeGreaterThan(0.34);
    expect(moved[0]).toBeLessThan(0.361);
  });

  it('measures errors against the action recorded at the same observation, refusals left out', async () => {
    const { result, tracks, firstReasons } = await run(
      {},
      { policy: almostRight((index) => index % 3 === 2) },
    );
    expect(result).toMatchObject({
      requests: 12,
      predictions: 8,
      refusals: { malformedAnswer: 4 },
    });
    expect(replayTable(result, firstReasons)).toContain('  first malformedAnswer: prose');
    expect(result.actionError['x']!.mean).toBeCloseTo(0.002, 12);
    expect(result.actionError['x']).toMatchObject({ unit: 'm', count: 8 });
    expect(result.actionError['y']!.mean).toBe(0);
    expect(result.actionError['yaw']!.mean).toBeCloseTo(0, 12);
    expect(tracks[0]!.predicted.filter((value) => value === null)).toHaveLength(4);
  });

  it('compares nothing where predictions and record are not the same quantity', async () => {
    const inTool: Policy = {
      ...almostRight(),
      requestAction: ({ stampNs, episode }) =>
        Promise.resolve({
          ok: true,
          value: {
            ...{ observationStampNs: stampNs, episode, confidence: 1, timing },
            chunk: chunkOf({ composition: 'tool' }),
          },
        }),
    };
    const { result } = await run({}, { policy: inTool });
    expect(result.predictions).toBe(12);
    expect(result.actionError).toEqual({});
    expect(result.notCompared).toMatch(/tool.*base/);
  });

  it('brings recorded actions to tokens and back within half a bin, and counts what is clipped', async () => {
    // nano's statistics reach ± 0.05 m and ± 0.25 rad.
    const actions = [
      ...Array.from({ length: stepsPerEpisode - 2 }, () => forwardStep),
      [0.0499, -0.0123, 0.05, 0.1, -0.2, 0.25, 0] as const,
      [0.01, 0, 0, 0, 0, 0.3, 1] as const,
    ];
    const { result } = await run({ actions, episodes: 1 });
    const trip = result.tokenRoundTrip!;
    expect(trip.actions).toBe(6);
    expect(Object.keys(trip.worstBins)).toEqual(['x', 'y', 'z', 'roll', 'pitch', 'yaw', 'gripper']);
    expect(Math.max(...Object.values(trip.worstBins))).toBeLessThanOrEqual(0.5 + 1e-9);
    expect(Math.max(...Object.values(trip.worstBins))).toBeGreaterThan(0.1);
    expect(trip.clipped).toMatchObject({ x: 0, z: 0, yaw: 1, gripper: 0 });
  });

  it('counts a halt that latches once, predicts on, and takes the arm up again at the next episode', async () => {
    const ticks: Tick[] = [];
    const actions = Array.from({ length: 10 }, () => forwardStep);
    const silent = [4, 5, 6, 7, 8];
    const { result, episodes } = await run(
      { actions, silent },
      { policy: almostRight(), ...ticksInto(ticks) },
    );
    // The pose of 100.6 s is the last; 0.5 s later the guard gives it up.
    expect(result.halts).toEqual({ measurementStale: 1 });
    expect(episodes.map(({ halts }) => halts)).toEqual([{ measurementStale: 1 }, {}]);
    expect(result.staleInputs['endEffectorSilent']).toBeGreaterThan(0);
    // It is back at 101.8 s, but the stop is latched until the next episode.
    const late = ticks.filter(({ stampNs: at }) => at > 101_810_000_000n && at < 104_000_000_000n);
    expect(late.length).toBeGreaterThan(0);
    expect(late.every(({ verdict }) => verdict.outcome === 'halt')).toBe(true);
    expect(episodes[0]!.predictions).toBeGreaterThan(6);
    expect(episodes[1]!.predictions).toBe(10);
  });

  it('counts recorded actions that cannot be read, and goes on', async () => {
    const broken = [0.01, NaN, 0, 0, 0, 0, 1] as const;
    const actions = [forwardStep, forwardStep, forwardStep, forwardStep, forwardStep];
    const { result } = await run(
      { actions: [...actions, broken], episodes: 1 },
      { policy: almostRight() },
    );
    expect(result.predictions).toBe(6);
    expect(result.actionError['x']!.count).toBe(5);
    expect(result.messages.refused['/recorded/action']).toMatchObject({ count: 1 });
  });

  it('says what was missing where nothing is predicted, and nothing of it otherwise', async () => {
    const steps = Array.from({ length: stepsPerEpisode }, (_, i) => i);
    const unasked = await run({ episodes: 1, silent: steps });
    expect(unasked.result).toMatchObject({ requests: 0, predictions: 0, traces: 0 });
    expect(unasked.result.nothing).toMatch(
      /^nobody was asked: the bag has no messages on \/ee_pose, .*; the arm was not taken up \(.*\)$/,
    );
    const refused = await run({}, { policy: almostRight(() => true), tracePeriod: 0 });
    expect(refused.result.nothing).toBe(
      '12 requests and no answer that can be used: malformedAnswer ×12 (prose)',
    );
    expect(replayTable(refused.result, refused.firstReasons)).toContain(
      'NOTHING PREDICTED: 12 requests and no answer',
    );
    // A trace is a prediction, and so is one action of many.
    const traced = await run({}, { policy: almostRight(() => true), tracePeriod: 1 });
    expect(traced.result.traces).toBeGreaterThan(0);
    expect(traced.result.nothing).toBeNull();
    const once = await run({}, { policy: almostRight((i) => i > 0), tracePeriod: 0 });
    expect(once.result.nothing).toBeNull();
  });

  it('gives the same predictions and the same result twice', async () => {
    const once = await run({}, { policy: almostRight() });
    const again = await run({}, { policy: almostRight() });
    expect(again.result.predictionsSha256).toBe(once.result.predictionsSha256);
    expect({ ...again.result, bag: '' }).toEqual({ ...once.result, bag: '' });
  });

  it('refuses the expert on a bag without the truth of a scene', async () => {
    await expect(run({}, { policy: 'expert' })).rejects.toThrow(ConfigError);
    await expect(run({}, { policy: 'expert' })).rejects.toThrow(/truth/);
  });
});

describe('what a replay leaves behind', () => {
  const facts = {
    ...{ command: 'replay', model: 'm', robot: 'widowx250', version: '0' },
    mismatches: ['model nano, robot: got widowx250, expected sim'],
  };

  it('is a bag with predictions, verdicts, commands and pictures that can be decoded', async () => {
    await inFolder(async (folder) => {
      const path = await writeBridgeBag(join(folder, 'bag.mcap'));
      let album: ReplayAlbum | null = null;
      await replay({
        ...base,
        bag: path,
        policy: almostRight(),
        watch: async (robot) =>
          (album = await ReplayAlbum.open(join(folder, 'out'), bridge, robot)),
      });
      await album!.close();
      const bag = await Bag.open(join(folder, 'out', 'replay.mcap'));
      const { counts } = bag;
      expect(counts.get('/magma_vla/action_chunk')).toBe(12);
      expect(counts.get('/magma_vla/traces')).toBe(4);
      expect(counts.get('/magma_vla/annotations/camera_0')).toBe(4);
      expect(counts.get('/magma_vla/annotated/camera_0')).toBe(4);
      expect(counts.get('/magma_vla/command/pose')).toBe(counts.get('/magma_vla/status'));
      expect(counts.get('/camera_0/image_raw/compressed')).toBe(12);
      const topic = bag.topics.get('/magma_vla/annotated/camera_0')!;
      for await (const { data } of bag.messages(new Set([topic.topic]))) {
        const message = decodeCdr(layoutOf(topic), data, topic.topic);
        const image = compressedImageFromMessage(message, topic.topic);
        const picture = await decodeImage(image.data, topic.topic);
        expect([picture.height, picture.width]).toEqual([384, 384]);
      }
      await bag.close();
    });
  });

  it('is a page with pictures, errors, reasons and the mismatch that was allowed', async () => {
    await inFolder(async (folder) => {
      const path = await writeBridgeBag(join(folder, 'bag.mcap'));
      let album: ReplayAlbum | null = null;
      const replayed = await replay({
        ...base,
        bag: path,
        policy: almostRight((index) => index === 1),
        watch: async (robot) => (album = await ReplayAlbum.open(folder, bridge, robot)),
      });
      await album!.close();
      const frames = album!.frames();
      expect(frames).toHaveLength(4);
      expect(frames[0]!.caption).toMatch(/put the carrot on the plate — mark 1 said to move/);
      const page = renderReport(replayReport(replayed, frames, facts));
      expect(page).toContain('The model does not fit this robot (allowed by --allow-mismatch)');
      expect(page).toContain('malformedAnswer');
      expect(page).toContain('Prediction against record');
      expect(page).toContain(replayed.result.predictionsSha256);
      expect(page.match(/<figure/g)).toHaveLength(4);
    });
  });

  it('leaves out pictures that cannot be decoded', async () => {
    await inFolder(async (folder) => {
      const picture = Uint8Array.of(1, 2, 3);
      const path = await writeBridgeBag(join(folder, 'bag.mcap'), { picture });
      let album: ReplayAlbum | null = null;
      const { result } = await replay({
        ...base,
        bag: path,
        policy: almostRight(),
        watch: async (robot) => (album = await ReplayAlbum.open(folder, bridge, robot)),
      });
      await album!.close();
      expect(result.predictions).toBe(12);
      expect(album!.frames()).toEqual([]);
    });
  });

  it('is a table that names errors, halts and the hash', async () => {
    const { result, episodes, firstReasons } = await run({}, { policy: almostRight() });
    const table = replayTable(result, firstReasons);
    expect(table).toContain(result.predictionsSha256);
    expect(table).toMatch(/x +0\.0020 +0\.0020 +m/);
    expect(table).toContain('halts: none');
    expect(episodeLine(episodes[1]!)).toContain('4.0 s      6/6 predictions  put the carrot');
  });
});

const sample = '../shared/data/bridge_v2_sample.mcap';
const present = existsSync(sample);
if (!present) console.info(`skipped: ${sample} is not here; generated bags cover the same code`);

(present ? describe : describe.skip)('the BridgeData sample', () => {
  it('runs its recorded actions through the guard without a halt, and they survive tokens', async () => {
    const { result } = await replay({ ...base, bag: sample });
    expect(result).toMatchObject({ episodes: 15, requests: 150, predictions: 150, halts: {} });
    const trip = result.tokenRoundTrip!;
    expect(trip.actions).toBe(150);
    expect(Math.max(...Object.values(trip.worstBins))).toBeLessThanOrEqual(0.5 + 1e-9);
    expect(trip.clipped).toEqual({ x: 0, y: 0, z: 0, roll: 0, pitch: 0, yaw: 1, gripper: 0 });
  });
});
