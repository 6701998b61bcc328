import { describe, expect, it } from '@jest/globals';
import {
  approach,
  maxVelocityToStopWithin,
  stoppingDistance,
  tickedStoppingDistance,
  velocityBounds,
  velocityFromStoppingDistance,
} from '../../src/arm/limits.js';
import { seededRandom } from '../../src/math/random.js';

/** What a loop does: hold the velocity for a tick, then a·dt less, until it rests. */
function brake(velocity: number, acceleration: number, dt: number): number {
  let distance = 0;
  for (let v = velocity; v > 0; v -= acceleration * dt) distance += v * dt;
  return distance;
}

describe('motion limits', () => {
  it('stop from 2 m/s at 4 m/s² within half a metre', () => {
    expect(stoppingDistance(2, 4)).toBe(0.5);
    expect(stoppingDistance(-2, 4)).toBe(0.5);
    expect(velocityFromStoppingDistance(0.5, 4)).toBe(2);
    expect(velocityFromStoppingDistance(-0.1, 4)).toBe(0);
  });

  it('count the ticks of braking: 0.25 · (1 + 0.75 + 0.5 + 0.25)', () => {
    expect(tickedStoppingDistance(1, 1, 0.25)).toBe(0.625);
    expect(maxVelocityToStopWithin(0.625, 1, 0.25)).toBe(1);
    expect(tickedStoppingDistance(0, 1, 0.25)).toBe(0);
  });

  it('allow distance / dt where one tick is enough', () => {
    // a·dt² = 0.0625: 0.05 fits in one tick at 0.05 / 0.25 = 0.2 < a·dt.
    expect(maxVelocityToStopWithin(0.05, 1, 0.25)).toBeCloseTo(0.2, 15);
  });

  it('brake as the loop does, and the inverse gives the velocity back', () => {
    const random = seededRandom(31);
    for (let k = 0; k < 2000; k++) {
      const [velocity, acceleration] = [random.between(0, 3), random.between(0.1, 20)];
      const dt = random.between(0.002, 0.1);
      const distance = tickedStoppingDistance(velocity, acceleration, dt);
      expect(distance).toBeCloseTo(brake(velocity, acceleration, dt), 9);
      expect(maxVelocityToStopWithin(distance, acceleration, dt)).toBeCloseTo(velocity, 9);
      expect(distance).toBeGreaterThanOrEqual(stoppingDistance(velocity, acceleration) - 1e-12);
    }
  });

  it('allow the largest velocity: it stops within the distance and a little more does not', () => {
    const random = seededRandom(32);
    for (let k = 0; k < 2000; k++) {
      const distance = 10 ** random.between(-6, 1);
      const [acceleration, dt] = [random.between(0.1, 20), random.between(0.002, 0.1)];
      const velocity = maxVelocityToStopWithin(distance, acceleration, dt);
      expect(brake(velocity, acceleration, dt)).toBeLessThanOrEqual(distance * (1 + 1e-9));
      expect(brake(velocity * 1.001, acceleration, dt)).toBeGreaterThan(distance);
    }
  });

  it('leave no speed without distance and any speed without a limit', () => {
    expect(maxVelocityToStopWithin(0, 1, 0.02)).toBe(0);
    expect(maxVelocityToStopWithin(-0.3, 1, 0.02)).toBe(0);
    expect(maxVelocityToStopWithin(Infinity, 1, 0.02)).toBe(Infinity);
  });

  it('keep a joint that always takes the highest velocity inside its limits', () => {
    const [limits, acceleration, dt] = [{ lower: -1, upper: 2 }, 3, 0.02];
    let [position, velocity] = [0, 0];
    for (let tick = 0; tick < 500; tick++) {
      const { highest } = velocityBounds(position, limits, acceleration, dt);
      const next = approach(velocity, Math.min(5, highest), acceleration * dt);
      // The bound never asks for harder braking than the acceleration.
      expect(next).toBeLessThanOrEqual(highest + 1e-9);
      velocity = next;
      position += velocity * dt;
      expect(position).toBeLessThanOrEqual(2 + 1e-9);
    }
    expect(position).toBeCloseTo(2, 6);
    expect(velocity).toBeCloseTo(0, 6);
  });

  it('leave only inward motion outside a limit', () => {
    const limits = { lower: -1, upper: 1 };
    expect(velocityBounds(1.5, limits, 2, 0.02).highest).toBe(0);
    expect(velocityBounds(1.5, limits, 2, 0.02).lowest).toBeLessThan(-1);
    expect(velocityBounds(-1.5, limits, 2, 0.02).lowest).toBe(0);
  });

  it('approach a value by no more than the change allowed', () => {
    expect(approach(1, 5, 0.5)).toBe(1.5);
    expect(approach(1, -5, 0.5)).toBe(0.5);
    expect(approach(1, 1.2, 0.5)).toBe(1.2);
  });
});
