import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { Config } from '../../../src/config.js';
import { DataError, UnguardedCommandError } from '../../../src/errors.js';
import { Bag } from '../../../src/robot/replay/bag.js';
import { RecordedPolicy } from '../../../src/robot/replay/recordedPolicy.js';
import { ReplayRobot } from '../../../src/robot/replay/replayRobot.js';
import type { ArmCommand, Observation } from '../../../src/types.js';
import {
  action,
  config,
  eventLog,
  inFolder,
  joints,
  ns,
  picture,
  stamp,
  text,
  writeBag,
  type Event,
  type TestMessage,
} from './bags.js';

async function replaying<T>(
  messages: readonly TestMessage[],
  run: (bag: Bag) => Promise<T>,
): Promise<T> {
  return inFolder(async (folder) => {
    const bag = await Bag.open(
      await writeBag(join(folder, 'x.mcap'), messages, { chunkSize: 500 }),
    );
    try {
      return await run(bag);
    } finally {
      await bag.close();
    }
  });
}

async function eventsOf(messages: readonly TestMessage[], settings = config): Promise<Event[]> {
  return replaying(messages, async (bag) => {
    const robot = new ReplayRobot(bag, settings);
    const { events, listener } = eventLog(() => robot.stampNs);
    await robot.start(listener);
    while (!robot.ended) await robot.advance(20_000_000n);
    return events;
  });
}

const pose = (seconds: number, frame: string): TestMessage => ({
  topic: '/ee_pose',
  type: 'geometry_msgs/PoseStamped',
  logTimeNs: ns(seconds),
  message: {
    header: { stamp: stamp(seconds), frame_id: frame },
    pose: { position: { x: 1, y: 2, z: 3 }, orientation: { x: 0, y: 0, z: 0, w: 1 } },
  },
});

const observation = (seconds: number): Observation => ({
  stampNs: ns(seconds),
  episode: 4,
  instruction: '',
  images: {},
  joints: null,
  endEffector: null,
  gripper: null,
});

describe('a replayed bag', () => {
  it('hands over every reading at its log time, with its own stamp', async () => {
    const events = await eventsOf([
      picture(10, 1),
      joints(10.01, { shoulder: 1, elbow: 2 }, 10.05),
      joints(10.06, { finger: 0.025 }, 10.06),
      pose(10.07, 'base_link'),
    ]);
    expect(events.map(({ stampNs, name }) => [stampNs, name])).toEqual([
      [ns(10), 'image'],
      [ns(10.05), 'joints'],
      [ns(10.06), 'gripper'],
      [ns(10.07), 'endEffector'],
    ]);
    expect(events[0]!.value).toMatchObject(['front', { kind: 'raw', stampNs: ns(10) }]);
    expect(events[1]!.value).toMatchObject({ stampNs: ns(10.01), position: [1, 2] });
    expect(events[2]!.value).toEqual({ stampNs: ns(10.06), opening: expect.closeTo(0.5, 12) });
  });

  it('waits for the time of a message: nothing comes early', async () => {
    await replaying([picture(0, 1), picture(0.1, 2)], async (bag) => {
      const robot = new ReplayRobot(bag, config);
      const { events, listener } = eventLog(() => robot.stampNs);
      await robot.start(listener);
      expect([events.length, robot.ended, robot.stampNs]).toEqual([1, false, 0n]);
      await robot.advance(99_999_999n);
      expect([events.length, robot.ended]).toEqual([1, false]);
      await robot.advance(1n);
      expect([events.length, robot.ended, robot.stampNs]).toEqual([2, true, ns(0.1)]);
      await robot.advance(1_000_000_000n);
      expect([events.length, robot.stampNs]).toEqual([2, ns(1.1)]);
    });
  });

  it('begins an episode with a reset, before the readings of the same time, and forgets merged joints', async () => {
    const events = await eventsOf([
      picture(0, 1),
      joints(0, { shoulder: 1 }),
      text('/instruction', 0, 'pick'),
      text('/episode', 0, 'first'),
      joints(0.1, { elbow: 2 }),
      joints(1, { elbow: 5 }),
      text('/episode', 1, 'second'),
    ]);
    expect(events.map(({ name }) => name)).toEqual([
      'reset',
      'instruction',
      'image',
      'joints',
      'reset',
    ]);
    expect(events[0]!.value).toBe('first');
    expect(events[3]!.value).toMatchObject({ position: [1, 2], stampNs: 0n });
    expect(events[4]!.value).toBe('second');
  });

  it('leaves out what does not fit, counts it by topic and says what was wrong first', async () => {
    const messages = [
      picture(0, 1),
      joints(0, { shoulder: NaN, elbow: 0 }),
      joints(0.1, { shoulder: NaN, elbow: 0 }),
      joints(0.2, { shoulder: 1, elbow: 0 }),
      pose(0.3, 'camera_link'),
    ];
    await replaying(messages, async (bag) => {
      const robot = new ReplayRobot(bag, config);
      const { events, listener } = eventLog(() => robot.stampNs);
      await robot.start(listener);
      await robot.advance(ns(1));
      expect(events.map((e) => e.name)).toEqual(['image', 'joints']);
      expect(robot.refused.get('/joint_states')).toMatchObject({
        count: 2,
        first: { message: expect.stringContaining('joint shoulder: got position NaN') as unknown },
      });
      expect(robot.refused.get('/ee_pose')?.first.message).toBe(
        'topic /ee_pose: frame_id: got camera_link, expected base_link (robot.yaml)',
      );
    });
  });

  it('is refused where log times and stamps are of two clocks: ages would mean nothing', async () => {
    const simulated: TestMessage = { ...picture(5, 1), logTimeNs: ns(1_700_000_000) };
    await expect(eventsOf([simulated])).rejects.toThrow(
      /log times 1699999995 s from the stamps, expected both of one clock: record .* --use-sim-time/,
    );
  });

  it('takes only guarded commands', async () => {
    await replaying([picture(0, 1)], (bag) => {
      const robot = new ReplayRobot(bag, config);
      const forged = { kind: 'joint', names: [], position: [], velocity: [] };
      expect(() => robot.send(forged as unknown as ArmCommand)).toThrow(UnguardedCommandError);
      expect(robot.commandsSent).toBe(0);
      return Promise.resolve();
    });
  });

  it('is refused where the model camera is absent or of another type, and names absent topics', async () => {
    await replaying([text('/instruction', 0, 'x')], (bag) => {
      expect(() => new ReplayRobot(bag, config)).toThrow(
        'camera front: got no message on /front/image_raw; the bag has /instruction',
      );
      return Promise.resolve();
    });
    await replaying([picture(0, 1)], (bag) => {
      const front = { ...config.cameras['front']!, type: 'compressed' };
      const other = { ...config, cameras: { front } } as Config;
      expect(() => new ReplayRobot(bag, other)).toThrow(
        'topic /front/image_raw: got type sensor_msgs/msg/Image, expected sensor_msgs/CompressedImage',
      );
      expect(new ReplayRobot(bag, config).absentTopics).toEqual([
        '/episode',
        '/instruction',
        '/joint_states',
        '/ee_pose',
      ]);
      return Promise.resolve();
    });
  });
});

describe('two readers of one bag', () => {
  it('do not disturb each other', async () => {
    const messages = Array.from({ length: 200 }, (_, i) => [
      picture(i / 10, i),
      action(i / 10, [i, 0, 0, 0, 0, 0, 1]),
    ]).flat();
    await replaying(messages, async (bag) => {
      const read = async (topic: string): Promise<number> => {
        let count = 0;
        for await (const message of bag.messages(new Set([topic])))
          if (message.logTimeNs === ns(count / 10)) count += 1;
        return count;
      };
      const [pictures, actions] = ['/front/image_raw', '/recorded/action'];
      expect(await Promise.all([read(pictures), read(actions), read(actions)])).toEqual([
        200, 200, 200,
      ]);
    });
  });
});

describe('the recorded policy', () => {
  const bagOf = [
    picture(0, 1),
    action(0, [0.01, 0, 0, 0, 0, 0.1, 1]),
    action(0.25, [0.02, 0, 0, 0, 0, 0, 0]),
    action(0.4, [0, NaN, 0, 0, 0, 0, 0]),
  ];

  it('answers with the action at or after the observation, within one step', async () => {
    await replaying(bagOf, async (bag) => {
      const policy = new RecordedPolicy(bag, config);
      const answer = await policy.requestAction(observation(0));
      expect(answer).toMatchObject({
        ok: true,
        value: {
          observationStampNs: 0n,
          episode: 4,
          chunk: {
            kind: 'endEffectorDelta',
            composition: 'base',
            stepPeriodNs: 200_000_000n,
            steps: [{ translation: [0.01, 0, 0], gripper: 1 }],
          },
        },
      });
      const next = await policy.requestAction(observation(0.2));
      expect(next).toMatchObject({ value: { chunk: { steps: [{ translation: [0.02, 0, 0] }] } } });
      await policy.close();
    });
  });

  it('refuses where no action is near, or where it is damaged', async () => {
    await replaying(bagOf, async (bag) => {
      const policy = new RecordedPolicy(bag, config);
      expect(await policy.requestAction(observation(0.01))).toMatchObject({
        refusal: { kind: 'badObservation' },
      });
      const damaged = await policy.requestAction(observation(0.3));
      expect(damaged).toMatchObject({ refusal: { kind: 'malformedAnswer' } });
      expect(damaged).toMatchObject({
        refusal: { message: expect.stringContaining('0 NaN 0') as unknown },
      });
      expect(await policy.requestAction(observation(9))).toMatchObject({ ok: false });
      await policy.close();
    });
  });

  it('is refused at once where the bag has no actions', async () => {
    await replaying([picture(0, 1)], (bag) => {
      expect(() => new RecordedPolicy(bag, config)).toThrow(DataError);
      return Promise.resolve();
    });
  });
});
