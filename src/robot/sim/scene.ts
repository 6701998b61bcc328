/**
 * URDF + table + blocks + pads → MJCF. The arm's bodies, joints and geometry come from the URDF alone; only what URDF
 * cannot say (contact parameters, servo gains, the table) is added here.
 *
 * Contact settings that hold a grasped block still (measured, see models/nano/README.md): 2 ms or 2.5 ms steps, elliptic
 * cone, impratio 10, four noslip iterations, fingertip friction with torsion (condim 4).
 */
import type { Geometry, Urdf, UrdfJoint, UrdfLink } from '../../arm/urdf.js';
import type { Pose } from '../../types.js';
import { coreObjects, type ClutterShape, type SceneObjects } from './scenery.js';
import { padColours, type BlockColour, type PadColour } from './tasks.js';

export const padRadius = 0.045;
export const table = { height: 0, x: [0.05, 0.95], y: [-0.55, 0.55] } as const;

const colours: Readonly<Record<BlockColour | PadColour, readonly [number, number, number]>> = {
  red: [0.85, 0.12, 0.1],
  green: [0.15, 0.65, 0.2],
  blue: [0.12, 0.3, 0.85],
  yellow: [0.95, 0.8, 0.1],
  purple: [0.55, 0.2, 0.7],
  teal: [0.1, 0.62, 0.62],
  orange: [0.95, 0.45, 0.05],
  pink: [0.95, 0.5, 0.7],
};

/** Position servo per joint, N·m/rad (or N/m) and N·m·s/rad: proportional, derivative, force limit. */
interface Servo {
  readonly stiffness: number;
  readonly damping: number;
  readonly force: number;
}

export const armServos: readonly Servo[] = [4500, 4500, 3500, 3500, 2000, 2000, 2000].map(
  (stiffness) => ({
    stiffness,
    damping: stiffness / 10,
    force: 300,
  }),
);
const fingerServo: Servo = { stiffness: 600, damping: 20, force: 25 };

export interface SceneOptions {
  readonly timestep: number;
  /** Links whose collision geometry touches blocks and table; the rest of the arm is guarded by clearance, not contact. */
  readonly contactLinks: readonly string[];
  /** Default: the core suite's. */
  readonly objects?: SceneObjects;
}

/** Half sizes of the low bar that may be put in the way, m. */
export const obstacleHalf = [0.012, 0.03, 0.015] as const;

export function mjcfFromUrdf(urdf: Urdf, options: SceneOptions): string {
  const arm = urdf.joints.filter(
    (joint) => joint.type === 'revolute' || joint.type === 'continuous',
  );
  const fingers = urdf.joints.filter((joint) => joint.type === 'prismatic');
  const objects = options.objects ?? coreObjects;
  const tableFriction =
    objects.friction === 1 ? '' : ` friction="${objects.friction} 0.005 0.0001"`;
  return `<mujoco model="${urdf.name}">
<compiler angle="radian" autolimits="true"/>
<option timestep="${options.timestep}" integrator="implicitfast" cone="elliptic" noslip_iterations="4" impratio="10" iterations="20" ls_iterations="20"/>
<default>
  <geom solref="0.01 1" solimp="0.95 0.99 0.001" friction="1 0.005 0.0001"/>
  <default class="visual"><geom contype="0" conaffinity="0" mass="0" group="1"/></default>
  <default class="contact"><geom friction="1.5 0.02 0.0005" condim="4" mass="0" rgba="0 0 0 0"/></default>
</default>
<worldbody>
  <geom name="table" type="box" pos="${(table.x[0] + table.x[1]) / 2} 0 ${table.height - 0.02}" size="${(table.x[1] - table.x[0]) / 2} ${table.y[1]} 0.02"${tableFriction} rgba="0.62 0.5 0.38 1"/>
  <geom name="floor" type="plane" pos="0 0 -0.7" size="4 4 0.1" rgba="0.5 0.52 0.55 1"/>
${bodyTree(urdf, urdf.root, null, options)}
${padColours.map(pad).join('\n')}
${objects.blocks.map((each) => block(each, objects.friction)).join('\n')}${objects.clutter.map(clutter).join('')}${objects.obstacle === 'ready' ? obstacle() : ''}
</worldbody>
<actuator>
${arm.map((joint, i) => actuator(joint, armServos[i]!)).join('\n')}
${fingers.map((joint) => actuator(joint, fingerServo)).join('\n')}
</actuator>
<contact>
${contactExcludes(options.contactLinks)}
</contact>
</mujoco>`;
}

function bodyTree(
  urdf: Urdf,
  name: string,
  joint: UrdfJoint | null,
  options: SceneOptions,
): string {
  const link = urdf.links.find((candidate) => candidate.name === name)!;
  const children = urdf.joints
    .filter((candidate) => candidate.parent === name)
    .map((child) => bodyTree(urdf, child.child, child, options))
    .join('');
  const pose = joint ? poseAttributes(joint.origin) : '';
  return `<body name="${name}" ${pose} gravcomp="1">${inertial(link)}${joint ? jointElement(joint) : ''}${link.visual
    .map((geometry) => geom(geometry, 'visual'))
    .join(
      '',
    )}${options.contactLinks.includes(name) ? link.collision.map((g) => geom(g, 'contact')).join('') : ''}${children}</body>\n`;
}

function inertial(link: UrdfLink): string {
  if (!link.inertial) return '<inertial pos="0 0 0" mass="0.001" diaginertia="1e-6 1e-6 1e-6"/>';
  const [ixx, ixy, ixz, iyy, iyz, izz] = link.inertial.inertia;
  return `<inertial pos="${link.inertial.origin.translation.join(' ')}" mass="${link.inertial.mass}" fullinertia="${[ixx, iyy, izz, ixy, ixz, iyz].join(' ')}"/>`;
}

function jointElement(joint: UrdfJoint): string {
  if (joint.type === 'fixed' || !joint.limit) return '';
  const slide = joint.type === 'prismatic';
  const range = Number.isFinite(joint.limit.lower)
    ? `range="${joint.limit.lower} ${joint.limit.upper}"`
    : '';
  return `<joint name="${joint.name}" type="${slide ? 'slide' : 'hinge'}" axis="${joint.axis.join(' ')}" ${range} armature="${slide ? 0.05 : 0.1}" damping="${slide ? 8 : 1}"/>`;
}

function geom(geometry: Geometry, kind: 'visual' | 'contact'): string {
  const { shape } = geometry;
  if (!shape) return '';
  const at = poseAttributes(geometry.origin);
  const rgba = kind === 'visual' && geometry.rgba ? `rgba="${geometry.rgba.join(' ')}"` : '';
  switch (shape.kind) {
    case 'box':
      return `<geom class="${kind}" type="box" size="${shape.size.map((s) => s / 2).join(' ')}" ${at} ${rgba}/>`;
    case 'cylinder': // drawn and touched as a capsule: round ends hide the gaps between links
      return `<geom class="${kind}" type="capsule" size="${shape.radius} ${shape.length / 2}" ${at} ${rgba}/>`;
    case 'sphere':
      return `<geom class="${kind}" type="sphere" size="${shape.radius}" ${at} ${rgba}/>`;
  }
}

function poseAttributes(pose: Pose): string {
  const [x, y, z, w] = pose.rotation;
  return `pos="${pose.translation.join(' ')}" quat="${w} ${x} ${y} ${z}"`;
}

function actuator(joint: UrdfJoint, servo: Servo): string {
  return `<position name="${joint.name}" joint="${joint.name}" kp="${servo.stiffness}" kv="${servo.damping}" forcerange="-${servo.force} ${servo.force}"/>`;
}

function pad(colour: PadColour): string {
  return `<body name="pad_${colour}" mocap="true"><geom name="pad_${colour}" type="cylinder" size="${padRadius} 0.001" contype="0" conaffinity="0" rgba="${colours[colour].join(' ')} 1"/></body>`;
}

function block({ colour, half }: SceneObjects['blocks'][number], friction: number): string {
  return `<body name="block_${colour}" pos="-2 0 0"><freejoint name="block_${colour}"/><geom name="block_${colour}" type="box" size="${half} ${half} ${half}" mass="0.05" condim="4" friction="${friction} 0.01 0.0005" rgba="${colours[colour].join(' ')} 1"/></body>`;
}

function clutter({ shape, grey }: SceneObjects['clutter'][number], i: number): string {
  const name = `clutter_${i}`;
  const { type, size } = clutterShapes[shape];
  return `\n<body name="${name}" pos="-2 ${1 + i} 0"><freejoint name="${name}"/><geom name="${name}" type="${type}" size="${size.join(' ')}" mass="0.06" condim="4" friction="1 0.01 0.0005" rgba="${grey} ${grey} ${grey} 1"/></body>`;
}

/** MuJoCo's half sizes, m; the last is half the height. */
export const clutterShapes: Readonly<
  Record<ClutterShape, { readonly type: 'cylinder' | 'box'; readonly size: readonly number[] }>
> = {
  can: { type: 'cylinder', size: [0.017, 0.02] },
  bar: { type: 'box', size: [0.028, 0.012, 0.014] },
};

function obstacle(): string {
  return `\n<body name="obstacle" mocap="true" pos="-3 -0.6 -0.68"><geom name="obstacle" type="box" size="${obstacleHalf.join(' ')}" rgba="0.25 0.22 0.2 1"/></body>`;
}

/** Links of the gripper touch blocks and table, never each other. */
function contactExcludes(links: readonly string[]): string {
  return links
    .flatMap((a, i) => links.slice(i + 1).map((b) => `<exclude body1="${a}" body2="${b}"/>`))
    .join('\n');
}
