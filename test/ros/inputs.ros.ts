/** What a robot reports, in the ways in which it can be wrong, and what the node makes of it. The arm stands still. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import {
  AT,
  clearScratch,
  closeAll,
  Driver,
  FINGERS,
  image,
  imageType,
  JOINTS,
  jointState,
  jointType,
  Live,
  NODE,
  nsOf,
  robotFile,
  simulated,
  sleep,
  stampOf,
  systemNs,
} from './live.js';
import type { Fields, Message, PeerSubscription } from './peer.js';

/** s, as robotFile has them; control runs at 50 Hz, and /status is told within 20 ms of a tick. */
const [maxJointAge, maxObservationAge] = [0.25, 0.8];
/** s: from the last message to the status that another process has received, on a busy machine. */
const slack = 0.35;
const seconds = (from: bigint, to: bigint): number => Number(to - from) / 1e9;
const now = (): bigint => process.hrtime.bigint();

afterAll(clearScratch, 30_000);

describe('an active node', () => {
  let live: Live;
  let arm: Driver;
  let camera: Driver;
  let commands: PeerSubscription;

  /** Joint name → position of the newest command. */
  const commanded = async (): Promise<Record<string, number>> => {
    const message = await commands.next(3000);
    const last = message.points.at(-1).positions as number[];
    return Object.fromEntries(
      message.joint_names.map((name: string, i: number) => [name, last[i]]),
    );
  };
  const send = (message: Fields) => arm.play('/joint_states', jointType, message, 100);

  beforeAll(async () => {
    live = await Live.configured(robotFile());
    commands = await live.operator.subscribe('/commands', 'trajectory_msgs/msg/JointTrajectory');
    [arm, camera] = await Promise.all([Driver.joints(), Driver.camera()]);
    await live.activate();
  }, 120_000);
  afterAll(closeAll, 30_000);

  it('holds the arm where it is measured, joint by joint, in whatever order they come', async () => {
    const names = [...FINGERS, 'tool_changer', ...JOINTS].reverse();
    const at: Readonly<Record<string, number>> = Object.fromEntries(
      JOINTS.map((n, i) => [n, AT[i]!]),
    );
    const position = names.map((name) => at[name] ?? 0.04);
    await send(jointState({ name: names, position, velocity: names.map(() => 0) }));
    await sleep(600);
    const { codes, state } = await live.status.next(3000);
    expect([state, codes]).toEqual(['holding', ['rest']]);
    const sent = await commanded();
    expect(Object.keys(sent)).toEqual(JOINTS);
    for (const [i, name] of JOINTS.entries()) expect(sent[name]).toBeCloseTo(AT[i]!, 6);
  });

  it('goes on with joints that come in two messages', async () => {
    const arms = jointState({ name: JOINTS, position: AT, velocity: JOINTS.map(() => 0) });
    const fingers = jointState({ name: FINGERS, position: [0.04, 0.04], velocity: [0, 0] });
    await send(arms);
    const stop = await camera.peer.publishRate('/joint_states', jointType, fingers, 50, {
      stamp: 'now',
    });
    await sleep(800);
    expect((await live.status.next(3000)).state).toBe('holding');
    await send(jointState());
    await stop();
  });

  it('ignores empty messages between good ones', async () => {
    const nothing = { name: [], position: [], velocity: [], effort: [] };
    const stop = await camera.peer.publishRate('/joint_states', jointType, nothing, 100, {
      stamp: 'now',
    });
    await sleep(800);
    expect((await live.status.next(3000)).state).toBe('holding');
    await stop();
  });

  interface Wrong {
    readonly what: string;
    readonly message: Fields;
    /** In the node's log. */
    readonly refusal: RegExp | null;
  }
  const wrong: readonly Wrong[] = [
    {
      what: 'NaN',
      message: jointState({ position: [...AT.slice(0, 3), NaN, ...AT.slice(4), 0.04, 0.04] }),
      refusal: /joint joint4: got position NaN, expected a finite position/,
    },
    {
      what: 'too few positions',
      message: jointState({ position: AT }),
      refusal: /position: got 7 values, expected 9 or none/,
    },
    {
      what: 'one joint less',
      message: jointState({
        name: [...JOINTS.slice(0, 6), ...FINGERS],
        position: [...AT.slice(0, 6), 0.04, 0.04],
        velocity: new Array<number>(8).fill(0),
      }),
      refusal: null,
    },
    {
      what: 'nothing at all',
      message: { name: [], position: [], velocity: [], effort: [] },
      refusal: null,
    },
  ];
  it.each(wrong)('latches where the joints report $what, and says so', async (given) => {
    const { message, refusal } = given;
    live.status.clear();
    const from = now();
    await send(message);
    const status = await live.reason('measurementStale');
    expect(seconds(from, live.status.atNs.at(-1)!)).toBeLessThan(maxJointAge + slack + 0.2);
    expect(status.latched).toMatch(/joint reading .*0\.\d+ s.*, 0\.250 s is allowed/);
    expect(status.outcome).toBe(2);
    if (refusal) {
      const input = await live.diagnosed(
        'input /joint_states',
        ({ values }) => values['refused'] !== '0',
      );
      expect(`${input.message} ${JSON.stringify(input.values)}`).toMatch(refusal);
    }
    expect(await live.ask('rearm')).not.toBeNull();
    await send(jointState());
    await live.rearm();
  });

  it('refuses stamps from the future with the measured offset, and recovers from them', async () => {
    await arm.pause();
    live.status.clear();
    for (let i = 0; i < 3; i++) {
      const header = { stamp: stampOf(systemNs() + 5_000_000_000n), frame_id: '' };
      await arm.peer.publish('/joint_states', jointType, jointState({ header }));
      await sleep(20);
    }
    const status = await live.reason('futureStamp');
    expect(status.latched).toMatch(
      /joint reading is stamped (4\.9|5\.0)\d* s in the future, 0\.050 s is allowed/,
    );
    await send(jointState());
    await live.rearm();
  });

  it('latches within its limit when the arm driver dies', async () => {
    live.status.clear();
    const from = now();
    await arm.die();
    const status = await live.reason('measurementStale');
    expect(seconds(from, live.status.atNs.at(-1)!)).toBeLessThan(maxJointAge + slack);
    expect(status.state).toBe('latched');
    expect(status.latched).toMatch(/No joint reading for 0\.\d+ s, 0\.250 s is allowed/);
    // DDS takes ten seconds and more to notice that a process is gone: silence is what counts.
    const input = await live.diagnosed('input /joint_states');
    expect(input.message).toMatch(/silent for/);
    arm = await Driver.joints();
    await live.rearm();
  });

  it('acts no more when the camera dies during a task, and goes on when it is back', async () => {
    const chunks = await live.operator.subscribe(
      `${NODE}/action_chunk`,
      'magma_vla/msg/ActionChunk',
    );
    await live.operator.publish(`${NODE}/instruction`, 'std_msgs/msg/String', {
      data: 'pick the red block',
    });
    await chunks.next(10_000);
    live.status.clear();
    const from = now();
    await camera.die();
    const silent = (m: Message): boolean =>
      m.messages.some((text: string) => /camera front: silent for|observation .* old/.test(text));
    const status = await live.status.waitFor(silent, 5000);
    expect(seconds(from, live.status.atNs.at(-1)!)).toBeLessThan(maxObservationAge + 0.2 + slack);
    expect(status.state).not.toBe('following');
    camera = await Driver.camera();
    chunks.clear();
    await chunks.next(10_000);
    await chunks.dispose();
  });
});

describe('inputs that the node does not hear', () => {
  afterEach(closeAll, 30_000);

  it('are told by name: a joint that no message holds', async () => {
    const live = await Live.configured(robotFile());
    const message = jointState({ name: [...JOINTS.slice(0, 6), 'joint_seven', ...FINGERS] });
    await Promise.all([Driver.joints(message), Driver.camera()]);
    await sleep(1500);
    expect(await live.operator.changeState(NODE, 'activate')).toBe(false);
    const input = await live.diagnosed('input /joint_states');
    expect(input.message).toMatch(/joint7/);
  });

  it('are told in a sentence where the quality of service does not match', async () => {
    const live = await Live.configured(
      robotFile({
        cameras: {
          front: {
            ...{ topic: '/front/image_raw', type: 'image', modelKey: 'primary' },
            qos: { reliability: 'reliable' },
          },
        },
      }),
    );
    await Promise.all([Driver.joints(), Driver.camera()]);
    const input = await live.diagnosed(
      'input /front/image_raw',
      ({ values }) => values['publishers'] === '1',
    );
    expect(input.message).toBe(
      '/camera_driver publishes best effort, reliable is asked for: set qos in robot.yaml',
    );
    expect(Buffer.isBuffer(input.level) ? input.level[0] : input.level).toBe(2);
    expect(input.values['received']).toBe('0');
    expect(await live.operator.changeState(NODE, 'activate')).toBe(false);
    expect(live.node.output).toMatch(/camera front: nothing received yet/);
  });

  it('are of use without stamps where robot.yaml takes the time of receipt', async () => {
    const stampless = { stampSource: 'receipt' };
    const live = await Live.configured(
      robotFile({
        joints: { ...simulated()['joints'], ...stampless },
        gripper: { topic: '/joint_states', joint: FINGERS[0], closed: 0, open: 0.04 },
        cameras: {
          front: { topic: '/front/image_raw', type: 'image', modelKey: 'primary', ...stampless },
        },
      }),
    );
    const { operator } = live;
    const chunks = await operator.subscribe(`${NODE}/action_chunk`, 'magma_vla/msg/ActionChunk');
    const stops = [
      await operator.publishRate('/joint_states', jointType, jointState(), 100),
      await operator.publishRate('/front/image_raw', imageType, image(128, 128), 5),
    ];
    await live.activate();
    await operator.publish(`${NODE}/instruction`, 'std_msgs/msg/String', {
      data: 'pick the red block',
    });
    const chunk = await chunks.next(10_000);
    const age = Number(systemNs() - nsOf(chunk.header.stamp)) / 1e9;
    expect(age).toBeGreaterThan(0);
    expect(age).toBeLessThan(1.5);
    await Promise.all(stops.map((stop) => stop()));
  });
});
