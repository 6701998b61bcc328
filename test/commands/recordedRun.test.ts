import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { openRecordedRun, type RecordedRunOptions } from '../../src/commands/recordedRun.js';
import { messageFromAction } from '../../src/robot/messages/actionMessages.js';
import { nothingSeen } from '../../src/robot/messages/observationHash.js';
import type { ActionChunk, EndEffectorDelta, Observation } from '../../src/types.js';
import {
  action,
  config,
  inFolder,
  joints,
  ns,
  picture,
  stamp,
  text,
  type TestMessage,
  writeBag,
} from '../robot/replay/bags.js';

const pose = (seconds: number, x: number): TestMessage => ({
  topic: '/ee_pose',
  type: 'geometry_msgs/PoseStamped',
  logTimeNs: ns(seconds),
  message: {
    header: { stamp: stamp(seconds), frame_id: 'base_link' },
    pose: { position: { x, y: 0, z: 0.3 }, orientation: { x: 0, y: 0, z: 0, w: 1 } },
  },
});

/** What the robot reports at one moment: a picture, joints, and the tool at x. */
const reading = (seconds: number, x: number): TestMessage[] => [
  joints(seconds, { shoulder: 0, elbow: 0, finger: 0.04 }),
  pose(seconds, x),
  picture(seconds, 0),
];

/**
 * Asked to go 0.05 m a step; seen 0.01 m behind each target: the deltas are 0.05, then 0.06 from where it was seen, while
 * the targets are 0.05, 0.10, 0.15.
 */
const lagging: readonly TestMessage[] = [
  text('/episode', 1, 'first'),
  ...reading(1, 0),
  action(1.05, [0.05, 0, 0, 0, 0, 0, 1]),
  ...reading(1.2, 0.04),
  action(1.25, [0.06, 0, 0, 0, 0, 0, 1]),
  ...reading(1.4, 0.09),
  action(1.45, [0.06, 0, 0, 0, 0, 0, 0]),
  text('/episode', 2, 'second'),
  ...reading(2, 0.2),
  action(2.05, [0, 0.02, 0, 0, 0, 0, 0]),
];

const observed = (episode: number): Observation => ({
  ...{ stampNs: 77n, episode, instruction: '', images: {} },
  ...{ joints: null, endEffector: null, gripper: null },
});

type Chosen = Partial<Omit<RecordedRunOptions, 'bag'>>;

/** Opens it on a bag of these messages, and asks until it refuses. */
function played(messages: readonly TestMessage[], chosen: Chosen = {}) {
  return inFolder(async (folder) => {
    const bag = await writeBag(join(folder, 'bag.mcap'), messages);
    const said: string[] = [];
    const { policy } = await openRecordedRun({
      ...{ bag, config, arm: null, episode: 0, policyPeriod: 0.2, mismatch: 'refuse' as const },
      say: (line) => said.push(line),
      ...chosen,
    });
    const chunks: Extract<ActionChunk, { kind: 'endEffectorDelta' }>[] = [];
    for (let asked = 0; asked < 20; asked++) {
      const answer = await policy.requestAction(observed(4), 100);
      if (!answer.ok) return { policy, said, chunks, refusal: answer.refusal.message };
      if (answer.value.chunk.kind === 'endEffectorDelta') chunks.push(answer.value.chunk);
      expect(answer.value).toMatchObject({ observationStampNs: 77n, episode: 4 });
    }
    throw new Error('it never ends');
  });
}
const xOf = (chunks: readonly { readonly steps: readonly EndEffectorDelta[] }[]) =>
  chunks.map(({ steps }) => Number(steps[0]!.translation[0].toFixed(9)));

describe('recorded actions, played open loop', () => {
  it('go from target to target, whatever the lag of the arm that was recorded', async () => {
    const { chunks, refusal } = await played(lagging);
    expect(xOf(chunks)).toEqual([0.05, 0.05, 0.05]);
    expect(chunks.map(({ steps }) => steps[0]!.gripper)).toEqual([1, 1, 0]);
    expect(chunks[0]).toMatchObject({
      ...{ reference: 'lastTarget', composition: 'base', frameId: 'base_link' },
      stepPeriodNs: 200_000_000n,
    });
    expect(refusal).toBe('the recording is over: all of its 3 steps were played');
  });

  it('are as recorded where the bag does not tell the poses, which is said', async () => {
    const blind = lagging.filter(({ topic }) => topic !== '/ee_pose');
    const { chunks, said } = await played(blind);
    expect(xOf(chunks)).toEqual([0.05, 0.06, 0.06]);
    expect(chunks[0]!.reference).toBe('observedPose');
    expect(said.join()).toMatch(/does not tell all poses/);
  });

  it('begin anew with a new episode', async () => {
    const { policy } = await played(lagging);
    const again = await policy.requestAction(observed(5), 100);
    expect(again.ok && again.value.chunk.steps[0]).toMatchObject({ gripper: 1 });
  });

  it('end where one was not played: those that follow would begin elsewhere', async () => {
    const { policy } = await played(lagging);
    await policy.requestAction(observed(5), 100);
    policy.notPlayed!('futureStamp: seen 0.06 s from now', 4);
    expect((await policy.requestAction(observed(5), 100)).ok).toBe(true);
    policy.notPlayed!('futureStamp: seen 0.06 s from now', 5);
    const refused = await policy.requestAction(observed(5), 100);
    expect(!refused.ok && refused.refusal.message).toBe(
      'the recording ends: its step 2 was not played (futureStamp: seen 0.06 s from now)',
    );
    expect((await policy.requestAction(observed(6), 100)).ok).toBe(true);
  });

  it('are those of the episode that was asked for', async () => {
    const { chunks } = await played(lagging, { episode: 1 });
    expect(chunks.map(({ steps }) => steps[0]!.translation)).toEqual([[0, 0.02, 0]]);
  });

  it('of an episode that is not there are refused with those that are', async () => {
    await expect(played(lagging, { episode: 2 })).rejects.toThrow(
      /bag_episode: got 2, expected 0 … 1/,
    );
  });

  it('of a bag without any are refused', async () => {
    const none = lagging.filter(({ topic }) => topic !== '/recorded/action');
    await expect(played(none)).rejects.toThrow(/neither \/recorded\/action nor/);
  });

  it('of other joints are refused, unless that is allowed', async () => {
    const { shoulder } = config.joints!.limits;
    const limits = { shoulder: shoulder!, wrist: shoulder! };
    const other = { ...config, joints: { ...config.joints!, limits } };
    await expect(played(lagging, { config: other })).rejects.toThrow(
      /joints: got a recording of shoulder, elbow, finger, expected one with wrist too/,
    );
    const { said } = await played(lagging, { config: other, mismatch: 'allow' });
    expect(said.join()).toMatch(/allowed: .*wrist/);
  });

  it('of another pace than the requests are refused', async () => {
    await expect(played(lagging, { policyPeriod: 0.1 })).rejects.toThrow(
      /step period: got 0.2 s, expected the policy period of 0.1 s/,
    );
  });

  it('beyond what the guard lets through at once are told', async () => {
    const guard = { ...config.guard, maxStepTranslation: 0.03 };
    const { said } = await played(lagging, { config: { ...config, guard } });
    expect(said.join()).toMatch(/3 of 3 recorded steps are larger/);
  });
});

describe('predicted chunks, played open loop', () => {
  const withoutTopic = { ...config };
  delete (withoutTopic as { recordedAction?: unknown }).recordedAction;
  const predicted = (seconds: number, episode: number, chunk: ActionChunk): TestMessage => ({
    topic: '/magma_vla/action_chunk',
    type: 'magma_vla/ActionChunk',
    logTimeNs: ns(seconds + 0.05),
    message: messageFromAction(
      {
        ...{ observationStampNs: ns(seconds), episode, chunk, confidence: 1 },
        timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
      },
      nothingSeen,
    ),
  });
  const deltas = (...xs: readonly number[]): ActionChunk => ({
    ...{ kind: 'endEffectorDelta', reference: 'lastTarget', composition: 'base' },
    ...{ stepPeriodNs: 200_000_000n, frameId: 'base_link' },
    steps: xs.map((x) => ({ translation: [x, 0, 0], rotation: [0, 0, 0], gripper: 1 })),
  });

  it('are cut where the next one took over, and the last one is whole', async () => {
    const { chunks } = await played(
      [
        ...reading(1, 0),
        predicted(1, 7, deltas(0.01, 0.02, 0.03)),
        predicted(1.4, 7, deltas(0.04, 0.05)),
        predicted(9, 8, deltas(0.09)),
      ],
      { config: withoutTopic },
    );
    expect(xOf(chunks)).toEqual([0.01, 0.02, 0.04, 0.05]);
  });

  it('of places are refused: the arm would jump to them', async () => {
    const places: ActionChunk = {
      ...{ kind: 'jointPosition', stepPeriodNs: 200_000_000n, frameId: 'base_link' },
      steps: [{ position: [0, 0], gripper: 1 }],
    };
    await expect(
      played([...reading(1, 0), predicted(1, 0, places)], { config: withoutTopic }),
    ).rejects.toThrow(/got chunks of kind jointPosition, expected deltas/);
  });
});
