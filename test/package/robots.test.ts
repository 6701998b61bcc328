import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { clearance, overlappingPairs } from '../../src/arm/clearance.js';
import { solveIk } from '../../src/arm/inverse.js';
import { forward } from '../../src/arm/kinematics.js';
import { describeArm } from '../../src/commands/arm.js';
import { readConfig } from '../../src/config.js';
import { seededRandom } from '../../src/math/random.js';
import type { Vec3 } from '../../src/types.js';
import { fr3, so101, ur5e, urdfOf, wx250s } from './vendorArms.js';

const config = (name: string) => readConfig(join('config', `${name}.yaml`));
const robots = [
  ['fr3', urdfOf('fr3', fr3)],
  ['ur5e', urdfOf('ur5e', ur5e)],
  ['widowx', urdfOf('wx250s', wx250s)],
  ['so101', urdfOf('so101', so101)],
] as const;

describe.each(robots)('config/%s.yaml with its maker’s description', (name, urdf) => {
  const robot = config(name);
  const { arm, capsules } = describeArm(robot, urdf, 'robot_description');
  const limits = robot.joints!.limits;
  const home = arm.jointNames.map((joint) => robot.home![joint]!);

  it('is a dry run of a held arm until somebody says otherwise', () => {
    expect(robot.dryRun).toBe(true);
    expect(robot.enable).toBeDefined();
    expect(robot.guard.speedScale).toBeLessThanOrEqual(0.3);
    expect(robot.description!.urdf).toBeUndefined();
  });

  it('names the joints of the chain, all of them, within what they can do', () => {
    expect(Object.keys(limits)).toEqual(arm.jointNames);
    arm.jointNames.forEach((joint, i) => {
      const { lower, upper, velocity } = limits[joint]!;
      expect(lower).toBeGreaterThan(arm.lower[i]!);
      expect(upper).toBeLessThan(arm.upper[i]!);
      expect(velocity).toBeLessThan(arm.velocity[i]!);
    });
  });

  it('names a gripper joint that the description has, and positions it can take', () => {
    const { joint, closed, open } = robot.gripper!;
    const [, lower, upper] = new RegExp(
      `<joint name="${joint}"[^]*?lower="([^"]*)" upper="([^"]*)"`,
    ).exec(urdf)!;
    for (const position of [closed, open]) {
      expect(position).toBeGreaterThanOrEqual(Number(lower));
      expect(position).toBeLessThanOrEqual(Number(upper));
    }
  });

  it('covers every link, and the pairs it ignores are of links that are there', () => {
    expect(capsules.uncovered).toEqual([]);
    const known = new Set(capsules.capsules.map(({ link }) => link));
    for (const link of robot.description!.ignoredPairs!.flat()) expect(known).toContain(link);
  });

  it('has a home within its limits and its box, clear of itself and of the table', () => {
    arm.jointNames.forEach((joint, i) => {
      expect(home[i]).toBeGreaterThan(limits[joint]!.lower);
      expect(home[i]).toBeLessThan(limits[joint]!.upper);
    });
    const { min, max } = robot.guard.workspace;
    forward(arm, home).translation.forEach((value, axis) => {
      expect(value).toBeGreaterThan(min[axis]!);
      expect(value).toBeLessThan(max[axis]!);
    });
    expect(overlappingPairs(arm, capsules, home)).toEqual([]);
    const { linkTable, linkLink } = clearance(arm, capsules, home, {
      tableHeight: robot.guard.tableHeight,
    });
    // Nearer than twice the clearance the guard slows down.
    expect(linkLink.distance).toBeGreaterThan(2 * robot.guard.linkClearance);
    expect(linkTable.distance).toBeGreaterThan(robot.guard.linkClearance);
  });

  it('has no pair that overlaps wherever the arm is: such a pair would halt it always', () => {
    const random = seededRandom(7);
    const always = new Map<string, number>();
    const poses = 400;
    for (let k = 0; k < poses; k++) {
      const q = arm.jointNames.map((joint) =>
        random.between(limits[joint]!.lower, limits[joint]!.upper),
      );
      for (const pair of overlappingPairs(arm, capsules, q))
        always.set(pair.join(' '), (always.get(pair.join(' ')) ?? 0) + 1);
    }
    expect([...always].filter(([, count]) => count > 0.9 * poses)).toEqual([]);
  });
});

describe('the five axes of an SO-101', () => {
  const robot = config('so101');
  const { arm } = describeArm(robot, urdfOf('so101', so101), 'robot_description');
  const home = arm.jointNames.map((joint) => robot.home![joint]!);
  const options = { taskWeights: robot.description!.taskWeights, maxIterations: 200 };
  const away = (a: Vec3, b: Vec3): number => Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);

  it('reach in full where the tool only pitches, rolls and moves', () => {
    const q = home.map((value, i) => value + [0.4, 0.2, -0.3, 0.25, 0.9][i]!);
    const target = forward(arm, q);
    const { translationError, rotationError } = solveIk(arm, home, target, options);
    expect(translationError).toBeLessThan(1e-4);
    expect(rotationError).toBeLessThan(0.01);
  });

  it('hold the position to 2 mm where the target turns sideways by 0.3 rad, and give up that turn', () => {
    const start = forward(arm, home);
    const turned = {
      ...start,
      rotation: forward(arm, [0.3, ...home.slice(1)]).rotation,
    };
    const { position, translationError, rotationError } = solveIk(arm, home, turned, options);
    expect(translationError).toBeLessThan(0.002);
    expect(rotationError).toBeGreaterThan(0.05);
    expect(away(forward(arm, position).translation, start.translation)).toBeLessThan(0.002);
  });
});
