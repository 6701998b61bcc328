import { describe, expect, it } from '@jest/globals';
import { interpolate } from '../../src/simulator/interpolate.js';
import type { Trajectory } from '../../src/simulator/trajectory.js';
import { TrajectoryExecutor } from '../../src/simulator/trajectoryExecutor.js';

const at = (seconds: number): bigint => BigInt(Math.round(seconds * 1e9));
const point = (
  seconds: number,
  position: number,
  velocity: number | null = null,
  acceleration: number | null = null,
) => ({
  timeNs: at(seconds),
  position: [position],
  velocity: velocity === null ? null : [velocity],
  acceleration: acceleration === null ? null : [acceleration],
});
const trajectory = (points: Trajectory['points'], startNs = 0n): Trajectory => ({
  startNs,
  points,
});
const resting = (position: number) => ({ position: [position], velocity: [0] });

describe('interpolate', () => {
  it('goes straight with positions alone', () => {
    const state = interpolate(point(0, 1), point(0, 3), 2, 0.5);
    expect(state).toEqual({ position: [1.5], velocity: [1], acceleration: [0] });
  });

  it('is a cubic with velocities: a constant deceleration comes out exactly', () => {
    // From 2 at 1 per s to rest over 0.5 s: a = −2, so the end is 2 + 1·0.5 − 2·0.5²/2 = 2.25.
    const [a, b] = [point(0, 2, 1), point(0, 2.25, 0)];
    for (const t of [0, 0.1, 0.25, 0.5]) {
      const { position, velocity, acceleration } = interpolate(a, b, 0.5, t);
      expect(position[0]).toBeCloseTo(2 + t - t * t, 12);
      expect(velocity[0]).toBeCloseTo(1 - 2 * t, 12);
      expect(acceleration[0]).toBeCloseTo(-2, 10);
    }
  });

  it('is a quintic with accelerations: t⁵ + t² on 1 … 3 comes out exactly', () => {
    const f = (t: number) => [t ** 5 + t ** 2, 5 * t ** 4 + 2 * t, 20 * t ** 3 + 2] as const;
    const [a, b] = [point(0, ...f(1)), point(0, ...f(3))];
    for (const t of [0, 0.7, 2]) {
      const { position, velocity, acceleration } = interpolate(a, b, 2, t);
      expect(position[0]).toBeCloseTo(f(1 + t)[0], 9);
      expect(velocity[0]).toBeCloseTo(f(1 + t)[1], 9);
      expect(acceleration[0]).toBeCloseTo(f(1 + t)[2], 9);
    }
  });

  it('goes straight where only one of the two points has a velocity', () => {
    expect(interpolate(point(0, 0, 5), point(0, 1), 1, 0.5).velocity).toEqual([1]);
  });
});

describe('the trajectory executor', () => {
  it('holds where it began until it is told something', () => {
    const executor = new TrajectoryExecutor([0.3], 'desired');
    const { position, velocity, sinceEndNs } = executor.sample(at(5), resting(0.31));
    expect([position, velocity, sinceEndNs]).toEqual([[0.3], [0], null]);
  });

  it('starts a trajectory without a stamp at the first sample, and holds its last point', () => {
    const executor = new TrajectoryExecutor([0], 'desired');
    executor.replace(trajectory([point(1, 1), point(2, 1.5)]));
    expect(executor.sample(at(10), resting(0)).position).toEqual([0]);
    expect(executor.sample(at(10.5), resting(0)).position[0]).toBeCloseTo(0.5, 12);
    expect(executor.sample(at(11.5), resting(0)).position[0]).toBeCloseTo(1.25, 12);
    const end = executor.sample(at(15), resting(0));
    expect(end).toMatchObject({ position: [1.5], velocity: [0], sinceEndNs: at(3) });
  });

  it('joins a stamped trajectory from now to its first point, stretched over the time left', () => {
    const executor = new TrajectoryExecutor([0], 'desired');
    executor.replace(trajectory([point(1, 3)], at(12)));
    expect(executor.sample(at(10), resting(0)).position).toEqual([0]);
    // 3 rad over the 3 s from 10 s to 13 s.
    expect(executor.sample(at(11), resting(0)).position[0]).toBeCloseTo(1, 12);
  });

  it('is where a trajectory that began in the past says it should be', () => {
    const executor = new TrajectoryExecutor([9], 'desired');
    executor.replace(trajectory([point(0, 0), point(4, 4)], at(10)));
    expect(executor.sample(at(13), resting(9)).position[0]).toBeCloseTo(3, 12);
  });

  it('continues position and velocity when replaced, from the desired state', () => {
    const executor = new TrajectoryExecutor([0], 'desired');
    executor.replace(trajectory([point(1, 1, 1), point(2, 1.5, 0)]));
    executor.sample(at(0), resting(0));
    const before = executor.sample(at(1), resting(0.9));
    executor.replace(trajectory([point(0.5, 1.2, 0)]));
    const after = executor.sample(at(1), resting(0.9));
    expect(after.position[0]).toBeCloseTo(before.position[0]!, 12);
    expect(after.velocity[0]).toBeCloseTo(before.velocity[0]!, 12);
  });

  it('joins from the measured state where told so, as the controller does by default', () => {
    const executor = new TrajectoryExecutor([0], 'measured');
    executor.replace(trajectory([point(1, 1, 0)]));
    const { position, velocity } = executor.sample(at(0), { position: [0.2], velocity: [0.1] });
    expect([position, velocity]).toEqual([[0.2], [0.1]]);
  });

  it('never moves faster than a stream of braking trajectories asks for', () => {
    // 50 Hz, lead 1.5 periods, 1 rad/s for 1 s, then silence: coasts to the braking path of the last command and stops.
    const [T, v, a] = [0.02, 1, 20];
    const executor = new TrajectoryExecutor([0], 'desired');
    let [last, fastest] = [0, 0];
    for (let step = 0; step < 600; step++) {
      const t = step * 0.0025;
      const tick = step / 8;
      if (Number.isInteger(tick) && tick < 50) {
        const q = v * (tick + 1.5) * T;
        const tb = v / a;
        executor.replace(
          trajectory([point(1.5 * T, q, v), point(1.5 * T + tb, q + (v * tb) / 2, 0)]),
        );
      }
      const { position, velocity } = executor.sample(at(t), resting(0));
      fastest = Math.max(fastest, Math.abs(velocity[0]!));
      expect(Math.abs(position[0]! - last)).toBeLessThan(1.6 * v * 0.0025 + 1e-9);
      last = position[0]!;
    }
    // The first piece catches up from rest: a cubic from (0, 0) to (0.03, 1) in 0.03 s peaks at 4/3.
    expect(fastest).toBeLessThan(4 / 3 + 1e-6);
    // Last command at tick 49: q = 50.5 · 0.02 = 1.01, braking 0.05 s · 1 / 2 = 0.025 further.
    expect(last).toBeCloseTo(1.035, 9);
  });

  it('forgets everything when told to hold', () => {
    const executor = new TrajectoryExecutor([0], 'desired');
    executor.replace(trajectory([point(1, 1)]));
    executor.sample(at(0), resting(0));
    executor.replace(trajectory([point(1, 2)]));
    executor.hold([0.4]);
    expect(executor.sample(at(9), resting(0))).toMatchObject({ position: [0.4], velocity: [0] });
  });
});
