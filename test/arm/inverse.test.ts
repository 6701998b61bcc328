import { describe, expect, it } from '@jest/globals';
import { solveIk } from '../../src/arm/inverse.js';
import { type Arm, armFromUrdf, forward } from '../../src/arm/kinematics.js';
import { parseUrdf } from '../../src/arm/urdf.js';
import * as pose from '../../src/math/pose.js';
import * as quaternion from '../../src/math/quaternion.js';
import { seededRandom } from '../../src/math/random.js';
import * as vec3 from '../../src/math/vec3.js';
import { armUrdf, planarUrdf } from '../support/testArms.js';

const armOf = (count: 5 | 6 | 7): Arm =>
  armFromUrdf(parseUrdf(armUrdf(count), 'arm.urdf'), { baseLink: 'base', tipLink: 'tip' });
const planar = armFromUrdf(parseUrdf(planarUrdf, 'planar.urdf'), {
  baseLink: 'base',
  tipLink: 'tip',
});
const inside = (arm: Arm, q: readonly number[]): boolean =>
  q.every((value, i) => value >= arm.lower[i]! && value <= arm.upper[i]!);

describe('inverse kinematics', () => {
  it.each([5, 6, 7] as const)(
    'finds targets the arm can reach from joints up to 0.3 rad away, with %i axes',
    (count) => {
      const arm = armOf(count);
      const random = seededRandom(100 + count);
      let found = 0;
      for (let k = 0; k < 300; k++) {
        const q = arm.lower.map((lower, i) => random.between(lower, arm.upper[i]!));
        const start = q.map((value) => value + random.between(-0.3, 0.3));
        const target = forward(arm, q);
        const result = solveIk(arm, start, target, { maxIterations: 100 });
        expect(inside(arm, result.position)).toBe(true);
        if (Math.hypot(result.translationError, result.rotationError) > 1e-5) continue;
        found++;
        // What it says it reached is what it reached.
        const tip = forward(arm, result.position);
        expect(vec3.distance(tip.translation, target.translation)).toBeLessThan(1.1e-5);
        expect(quaternion.angleBetween(tip.rotation, target.rotation)).toBeLessThan(1.1e-5);
      }
      expect(found).toBeGreaterThanOrEqual(297);
    },
  );

  it('follows a moving target in a few iterations without jumps', () => {
    const arm = armOf(7);
    let q = [0, 0.4, 0, 1.3, 0, 0.9, 0];
    const home = forward(arm, q);
    for (let k = 0; k < 500; k++) {
      const angle = k * 0.02;
      const target = {
        translation: vec3.add(home.translation, [
          0.05 * Math.sin(angle),
          0.08 * Math.sin(angle / 2),
          -0.05 * Math.sin(angle / 3),
        ]),
        rotation: home.rotation,
      };
      const result = solveIk(arm, q, target);
      expect(result.translationError).toBeLessThan(1e-5);
      expect(result.iterations).toBeLessThanOrEqual(5);
      for (const [i, value] of result.position.entries())
        expect(Math.abs(value - q[i]!)).toBeLessThan(0.02);
      q = result.position;
    }
  });

  it('stays where it is when it is there', () => {
    const arm = armOf(7);
    const q = [0.1, 0.4, -0.2, 1.3, 0.3, 0.9, 0];
    const result = solveIk(arm, q, forward(arm, q));
    expect(result.iterations).toBe(0);
    expect(result.position).toEqual(q);
  });

  it('gives up the rotation that a weight of 0 gives up', () => {
    const arm = armOf(5);
    const q = [0.2, 0.5, 1.1, 0.8, 0.3];
    const tip = forward(arm, q);
    // Turned about the tool's x by 0.2 rad, which five axes cannot do on the spot.
    const turned = quaternion.multiply(tip.rotation, quaternion.fromRpy([0.2, 0, 0]));
    const target = {
      translation: vec3.add(tip.translation, [0.02, -0.03, 0.01]),
      rotation: turned,
    };
    const all = solveIk(arm, q, target);
    expect(all.translationError).toBeGreaterThan(1e-4);
    const some = solveIk(arm, q, target, { taskWeights: [1, 1, 1, 0, 1, 1] });
    expect(some.translationError).toBeLessThan(1e-5);
    const left = quaternion.toRotationVector(
      quaternion.multiply(
        quaternion.conjugate(forward(arm, some.position).rotation),
        target.rotation,
      ),
    );
    expect(Math.hypot(left[1], left[2])).toBeLessThan(1e-5);
    expect(Math.abs(left[0])).toBeGreaterThan(0.05);
  });

  it('keeps the limits and lets the other joints make up for one that is at its limit', () => {
    const arm = armOf(7);
    const random = seededRandom(5);
    let found = 0;
    for (let k = 0; k < 300; k++) {
      const q = arm.lower.map((lower, i) => random.between(lower, arm.upper[i]!));
      const stuck = random.integer(7);
      q[stuck] = random.pick([arm.lower[stuck]!, arm.upper[stuck]!]);
      const start = q.map((value, i) => (i === stuck ? value : value + random.between(-0.2, 0.2)));
      const result = solveIk(arm, start, forward(arm, q));
      expect(inside(arm, result.position)).toBe(true);
      if (Math.hypot(result.translationError, result.rotationError) <= 1e-5) found++;
    }
    // Clamping each joint by itself, without solving again for the others, finds three quarters.
    expect(found).toBeGreaterThanOrEqual(290);
  });

  it('goes as near as it can to a target out of reach', () => {
    // 0.8 m is as far as the planar arm reaches: 1.2 m along x is 0.4 m too far.
    const target = { translation: [1.2, 0, 0.1] as const, rotation: quaternion.identity };
    const result = solveIk(planar, [0.3, -0.5], target, {
      taskWeights: [1, 1, 1, 0, 0, 0],
      maxIterations: 300,
    });
    expect(result.translationError).toBeCloseTo(0.4, 3);
    expect(inside(planar, result.position)).toBe(true);
  });

  it('is never further from the target than it started', () => {
    const arm = armOf(6);
    const random = seededRandom(77);
    const error = (q: readonly number[], target: ReturnType<typeof forward>): number => {
      const tip = forward(arm, q);
      return Math.hypot(
        vec3.distance(tip.translation, target.translation),
        quaternion.angleBetween(tip.rotation, target.rotation),
      );
    };
    for (let k = 0; k < 200; k++) {
      const q = arm.lower.map((lower, i) => random.between(lower, arm.upper[i]!));
      const target = pose.fromXyzRpy(
        [random.normal(), random.normal(), random.normal()],
        [random.normal(), random.normal(), random.normal()],
      );
      const { position } = solveIk(arm, q, target);
      expect(position.every(Number.isFinite)).toBe(true);
      expect(error(position, target)).toBeLessThanOrEqual(error(q, target) + 1e-12);
    }
  });

  it('pulls a redundant arm towards mid-range while it works', () => {
    const arm = armOf(7);
    const middle = arm.lower.map((lower, i) => (lower + arm.upper[i]!) / 2);
    const away = (q: readonly number[]): number =>
      Math.hypot(...q.map((value, i) => value - middle[i]!));
    const start = [0.5, 0.9, 2.2, 1.6, -2, 0.8, 1.5];
    const home = forward(arm, start);
    let q: readonly number[] = start;
    for (let k = 1; k <= 2000; k++) {
      const shift = 0.03 * Math.sin(k / 20);
      const target = { ...home, translation: vec3.add(home.translation, [shift, 0, shift]) };
      q = solveIk(arm, q, target).position;
    }
    const back = solveIk(arm, q, home);
    expect(back.translationError).toBeLessThan(1e-5);
    expect(away(back.position)).toBeLessThan(away(start) - 0.2);
  });

  it('gives the start back where the target is not finite', () => {
    const arm = armOf(6);
    const q = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6];
    const home = forward(arm, q);
    for (const target of [
      { ...home, translation: [0.1, NaN, 0.2] as const },
      { ...home, rotation: [0, 0, Infinity, 1] as const },
    ]) {
      const result = solveIk(arm, q, target);
      expect(result.position).toEqual(q);
      expect(result.translationError).toBe(Infinity);
    }
  });

  it('gives the same answer twice and leaves its start alone', () => {
    const arm = armOf(7);
    const start = Object.freeze([0.4, 0.1, -0.3, 1, 0.2, 0.5, -0.1]);
    const target = forward(arm, [0.1, 0.5, 0.1, 1.4, -0.2, 0.7, 0.3]);
    expect(solveIk(arm, start, target)).toEqual(solveIk(arm, start, target));
  });
});
