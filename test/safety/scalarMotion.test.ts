import { describe, expect, it } from '@jest/globals';
import {
  accelerationToReach,
  accelerationTowards,
  largestStoppable,
  restDisplacement,
} from '../../src/safety/scalarMotion.js';

describe('largestStoppable', () => {
  it('leaves exactly the room to brake: x·dt + x² / (2·rate) = room', () => {
    // 1·0.1 + 1² / (2·2) = 0.35
    expect(largestStoppable(0.35, 2, 0.1)).toBeCloseTo(1, 12);
    // Without a tick: √(2·2·0.25) = 1
    expect(largestStoppable(0.25, 2, 0)).toBeCloseTo(1, 12);
  });

  it('is 0 where there is no room, or where room is not a number', () => {
    expect([0, -1, NaN].map((room) => largestStoppable(room, 2, 0.1))).toEqual([0, 0, 0]);
  });

  it('keeps a braking path whatever the ticks to come', () => {
    const limit = 1;
    let [p, v] = [0, largestStoppable(1, 3, 0.02)];
    p += v * 0.02;
    for (const dt of [0.1, 0.001, 0.05, 0.0001, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]) {
      v = Math.max(0, v - 3 * dt);
      p += v * dt;
      expect(p).toBeLessThanOrEqual(limit);
    }
    expect(v).toBe(0);
  });
});

describe('restDisplacement', () => {
  const limits = { velocity: 10, acceleration: 2, jerk: 8 };

  it('is v² / (2a) + v·a / (2j) where the acceleration limit is reached', () => {
    // Trapezoid from v = 3: 9 / 4 + 3·2 / 16 = 2.625
    expect(restDisplacement(3, 0, limits)).toBeCloseTo(2.625, 12);
  });

  it('is v · √(v / j) where it is not', () => {
    // Triangle from v = 0.08: 0.08 · √0.01 = 0.008
    expect(restDisplacement(0.08, 0, limits)).toBeCloseTo(0.008, 12);
  });

  it('is odd, and 0 at rest', () => {
    expect(restDisplacement(-0.3, 0.5, limits)).toBeCloseTo(
      -restDisplacement(0.3, -0.5, limits),
      15,
    );
    expect(restDisplacement(0, 0, limits)).toBeCloseTo(0, 15);
  });

  it('agrees with a simulation of the three phases', () => {
    // v = 1, a = 1: jerk −8 until a = −2 (0.375 s, v = 1 + 0.375 − 0.5625 = 0.8125), hold until v = 2² / 16 = 0.25
    // (0.28125 s), jerk +8 to rest (0.25 s).
    let [p, v, a] = [0, 1, 1];
    const dt = 1e-6;
    for (let t = 0; t < 0.375 + 0.28125 + 0.25; t += dt) {
      const jerk = t < 0.375 ? -8 : t < 0.375 + 0.28125 ? 0 : 8;
      p += v * dt;
      v += a * dt;
      a += jerk * dt;
    }
    expect(v).toBeCloseTo(0, 4);
    expect(restDisplacement(1, 1, limits)).toBeCloseTo(p, 4);
  });
});

describe('accelerationTowards', () => {
  it('ends at the wished speed when acceleration is let go of', () => {
    const a = accelerationTowards(-0.5, 8, 0.02);
    expect(a * 0.02 + (a * Math.abs(a)) / 16).toBeCloseTo(-0.5, 12);
  });
});

describe('accelerationToReach', () => {
  it.each([0.001, 0.02, 0.1])('comes to rest on the target without passing it, dt = %d s', (dt) => {
    const limits = { velocity: 10, acceleration: 2, jerk: 8 };
    let state = { position: 0, velocity: 0, acceleration: 0 };
    let furthest = 0;
    for (let t = 0; t < 6; t += dt) {
      const { acceleration: a } = state;
      const interval = [Math.max(-2, a - 8 * dt), Math.min(2, a + 8 * dt)] as const;
      const acceleration = accelerationToReach(state, 1, 0, interval, limits, dt);
      const velocity = state.velocity + acceleration * dt;
      state = { position: state.position + velocity * dt, velocity, acceleration };
      furthest = Math.max(furthest, state.position);
    }
    expect(state.position).toBeCloseTo(1, 6);
    expect(furthest).toBeLessThan(1 + 1e-6);
  });
});
