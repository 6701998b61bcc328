import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { McapIndexedReader } from '@mcap/core';
import { loadDecompressHandlers } from '@mcap/support';
import { MessageReader } from '@foxglove/rosmsg2-serialization';
import { parse } from '@foxglove/rosmsg';
import { parseConfig, type Config } from '../../../src/config.js';
import { ConfigError, DataError } from '../../../src/errors.js';
import { seededRandom } from '../../../src/math/random.js';
import * as quaternion from '../../../src/math/quaternion.js';
import { openingFromPosition } from '../../../src/robot/gripper.js';
import { Bag } from '../../../src/robot/replay/bag.js';
import { decodeCdr, type RosMessage } from '../../../src/robot/messages/cdr.js';
import { actionFromMessage, seenFromMessage } from '../../../src/robot/messages/actionMessages.js';
import {
  hashedFrom,
  nothingSeen,
  seenFrom,
  type Seen,
} from '../../../src/robot/messages/observationHash.js';
import { tracesFromMessage } from '../../../src/robot/messages/outputMessages.js';
import { statusFromMessage } from '../../../src/robot/messages/statusMessages.js';
import { Recorder, outputTopics } from '../../../src/robot/replay/recorder.js';
import { ReplayRobot } from '../../../src/robot/replay/replayRobot.js';
import { layoutOf } from '../../../src/robot/messages/schemas.js';
import type { RobotListener } from '../../../src/robot/robot.js';
import type {
  ActionChunk,
  ActionPrediction,
  ArmCommand,
  CameraImage,
  Observation,
  TracePrediction,
  Vec3,
  Verdict,
} from '../../../src/types.js';
import { config, eventLog, inFolder, ns } from './bags.js';

const timing = {
  decodeMs: 1.1,
  preprocessMs: 2.2,
  visionMs: 3.3,
  generateMs: 4.4,
  totalMs: 11,
};

/** A run with awkward numbers: full doubles, negative zero, odd stamps, pictures of random bytes in a reused buffer. */
function run(listener: RobotListener, setTime: (stampNs: bigint) => void): void {
  const random = seededRandom(3);
  const double = (): number => random.between(-3, 3) / 3;
  const reused = new Uint8Array(4 * 15 + 1);
  for (let tick = 0; tick < 50; tick++) {
    const stampNs = 1_234_567_890_123_456_789n + BigInt(tick) * 33_333_333n;
    setTime(stampNs);
    if (tick % 20 === 0) {
      listener.onReset(`episode ${tick / 20}`);
      listener.onInstruction('lege den Würfel auf die grüne Fläche 🟩');
    }
    listener.onJoints({
      stampNs: stampNs - 1n,
      names: ['shoulder', 'elbow'],
      position: [double(), tick === 7 ? -0 : double()],
      velocity: tick % 3 ? [double(), 5e-324] : null,
      effort: tick % 4 ? null : [double(), 1e300],
    });
    listener.onGripper({ stampNs, opening: openingFromPosition(random.between(0, 0.05), grip) });
    const axis = [double(), double(), double()] as unknown as Vec3;
    const rotation = quaternion.fromRotationVector(axis);
    const translation = [double(), double(), double()] as unknown as Vec3;
    listener.onEndEffector({ stampNs, frameId: 'base_link', pose: { translation, rotation } });
    for (let i = 0; i < reused.length; i++) reused[i] = random.integer(256);
    listener.onImage('front', frame(stampNs, reused.subarray(1)));
  }
}

const grip = config.gripper!;

const frame = (stampNs: bigint, data: Uint8Array): CameraImage => ({
  kind: 'raw',
  stampNs,
  frameId: 'front_optical',
  height: 4,
  width: 4,
  encoding: 'bgr8',
  step: 15,
  isBigEndian: false,
  data,
});

async function record(
  path: string,
  use: (recorder: Recorder, setTime: (stampNs: bigint) => void) => void,
  settings: Config = config,
): Promise<void> {
  let now = 0n;
  const recorder = await Recorder.open(path, settings, () => now);
  try {
    use(recorder, (stampNs) => (now = stampNs));
  } finally {
    await recorder.close();
  }
}

/** Every message of a topic, decoded. */
async function read(path: string, topic: string): Promise<RosMessage[]> {
  const bag = await Bag.open(path);
  const messages: RosMessage[] = [];
  const layout = layoutOf(bag.topics.get(topic)!);
  for await (const { data } of bag.messages(new Set([topic])))
    messages.push(decodeCdr(layout, data, topic));
  await bag.close();
  return messages;
}

describe('a recorded run', () => {
  it('replays to the same readings at the same times, to the last bit, twice over', async () => {
    await inFolder(async (folder) => {
      let now = 0n;
      const original = eventLog(() => now);
      // The run's buffers are reused, so the log keeps copies of the pictures.
      run(
        {
          ...original.listener,
          onImage: (camera, image) =>
            original.listener.onImage(camera, { ...image, data: image.data.slice() }),
        },
        (stampNs) => (now = stampNs),
      );
      const first = join(folder, 'first.mcap');
      await record(first, run);
      for (const copy of [1, 2]) {
        const source = copy === 1 ? first : join(folder, 'copy1.mcap');
        const bag = await Bag.open(source);
        const robot = new ReplayRobot(bag, config);
        const recorder = await Recorder.open(
          join(folder, `copy${copy}.mcap`),
          config,
          () => robot.stampNs,
        );
        const { events, listener } = eventLog(() => robot.stampNs);
        await robot.start(both(recorder, listener));
        while (!robot.ended) {
          await robot.advance(20_000_000n);
          await recorder.drain();
          expect(recorder.pendingBytes).toBe(0);
        }
        await recorder.close();
        await bag.close();
        expect(robot.refused.size).toBe(0);
        expect(events).toStrictEqual(original.events);
      }
    });
  });

  it('keeps compressed pictures as they are', async () => {
    const text = `${yaml}cameras:\n  front: { topic: /f, type: compressed, modelKey: primary }\n`;
    const settings = parseConfig(text, 'test');
    const data = Uint8Array.of(0xff, 0xd8, 1, 2, 3);
    const image: CameraImage = {
      kind: 'compressed',
      stampNs: 5n,
      frameId: 'f',
      format: 'jpeg',
      data,
    };
    await inFolder(async (folder) => {
      const path = join(folder, 'x.mcap');
      await record(path, (recorder) => recorder.onImage('front', image), settings);
      const bag = await Bag.open(path);
      const robot = new ReplayRobot(bag, settings);
      const { events, listener } = eventLog(() => robot.stampNs);
      await robot.start(listener);
      expect(events).toEqual([{ stampNs: 5n, name: 'image', value: ['front', image] }]);
      await bag.close();
    });
  });

  it('opens with the indexed reader of @mcap/core: profile, index, statistics, checksums', async () => {
    await inFolder(async (folder) => {
      const path = join(folder, 'x.mcap');
      await record(path, run);
      const bytes = readFileSync(path);
      const reader = await McapIndexedReader.Initialize({
        readable: {
          size: () => Promise.resolve(BigInt(bytes.length)),
          read: (offset, size) =>
            Promise.resolve(
              new Uint8Array(bytes.subarray(Number(offset), Number(offset) + Number(size))),
            ),
        },
        decompressHandlers: await loadDecompressHandlers(),
      });
      expect(reader.header).toMatchObject({ profile: 'ros2', library: 'magma-vla' });
      expect(reader.statistics?.messageCount).toBe(BigInt(4 * 50 + 2 * 3));
      expect(reader.chunkIndexes.map((chunk) => chunk.compression)).toEqual(['zstd']);
      let joints = 0;
      for await (const message of reader.readMessages({ topics: ['/joint_states'] })) {
        const channel = reader.channelsById.get(message.channelId)!;
        const schema = reader.schemasById.get(channel.schemaId)!;
        expect(schema).toMatchObject({ name: 'sensor_msgs/msg/JointState', encoding: 'ros2msg' });
        const text = new TextDecoder().decode(schema.data);
        const decoded = new MessageReader(parse(text, { ros2: true })).readMessage(message.data);
        joints += (decoded as { name: string[] }).name.length;
      }
      expect(joints).toBe(50 * 3);
    });
  });
});

describe('what the node made of a run', () => {
  const chunks: readonly ActionChunk[] = [
    {
      kind: 'endEffectorDelta',
      stepPeriodNs: 200_000_000n,
      frameId: 'base_link',
      reference: 'observedPose',
      composition: 'tool',
      steps: [
        { translation: [0.01, 0.02, 0.03], rotation: [0.1, 0.2, 0.3], gripper: 1 },
        { translation: [0.04, 0.05, 0.06], rotation: [0.4, 0.5, 0.6], gripper: 0.25 },
      ],
    },
    {
      kind: 'endEffectorPose',
      stepPeriodNs: 1n,
      frameId: 'world',
      steps: [{ pose: { translation: [1, 2, 3], rotation: [0, 0, 0.6, 0.8] }, gripper: 0 }],
    },
    {
      kind: 'jointPosition',
      stepPeriodNs: 20_000_000n,
      frameId: '',
      steps: [
        { position: [1, 2], gripper: 0 },
        { position: [3, 4], gripper: 1 },
      ],
    },
  ];
  const predictions = chunks.map((chunk, i): ActionPrediction => {
    return { observationStampNs: ns(i), episode: i, chunk, confidence: 0.1 + 0.2, timing };
  });
  const traces: TracePrediction = {
    observationStampNs: ns(3),
    episode: 2,
    camera: 'front',
    stepPeriodNs: 200_000_000n,
    marks: [
      { id: 1, at: { x: 10.5, y: 20 } },
      { id: 7, at: { x: 30, y: 40.25 } },
    ],
    traces: [
      {
        id: 7,
        start: { x: 31, y: 41 },
        future: [
          { x: 32, y: 42 },
          { x: 33, y: 43 },
        ],
      },
      { id: 1, start: { x: 11, y: 21 }, future: [] },
    ],
    confidence: 0.5,
    timing,
  };

  it('is read back as it was: action chunks of every kind', async () => {
    await inFolder(async (folder) => {
      const path = join(folder, 'x.mcap');
      await record(path, (recorder) => predictions.forEach((p) => recorder.action(p, nothingSeen)));
      const messages = await read(path, outputTopics.actionChunk);
      expect(messages.map((m) => actionFromMessage(m, '/x'))).toEqual(predictions);
    });
  });

  it('is read back as it was: what actions were made of, with its hashes, and their tokens', async () => {
    const observation: Observation = {
      ...{ stampNs: 5n, episode: 1, instruction: 'räume auf' },
      images: { front: frame(5n, new Uint8Array(60)) },
      joints: { stampNs: 4n, names: ['a'], position: [1], velocity: null, effort: null },
      endEffector: null,
      gripper: { stampNs: 3n, opening: 1 },
    };
    const seen: readonly Seen[] = [hashedFrom(observation), seenFrom(observation), nothingSeen];
    const answer = { ...predictions[0]!, tokens: [31_999, 0, 4_000_000_000] };
    await inFolder(async (folder) => {
      const path = join(folder, 'x.mcap');
      await record(path, (recorder) => seen.forEach((s) => recorder.action(answer, s)));
      const messages = await read(path, outputTopics.actionChunk);
      expect(messages.map((m) => seenFromMessage(m, '/x'))).toEqual(seen);
      expect(actionFromMessage(messages[0]!, '/x')).toEqual(answer);
      expect(messages[0]).toMatchObject({ input_names: ['front', 'joints', 'gripper'] });
      expect(() => seenFromMessage({ ...messages[0], input_names: ['front'] }, '/x')).toThrow(
        '/x: inputs: got 1 names, 3 stamps, 96 bytes of hashes, expected different names',
      );
    });
  });

  it('is read back as it was: traces, with a line per trace for the viewer', async () => {
    await inFolder(async (folder) => {
      const path = join(folder, 'x.mcap');
      await record(path, (recorder) => recorder.traces(traces, 'front_optical'));
      const [message] = await read(path, outputTopics.traces);
      expect(tracesFromMessage(message!, '/x')).toEqual(traces);
      const [shown] = await read(path, `${outputTopics.annotations}/front`);
      const stamp = { sec: 3, nanosec: 0 };
      expect(shown).toMatchObject({
        circles: [
          { timestamp: stamp, position: { x: 10.5, y: 20 } },
          { timestamp: stamp, position: { x: 30, y: 40.25 } },
        ],
        points: [
          {
            type: 3,
            points: [
              { x: 31, y: 41 },
              { x: 32, y: 42 },
              { x: 33, y: 43 },
            ],
          },
          { type: 3, points: [{ x: 11, y: 21 }] },
        ],
        texts: [{ text: '1' }, { text: '7' }],
      });
    });
  });

  it('is read back as it was: verdicts and refusals with their reasons, and what the arm does', async () => {
    const reasons = [{ code: 'velocity', message: 'joint elbow wanted 2 rad/s, limit 1' }];
    const stopped = [{ code: 'operatorStop', message: 'an operator stopped the arm' }];
    const [moving, still] = [2, 0].map((speed) => ({ kind: 'joint', velocity: [0, speed] }));
    const verdicts = [
      { outcome: 'limited', reasons, command: moving },
      { outcome: 'halt', reasons, command: moving },
      { outcome: 'halt', reasons, command: still },
      { outcome: 'halt', reasons: stopped, command: moving },
    ] as unknown as Verdict[];
    await inFolder(async (folder) => {
      const path = join(folder, 'x.mcap');
      await record(path, (recorder, setTime) => {
        setTime(ns(1));
        recorder.onInstruction('push');
        recorder.action({ ...predictions[0]!, episode: 6 }, nothingSeen);
        for (const verdict of verdicts) recorder.verdict(verdict);
        setTime(ns(2));
        recorder.refusal({ kind: 'deadline', message: 'no answer in 1 s' }, { episode: 7 });
      });
      const messages = await read(path, outputTopics.status);
      const known = { dryRun: true, enabled: true, instruction: 'push', speedScale: 1 };
      const running = { ...known, latched: '', episode: 6 };
      const latched = { state: 'latched', latched: 'an operator stopped the arm' };
      expect(messages.map((m) => statusFromMessage(m, '/x'))).toEqual([
        { outcome: 'limited', reasons, node: { ...running, state: 'following' } },
        { outcome: 'halt', reasons, node: { ...running, state: 'braking' } },
        { outcome: 'halt', reasons, node: { ...running, state: 'holding' } },
        { outcome: 'halt', reasons: stopped, node: { ...running, ...latched } },
        {
          outcome: 'refused',
          reasons: [{ code: 'deadline', message: 'no answer in 1 s' }],
          node: { ...running, ...latched, episode: 7 },
        },
      ]);
      expect(messages.at(-1)!['header']).toMatchObject({ stamp: { sec: 2, nanosec: 0 } });
    });
  });

  it('has commands as controllers take them', async () => {
    const shared = { nowNs: 0n, gripper: null };
    const linear = [1, 2, 3];
    const angular = [4, 5, 6];
    const pose = { translation: [1, 2, 3], rotation: [0, 0, 0, 1] };
    const commands = [
      { ...shared, kind: 'joint', names: ['a'], position: [1], velocity: [2], gripper: 0.5 },
      { ...shared, kind: 'twist', frameId: 'base_link', linear, angular },
      { ...shared, kind: 'pose', frameId: 'base_link', pose, linear, angular },
    ] as unknown as ArmCommand[];
    await inFolder(async (folder) => {
      const path = join(folder, 'x.mcap');
      await record(path, (recorder) => commands.forEach((command) => recorder.command(command)));
      const command = outputTopics.command;
      expect(await read(path, `${command}/joint`)).toMatchObject([
        {
          joint_names: ['a'],
          points: [
            {
              positions: Float64Array.of(1),
              velocities: Float64Array.of(2),
              time_from_start: { sec: 0, nanosec: 20_000_000 },
            },
          ],
        },
      ]);
      expect(await read(path, `${command}/twist`)).toMatchObject([
        { header: { frame_id: 'base_link' }, twist: { angular: { x: 4, y: 5, z: 6 } } },
      ]);
      expect(await read(path, `${command}/pose`)).toMatchObject([
        { pose: { position: { x: 1, y: 2, z: 3 }, orientation: { w: 1 } } },
      ]);
      expect(await read(path, outputTopics.gripperCommand)).toMatchObject([
        { data: Float64Array.of(0.5) },
      ]);
    });
  });
});

describe('a recorder', () => {
  it('is refused without topics for instruction and episode, and creates no file', async () => {
    await inFolder(async (folder) => {
      const path = join(folder, 'x.mcap');
      const named = Object.entries(config).filter(([key]) => key !== 'episode');
      const settings = Object.fromEntries(named) as Config;
      await expect(Recorder.open(path, settings, () => 0n)).rejects.toThrow(ConfigError);
      expect(existsSync(path)).toBe(false);
    });
  });

  it('reports a file it cannot write, at the next drain and at close', async () => {
    await expect(Recorder.open('/nowhere/x.mcap', config, () => 0n)).rejects.toThrow(DataError);
    // Linux: every write to /dev/full fails as if the disk were full.
    if (!existsSync('/dev/full')) return;
    const recorder = await Recorder.open('/dev/full', config, () => 0n);
    recorder.onInstruction('x');
    await expect(recorder.drain()).rejects.toThrow('/dev/full: got ENOSPC');
    await expect(recorder.close()).rejects.toThrow('/dev/full: got ENOSPC');
  });

  it('refuses messages after close, and closes twice without harm', async () => {
    await inFolder(async (folder) => {
      const recorder = await Recorder.open(join(folder, 'x.mcap'), config, () => 0n);
      await recorder.close();
      await recorder.close();
      expect(() => recorder.onInstruction('late')).toThrow('a message after close');
    });
  });
});

function both(a: RobotListener, b: RobotListener): RobotListener {
  return {
    onImage: (...values) => [a, b].forEach((l) => l.onImage(...values)),
    onJoints: (value) => [a, b].forEach((l) => l.onJoints(value)),
    onEndEffector: (value) => [a, b].forEach((l) => l.onEndEffector(value)),
    onGripper: (value) => [a, b].forEach((l) => l.onGripper(value)),
    onInstruction: (value) => [a, b].forEach((l) => l.onInstruction(value)),
    onReset: (value) => [a, b].forEach((l) => l.onReset(value)),
  };
}

/** The smallest robot.yaml, its cameras still missing. */
const yaml = `robot: test
instruction: { topic: /instruction }
episode: { topic: /episode }
output: pose
control: { rateHz: 50, policyPeriod: 0.2 }
guard: { linearVelocity: 1, linearAcceleration: 1, linearJerk: 1, angularVelocity: 1,
  angularAcceleration: 1, angularJerk: 1, maxStepTranslation: 1, maxStepRotation: 1,
  trackingError: 1, workspace: { min: [-1, -1, -1], max: [1, 1, 1] } }
`;
