/** Messages that are none: what a broken driver, another version of a type, or an attacker puts on a topic. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { encodeCdr } from '../../src/robot/messages/cdr.js';
import { schemaOf, type TypeName } from '../../src/robot/messages/schemas.js';
import {
  AT,
  bestEffort,
  clearScratch,
  Driver,
  image,
  imageType,
  JOINTS,
  jointState,
  jointType,
  Live,
  NODE,
  robotFile,
  simulated,
  sleep,
  systemNs,
} from './live.js';
import type { Fields, PeerQos } from './peer.js';

/** mulberry32: the same messages at every run. */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}
const random = seeded(3);
const below = (n: number): number => Math.floor(random() * n);

const stamp = { sec: 1, nanosec: 2 };
const header = { stamp, frame_id: 'f' };
const transform = {
  header,
  child_frame_id: 'c',
  transform: { translation: { x: 0, y: 0, z: 0 }, rotation: { x: 0, y: 0, z: 0, w: 1 } },
};

interface Attacked {
  readonly topic: string;
  readonly type: string;
  readonly qos: PeerQos;
  /** CDR of a sound message, to be cut and bent. */
  readonly sound: Uint8Array;
}
const attacked = (topic: string, type: TypeName, message: Fields, qos: PeerQos = {}): Attacked => {
  const { layout, rosName } = schemaOf(type);
  return { topic, type: rosName, qos, sound: encodeCdr(layout, message, topic) };
};
const targets: readonly Attacked[] = [
  attacked('/joint_states', 'sensor_msgs/JointState', jointState({ header })),
  attacked('/front/image_raw', 'sensor_msgs/Image', image(16, 16, { header }), bestEffort),
  attacked(
    '/wrist/compressed',
    'sensor_msgs/CompressedImage',
    { header, format: 'jpeg', data: new Uint8Array(64) },
    bestEffort,
  ),
  attacked(`${NODE}/instruction`, 'std_msgs/String', { data: 'pick up the red block' }),
  attacked('/tf', 'tf2_msgs/TFMessage', { transforms: [transform] }),
  attacked(
    '/tf_static',
    'tf2_msgs/TFMessage',
    { transforms: [transform] },
    { durability: 'transientLocal' },
  ),
  {
    topic: '/clock',
    type: 'rosgraph_msgs/msg/Clock',
    qos: bestEffort,
    sound: Uint8Array.of(0, 1, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0),
  },
];

type Bend = (sound: Uint8Array) => Uint8Array;
const noise = (n: number): Uint8Array => Uint8Array.from({ length: n }, () => below(256));
const bends: readonly Bend[] = [
  // Nothing but noise, behind a header that CDR readers accept.
  () => Uint8Array.from([0, 1, 0, 0, ...noise(below(400))]),
  // Ends in the middle.
  (sound) => sound.subarray(0, 4 + below(sound.length - 4)),
  // A length, or whatever is there, becomes enormous.
  (sound) => {
    const bent = Uint8Array.from(sound);
    new DataView(bent.buffer).setUint32(4 * (1 + below(bent.length / 4 - 1)), 0xffff_fff0, true);
    return bent;
  },
  // Some bytes are others.
  (sound) => sound.map((byte) => (random() < 0.1 ? below(256) : byte)),
];

/** Sound CDR whose contents contradict one another. */
const contradictions: readonly (readonly [string, string, Fields, PeerQos?])[] = [
  ['/front/image_raw', imageType, image(64, 64, { header, data: Buffer.alloc(7) }), bestEffort],
  ['/front/image_raw', imageType, image(64, 64, { header, height: 4_000_000_000 }), bestEffort],
  ['/front/image_raw', imageType, image(64, 64, { header, step: 1 }), bestEffort],
  ['/front/image_raw', imageType, image(64, 64, { header, encoding: '' }), bestEffort],
  [
    '/wrist/compressed',
    'sensor_msgs/msg/CompressedImage',
    { header, format: 'jpeg', data: Buffer.alloc(0) },
    bestEffort,
  ],
  ['/joint_states', jointType, jointState({ header, position: [1] })],
  ['/joint_states', jointType, jointState({ header, name: [JOINTS[0], JOINTS[0]] })],
  ['/joint_states', jointType, jointState({ header, position: new Array<number>(9).fill(1e300) })],
];

describe('a node under 500 malformed messages', () => {
  let live: Live;
  let arm: Driver;

  beforeAll(async () => {
    live = await Live.configured(
      robotFile({
        cameras: {
          ...simulated()['cameras'],
          wrist: { topic: '/wrist/compressed', type: 'compressed' },
        },
      }),
      { use_sim_time: 'true' },
    );
    arm = await Driver.joints();
    await Driver.camera();
    await live.operator.clock({ startNs: systemNs() });
    await live.activate();
  }, 120_000);
  afterAll(clearScratch, 30_000);

  it('lives, answers at once, and says why it holds', async () => {
    const { operator } = live;
    for (const { topic, type, qos } of targets) await operator.advertise(topic, type, qos);
    await operator.waitForSubscriber('/wrist/compressed', 10_000);
    live.status.clear();
    let slowest = 0;
    for (let i = 0; i < 500; i++) {
      const { topic, type, qos, sound } = targets[i % targets.length]!;
      const bend = bends[Math.floor(i / targets.length) % bends.length]!;
      await operator.publishRaw(topic, type, bend(sound), qos);
      const [where, what, message, how] = contradictions[i % contradictions.length]!;
      if (i % 10 === 0) await operator.publish(where, what, message, how);
      if (i % 50 === 0) {
        const from = performance.now();
        expect(await operator.getState(NODE)).toBe('active');
        slowest = Math.max(slowest, performance.now() - from);
      }
      await sleep(5);
    }
    expect(live.node.isRunning).toBe(true);
    expect(slowest).toBeLessThan(1000);
    const status = live.status.messages.at(-1);
    expect(status.state).toBe('latched');
    expect(status.latched).not.toBe('');
    expect(status.codes.length).toBe(status.messages.length);
    expect(status.messages.join('')).not.toBe('');
  });

  it('counts what it refused, by topic, with the last reason', async () => {
    for (const topic of ['/joint_states', '/front/image_raw', '/wrist/compressed']) {
      const { values } = await live.diagnosed(`input ${topic}`);
      expect(Number(values['refused'])).toBeGreaterThan(3);
      expect(values['last_refusal']).toContain(`topic ${topic}`);
    }
    const output = await live.diagnosed('output');
    expect(Number(output.values['transforms_refused'])).toBeGreaterThan(3);
  });

  it('works again afterwards', async () => {
    await live.rearm(20_000);
    const sent = await live.operator.subscribe('/commands', 'trajectory_msgs/msg/JointTrajectory');
    const { points } = await sent.next(5000);
    points[0].positions.forEach((q: number, i: number) => expect(q).toBeCloseTo(AT[i]!, 6));
    const chunks = await live.operator.subscribe(
      `${NODE}/action_chunk`,
      'magma_vla/msg/ActionChunk',
    );
    const instruction = { data: 'pick the red block' };
    await live.operator.publish(`${NODE}/instruction`, 'std_msgs/msg/String', instruction);
    expect((await chunks.next(15_000)).instruction).toBe(instruction.data);
    expect(arm.peer).toBeDefined();
  });
});
