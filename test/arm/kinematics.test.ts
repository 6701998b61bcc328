import { describe, expect, it } from '@jest/globals';
import { armFromUrdf, forward, jacobian, linkPoses } from '../../src/arm/kinematics.js';
import { parseUrdf } from '../../src/arm/urdf.js';
import * as pose from '../../src/math/pose.js';
import * as quaternion from '../../src/math/quaternion.js';
import { seededRandom } from '../../src/math/random.js';
import { armUrdf, planarUrdf } from '../support/testArms.js';

const planar = armFromUrdf(parseUrdf(planarUrdf, 'planar.urdf'), {
  baseLink: 'base',
  tipLink: 'tip',
});
const armOf = (count: 5 | 6 | 7): ReturnType<typeof armFromUrdf> =>
  armFromUrdf(parseUrdf(armUrdf(count), 'arm.urdf'), { baseLink: 'base', tipLink: 'tip' });

describe('kinematics', () => {
  it('names the joints of the chain in order, with their limits', () => {
    expect(planar.jointNames).toEqual(['shoulder', 'elbow']);
    expect(planar.lower).toEqual([-3, -Infinity]);
    expect(planar.upper).toEqual([2.5, Infinity]);
    expect(planar.velocity).toEqual([1.5, Infinity]);
    expect(armOf(5).jointNames).toHaveLength(5);
    expect(armOf(7).jointNames[6]).toBe('flangeJoint');
  });

  it('reaches where the two-link arm does on paper', () => {
    const [a, b] = [0.7, -1.2];
    const tip = forward(planar, [a, b]);
    expect(tip.translation[0]).toBeCloseTo(0.5 * Math.cos(a) + 0.3 * Math.cos(a + b), 14);
    expect(tip.translation[1]).toBeCloseTo(0.5 * Math.sin(a) + 0.3 * Math.sin(a + b), 14);
    expect(tip.translation[2]).toBeCloseTo(0.1, 14);
    expect(quaternion.toRpy(tip.rotation)[2]).toBeCloseTo(a + b, 14);
  });

  it('has the Jacobian of the two-link arm on paper', () => {
    const [a, b] = [0.7, -1.2];
    const [x2, y2] = [0.3 * Math.cos(a + b), 0.3 * Math.sin(a + b)];
    const [x, y] = [0.5 * Math.cos(a) + x2, 0.5 * Math.sin(a) + y2];
    // prettier-ignore
    const expected = [
      -y, -y2,
      x, x2,
      0, 0,
      0, 0,
      0, 0,
      1, 1,
    ];
    jacobian(planar, [a, b]).forEach((value, i) => expect(value).toBeCloseTo(expected[i]!, 14));
  });

  it.each([5, 6, 7] as const)(
    'has the Jacobian that finite differences find, with %i axes',
    (count) => {
      const arm = armOf(count);
      const random = seededRandom(count);
      const step = 1e-6;
      for (let k = 0; k < 20; k++) {
        const q = arm.lower.map((lower, i) => random.between(lower, arm.upper[i]!));
        const j = jacobian(arm, q);
        for (let col = 0; col < count; col++) {
          const at = (offset: number): ReturnType<typeof forward> =>
            forward(
              arm,
              q.map((value, i) => (i === col ? value + offset : value)),
            );
          const [before, after] = [at(-step), at(step)];
          // Rotation from before to after as seen from the base: R_after · R_beforeᵀ.
          const turned = quaternion.toRotationVector(
            quaternion.multiply(after.rotation, quaternion.conjugate(before.rotation)),
          );
          for (let row = 0; row < 3; row++) {
            const moved = after.translation[row]! - before.translation[row]!;
            expect(j[row * count + col]).toBeCloseTo(moved / (2 * step), 7);
            expect(j[(row + 3) * count + col]).toBeCloseTo(turned[row]! / (2 * step), 7);
          }
        }
      }
    },
  );

  it('moves a sliding joint along its axis', () => {
    const finger = armFromUrdf(parseUrdf(armUrdf(5), 'arm.urdf'), {
      baseLink: 'tip',
      tipLink: 'left',
    });
    expect(forward(finger, [0.03]).translation).toEqual([0, 0.03, 0]);
    expect([...jacobian(finger, [0.03])]).toEqual([0, 1, 0, 0, 0, 0]);
  });

  it('ends the link poses at the tip', () => {
    const arm = armOf(7);
    const q = [0.1, 0.2, -0.3, 0.9, 0.5, -0.6, 0.7];
    const poses = linkPoses(arm, q);
    expect(poses).toHaveLength(8);
    expect(poses[0]).toEqual(pose.identity);
    expect(pose.compose(poses[7]!, arm.lastFromTip)).toEqual(forward(arm, q));
  });

  it('refuses links that make no chain', () => {
    const urdf = parseUrdf(planarUrdf, 'planar.urdf');
    const chain = (baseLink: string, tipLink: string) => () =>
      armFromUrdf(urdf, { baseLink, tipLink });
    expect(chain('floor', 'tip')).toThrow('baseLink: got floor');
    expect(chain('base', 'hand')).toThrow('tipLink: got hand');
    expect(chain('tip', 'base')).toThrow('a link that hangs on tip');
    expect(chain('lower', 'tip')).toThrow('an actuated joint');
    const arm = parseUrdf(armUrdf(5), 'arm.urdf');
    expect(() => armFromUrdf(arm, { baseLink: 'base', tipLink: 'right' })).toThrow('mimic joint');
  });
});
