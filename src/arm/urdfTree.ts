/** The links and joints of a URDF as one tree: checked once, walked by kinematics and clearance. */
import { ConfigError } from '../errors.js';
import type { UrdfJoint, UrdfLink } from './urdf.js';

/** The root link's name. @throws ConfigError unless the joints make one tree of all the links. */
export function checkTree(
  links: readonly UrdfLink[],
  joints: readonly UrdfJoint[],
  where: string,
): string {
  const names = links.map((link) => link.name);
  refuseTwice(names, `${where}: link`);
  refuseTwice(
    joints.map((joint) => joint.name),
    `${where}: joint`,
  );
  const known = new Set(names);
  for (const joint of joints) {
    for (const end of ['parent', 'child'] as const) {
      if (!known.has(joint[end]))
        throw new ConfigError(`${where}: joint ${joint.name}: ${end}`, joint[end], 'a known link');
    }
    const { mimic } = joint;
    if (mimic && !joints.some((other) => other.name === mimic.joint && other !== joint))
      throw new ConfigError(
        `${where}: joint ${joint.name}: mimic`,
        mimic.joint,
        'another known joint',
      );
  }
  const parentJoint = new Map<string, UrdfJoint>();
  for (const joint of joints) {
    const other = parentJoint.get(joint.child);
    if (other)
      throw new ConfigError(
        `${where}: link ${joint.child}`,
        `two parents, by joints ${other.name} and ${joint.name}`,
        'one parent',
      );
    parentJoint.set(joint.child, joint);
  }
  const roots = names.filter((name) => !parentJoint.has(name));
  // With one parent each, links that hang on no root hang on each other: a cycle.
  const reached = new Set(roots);
  for (let grown = -1; grown !== reached.size;) {
    grown = reached.size;
    for (const joint of joints) if (reached.has(joint.parent)) reached.add(joint.child);
  }
  const cyclic = names.filter((name) => !reached.has(name));
  if (cyclic.length > 0)
    throw new ConfigError(where, `a cycle of links ${cyclic.join(', ')}`, 'one tree of links');
  if (roots.length !== 1)
    throw new ConfigError(where, `${roots.length} root links: ${roots.join(', ')}`, 'one root');
  return roots[0]!;
}

/** Joints from `base` down to `tip`, in order. @throws ConfigError where tip does not hang on base. */
export function chainBetween(
  joints: readonly UrdfJoint[],
  base: string,
  tip: string,
): readonly UrdfJoint[] {
  const chain: UrdfJoint[] = [];
  for (let link = tip; link !== base;) {
    const joint = joints.find((candidate) => candidate.child === link);
    if (!joint) throw new ConfigError('tipLink', tip, `a link that hangs on ${base}`);
    chain.unshift(joint);
    link = joint.parent;
  }
  return chain;
}

function refuseTwice(names: readonly string[], at: string): void {
  const twice = names.find((name, i) => names.indexOf(name) !== i);
  if (twice !== undefined) throw new ConfigError(at, `${twice} twice`, 'unique names');
}
