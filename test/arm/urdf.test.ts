import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { parseUrdf } from '../../src/arm/urdf.js';
import { ConfigError } from '../../src/errors.js';
import { armUrdf, planarUrdf } from '../support/testArms.js';

const link = (name: string, inside = ''): string => `<link name="${name}">${inside}</link>`;
const fixed = (name: string, parent: string, child: string): string =>
  `<joint name="${name}" type="fixed"><parent link="${parent}"/><child link="${child}"/></joint>`;
const robot = (inside: string): string => `<robot name="r">${inside}</robot>`;

describe('URDF', () => {
  it('becomes plain data', () => {
    const urdf = parseUrdf(planarUrdf, 'planar.urdf');
    expect(urdf.name).toBe('planar');
    expect(urdf.root).toBe('base');
    expect(urdf.links.map(({ name }) => name)).toEqual(['base', 'upper', 'lower', 'tip']);
    const [shoulder, elbow, tool] = urdf.joints;
    expect(shoulder).toMatchObject({
      name: 'shoulder',
      type: 'revolute',
      parent: 'base',
      child: 'upper',
      axis: [0, 0, 1],
      limit: { lower: -3, upper: 2.5, velocity: 1.5, effort: 20 },
      mimic: null,
    });
    expect(shoulder!.origin.translation).toEqual([0, 0, 0.1]);
    expect(elbow!.limit).toEqual({
      lower: -Infinity,
      upper: Infinity,
      velocity: null,
      effort: null,
    });
    expect(tool!.limit).toBeNull();
  });

  it('keeps inertia, shapes, names and colours', () => {
    const [base, upper, lower] = parseUrdf(planarUrdf, 'planar.urdf').links;
    expect(base).toEqual({ name: 'base', inertial: null, visual: [], collision: [] });
    expect(upper!.inertial).toMatchObject({ mass: 1.5, inertia: [0.01, 0, 0, 0.02, 0, 0.03] });
    expect(upper!.visual[0]).toMatchObject({
      name: 'cylinder',
      shape: { kind: 'cylinder', radius: 0.04, length: 0.5 },
      rgba: [1, 0, 0, 1],
    });
    expect(upper!.collision[0]).toMatchObject({ name: 'tube', rgba: null });
    expect(lower!.collision[0]!.shape).toEqual({ kind: 'box', size: [0.3, 0.06, 0.02] });
  });

  it('keeps a mesh as geometry without a shape', () => {
    const mesh = '<collision><geometry><mesh filename="a.stl"/></geometry></collision>';
    const [only] = parseUrdf(robot(link('a', mesh)), 'mesh.urdf').links;
    expect(only!.collision[0]).toMatchObject({ name: 'mesh', shape: null });
  });

  it('reads mimic joints with their defaults, and defaults of axis and origin', () => {
    const urdf = parseUrdf(armUrdf(7), 'arm.urdf');
    expect(urdf.joints.find(({ name }) => name === 'rightJoint')!.mimic).toEqual({
      joint: 'leftJoint',
      multiplier: 1,
      offset: 0,
    });
    const bare = parseUrdf(robot(link('a') + link('b') + fixed('j', 'a', 'b')), 'bare.urdf');
    expect(bare.joints[0]).toMatchObject({
      axis: [1, 0, 0],
      origin: { translation: [0, 0, 0], rotation: [0, 0, 0, 1] },
    });
  });

  it('ignores joints named inside a transmission', () => {
    const transmission = '<transmission name="t"><joint name="j"/></transmission>';
    expect(parseUrdf(robot(link('a') + transmission), 'x').joints).toEqual([]);
  });

  it('reads the arm of the built-in simulation', () => {
    const path = 'config/builtin_arm.urdf';
    const urdf = parseUrdf(readFileSync(path, 'utf8'), path);
    expect(urdf.root).toBe('base_link');
    expect(urdf.joints.filter(({ type }) => type === 'revolute')).toHaveLength(7);
  });

  const two = link('a') + link('b');
  const limited = (limit: string, axis = '<axis xyz="0 0 1"/>'): string =>
    robot(
      `${two}<joint name="j" type="revolute"><parent link="a"/><child link="b"/>${axis}${limit}</joint>`,
    );
  it.each([
    ['text that is no XML', '<robot><link name="a">', 'well-formed XML'],
    ['no robot', '<model/>', 'one <robot> element'],
    ['a link without a name', robot('<link/>'), 'a name attribute'],
    ['two links of one name', robot(link('a') + link('a')), 'a twice'],
    ['a missing child link', robot(link('a') + fixed('j', 'a', 'b')), 'joint j: child: got b'],
    ['a missing parent', robot(`${two}<joint name="j" type="fixed"/>`), 'joint j: parent'],
    ['two roots', robot(two), '2 root links: a, b'],
    [
      'two parents',
      robot(two + link('c') + fixed('j', 'a', 'b') + fixed('k', 'c', 'b')),
      'two parents, by joints j and k',
    ],
    [
      'a cycle beside the tree',
      robot(link('r') + two + fixed('j', 'a', 'b') + fixed('k', 'b', 'a')),
      'a cycle of links a, b',
    ],
    ['a cycle alone', robot(two + fixed('j', 'a', 'b') + fixed('k', 'b', 'a')), 'a cycle'],
    [
      'an unknown joint type',
      limited('').replace('revolute', 'floating'),
      'joint j: type: got floating',
    ],
    ['no limit', limited(''), 'joint j: limit: got nothing'],
    ['a limit upside down', limited('<limit lower="1" upper="-1"/>'), 'lower below upper'],
    ['a limit that is no number', limited('<limit lower="x" upper="1"/>'), 'lower: got "x"'],
    ['an infinite limit', limited('<limit lower="0" upper="Infinity"/>'), 'finite'],
    ['a negative velocity', limited('<limit lower="0" upper="1" velocity="-1"/>'), 'at least 0'],
    ['no axis', limited('<limit lower="0" upper="1"/>', '<axis xyz="0 0 0"/>'), 'a direction'],
    [
      'an axis of two numbers',
      limited('<limit lower="0" upper="1"/>', '<axis xyz="0 1"/>'),
      'axis: xyz: got "0 1", expected 3 finite number(s)',
    ],
    [
      'a mimic of nobody',
      limited('<limit lower="0" upper="1"/><mimic joint="ghost"/>'),
      'joint j: mimic: got ghost',
    ],
    [
      'a radius of 0',
      robot(link('a', '<collision><geometry><sphere radius="0"/></geometry></collision>')),
      'sphere: radius: got 0, expected more than 0',
    ],
    ['an empty collision', robot(link('a', '<collision/>')), 'a <geometry> element'],
    [
      'an inertia with a gap',
      robot(link('a', '<inertial><mass value="1"/><inertia ixx="1"/></inertial>')),
      'inertia: ixy: got nothing',
    ],
    [
      'an origin that is not finite',
      robot(
        link(
          'a',
          '<visual><origin xyz="0 NaN 0"/><geometry><sphere radius="1"/></geometry></visual>',
        ),
      ),
      'xyz: got "0 NaN 0"',
    ],
  ])('refuses %s and says where', (_, xml, message) => {
    const parse = (): unknown => parseUrdf(xml, 'bad.urdf');
    expect(parse).toThrow(ConfigError);
    expect(parse).toThrow('bad.urdf');
    expect(parse).toThrow(message);
  });
});
