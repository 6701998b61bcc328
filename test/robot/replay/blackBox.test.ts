import { readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parseConfig, type Config } from '../../../src/config.js';
import { decodeCdr, type RosMessage } from '../../../src/robot/messages/cdr.js';
import { actionFromMessage } from '../../../src/robot/messages/actionMessages.js';
import { nothingSeen } from '../../../src/robot/messages/observationHash.js';
import { layoutOf } from '../../../src/robot/messages/schemas.js';
import { statusFromMessage } from '../../../src/robot/messages/statusMessages.js';
import { Bag } from '../../../src/robot/replay/bag.js';
import { BlackBox, type BlackBoxOptions } from '../../../src/robot/replay/blackBox.js';
import { outputTopics, recordable } from '../../../src/robot/replay/recorder.js';
import { ReplayRobot } from '../../../src/robot/replay/replayRobot.js';
import type { ActionPrediction, CameraImage, Verdict } from '../../../src/types.js';
import { config, eventLog, inFolder, ns, type Event } from './bags.js';

const utcMs = Date.UTC(2026, 0, 31, 23, 59, 58, 7);

/** A black box whose clocks are set by hand; the ROS clock is 1000 s ahead of the steady one. */
async function withBox<T>(
  more: Partial<BlackBoxOptions>,
  use: (box: BlackBox, at: (seconds: number) => void, problems: string[]) => Promise<T>,
): Promise<T> {
  return inFolder(async (folder) => {
    let nowNs = 0n;
    const problems: string[] = [];
    const box = new BlackBox({
      config,
      folder,
      now: () => ({ nowNs, stampNs: nowNs + ns(1000) }),
      utcMs: () => utcMs + Number(nowNs / 1_000_000n),
      seconds: 2,
      onProblem: (sentence) => problems.push(sentence),
      ...more,
    });
    try {
      return await use(box, (seconds) => (nowNs = ns(seconds)), problems);
    } finally {
      await box.close();
    }
  });
}

const image = (seconds: number, size = 12): CameraImage => ({
  ...{ kind: 'raw', stampNs: ns(1000 + seconds), frameId: 'f', height: 1, width: size },
  ...{ encoding: 'mono8', step: size, isBigEndian: false },
  data: new Uint8Array(size).fill(seconds * 10),
});

/** Every reading that a replay of the file hands over. */
async function replayed(path: string, settings: Config = config): Promise<readonly Event[]> {
  const bag = await Bag.open(path);
  expect(bag.warnings).toEqual([]);
  const robot = new ReplayRobot(bag, recordable(settings));
  const { events, listener } = eventLog(() => robot.stampNs - ns(1000));
  await robot.start(listener);
  while (!robot.ended) await robot.advance(20_000_000n);
  await bag.close();
  expect(robot.refused.size).toBe(0);
  return events;
}

async function messagesOf(path: string, topic: string): Promise<readonly RosMessage[]> {
  const bag = await Bag.open(path);
  const layout = layoutOf(bag.topics.get(topic)!);
  const found: RosMessage[] = [];
  for await (const { data } of bag.messages(new Set([topic])))
    found.push(decodeCdr(layout, data, topic));
  await bag.close();
  return found;
}

const joints = (seconds: number) => ({
  ...{ stampNs: ns(1000 + seconds), names: ['shoulder', 'elbow'], position: [seconds, 0] },
  ...{ velocity: null, effort: null },
});

describe('a black box', () => {
  it('writes the last seconds, with the instruction that was given long before', async () => {
    await withBox({}, async (box, at, problems) => {
      box.onReset('a morning');
      box.onInstruction('push the block');
      for (let tick = 0; tick <= 50; tick++) {
        at(tick / 10);
        box.onJoints(joints(tick / 10));
        if (tick % 5 === 0) box.onImage('front', image(tick / 10));
      }
      const path = await box.dump('the arm stopped');
      expect(problems).toEqual([]);
      expect(path).toMatch(/\/blackBox_20260201T000003\.007Z\.mcap$/);
      const events = await replayed(path!);
      // 3 s … 5 s, both included: 21 readings and 5 pictures.
      expect(events.slice(0, 3)).toEqual([
        { stampNs: ns(3), name: 'reset', value: 'a morning' },
        { stampNs: ns(3), name: 'instruction', value: 'push the block' },
        { stampNs: ns(3), name: 'joints', value: joints(3) },
      ]);
      expect(events.filter(({ name }) => name === 'joints')).toHaveLength(21);
      const pictures = events.filter(({ name }) => name === 'image');
      expect(pictures.map(({ value }) => value)).toEqual(
        [3, 3.5, 4, 4.5, 5].map((seconds) => ['front', image(seconds)]),
      );
      expect(await messagesOf(path!, outputTopics.because)).toEqual([{ data: 'the arm stopped' }]);
    });
  });

  it('has what was decided: actions, verdicts and refusals with what is known of the node', async () => {
    const prediction: ActionPrediction = {
      ...{ observationStampNs: ns(1000), episode: 4, confidence: 1, tokens: [5, 2] },
      timing: { decodeMs: 1, preprocessMs: 2, visionMs: 3, generateMs: 4, totalMs: 10 },
      chunk: {
        ...{ kind: 'jointPosition', stepPeriodNs: 1n, frameId: '' },
        steps: [{ position: [1, 2], gripper: 0 }],
      },
    };
    const reasons = [{ code: 'operatorStop', message: 'stop' }];
    const command = { kind: 'joint', names: ['elbow'], position: [1], velocity: [0] };
    const verdict = { outcome: 'halt', reasons, command } as unknown as Verdict;
    await withBox({}, async (box) => {
      box.action(prediction, nothingSeen);
      box.verdict(verdict, { enabled: false, speedScale: 0.5 });
      box.command({ ...verdict.command, gripper: 0.25 });
      box.refusal({ kind: 'deadline', message: 'late' });
      const path = await box.dump('x');
      const [chunk] = await messagesOf(path!, outputTopics.actionChunk);
      expect(actionFromMessage(chunk!, '/x')).toEqual(prediction);
      const status = (await messagesOf(path!, outputTopics.status)).map((m) =>
        statusFromMessage(m, '/x'),
      );
      expect(status.map(({ outcome }) => outcome)).toEqual(['halt', 'refused']);
      const node = { state: 'latched', latched: 'stop', enabled: false, speedScale: 0.5 };
      expect(status[0]!.node).toMatchObject({ ...node, episode: 4 });
      expect(await messagesOf(path!, outputTopics.gripperCommand)).toMatchObject([
        { data: Float64Array.of(0.25) },
      ]);
    });
  });

  it('gives up pictures before readings where memory ends, the oldest first', async () => {
    await withBox({ maxBytes: 40_000 }, async (box, at) => {
      for (let tick = 0; tick < 10; tick++) {
        at(tick / 10);
        box.onJoints(joints(tick / 10));
        box.onImage('front', image(tick / 10, 10_000));
        expect(box.bytes).toBeLessThanOrEqual(40_000);
      }
      const events = await replayed((await box.dump('x'))!);
      expect(events.filter(({ name }) => name === 'joints')).toHaveLength(10);
      // 10 readings weigh 10 kB: two pictures of 11 kB each are left.
      const pictures = events.filter(({ name }) => name === 'image');
      expect(pictures.map(({ stampNs }) => stampNs)).toEqual([ns(0.8), ns(0.9)]);
    });
  });

  it('forgets what was before the ROS clock ran back, not the instruction', async () => {
    let stampNs = ns(50);
    await withBox({ now: () => ({ nowNs: 0n, stampNs }) }, async (box) => {
      box.onInstruction('push');
      box.onJoints(joints(49));
      stampNs = ns(1);
      box.onImage('front', image(-999));
      const events = await replayed((await box.dump('x'))!);
      expect(events.map(({ name }) => name)).toEqual(['instruction', 'image']);
    });
  });

  it('writes once per 5 s and keeps the newest files, whatever else is in the folder', async () => {
    await withBox({ keepFiles: 2 }, async (box, at, problems) => {
      const paths: (string | null)[] = [];
      for (const seconds of [0, 4.9, 5, 7, 10, 15]) {
        at(seconds);
        box.onJoints(joints(seconds));
        paths.push(await box.dump('x'));
      }
      expect(paths.map((path) => path !== null)).toEqual([true, false, true, false, true, true]);
      const folder = join(paths[0]!, '..');
      expect(readdirSync(folder).sort()).toEqual([
        'blackBox_20260201T000008.007Z.mcap',
        'blackBox_20260201T000013.007Z.mcap',
      ]);
      writeFileSync(join(folder, 'a.mcap'), 'of somebody else');
      at(20);
      await box.dump('x');
      expect(readdirSync(folder).sort()[0]).toBe('a.mcap');
      expect(problems).toEqual([]);
    });
  });

  it('tells why a file was not written, and writes the next one', async () => {
    await inFolder(async (good) => {
      let [folder, nowNs] = ['/dev/null/x', 0n];
      const problems: string[] = [];
      const box = new BlackBox({
        config,
        get folder() {
          return folder;
        },
        now: () => ({ nowNs, stampNs: nowNs + ns(1000) }),
        utcMs: () => utcMs,
        onProblem: (sentence) => problems.push(sentence),
      });
      box.onJoints(joints(0));
      expect(await box.dump('x')).toBeNull();
      expect(problems).toEqual([expect.stringMatching(/^black box: not written: ENOTDIR/)]);
      [folder, nowNs] = [good, ns(6)];
      box.onImage('nobody', image(6));
      box.onImage('front', image(6));
      const path = await box.dump('x');
      expect((await replayed(path!)).map(({ name }) => name)).toEqual(['joints', 'image']);
      expect(problems[1]).toMatch(/lacks 1 entries that cannot be recorded$/);
      await box.close();
      expect(await box.dump('x')).toBeNull();
    });
  });

  it('does not throw into whoever hands it readings, even where its clock does', async () => {
    const now = (): never => {
      throw new Error('no clock');
    };
    await withBox({ now }, async (box, _at, problems) => {
      expect(() => box.onJoints(joints(0))).not.toThrow();
      expect(await box.dump('x')).toBeNull();
      expect(problems).toEqual([
        'black box: what it keeps has gaps: Error: no clock',
        'black box: not written: no clock',
      ]);
    });
  });

  it('writes for a robot.yaml that names no topics for instruction and episode', async () => {
    const settings = parseConfig(yaml, 'test');
    await withBox({ config: settings }, async (box) => {
      box.onReset('a');
      box.onInstruction('push');
      box.onImage('front', image(0));
      const path = await box.dump('x');
      const names = (await replayed(path!, settings)).map(({ name }) => name);
      expect(names).toEqual(['reset', 'instruction', 'image']);
    });
  });
});

const yaml = `robot: test
cameras: { front: { topic: /f, type: image } }
output: pose
control: { rateHz: 50, policyPeriod: 0.2 }
guard: { linearVelocity: 1, linearAcceleration: 1, linearJerk: 1, angularVelocity: 1,
  angularAcceleration: 1, angularJerk: 1, maxStepTranslation: 1, maxStepRotation: 1,
  trackingError: 1, workspace: { min: [-1, -1, -1], max: [1, 1, 1] } }
`;
