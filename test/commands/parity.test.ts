import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readArm } from '../../src/commands/arm.js';
import { realClock } from '../../src/commands/clock.js';
import { checkParity, isParity, type ParityResult } from '../../src/commands/parity.js';
import { parityTable } from '../../src/commands/parityTable.js';
import { replay } from '../../src/commands/replay.js';
import { simulate } from '../../src/commands/simulate.js';
import { readConfig } from '../../src/config.js';
import type { Policy } from '../../src/control/policy.js';
import { decodeCdr, type RosMessage } from '../../src/robot/messages/cdr.js';
import { messageFromAction } from '../../src/robot/messages/actionMessages.js';
import { hashedFrom } from '../../src/robot/messages/observationHash.js';
import { isKnownType, layoutOf, schemaOf, shortName } from '../../src/robot/messages/schemas.js';
import { Bag } from '../../src/robot/replay/bag.js';
import { outputTopics } from '../../src/robot/replay/recorder.js';
import type { ActionPrediction, Observation } from '../../src/types.js';
import {
  config as twoJoints,
  inFolder,
  joints,
  ns,
  picture,
  writeBag,
} from '../robot/replay/bags.js';
import type { TestMessage } from '../robot/replay/bags.js';

const config = readConfig('config/sim.yaml');
const { arm } = readArm(config)!;

/** Answers with tokens that hang on every bit of the picture, and with the step they stand for. */
class TokenPolicy implements Policy {
  readonly name: string;
  private readonly salt: string;

  constructor(salt = '') {
    this.name = `tokens${salt}`;
    this.salt = salt;
  }

  requestAction({ stampNs, episode, images }: Observation): ReturnType<Policy['requestAction']> {
    const hash = createHash('sha256').update(this.salt);
    for (const { data } of Object.values(images)) hash.update(data);
    const tokens = [...hash.digest().subarray(0, 4)];
    const [x, y, z] = tokens.map((token) => (token / 255 - 0.5) * 0.02);
    const value: ActionPrediction = {
      ...{ observationStampNs: stampNs, episode, confidence: 1, tokens },
      timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
      chunk: {
        ...{ kind: 'endEffectorDelta', reference: 'observedPose', composition: 'base' },
        ...{ stepPeriodNs: 200_000_000n, frameId: 'base_link' },
        steps: [{ translation: [x!, y!, z!], rotation: [0, 0, 0], gripper: tokens[3]! % 2 }],
      },
    };
    return Promise.resolve({ ok: true, value });
  }

  reset(): void {
    // It remembers nothing of an episode.
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Records two short episodes, and hands the bag to `use`. */
async function withRun(use: (bag: string, folder: string) => Promise<void>): Promise<void> {
  await inFolder(async (folder) => {
    const record = join(folder, 'episodes.mcap');
    await simulate({
      ...{ config, description: readArm(config)!, policy: new TokenPolicy(), clock: realClock },
      ...{ pace: 'lockstep', record, episodes: 2, seed: 5, families: ['pick', 'push'] },
      ...{ longest: 1.5, tracePeriod: 0 },
    });
    await use(record, folder);
  });
}

const check = (bag: string, policy: Policy | null = new TokenPolicy()): Promise<ParityResult> =>
  checkParity({ bag, config, arm, policy, chunks: outputTopics.actionChunk });

/** Every message of a bag, so that a bag with one of them changed can be written. */
async function messagesOf(path: string): Promise<TestMessage[]> {
  const bag = await Bag.open(path);
  const layouts = new Map([...bag.topics].map(([name, topic]) => [name, layoutOf(topic)]));
  const messages: TestMessage[] = [];
  for await (const { topic, data, logTimeNs } of bag.messages(new Set(bag.topics.keys()))) {
    const type = shortName(bag.topics.get(topic)!.type);
    if (!isKnownType(type)) throw new Error(type);
    messages.push({ topic, type, logTimeNs, message: decodeCdr(layouts.get(topic)!, data, topic) });
  }
  await bag.close();
  return messages;
}

async function changed(
  bag: string,
  folder: string,
  change: (messages: TestMessage[]) => TestMessage[],
): Promise<string> {
  return writeBag(join(folder, 'changed.mcap'), change(await messagesOf(bag)), {
    ...{ compression: 'zstd', chunkSize: 200_000 },
  });
}

/** The nth message of a topic, otherwise. */
function replaced(
  messages: readonly TestMessage[],
  topic: string,
  n: number,
  other: (message: RosMessage) => RosMessage | null,
): TestMessage[] {
  const at = messages.indexOf(messages.filter((m) => m.topic === topic)[n]!);
  const message = other(messages[at]!.message);
  return [
    ...messages.slice(0, at),
    ...(message ? [{ ...messages[at]!, message }] : []),
    ...messages.slice(at + 1),
  ];
}

describe('parity of a recorded run', () => {
  it('is given where the bag holds what was seen and the policy answers the same', async () => {
    await withRun(async (bag, folder) => {
      const result = await check(bag);
      expect(result.predictions).toBeGreaterThanOrEqual(14);
      expect(result).toMatchObject({
        ...{ equal: result.predictions, asked: result.predictions, policy: 'tokens' },
        ...{ observationDiffers: 0, answerDiffers: 0, inputsMissing: 0, notHashed: 0 },
        ...{ differences: [], missing: [], warnings: [] },
      });
      expect(isParity(result)).toBe(true);
      // The same messages in another file of many chunks.
      const copy = await changed(bag, folder, (messages) => messages);
      expect(await check(copy)).toEqual({ ...result, bag: copy });
      expect(await check(bag, null)).toEqual({ ...result, policy: null, asked: 0 });
    });
  });

  it('names what differs: a pixel, a joint, an instruction, an answer', async () => {
    await withRun(async (bag, folder) => {
      const whole = await check(bag, null);
      const flipped = await changed(bag, folder, (messages) =>
        replaced(messages, '/front/image_raw', 2, (message) => {
          const data = Uint8Array.from(message['data'] as Uint8Array);
          data[1000]! ^= 1;
          return { ...message, data };
        }),
      );
      const result = await check(flipped);
      expect(result).toMatchObject({
        ...{ equal: whole.predictions - 1, observationDiffers: 1, answerDiffers: 0 },
        ...{ differingInputs: { front: 1 }, inputsMissing: 0 },
        differences: [{ what: 'observation: front' }],
      });
      expect(isParity(result)).toBe(false);
      expect(parityTable(result)).toContain('observation differs              1   front ×1');

      // Arm joints and gripper share the topic; the pose follows the joints.
      const bent = await changed(bag, folder, (messages) =>
        messages.map((m) => {
          const position = m.message['position'] as Float64Array | undefined;
          if (m.topic !== '/joint_states' || position?.length !== 7) return m;
          return { ...m, message: { ...m.message, position: position.map((p) => p + 1e-9) } };
        }),
      );
      expect(await check(bent)).toMatchObject({
        ...{ equal: 0, observationDiffers: whole.predictions },
        differingInputs: { joints: whole.predictions, end_effector: whole.predictions },
      });

      const told = await changed(bag, folder, (messages) =>
        replaced(messages, outputTopics.actionChunk, 0, (m) => ({ ...m, instruction: 'rest' })),
      );
      expect(await check(told)).toMatchObject({ differingInputs: { 'stamp or instruction': 1 } });

      const other = await check(bag, new TokenPolicy(' of another model'));
      expect(other).toMatchObject({ equal: 0, answerDiffers: whole.predictions });
      expect(other.differences).toHaveLength(10);
      expect(other.differences[0]!.what).toMatch(/^tokens: [\d ]+; recorded: [\d ]+$/);

      const valued = await changed(bag, folder, (messages) =>
        replaced(messages, outputTopics.actionChunk, 1, (m) => ({ ...m, gripper: [0.5] })),
      );
      expect(await check(valued)).toMatchObject({
        ...{ equal: whole.predictions - 1, answerDiffers: 1 },
        differences: [{ what: 'values of the same tokens' }],
      });
    });
  });

  it('counts and lists what the bag lacks, and is not given where nothing can be compared', async () => {
    await withRun(async (bag, folder) => {
      const { predictions } = await check(bag, null);
      const stamps = (await messagesOf(bag)).filter((m) => m.topic === '/front/image_raw');
      const dropped = await changed(bag, folder, (messages) =>
        replaced(messages, '/front/image_raw', 3, () => null),
      );
      const result = await check(dropped);
      const { sec, nanosec } = (stamps[3]!.message['header'] as { stamp: Record<string, number> })
        .stamp as { sec: number; nanosec: number };
      const stampNs = String(BigInt(sec) * 1_000_000_000n + BigInt(nanosec));
      expect(result).toMatchObject({
        ...{ equal: predictions - 1, inputsMissing: 1, missingInputs: { front: 1 } },
        missing: [{ stampNs, what: `front of ${stampNs} ns` }],
      });
      expect(isParity(result)).toBe(true);

      const blind = await changed(bag, folder, (messages) =>
        messages.filter(({ topic }) => topic !== '/front/image_raw'),
      );
      const nothing = await check(blind);
      expect(nothing).toMatchObject({ equal: 0, inputsMissing: predictions });
      expect(nothing.missing).toHaveLength(10);
      expect(isParity(nothing)).toBe(false);
    });
  });
});

describe('the inputs of a prediction', () => {
  const seen: Observation = {
    ...{ stampNs: ns(1), episode: 0, instruction: 'go', endEffector: null, gripper: null },
    images: {
      front: {
        ...{ kind: 'raw', stampNs: ns(1), frameId: 'front_optical', height: 2, width: 2 },
        ...{ encoding: 'rgb8', isBigEndian: false, step: 6 },
        data: Uint8Array.of(7, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11),
      },
    },
    joints: {
      ...{ stampNs: ns(0.9), names: ['shoulder', 'elbow'], position: [1, 2] },
      ...{ velocity: null, effort: null },
    },
  };
  const prediction: ActionPrediction = {
    ...{ observationStampNs: ns(1), episode: 0, confidence: 1 },
    timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
    chunk: { kind: 'jointPosition', stepPeriodNs: 1n, frameId: '', steps: [] },
  };
  const chunk = (seconds: number, of: Observation): TestMessage => ({
    ...{ topic: '/ns/chunk', type: 'magma_vla/ActionChunk', logTimeNs: ns(seconds) },
    message: messageFromAction(prediction, hashedFrom(of)),
  });
  const checkBag = async (messages: readonly TestMessage[]): Promise<ParityResult> =>
    inFolder(async (folder) =>
      checkParity({
        bag: await writeBag(join(folder, 'x.mcap'), messages),
        ...{ config: twoJoints, arm: null, policy: null, chunks: '/ns/chunk' },
      }),
    );

  it('are told apart by their hash where partial messages give several readings of one stamp', async () => {
    // The merged stamp is that of the older joint: 0.9 s in all three readings.
    const messages = [
      joints(0.9, { elbow: 2 }),
      joints(0.95, { shoulder: 0 }),
      joints(0.97, { shoulder: 1 }),
      joints(0.98, { shoulder: 5 }),
      picture(1, 7),
    ];
    expect(await checkBag([...messages, chunk(1.1, seen)])).toMatchObject({ equal: 1 });
    const unseen = { ...seen, joints: { ...seen.joints!, position: [3, 2] } };
    expect(await checkBag([...messages, chunk(1.1, unseen)])).toMatchObject({
      ...{ equal: 0, differingInputs: { joints: 1 } },
    });
  });

  it('may be logged a little after the prediction, as a recorder hears topics in any order', async () => {
    const early = [joints(0.9, { elbow: 2, shoulder: 1 }), chunk(1.1, seen)];
    expect(await checkBag([...early, { ...picture(1, 7), logTimeNs: ns(1.9) }])).toMatchObject({
      equal: 1,
    });
    expect(await checkBag([...early, picture(1.5, 9), joints(3, { elbow: 0, shoulder: 0 })]))
      .toMatchObject({ equal: 0, missingInputs: { front: 1 } }); // prettier-ignore
  });

  it('are refused, with the topics there are, where the bag has no such predictions', async () => {
    await inFolder(async (folder) => {
      const bag = await writeBag(join(folder, 'x.mcap'), [picture(1, 7), chunk(1.1, seen)]);
      const wrong = { bag, config: twoJoints, arm: null, policy: null, chunks: '/chunk' };
      await expect(checkParity(wrong)).rejects.toThrow(
        'got no prediction on /chunk, expected --chunks /ns/chunk',
      );
    });
  });

  it('cannot be read from another version of the message: the fields are named', async () => {
    await inFolder(async (folder) => {
      const old = { ...chunk(1.1, seen), schema: oldSchema };
      const bag = await writeBag(join(folder, 'x.mcap'), [picture(1, 7), old]);
      const options = { bag, config: twoJoints, arm: null, policy: null, chunks: '/ns/chunk' };
      await expect(checkParity(options)).rejects.toThrow(
        /^topic \/ns\/chunk: got a magma_vla\/msg\/ActionChunk whose fields differ: std_msgs\/Header header, uint64 episode, .*float64\[5\] timing_ms, expected .*float64\[5\] timing_ms, string instruction, .*uint32\[\] tokens$/,
      );
    });
  });

  it('of another version spoil nothing else of a replay: a warning says so', async () => {
    await withRun(async (run, folder) => {
      const bag = await changed(run, folder, (messages) =>
        messages.map((m) =>
          m.topic === outputTopics.actionChunk ? { ...m, schema: oldSchema } : m,
        ),
      );
      const { result } = await replay({
        ...{ bag, config, description: readArm(config)!, policy: 'expert', clock: realClock },
        ...{ decoding: null, tracePeriod: 0, traceCamera: null },
      });
      expect(result.predictions).toBeGreaterThan(5);
      expect(result.recordedRun).toBeNull();
      expect(result.warnings).toEqual([
        expect.stringMatching(/^not compared with the recorded run: .* whose fields differ/),
      ]);
    });
  });
});

/** ActionChunk before it said what it was made of. */
const oldSchema = schemaOf('magma_vla/ActionChunk').text.replace(
  /string instruction\n[^]*?uint32\[\] tokens\n/,
  '',
);
