import { describe, expect, it } from '@jest/globals';
import {
  type ArmCapsules,
  capsulesFromUrdf,
  clearance,
  overlappingPairs,
  withoutPairs,
} from '../../src/arm/clearance.js';
import { type Arm, armFromUrdf, linkPoses } from '../../src/arm/kinematics.js';
import { parseUrdf, type Urdf } from '../../src/arm/urdf.js';
import * as pose from '../../src/math/pose.js';
import { seededRandom } from '../../src/math/random.js';
import * as vec3 from '../../src/math/vec3.js';
import type { Vec3 } from '../../src/types.js';
import { armUrdf, planarUrdf } from '../support/testArms.js';

const urdf = parseUrdf(armUrdf(7), 'arm.urdf');
const arm = armFromUrdf(urdf, { baseLink: 'base', tipLink: 'tip' });
const capsules = capsulesFromUrdf(urdf, arm);
const straight = [0, 0, 0, 0, 0, 0, 0];

/** Smallest gap over points sampled along every capsule of the named links. */
function sampledGap(at: readonly number[], a: string, b: string): number {
  const poses = linkPoses(arm, at);
  const balls = (link: string): { centre: Vec3; radius: number }[] =>
    capsules.capsules
      .filter((capsule) => capsule.link === link)
      .flatMap(({ frame, start, end, radius }) =>
        Array.from({ length: 41 }, (_, i) => ({
          centre: pose.transformPoint(poses[frame]!, vec3.lerp(start, end, i / 40)),
          radius,
        })),
      );
  let least = Infinity;
  for (const p of balls(a))
    for (const q of balls(b))
      least = Math.min(least, vec3.distance(p.centre, q.centre) - p.radius - q.radius);
  return least;
}

const planar = (xml: string): { arm: Arm; capsules: ArmCapsules; urdf: Urdf } => {
  const parsed = parseUrdf(xml, 'planar.urdf');
  const chain = armFromUrdf(parsed, { baseLink: 'base', tipLink: 'tip' });
  return { arm: chain, capsules: capsulesFromUrdf(parsed, chain), urdf: parsed };
};

describe('clearance', () => {
  it('makes a capsule of each shape: tube, box and ball', () => {
    const [tube, box, ball] = planar(planarUrdf).capsules.capsules;
    expect(tube).toMatchObject({ link: 'upper', frame: 1, radius: 0.04 });
    // The cylinder lies along x: from 0 to 0.5 m.
    expect(tube!.start[0]).toBeCloseTo(0, 12);
    expect(tube!.end[0]).toBeCloseTo(0.5, 12);
    // Along x, its longest edge; the radius reaches the corners: √(0.03² + 0.01²).
    expect(box).toMatchObject({ link: 'lower', frame: 2, start: [0, 0, 0], end: [0.3, 0, 0] });
    expect(box!.radius).toBeCloseTo(Math.sqrt(0.001), 12);
    expect(ball).toMatchObject({ link: 'tip', frame: 2, start: [0.3, 0, 0], end: [0.3, 0, 0] });
  });

  it('tells the height above a table by the lowest shape', () => {
    const { arm: two, capsules: shapes } = planar(planarUrdf);
    // The arm turns at z = 0.1 m; the tube's radius of 0.04 m reaches lowest.
    const { linkTable } = clearance(two, shapes, [0.3, 0.2], { tableHeight: 0.05 });
    expect(linkTable.link).toBe('upper');
    expect(linkTable.distance).toBeCloseTo(0.01, 12);
  });

  it('measures boxes by their corners against the table, not by their capsules', () => {
    const flat = planarUrdf.replace(/<collision name="tube">[\s\S]*?<\/collision>/, '');
    const { arm: two, capsules: shapes } = planar(
      flat.replace('<sphere radius="0.02"/>', '<sphere radius="0.001"/>'),
    );
    // Half of 0.02 m below z = 0.1 m.
    const { linkTable } = clearance(two, shapes, [0, 0], { tableHeight: 0 });
    expect(linkTable.link).toBe('lower');
    expect(linkTable.distance).toBeCloseTo(0.09, 12);
  });

  it('leaves out neighbours, links on one frame, and a table that is not there', () => {
    const { arm: two, capsules: shapes } = planar(planarUrdf);
    expect(shapes.pairs).toEqual([]);
    expect(clearance(two, shapes, [0, 3])).toEqual({
      linkLink: { distance: Infinity, a: '', b: '' },
      linkTable: { distance: Infinity, link: '' },
    });
  });

  it('holds links against all but their neighbours', () => {
    const names = (link: string): Set<string> =>
      new Set(
        capsules.pairs
          .map(([i, j]) => [capsules.capsules[i]!.link, capsules.capsules[j]!.link] as const)
          .filter((pair) => pair.includes(link))
          .map(([a, b]) => (a === link ? b : a)),
      );
    const beyond = ['forearmRoll', 'wrist', 'flange', 'left', 'right'];
    expect(names('upperRoll')).toEqual(new Set(['base', 'yaw', ...beyond]));
    expect(names('left')).toEqual(
      new Set(['base', 'yaw', 'shoulder', 'upperRoll', 'elbow', 'forearmRoll']),
    );
  });

  it('holds a gripper closed, half open and open against the arm', () => {
    const left = capsules.capsules.filter(({ link }) => link === 'left');
    const right = capsules.capsules.filter(({ link }) => link === 'right');
    expect(left).toHaveLength(3);
    // The fingers open by 0.02 m and 0.04 m, the mimic one the other way, on the last moving frame.
    expect(vec3.distance(left[0]!.start, left[2]!.start)).toBeCloseTo(0.04, 12);
    expect(vec3.distance(left[2]!.start, right[2]!.start)).toBeCloseTo(0.08, 12);
    expect(left.every(({ frame }) => frame === 7)).toBe(true);
    expect(capsules.capsules.filter(({ link }) => link === 'wrist')).toHaveLength(1);
  });

  it('finds the nearest pair that sampling finds', () => {
    const random = seededRandom(41);
    for (let k = 0; k < 15; k++) {
      const q = arm.lower.map((lower, i) => random.between(lower, arm.upper[i]!));
      const { linkLink } = clearance(arm, capsules, q);
      const names = [...new Set(capsules.pairs.flat().map((i) => capsules.capsules[i]!.link))];
      let least = Infinity;
      for (const a of names)
        for (const b of names) {
          const paired = capsules.pairs.some(
            ([i, j]) => capsules.capsules[i]!.link === a && capsules.capsules[j]!.link === b,
          );
          if (paired) least = Math.min(least, sampledGap(q, a, b));
        }
      // Points 1/40 of at most 0.2 m apart on both.
      expect(linkLink.distance).toBeLessThanOrEqual(least + 1e-9);
      expect(linkLink.distance).toBeGreaterThan(least - 0.005);
      expect(sampledGap(q, linkLink.a, linkLink.b)).toBeLessThan(linkLink.distance + 0.005);
    }
  });

  it('sees the arm fold onto its base', () => {
    const open = clearance(arm, capsules, straight).linkLink.distance;
    const folded = clearance(arm, capsules, [0, 1.9, 0, 2.6, 0, 1.5, 0]).linkLink;
    expect(folded.distance).toBeLessThan(0);
    expect(open).toBeGreaterThan(folded.distance);
  });

  it('lists overlapping pairs once, and forgets those it is told to', () => {
    const folded = [0, 1.9, 0, 2.6, 0, 1.5, 0];
    const pairs = overlappingPairs(arm, capsules, folded);
    expect(pairs.length).toBeGreaterThan(0);
    expect(new Set(pairs.map((pair) => pair.join())).size).toBe(pairs.length);
    const swapped = pairs.map(([a, b]) => [b, a] as const);
    const rest = withoutPairs(capsules, swapped);
    expect(overlappingPairs(arm, rest, folded)).toEqual([]);
    expect(clearance(arm, rest, folded).linkLink.distance).toBeGreaterThanOrEqual(0);
    expect(overlappingPairs(arm, rest, folded, 10).length).toBeGreaterThan(0);
  });

  it('names links whose shape it does not know', () => {
    expect(capsules.uncovered).toEqual([]);
    const mesh = '<collision><geometry><mesh filename="a.stl"/></geometry></collision>';
    const seen = '<visual><geometry><sphere radius="0.1"/></geometry></visual>';
    const xml = planarUrdf
      .replace('<link name="base"/>', `<link name="base">${mesh}</link>`)
      .replace(/<link name="tip">[\s\S]*?<\/link>/, `<link name="tip">${seen}</link>`);
    expect(planar(xml).capsules.uncovered).toEqual(['base', 'tip']);
  });

  it('finds nothing clear where a joint is not finite', () => {
    const { linkLink, linkTable } = clearance(arm, capsules, [NaN, 0, 0, 0, 0, 0, 0]);
    expect(linkLink.distance).toBe(-Infinity);
    expect(linkTable.distance).toBe(-Infinity);
  });
});
