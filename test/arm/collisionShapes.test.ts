import { describe, expect, it } from '@jest/globals';
import { capsulesFromUrdf } from '../../src/arm/clearance.js';
import { withCollisionShapes } from '../../src/arm/collisionShapes.js';
import { armFromUrdf } from '../../src/arm/kinematics.js';
import { parseUrdf } from '../../src/arm/urdf.js';
import type { Vec3 } from '../../src/types.js';
import { planarUrdf } from '../support/testArms.js';

const mesh = planarUrdf.replace(
  '<cylinder radius="0.04" length="0.5"/></geometry>\n    </collision>',
  '<mesh filename="tube.stl"/></geometry>\n    </collision>',
);
const urdf = parseUrdf(mesh, 'planar.urdf');
const covered = (given: Parameters<typeof withCollisionShapes>[1]) => {
  const shaped = withCollisionShapes(urdf, given);
  return capsulesFromUrdf(shaped, armFromUrdf(shaped, { baseLink: 'base', tipLink: 'tip' }));
};

describe('collision shapes of a robot.yaml', () => {
  it('cover a link that the URDF has only a mesh of', () => {
    expect(covered({}).uncovered).toEqual(['upper']);
    const upper = [{ from: [0, 0, 0], to: [0.5, 0, 0], radius: 0.04 }] as const;
    expect(covered({ upper }).uncovered).toEqual([]);
  });

  // The upper link's frame is frame 1 of the chain, so its capsule stays where it was given.
  it.each<[string, Vec3, Vec3]>([
    ['along x', [0, 0.01, 0], [0.5, 0.01, 0]],
    ['against z', [0.1, 0, 0.2], [0.1, 0, -0.3]],
    ['aslant', [0.1, -0.2, 0.3], [-0.4, 0.25, 0.05]],
    ['a ball', [0.1, 0.2, 0.3], [0.1, 0.2, 0.3]],
  ])('keep their ends: %s', (_name, from, to) => {
    const { capsules } = covered({ upper: [{ from, to, radius: 0.07 }] });
    const [capsule, ...more] = capsules.filter(({ link }) => link === 'upper');
    expect(more).toEqual([]);
    expect(capsule!.radius).toBe(0.07);
    capsule!.start.forEach((value, i) => expect(value).toBeCloseTo(from[i]!, 12));
    capsule!.end.forEach((value, i) => expect(value).toBeCloseTo(to[i]!, 12));
  });

  it('replace all that the URDF says about the link', () => {
    const { capsules } = covered({
      upper: [{ from: [0, 0, 0], to: [0.5, 0, 0], radius: 0.04 }],
      lower: [{ from: [0, 0, 0], to: [0.3, 0, 0], radius: 0.1 }],
    });
    expect(capsules.filter(({ link }) => link === 'lower').map(({ radius }) => radius)).toEqual([
      0.1,
    ]);
  });

  it('of a link that is not there are refused', () => {
    expect(() =>
      withCollisionShapes(urdf, { uper: [{ from: [0, 0, 0], to: [1, 0, 0], radius: 0.1 }] }),
    ).toThrow('description.collision: got uper, expected a link of the URDF of planar');
  });
});
