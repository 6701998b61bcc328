import { describe, expect, it } from '@jest/globals';
import { inv, multiply } from 'mathjs';
import * as pose from '../../src/math/pose.js';
import * as quaternion from '../../src/math/quaternion.js';
import { seededRandom } from '../../src/math/random.js';
import type { Pose, Vec3 } from '../../src/types.js';

const random = seededRandom(5);
const randomPose = (): Pose =>
  pose.fromXyzRpy(
    [random.normal(), random.normal(), random.normal()],
    [random.between(-3, 3), random.between(-1.5, 1.5), random.between(-3, 3)],
  );
const rows = (p: Pose): number[][] => {
  const m = pose.toMatrix4(p);
  return [0, 4, 8, 12].map((i) => m.slice(i, i + 4));
};
function expectClose(got: readonly number[], expected: readonly number[]): void {
  expect(got).toHaveLength(expected.length);
  got.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 11));
}

describe('pose', () => {
  it('moves a point: first turned, then shifted', () => {
    const aFromB = pose.fromXyzRpy([1, 2, 3], [0, 0, Math.PI / 2]);
    expectClose(pose.transformPoint(aFromB, [1, 0, 0]), [1, 3, 3]);
  });

  it('composes and inverts as homogeneous matrices do', () => {
    for (let i = 0; i < 50; i++) {
      const [aFromB, bFromC] = [randomPose(), randomPose()];
      const product = multiply(rows(aFromB), rows(bFromC));
      expectClose(pose.toMatrix4(pose.compose(aFromB, bFromC)), product.flat());
      expectClose(pose.toMatrix4(pose.invert(aFromB)), inv(rows(aFromB)).flat());
    }
  });

  it('gives points back through the inverse', () => {
    const [aFromB, point]: [Pose, Vec3] = [randomPose(), [0.3, -0.1, 0.7]];
    const there = pose.transformPoint(aFromB, point);
    expectClose(pose.transformPoint(pose.invert(aFromB), there), point);
  });

  it('gives a pose back through its matrix', () => {
    const p = randomPose();
    const back = pose.fromMatrix4(pose.toMatrix4(p));
    expectClose(back.translation, p.translation);
    expect(quaternion.angleBetween(back.rotation, p.rotation)).toBeLessThan(1e-12);
  });

  it('interpolates on a straight line while turning', () => {
    const from = pose.fromXyzRpy([0, 0, 0], [0, 0, 0]);
    const to = pose.fromXyzRpy([1, 2, -4], [0, 0, 1]);
    const quarter = pose.interpolate(from, to, 0.25);
    expectClose(quarter.translation, [0.25, 0.5, -1]);
    expectClose(quaternion.toRpy(quarter.rotation), [0, 0, 0.25]);
  });

  it('knows a pose with any number missing', () => {
    expect(pose.isFinite(pose.identity)).toBe(true);
    expect(pose.isFinite({ ...pose.identity, translation: [0, NaN, 0] })).toBe(false);
    expect(pose.isFinite({ ...pose.identity, rotation: [0, 0, Infinity, 1] })).toBe(false);
  });
});
