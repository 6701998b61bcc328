import { describe, expect, it } from '@jest/globals';
import { multiply as matrixProduct } from 'mathjs';
import * as quaternion from '../../src/math/quaternion.js';
import { seededRandom } from '../../src/math/random.js';
import * as vec3 from '../../src/math/vec3.js';
import type { Quaternion, Vec3 } from '../../src/types.js';

const random = seededRandom(11);
const randomQuaternion = (): Quaternion =>
  quaternion.normalise([random.normal(), random.normal(), random.normal(), random.normal()]);
const randomVector = (): Vec3 => [random.normal(), random.normal(), random.normal()];
const quarterZ: Quaternion = [0, 0, Math.SQRT1_2, Math.SQRT1_2];

function expectClose(got: readonly number[], expected: readonly number[], digits = 12): void {
  expect(got).toHaveLength(expected.length);
  got.forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, digits));
}
const rows = (m: quaternion.Matrix3): number[][] => [
  [m[0], m[1], m[2]],
  [m[3], m[4], m[5]],
  [m[6], m[7], m[8]],
];

describe('quaternion', () => {
  it('turns x into y by a quarter turn about z', () => {
    expectClose(quaternion.rotate(quarterZ, [1, 0, 0]), [0, 1, 0]);
    expectClose(quaternion.fromAxisAngle([0, 0, 1], Math.PI / 2), quarterZ);
  });

  it('applies the right factor of a product first', () => {
    const quarterX: Quaternion = [Math.SQRT1_2, 0, 0, Math.SQRT1_2];
    // z → (quarter about x) → −y → (quarter about z) → x
    expectClose(quaternion.rotate(quaternion.multiply(quarterZ, quarterX), [0, 0, 1]), [1, 0, 0]);
  });

  it('multiplies and rotates as the matrices do', () => {
    for (let i = 0; i < 100; i++) {
      const [a, b, v] = [randomQuaternion(), randomQuaternion(), randomVector()];
      const product = matrixProduct(rows(quaternion.toMatrix(a)), rows(quaternion.toMatrix(b)));
      expectClose(quaternion.toMatrix(quaternion.multiply(a, b)), product.flat());
      expectClose(quaternion.rotate(a, v), matrixProduct(rows(quaternion.toMatrix(a)), [...v]));
    }
  });

  it('gives the rotation back through its matrix, with w ≥ 0', () => {
    for (let i = 0; i < 200; i++) {
      const q = randomQuaternion();
      const back = quaternion.fromMatrix(quaternion.toMatrix(q));
      expect(back[3]).toBeGreaterThanOrEqual(0);
      expect(quaternion.angleBetween(q, back)).toBeLessThan(1e-14);
    }
    // Half turns: the trace is −1 and each axis takes its own branch.
    expectClose(quaternion.fromMatrix([1, 0, 0, 0, -1, 0, 0, 0, -1]), [1, 0, 0, 0]);
    expectClose(quaternion.fromMatrix([-1, 0, 0, 0, 1, 0, 0, 0, -1]), [0, 1, 0, 0]);
    expectClose(quaternion.fromMatrix([-1, 0, 0, 0, -1, 0, 0, 0, 1]), [0, 0, 1, 0]);
  });

  it('is yaw · pitch · roll about fixed axes (REP-103)', () => {
    const [roll, pitch, yaw] = [0.3, -0.7, 1.9];
    const x = quaternion.fromAxisAngle([1, 0, 0], roll);
    const y = quaternion.fromAxisAngle([0, 1, 0], pitch);
    const z = quaternion.fromAxisAngle([0, 0, 1], yaw);
    const expected = quaternion.multiply(z, quaternion.multiply(y, x));
    expectClose(quaternion.fromRpy([roll, pitch, yaw]), expected);
    expectClose(quaternion.toRpy(expected), [roll, pitch, yaw]);
  });

  it('reads roll, pitch and yaw back, and the same rotation where they are not unique', () => {
    for (let i = 0; i < 200; i++) {
      const rpy: Vec3 = [random.between(-3, 3), random.between(-1.5, 1.5), random.between(-3, 3)];
      expectClose(quaternion.toRpy(quaternion.fromRpy(rpy)), rpy, 9);
    }
    for (const pitch of [Math.PI / 2, -Math.PI / 2]) {
      const q = quaternion.fromRpy([0.4, pitch, -1.1]);
      const rpy = quaternion.toRpy(q);
      expect(rpy[2]).toBe(0);
      expect(quaternion.angleBetween(q, quaternion.fromRpy(rpy))).toBeLessThan(1e-7);
    }
  });

  it('gives rotation vectors shorter than π back, and the shorter way for longer ones', () => {
    for (const angle of [0, 1e-12, 1e-9, 1e-6, 0.1, 2, 3.14159]) {
      const v = vec3.scale(vec3.normalise([0.2, -0.5, 0.9]), angle);
      expectClose(quaternion.toRotationVector(quaternion.fromRotationVector(v)), v);
    }
    // 3π/2 about z is π/2 about −z.
    const long = quaternion.fromRotationVector([0, 0, 1.5 * Math.PI]);
    expectClose(quaternion.toRotationVector(long), [0, 0, -Math.PI / 2]);
  });

  it('does not care whether a rotation is written q or −q', () => {
    for (let i = 0; i < 100; i++) {
      const [a, b] = [randomQuaternion(), randomQuaternion()];
      const minus: Quaternion = [-b[0], -b[1], -b[2], -b[3]];
      expectClose(quaternion.toRotationVector(minus), quaternion.toRotationVector(b));
      expect(quaternion.angleBetween(a, minus)).toBeCloseTo(quaternion.angleBetween(a, b), 12);
      const halfway = quaternion.slerp(a, b, 0.5);
      expect(quaternion.angleBetween(halfway, quaternion.slerp(a, minus, 0.5))).toBeLessThan(1e-7);
    }
    expectClose(quaternion.toRotationVector([0, 0, 0, -1]), [0, 0, 0]);
    expectClose(quaternion.toRotationVector([-1e-12, 0, 0, -1]), [2e-12, 0, 0], 20);
  });

  it('interpolates at constant angular velocity', () => {
    const [a, b] = [randomQuaternion(), randomQuaternion()];
    const whole = quaternion.angleBetween(a, b);
    for (const t of [0, 0.25, 0.5, 1]) {
      const q = quaternion.slerp(a, b, t);
      expect(quaternion.angleBetween(a, q)).toBeCloseTo(t * whole, 12);
      expect(quaternion.angleBetween(q, b)).toBeCloseTo((1 - t) * whole, 12);
    }
  });

  it('measures small angles without losing digits', () => {
    const q = quaternion.fromRotationVector([3e-9, 0, 4e-9]);
    expect(quaternion.angleBetween(quaternion.identity, q)).toBeCloseTo(5e-9, 20);
  });

  it('makes the identity of a quaternion without length', () => {
    expect(quaternion.normalise([0, 0, 0, 0])).toEqual([0, 0, 0, 1]);
  });
});
