import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { parse } from 'yaml';
import { parseUrdf } from '../../src/arm/urdf.js';
import { readConfig } from '../../src/config.js';

const text = (...path: string[]): string => readFileSync(join(...path), 'utf8');
const spokenByTheNode = (readdirSync('src/node', { recursive: true }) as string[])
  .filter((name) => name.endsWith('.ts'))
  .map((name) => text('src/node', name))
  .join('\n');

/** What a layout says of the node: names under magma_vla/. */
const namesIn = (layout: string): string[] => [
  ...new Set([...layout.matchAll(/magma_vla\/([a-z_]+)/g)].map(([, name]) => name!)),
];

describe('layouts', () => {
  it.each(['magma_vla.rviz', 'foxglove.json'])('%s names what the node has', (file) => {
    const names = namesIn(text('config', 'viz', file));
    expect(names.length).toBeGreaterThan(1);
    expect(names.filter((name) => !spokenByTheNode.includes(`'~/${name}`))).toEqual([]);
  });

  it('of Foxglove: every panel that is laid out is configured, once, and the other way round', () => {
    const { configById, layout } = JSON.parse(text('config', 'viz', 'foxglove.json')) as {
      configById: object;
      layout: unknown;
    };
    type Tree = string | { first: Tree; second: Tree };
    const panels = (tree: Tree): string[] =>
      typeof tree === 'string' ? [tree] : [...panels(tree.first), ...panels(tree.second)];
    expect(panels(layout as Tree).sort()).toEqual(Object.keys(configById).sort());
  });

  it('of RViz is YAML with displays', () => {
    const rviz = parse(text('config', 'viz', 'magma_vla.rviz')) as {
      'Visualization Manager': { Displays: { Class: string }[] };
    };
    expect(rviz['Visualization Manager'].Displays.map((display) => display.Class)).toContain(
      'rviz_default_plugins/MarkerArray',
    );
  });
});

describe('what Gazebo is given', () => {
  const sim = readConfig('config/sim.yaml');
  const joints = Object.keys(sim.joints!.limits);
  const fragment = text('config', 'gazebo', 'ros2_control.urdf');
  const urdf = text('config', 'builtin_arm.urdf').replace(
    '</robot>',
    `${/<fragment>([^]*)<\/fragment>/.exec(fragment)![1]!}</robot>`,
  );

  it('is one tree from the world on, whose controlled joints are those of the arm and its gripper', () => {
    const parsed = parseUrdf(urdf, 'gazebo');
    expect(parsed.root).toBe('world');
    const [, control] = /<ros2_control[^>]*>([^]*)<\/ros2_control>/.exec(fragment)!;
    const commanded = control!
      .split('<joint name="')
      .slice(1)
      .filter((joint) => joint.includes('<command_interface name="position"/>'))
      .map((joint) => joint.split('"')[0]);
    expect(commanded).toEqual([...joints, sim.gripper!.joint]);
    for (const joint of commanded)
      expect(parsed.joints.some(({ name }) => name === joint)).toBe(true);
  });

  it('has controllers for the joints of sim.yaml', () => {
    const { arm_controller: arm, gripper_controller: gripper } = parse(
      text('config', 'gazebo', 'controllers.yaml'),
    ) as Record<string, { ros__parameters: { joints?: string[]; joint?: string } }>;
    expect(arm!.ros__parameters.joints).toEqual(joints);
    expect(gripper!.ros__parameters.joint).toBe(sim.gripper!.joint);
  });

  it('bridges the cameras of sim.yaml and the clock, from sensors that the world has', () => {
    const bridged = (
      parse(text('config', 'gazebo', 'bridge.yaml')) as { ros_topic_name: string }[]
    ).map((entry) => entry.ros_topic_name);
    const world = text('worlds', 'table.sdf');
    for (const { topic } of Object.values(sim.cameras)) {
      expect(bridged).toContain(topic);
      expect(world).toContain(`<topic>${topic.slice(1)}</topic>`);
    }
    expect(bridged).toContain('/clock');
  });
});
