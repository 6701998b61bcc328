import { describe, expect, it } from '@jest/globals';
import { forward } from '../../src/arm/kinematics.js';
import { Aligner, type Observed } from '../../src/control/align.js';
import type { JointReading, Observation } from '../../src/types.js';
import {
  cartesianConfig,
  HOME,
  JOINTS,
  testArm,
  testConfig,
  testImage,
} from '../support/controlRobot.js';

const MS = 1_000_000n;

/** An aligner whose steady clock stands where `now` says, ms. */
function setUp(config = testConfig(), arm: typeof testArm | null = testArm) {
  const time = { ms: 0n };
  return { time, aligner: new Aligner({ config, arm, nowNs: () => time.ms * MS }) };
}

function joints(stampNs: bigint, first = 0): JointReading {
  return {
    stampNs,
    names: JOINTS,
    position: [first, ...HOME.slice(1)],
    velocity: null,
    effort: null,
  };
}

function complete(aligner: Aligner, stampNs = 100n): void {
  aligner.onInstruction('pick the red block');
  aligner.onImage('front', testImage(stampNs));
  aligner.onJoints(joints(stampNs));
  aligner.onGripper({ stampNs, opening: 1 });
}

function observation(observed: Observed): Observation {
  if (!observed.ok) throw new Error(observed.reason.message);
  return observed.observation;
}

function refusal(observed: Observed): string {
  return observed.ok ? 'none' : `${observed.reason.code}: ${observed.reason.message}`;
}

describe('an observation', () => {
  it('is what the arm reported at the time of the picture, its end effector from the joints', () => {
    const { aligner } = setUp();
    complete(aligner);
    aligner.onJoints(joints(120n, 0.7));
    aligner.onGripper({ stampNs: 140n, opening: 0 });
    expect(observation(aligner.observe())).toEqual({
      stampNs: 100n,
      episode: 1,
      instruction: 'pick the red block',
      images: { front: testImage(100n) },
      joints: joints(100n),
      endEffector: { stampNs: 100n, frameId: 'base', pose: forward(testArm, HOME) },
      gripper: { stampNs: 100n, opening: 1 },
    });
  });

  it('is refused where a camera keeps sending a picture of long ago, however lately it came', () => {
    const cameras = Object.fromEntries(
      ['front', 'wrist'].map((name) => [
        name,
        { topic: `/${name}`, type: 'image', modelKey: name },
      ]),
    );
    const { aligner } = setUp(testConfig({ cameras }));
    complete(aligner, 1000n * MS);
    aligner.onImage('wrist', testImage(400n * MS));
    expect(aligner.observe().ok).toBe(true);
    complete(aligner, 1001n * MS);
    aligner.onImage('wrist', testImage(400n * MS));
    expect(refusal(aligner.observe())).toBe(
      "cameraStale: camera wrist: its picture is 0.601 s from the first camera's; at most 0.6 s is accepted",
    );
  });

  it('finds the joints by name, in whatever order they come and whatever comes with them', () => {
    const { aligner } = setUp();
    complete(aligner);
    aligner.onJoints({
      ...joints(120n),
      names: ['leftJoint', ...JOINTS.toReversed()],
      position: [0.02, ...HOME.toReversed()],
    });
    const { endEffector } = observation(aligner.observe());
    expect(endEffector!.pose).toEqual(forward(testArm, HOME));
  });

  it('has the end effector from its topic where the arm is not known', () => {
    const { aligner } = setUp(cartesianConfig(), null);
    aligner.onInstruction('push');
    aligner.onImage('front', testImage(5n));
    aligner.onGripper({ stampNs: 5n, opening: 0 });
    expect(refusal(aligner.observe())).toBe(
      'endEffectorMissing: the end effector: nothing received yet',
    );
    const reading = { stampNs: 6n, frameId: 'base', pose: forward(testArm, HOME) };
    aligner.onEndEffector(reading);
    expect(observation(aligner.observe()).endEffector).toEqual(reading);
  });

  it('names what is missing', () => {
    const { aligner } = setUp();
    expect(refusal(aligner.observe())).toBe('noInstruction: no instruction has been given yet');
    aligner.onInstruction('pick');
    expect(refusal(aligner.observe())).toBe('cameraMissing: camera front: nothing received yet');
    aligner.onImage('front', testImage(1n));
    expect(refusal(aligner.observe())).toBe('jointsMissing: the joints: nothing received yet');
    aligner.onJoints(joints(1n));
    expect(refusal(aligner.observe())).toBe('gripperMissing: the gripper: nothing received yet');
    aligner.onGripper({ stampNs: 1n, opening: 1 });
    expect(aligner.observe().ok).toBe(true);
  });

  it('names what fell silent, counted from receipt on the steady clock', () => {
    const { aligner, time } = setUp();
    complete(aligner);
    time.ms = 100n;
    expect(aligner.observe().ok).toBe(true);
    time.ms = 101n;
    expect(refusal(aligner.observe())).toBe(
      'jointsSilent: the joints: silent for 0.101 s; at most 0.1 s is accepted',
    );
    time.ms = 601n;
    aligner.onJoints(joints(101n));
    expect(refusal(aligner.observe())).toBe(
      'cameraSilent: camera front: silent for 0.601 s; at most 0.6 s is accepted',
    );
  });

  it('does without cameras that feed no model, and takes its stamp from the arm then', () => {
    const config = testConfig({ cameras: { front: { topic: '/front', type: 'image' } } });
    const { aligner } = setUp(config);
    aligner.onInstruction('pick');
    aligner.onJoints(joints(77n));
    aligner.onGripper({ stampNs: 70n, opening: 1 });
    expect(observation(aligner.observe())).toMatchObject({ stampNs: 77n, images: {} });
  });
});

describe('latest by stamp', () => {
  it('keeps the newer message where an older one comes late, and counts it', () => {
    const { aligner } = setUp();
    complete(aligner, 1000n * MS);
    aligner.onJoints(joints(990n * MS, 0.5));
    aligner.onImage('front', testImage(501n * MS));
    aligner.onGripper({ stampNs: 999n * MS, opening: 0 });
    expect(observation(aligner.observe())).toMatchObject({
      stampNs: 1000n * MS,
      joints: joints(1000n * MS),
      gripper: { opening: 1 },
      episode: 1,
    });
    expect(aligner.counts.get('outOfOrder')).toBe(3);
  });

  it('does not let a late message count as a sign of life', () => {
    const { aligner, time } = setUp();
    complete(aligner, 1000n * MS);
    time.ms = 150n;
    aligner.onJoints(joints(990n * MS));
    expect(refusal(aligner.observe())).toContain('jointsSilent');
  });

  it('takes a message of the same stamp: merged joint states keep the stamp of the oldest joint', () => {
    const { aligner } = setUp();
    complete(aligner);
    aligner.onJoints(joints(100n, 0.3));
    expect(observation(aligner.observe()).joints!.position[0]).toBe(0.3);
  });

  it('forgets everything but the instruction where stamps run back by more than half a second', () => {
    const { aligner } = setUp();
    complete(aligner, 1000n * MS);
    aligner.onJoints(joints(499n * MS));
    expect(aligner.counts.get('clockJump')).toBe(1);
    expect(aligner.episode).toBe(2);
    expect(aligner.episodeBecause).toBe(
      'stamps ran back by 0.501 s: the clock jumped or a bag looped',
    );
    expect(refusal(aligner.observe())).toBe('cameraMissing: camera front: nothing received yet');
    expect(aligner.measured().joints).toEqual(joints(499n * MS));
  });
});

describe('episodes', () => {
  it('begin with every new instruction and reset, not with a repeated instruction', () => {
    const { aligner } = setUp();
    const episodes = [aligner.episode];
    const then = (change: () => void): void => {
      change();
      episodes.push(aligner.episode);
    };
    then(() => aligner.onInstruction('pick'));
    then(() => aligner.onInstruction('pick'));
    then(() => aligner.onInstruction('push'));
    then(() => aligner.onReset('scene 2'));
    then(() => aligner.onInstruction('push'));
    expect(episodes).toEqual([0, 1, 1, 2, 3, 4]);
  });

  it('end with an empty instruction: nothing is to be done then', () => {
    const { aligner } = setUp();
    complete(aligner);
    const { episode } = aligner;
    aligner.onInstruction('');
    aligner.onInstruction('');
    expect([aligner.instruction, aligner.episode]).toEqual([null, episode + 1]);
    expect(refusal(aligner.observe())).toContain('noInstruction');
  });

  it('forget everything older at a reset', () => {
    const { aligner } = setUp();
    complete(aligner);
    aligner.onReset('scene 2');
    expect(aligner.episodeBecause).toBe('scene 2');
    expect(refusal(aligner.observe())).toContain('noInstruction');
    expect(aligner.measured()).toEqual({
      joints: null,
      jointsReceivedNs: null,
      endEffector: null,
      endEffectorReceivedNs: null,
    });
  });
});

it('counts images of cameras that are not configured and keeps none', () => {
  const { aligner } = setUp();
  complete(aligner);
  aligner.onImage('wrist', testImage(100n));
  expect(aligner.counts.get('unknownCamera')).toBe(1);
  expect(Object.keys(observation(aligner.observe()).images)).toEqual(['front']);
});

it('has no end effector where a joint of the arm is not reported', () => {
  const { aligner } = setUp();
  complete(aligner);
  aligner.onJoints({ ...joints(120n), names: JOINTS.slice(1), position: HOME.slice(1) });
  expect(observation(aligner.observe()).endEffector).toBeNull();
});

describe('who watches', () => {
  /** What `watch` told of, by the stamp of what was to be observed then. */
  function watched(aligner: Aligner): { readonly told: bigint[]; readonly leave: () => void } {
    const told: bigint[] = [];
    const leave = aligner.watch(() => told.push(observation(aligner.observe()).stampNs));
    return { told, leave };
  }

  it('is told of every picture, once arm and gripper have reported up to its stamp', () => {
    const { aligner, time } = setUp();
    complete(aligner);
    const { told, leave } = watched(aligner);
    aligner.onImage('front', testImage(200n));
    expect([told, aligner.newSinceNs]).toEqual([[], 0n]);
    time.ms = 4n;
    aligner.onJoints(joints(210n));
    expect([told, aligner.newSinceNs]).toEqual([[], 0n]);
    aligner.onGripper({ stampNs: 230n, opening: 1 });
    expect([told, aligner.newSinceNs]).toEqual([[200n], 4n * MS]);
    aligner.onJoints(joints(220n));
    expect(told).toHaveLength(1);
    // Out of order: not taken over, nothing new.
    aligner.onImage('front', testImage(150n));
    aligner.onImage('front', testImage(215n));
    expect(told).toEqual([200n, 215n]);
    leave();
    aligner.onImage('front', testImage(220n));
    expect(told).toHaveLength(2);
  });

  it('is not told of the rest of a picture from before the clock jumped', () => {
    const { aligner } = setUp();
    complete(aligner);
    const { told } = watched(aligner);
    aligner.onImage('front', testImage(200n));
    aligner.forgetReadings('the clock jumped');
    expect(aligner.newSinceNs).toBeNull();
    aligner.onJoints(joints(300n));
    aligner.onGripper({ stampNs: 300n, opening: 1 });
    expect(told).toEqual([]);
    aligner.onImage('front', testImage(290n));
    expect(told).toEqual([290n]);
  });

  it('hears of a reported pose where there are no joints', () => {
    const { aligner } = setUp(cartesianConfig(), null);
    const pose = forward(testArm, HOME);
    aligner.onInstruction('pick the red block');
    const { told } = watched(aligner);
    aligner.onGripper({ stampNs: 100n, opening: 1 });
    aligner.onImage('front', testImage(100n));
    expect(told).toEqual([]);
    aligner.onEndEffector({ stampNs: 101n, frameId: 'base', pose });
    expect(told).toEqual([100n]);
  });
});
