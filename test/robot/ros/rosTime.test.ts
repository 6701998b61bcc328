import { describe, expect, test } from '@jest/globals';
import { RosTime, SimClock } from '../../../src/robot/ros/rosTime.js';
import type { RosMessage } from '../../../src/robot/ros/ros.js';

const ms = (x: number): bigint => BigInt(Math.round(x * 1e6));

/** Feeds `count` ticks, `everyMs` of steady time apart, each `advanceMs` further in ROS time. */
function run(
  clock: SimClock,
  from: { steady: number; stamp: number },
  count: number,
  everyMs: number,
  advanceMs: number,
) {
  const jumps: string[] = [];
  for (let i = 1; i <= count; i++) {
    const jump = clock.tick(ms(from.stamp + i * advanceMs), ms(from.steady + i * everyMs));
    if (jump !== null) jumps.push(jump);
  }
  return { jumps, steady: from.steady + count * everyMs, stamp: from.stamp + count * advanceMs };
}

describe('a clock that ticks', () => {
  test.each([
    ['in real time, 250 Hz', 4, 4],
    ['at a third', 4, 4 / 3],
    ['five times as fast, 40 Hz', 25, 125],
    ['twenty times as fast, 100 Hz', 10, 200],
  ])('%s never jumps', (_, everyMs, advanceMs) => {
    const clock = new SimClock();
    const { jumps, steady, stamp } = run(
      clock,
      { steady: 0, stamp: 1000 },
      500,
      everyMs,
      advanceMs,
    );
    expect(jumps).toEqual([]);
    expect(clock.problem(ms(steady + 190))).toBeNull();
    expect(clock.stampNs).toBe(ms(stamp));
  });
});

describe('a clock that does not tick', () => {
  test('has not begun', () => {
    const clock = new SimClock();
    expect(clock.problem(0n)).toEqual({
      code: 'clockSilent',
      message: 'Nothing has arrived on /clock yet.',
    });
    expect(clock.stampNs).toBe(0n);
  });

  test('is silent from 0.2 s on, and heard again at the next tick', () => {
    const clock = new SimClock();
    clock.tick(ms(1000), ms(0));
    expect(clock.problem(ms(200))).toBeNull();
    expect(clock.problem(ms(201))).toMatchObject({ code: 'clockSilent' });
    clock.tick(ms(1004), ms(300));
    expect(clock.problem(ms(300))).toBeNull();
  });

  test('repeats itself: a paused simulator', () => {
    const clock = new SimClock();
    for (let t = 0; t <= 1000; t += 4) clock.tick(ms(1000), ms(t));
    expect(clock.problem(ms(1000))).toEqual({
      code: 'clockSilent',
      message: '/clock has not advanced for 1.00 s.',
    });
  });
});

describe('a clock that jumps', () => {
  test('back, by however little', () => {
    const clock = new SimClock();
    const { steady, stamp } = run(clock, { steady: 0, stamp: 1000 }, 100, 4, 4);
    expect(clock.tick(ms(stamp - 1), ms(steady + 4))).toBe('/clock jumped back by 0.00 s');
    expect(clock.problem(ms(steady + 104))).toMatchObject({ code: 'clockJump' });
    expect(clock.stampNs).toBe(ms(stamp - 1));
    // It goes on from there: the jump is over once silence would have shown.
    const later = run(clock, { steady: steady + 4, stamp: stamp - 1 }, 60, 4, 4);
    expect(later.jumps).toEqual([]);
    expect(clock.problem(ms(later.steady))).toBeNull();
  });

  test('ahead by more than half a second beyond what its rate explains', () => {
    const clock = new SimClock();
    const { steady, stamp } = run(clock, { steady: 0, stamp: 1000 }, 500, 4, 4);
    expect(clock.tick(ms(stamp + 499), ms(steady + 4))).toBeNull();
    expect(clock.tick(ms(stamp + 499 + 2000), ms(steady + 8))).toBe(
      '/clock jumped ahead by 2.00 s within 0.00 s',
    );
  });

  test('not where it was only late: a second of steady time explains a second', () => {
    const clock = new SimClock();
    const { steady, stamp } = run(clock, { steady: 0, stamp: 1000 }, 500, 4, 4);
    expect(clock.tick(ms(stamp + 1000), ms(steady + 1000))).toBeNull();
  });
});

describe('ROS time', () => {
  const made = (useSimTime: boolean) => {
    let hear: (m: RosMessage) => void = () => undefined;
    const jumps: string[] = [];
    let steady = 0n;
    const time = new RosTime({
      node: {
        subscribe: (_type, topic, qos, onMessage) => {
          expect([topic, qos.reliability]).toEqual(['/clock', 'bestEffort']);
          hear = onMessage;
          return { dispose: () => undefined };
        },
      },
      useSimTime,
      steadyNowNs: () => steady,
      systemNowNs: () => 77n,
      onJump: (because) => jumps.push(because),
    });
    return {
      time,
      jumps,
      hear: (sec: number) => hear({ clock: { sec, nanosec: 5 } }),
      at: (ns: bigint) => (steady = ns),
    };
  };

  test('is the system clock without use_sim_time', () => {
    const { time, hear } = made(false);
    hear(5);
    expect([time.nowNs(), time.problem()]).toEqual([77n, null]);
  });

  test('is the latest /clock with it, and tells a jump', () => {
    const { time, jumps, hear, at } = made(true);
    expect([time.nowNs(), time.problem()?.code]).toEqual([0n, 'clockSilent']);
    hear(5);
    expect([time.nowNs(), time.problem()]).toEqual([5_000_000_005n, null]);
    at(ms(10));
    hear(3);
    expect(jumps).toEqual(['/clock jumped back by 2.00 s']);
    expect(time.problem()?.code).toBe('clockJump');
  });
});
