import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../../../src/math/random.js';
import {
  expiringPath,
  type JointCommand,
  trajectoryFromCommand,
  type TrajectoryPoint,
  type TrajectoryTiming,
} from '../../../src/robot/messages/jointTrajectory.js';
import { encodeCdr } from '../../../src/robot/messages/cdr.js';
import { schemaOf } from '../../../src/robot/messages/schemas.js';
import { JointMotion } from '../../../src/safety/jointMotion.js';
import { Bench, limits as benchLimits } from '../../safety/jointBench.js';

const WIDE = { lower: -100, upper: 100, acceleration: 2 };
const timing = (limits: TrajectoryTiming['limits']): TrajectoryTiming => ({
  periodNs: 20_000_000n,
  leadPeriods: 1.5,
  limits,
});

/**
 * How joint_trajectory_controller plays the points (Trajectory::interpolate_between_points, cubic where positions and
 * velocities are given), written anew from the Hermite basis: position, velocity and acceleration of joint i at `time`.
 */
function played(points: readonly TrajectoryPoint[], i: number, time: number): number[] {
  const after = points.findIndex((point) => point.time > time);
  if (after === 0) throw new Error('before the first point');
  if (after < 0) return [points.at(-1)!.position[i]!, points.at(-1)!.velocity[i]!, 0];
  const [a, b] = [points[after - 1]!, points[after]!];
  const h = b.time - a.time;
  const s = (time - a.time) / h;
  const [p0, p1, m0, m1] = [a.position[i]!, b.position[i]!, a.velocity[i]! * h, b.velocity[i]! * h];
  const d = p1 - p0;
  return [
    p0 + s * (m0 + s * (3 * d - 2 * m0 - m1 + s * (m0 + m1 - 2 * d))),
    (m0 + s * (2 * (3 * d - 2 * m0 - m1) + 3 * s * (m0 + m1 - 2 * d))) / h,
    (2 * (3 * d - 2 * m0 - m1) + 6 * s * (m0 + m1 - 2 * d)) / h ** 2,
  ];
}

describe('a trajectory that expires', () => {
  it('rests in one point, after the lead', () => {
    const path = expiringPath({ position: [0.3], velocity: [0] }, timing([WIDE]));
    expect(path).toEqual([{ time: 0.03, position: [0.3], velocity: [0] }]);
  });

  it('brakes at the acceleration limit: 1 rad/s at 2 rad/s² rests after 0.5 s and 0.25 rad', () => {
    const path = expiringPath({ position: [0.3], velocity: [-1] }, timing([WIDE]));
    expect(path).toEqual([
      { time: 0.03, position: [0.3], velocity: [-1] },
      { time: 0.53, position: [0.3 - 0.25], velocity: [0] },
    ]);
  });

  it('keeps the direction: the slower joint takes as long as the one that needs longest', () => {
    const path = expiringPath({ position: [0, 0], velocity: [1, 0.2] }, timing([WIDE, WIDE]));
    expect(path).toEqual([
      { time: 0.03, position: [0, 0], velocity: [1, 0.2] },
      { time: 0.53, position: [0.25, 0.05], velocity: [0, 0] },
    ]);
  });

  it('lets a joint that is too near its limit for that brake alone', () => {
    const near = { lower: -1, upper: 0.02, acceleration: 2 };
    const path = expiringPath({ position: [0, 0], velocity: [1, 0.2] }, timing([WIDE, near]));
    // 0.02 rad of room at 0.2 rad/s: 2 · 0.02 / 0.2 = 0.2 s, a deceleration of 1 rad/s².
    [0.03, 0.23, 0.53].forEach((time, k) => expect(path[k]!.time).toBeCloseTo(time, 12));
    expect(path[1]!.position[0]).toBeCloseTo(0.2 - 0.5 * 2 * 0.04, 12);
    expect(path[1]!.velocity[0]).toBeCloseTo(0.6, 12);
    expect(path.map(({ position }) => position[1])).toEqual([0, 0.02, 0.02]);
    expect(path.map(({ velocity }) => velocity[1])).toEqual([0.2, 0, 0]);
  });

  it('is a message that starts when it is received, with times that only grow', () => {
    const command = { kind: 'joint', names: ['a', 'b'], position: [0, 1], velocity: [1, 0.2] };
    const message = trajectoryFromCommand(command as unknown as JointCommand, timing([WIDE, WIDE]));
    expect(message).toEqual({
      header: { stamp: { sec: 0, nanosec: 0 }, frame_id: '' },
      joint_names: ['a', 'b'],
      points: [
        {
          positions: [0, 1],
          velocities: [1, 0.2],
          accelerations: [],
          effort: [],
          time_from_start: { sec: 0, nanosec: 30_000_000 },
        },
        {
          positions: [0.25, 1.05],
          velocities: [0, 0],
          accelerations: [],
          effort: [],
          time_from_start: { sec: 0, nanosec: 530_000_000 },
        },
      ],
    });
  });
});

describe('any guarded command, played to its end', () => {
  const random = seededRandom(11);
  const cases = Array.from({ length: 400 }, () => {
    const joints = 1 + random.integer(7);
    const limits = Array.from({ length: joints }, () => ({
      lower: -random.between(0.5, 3),
      upper: random.between(0.5, 3),
      velocity: random.between(0.5, 3),
      acceleration: random.between(1, 20),
      jerk: 1000,
      effort: Infinity,
    }));
    // Anywhere, often close to a limit, and as fast as a guard allows there: v² ≤ 2·a·room.
    const position = limits.map(({ lower, upper }) =>
      random.uniform() < 0.3 ? upper - random.uniform() ** 3 : random.between(lower, upper),
    );
    const velocity = limits.map(({ velocity: top, acceleration: a, lower, upper }, i) => {
      const up = Math.sqrt(2 * a * Math.max(0, upper - position[i]!));
      const down = Math.sqrt(2 * a * Math.max(0, position[i]! - lower));
      const share = random.uniform() < 0.2 ? 1 : random.uniform();
      return random.uniform() < 0.6 ? share * Math.min(top, up) : -share * Math.min(top, down);
    });
    return {
      limits,
      position,
      velocity,
      path: expiringPath({ position, velocity }, timing(limits)),
    };
  });

  /** Where no joint needs to brake alone: all of them rest at the same time. */
  const together = cases.filter(({ path, limits, position, velocity }) => {
    const duration = path.at(-1)!.time - 0.03;
    return (
      duration > 2e-3 &&
      limits.every(({ lower, upper }, i) => {
        const end = position[i]! + (velocity[i]! * duration) / 2;
        return end <= upper && end >= lower;
      })
    );
  });

  it('ends at rest, within the lead and the longest braking time', () => {
    for (const { path, limits, velocity } of cases) {
      const longest = Math.max(...velocity.map((v, i) => Math.abs(v) / limits[i]!.acceleration));
      const gaps = path.slice(1).map(({ time }, k) => time - path[k]!.time);
      expect(path.at(-1)!.velocity.every((v) => v === 0)).toBe(true);
      expect(path.at(-1)!.time).toBeLessThanOrEqual(0.03 + Math.max(longest, 1e-3) + 1e-12);
      expect(Math.min(1, ...gaps)).toBeGreaterThanOrEqual(1e-3 - 1e-12);
    }
  });

  it('never leaves the position limits by more than 0.1 mrad, and never turns round', () => {
    let [outside, backwards] = [0, 0];
    for (const { path, limits, position, velocity } of cases)
      for (let step = 0; step <= 50; step++) {
        const time = 0.03 + (step / 50) * (path.at(-1)!.time - 0.03);
        limits.forEach(({ lower, upper }, i) => {
          const [q, v] = played(path, i, time);
          const [low, high] = [Math.min(lower, position[i]!), Math.max(upper, position[i]!)];
          outside = Math.max(outside, q! - high, low - q!);
          backwards = Math.max(backwards, -v! * Math.sign(velocity[i]!));
        });
      }
    expect(outside).toBeLessThan(1e-4);
    expect(backwards).toBeLessThan(0.02);
  });

  it('brakes along the path of the guard itself, integrated in steps of 0.1 ms', () => {
    expect(together.length).toBeGreaterThan(50);
    let worst = 0;
    for (const { path, limits, position, velocity } of together.slice(0, 60)) {
      const motion = new JointMotion(limits.map((limit, i) => ({ ...limit, name: `j${i}` })));
      motion.position.set(position);
      motion.velocity.set(velocity);
      const [dt, step] = [1e-4, new Float64Array(limits.length)];
      for (let time = 0.03; time < path[1]!.time; time += dt) {
        // The guard's step is at its later, slower speed: half a step behind.
        limits.forEach((_, i) => {
          const behind = Math.abs(played(path, i, time)[0]! - motion.position[i]!);
          worst = Math.max(worst, behind - Math.abs(velocity[i]!) * dt);
        });
        motion.braking(dt, step);
        motion.apply(step, null, dt);
      }
    }
    expect(worst).toBeLessThan(1e-6);
  });

  it('decelerates constantly, and no joint harder than its limit', () => {
    let [worst, hardest] = [0, 0];
    for (const { path, limits, velocity } of together) {
      const duration = path.at(-1)!.time - 0.03;
      limits.forEach(({ acceleration }, i) => {
        for (const share of [0, 0.25, 0.5, 0.99]) {
          const [, , a] = played(path, i, 0.03 + share * duration);
          worst = Math.max(worst, Math.abs(a! + velocity[i]! / duration));
          hardest = Math.max(hardest, Math.abs(a!) / acceleration);
        }
      });
    }
    expect(worst).toBeLessThan(1e-6);
    expect(hardest).toBeLessThan(1 + 1e-6);
  });
});

describe('commands of a real guard, cut off at any tick', () => {
  it('leave the arm at rest within its limits of ±2 rad', () => {
    const random = seededRandom(5);
    let furthest = 0;
    const bench = new Bench();
    const each = bench.position.map(() => benchLimits);
    let goal: readonly number[] = [0, 0];
    for (let tick = 0; tick < 3000; tick++) {
      if (tick % 200 === 0) goal = [random.between(-3, 3), random.between(-3, 3)];
      bench.tick(goal);
      const { position, velocity } = bench;
      const path = expiringPath({ position, velocity }, timing(each));
      furthest = Math.max(furthest, ...path.at(-1)!.position.map(Math.abs));
    }
    expect(furthest).toBeGreaterThan(1.9);
    expect(furthest).toBeLessThanOrEqual(2 + 1e-9);
  });
});

describe('its encoding', () => {
  it('takes less than 0.2 ms for seven joints', () => {
    const names = Array.from({ length: 7 }, (_, i) => `joint${i}`);
    const command = {
      kind: 'joint',
      names,
      position: names.map(() => 0.1),
      velocity: names.map(() => 0.5),
    } as unknown as JointCommand;
    const all = timing(names.map(() => WIDE));
    const { layout } = schemaOf('trajectory_msgs/JointTrajectory');
    const once = (): number =>
      encodeCdr(layout, trajectoryFromCommand(command, all), 'test').byteLength;
    for (let i = 0; i < 2000; i++) once();
    const started = process.cpuUsage();
    for (let i = 0; i < 5000; i++) once();
    const { user, system } = process.cpuUsage(started);
    expect((user + system) / 5000).toBeLessThan(200);
  });
});
