/** ROS time from /clock, and what the node does when it is not what it should be. The arm stands still. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import {
  clearScratch,
  Driver,
  jointState,
  jointType,
  Live,
  NODE,
  robotFile,
  sleep,
  stampOf,
  systemNs,
} from './live.js';
import type { PeerSubscription } from './peer.js';

const S = 1_000_000_000n;

describe('simulated time', () => {
  let live: Live;
  let arm: Driver;
  let stopClock: () => Promise<void>;
  let chunks: PeerSubscription;

  const clock = async (offsetNs: bigint): Promise<void> => {
    stopClock = await live.operator.clock({ startNs: systemNs() + offsetNs });
  };
  /** What was said before is begun again only after an empty text. */
  const instruct = async (text: string) => {
    for (const data of ['', text])
      await live.operator.publish(`${NODE}/instruction`, 'std_msgs/msg/String', { data });
  };

  beforeAll(async () => {
    live = await Live.configured(robotFile({ guard: { maxJointAge: 3 } }), {
      use_sim_time: 'true',
    });
    chunks = await live.operator.subscribe(`${NODE}/action_chunk`, 'magma_vla/msg/ActionChunk');
    [arm] = await Promise.all([Driver.joints(), Driver.camera()]);
  }, 120_000);
  afterAll(clearScratch, 30_000);

  it('does not let the arm be taken up before a clock ticks', async () => {
    await live.operator.waitForPublisher('/joint_states', 10_000);
    await sleep(1000);
    expect(await live.operator.changeState(NODE, 'activate')).toBe(false);
    expect(live.node.output).toMatch(/Nothing has arrived on \/clock yet/);
    const { message } = await live.diagnosed('clock');
    expect(message).toMatch(/Nothing has arrived on \/clock yet/);
    await clock(0n);
    await live.activate();
  });

  it('halts 0.2 s after the clock stops; the task ends, and the clock alone begins no motion again', async () => {
    await instruct('pick the red block');
    await chunks.next(10_000);
    live.status.clear();
    // As a simulator that is paused: the same stamps again and again.
    const header = { stamp: stampOf(systemNs()), frame_id: '' };
    await arm.play('/joint_states', jointType, jointState({ header }), 100, { stamp: 'given' });
    const from = process.hrtime.bigint();
    await stopClock();
    const status = await live.reason('clockSilent');
    const after = Number(live.status.atNs.at(-1)! - from) / 1e9;
    expect(after).toBeGreaterThan(0.19);
    expect(after).toBeLessThan(0.55);
    expect(status.outcome).toBe(2);
    expect(status.messages.join(' ')).toMatch(/\/clock has not advanced for 0\.\d+ s/);
    await live.status.waitFor(({ instruction }) => instruction === '', 3000);
    await clock(0n);
    await arm.play('/joint_states', jointType, jointState(), 100);
    const again = await live.inState('holding');
    expect([again.latched, again.instruction]).toEqual(['', '']);
    chunks.clear();
    await sleep(1000);
    expect(chunks.messages).toEqual([]);
    expect((await live.status.next(3000)).state).toBe('holding');
  });

  const jumps = [
    ['back', -20n * S, /\/clock jumped back by (19\.|20\.)\d+ s/],
    ['far ahead', 3600n * S, /\/clock jumped ahead by (3599|3600)\.\d+ s within/],
  ] as const;
  it.each(jumps)(
    'latches where the clock jumps %s, flushes, and resumes only by rearm',
    async (_, offsetNs, why) => {
      await instruct('pick the red block');
      await chunks.next(10_000);
      const episode = BigInt((await live.status.next(3000)).episode);
      live.status.clear();
      await stopClock();
      await clock(offsetNs);
      const status = await live.status.waitFor(({ latched }) => latched !== '', 3000);
      expect(status.latched).toMatch(why);
      expect(status.codes).toContain('clockJump');
      const flushed = await live.status.waitFor((m) => BigInt(m.episode) > episode, 3000);
      expect(flushed.state).toBe('latched');
      // Back to a clock that agrees with the stamps: nothing resumes by itself.
      await stopClock();
      await clock(0n);
      await sleep(1500);
      chunks.clear();
      await sleep(600);
      expect((await live.status.next(3000)).state).toBe('latched');
      expect(chunks.messages).toEqual([]);
      await live.rearm();
      expect((await live.status.next(3000)).latched).toBe('');
    },
  );
});
