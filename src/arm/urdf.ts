/**
 * URDF text → plain data. Parsed once at the door: what comes out is one tree of links with finite numbers.
 * Units are URDF's: m, rad, kg. Origins are poses in the parent's frame (of the joint or link they belong to).
 */
import { XMLParser, XMLValidator } from 'fast-xml-parser';
import { ConfigError } from '../errors.js';
import * as pose from '../math/pose.js';
import * as vec3 from '../math/vec3.js';
import type { Pose, Vec3 } from '../types.js';
import { checkTree } from './urdfTree.js';

export type Shape =
  /** Full edge lengths x, y, z. */
  | { readonly kind: 'box'; readonly size: Vec3 }
  /** Along z, centred; `length` between the flat ends. */
  | { readonly kind: 'cylinder'; readonly radius: number; readonly length: number }
  | { readonly kind: 'sphere'; readonly radius: number };

export interface Geometry {
  /** The `name` attribute, or the kind of geometry where there is none. */
  readonly name: string;
  /** linkFromShape. */
  readonly origin: Pose;
  /** Null for a mesh (or another kind this file does not know): it has no extent here and must not count as clear. */
  readonly shape: Shape | null;
  /** Red, green, blue, alpha, each 0 … 1; null where neither the geometry nor the robot's materials say. */
  readonly rgba: readonly [number, number, number, number] | null;
}

export interface Inertial {
  readonly mass: number;
  /** linkFromInertial: at the centre of mass. */
  readonly origin: Pose;
  /** kg·m² about the centre of mass: ixx, ixy, ixz, iyy, iyz, izz. */
  readonly inertia: readonly [number, number, number, number, number, number];
}

export interface UrdfLink {
  readonly name: string;
  readonly inertial: Inertial | null;
  readonly visual: readonly Geometry[];
  readonly collision: readonly Geometry[];
}

export type JointType = 'fixed' | 'revolute' | 'continuous' | 'prismatic';

export interface UrdfJoint {
  readonly name: string;
  readonly type: JointType;
  readonly parent: string;
  readonly child: string;
  /** parentFromJoint: of the child link at position 0. */
  readonly origin: Pose;
  /** Unit vector in the joint's frame. */
  readonly axis: Vec3;
  /** rad or m, rad/s or m/s, N·m or N. A continuous joint has no bounds: ±Infinity. Null for a fixed joint. */
  readonly limit: {
    readonly lower: number;
    readonly upper: number;
    readonly velocity: number | null;
    readonly effort: number | null;
  } | null;
  /** Position = multiplier · position of `joint` + offset: such a joint is not commanded. */
  readonly mimic: {
    readonly joint: string;
    readonly multiplier: number;
    readonly offset: number;
  } | null;
}

export interface Urdf {
  readonly name: string;
  readonly root: string;
  /** In the order of the file. */
  readonly links: readonly UrdfLink[];
  readonly joints: readonly UrdfJoint[];
}

type Element = Readonly<Record<string, unknown>>;

const LISTS = new Set(['link', 'joint', 'visual', 'collision', 'material']);
const reader = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: '@',
  parseTagValue: false,
  parseAttributeValue: false,
  isArray: (name) => LISTS.has(name),
});

/** Text of a .urdf → Urdf. `where` names the text in errors. @throws ConfigError on anything that is not one tree. */
export function parseUrdf(xml: string, where: string): Urdf {
  // The parser alone reads a truncated file without a word. The validator is deprecated for a package of its own, which
  // one call does not earn.
  // eslint-disable-next-line @typescript-eslint/no-deprecated
  const valid = XMLValidator.validate(xml);
  if (valid !== true)
    throw new ConfigError(`${where}:${valid.err.line}`, valid.err.msg, 'well-formed XML');
  const robot = child(reader.parse(xml) as Element, 'robot');
  if (!robot) throw new ConfigError(where, 'no <robot>', 'a URDF with one <robot> element');

  const materials = new Map(
    children(robot, 'material').map((m) => [attribute(m, 'name') ?? '', rgbaOf(m, where)]),
  );
  const links = children(robot, 'link').map((link) => parseLink(link, materials, where));
  // A <joint> inside <transmission> is not listed here: only direct children of <robot> are read.
  const joints = children(robot, 'joint').map((joint) => parseJoint(joint, where));
  const root = checkTree(links, joints, where);
  return { name: attribute(robot, 'name') ?? '', root, links, joints };
}

function parseLink(
  link: Element,
  materials: ReadonlyMap<string, Geometry['rgba']>,
  where: string,
): UrdfLink {
  const name = nameOf(link, `${where}: link`);
  const at = `${where}: link ${name}`;
  const geometries = (kind: 'visual' | 'collision'): Geometry[] =>
    children(link, kind).map((g) => parseGeometry(g, materials, `${at}: ${kind}`));
  return {
    name,
    inertial: parseInertial(child(link, 'inertial'), `${at}: inertial`),
    visual: geometries('visual'),
    collision: geometries('collision'),
  };
}

function parseInertial(inertial: Element | null, at: string): Inertial | null {
  if (!inertial) return null;
  const inertia = child(inertial, 'inertia');
  const moment = (key: string): number => number(inertia, key, `${at}: inertia`);
  const mass = number(child(inertial, 'mass'), 'value', `${at}: mass`);
  if (mass < 0) throw new ConfigError(`${at}: mass`, `${mass} kg`, 'at least 0 kg');
  return {
    mass,
    origin: originOf(inertial, at),
    inertia: [
      moment('ixx'),
      moment('ixy'),
      moment('ixz'),
      moment('iyy'),
      moment('iyz'),
      moment('izz'),
    ],
  };
}

function parseGeometry(
  element: Element,
  materials: ReadonlyMap<string, Geometry['rgba']>,
  at: string,
): Geometry {
  const geometry = child(element, 'geometry');
  if (!geometry) throw new ConfigError(at, 'no <geometry>', 'a <geometry> element');
  const kind = Object.keys(geometry).find((key) => !key.startsWith('@') && !key.startsWith('#'));
  if (kind === undefined)
    throw new ConfigError(at, 'an empty <geometry>', 'box, cylinder, sphere or mesh');
  const material = children(element, 'material')[0];
  const rgba = material
    ? (rgbaOf(material, at) ?? materials.get(attribute(material, 'name') ?? '') ?? null)
    : null;
  return {
    name: attribute(element, 'name') ?? kind,
    origin: originOf(element, at),
    shape: parseShape(kind, child(geometry, kind), `${at}: ${kind}`),
    rgba,
  };
}

function parseShape(kind: string, element: Element | null, at: string): Shape | null {
  const positive = (key: string): number => {
    const value = number(element, key, at);
    if (value <= 0) throw new ConfigError(`${at}: ${key}`, `${value}`, 'more than 0');
    return value;
  };
  if (kind === 'sphere') return { kind, radius: positive('radius') };
  if (kind === 'cylinder') return { kind, radius: positive('radius'), length: positive('length') };
  if (kind !== 'box') return null;
  const size = triple(element, 'size', null, at);
  if (size.some((edge) => edge <= 0))
    throw new ConfigError(`${at}: size`, size.join(' '), 'three lengths above 0');
  return { kind, size };
}

const JOINT_TYPES: readonly JointType[] = ['fixed', 'revolute', 'continuous', 'prismatic'];

function parseJoint(joint: Element, where: string): UrdfJoint {
  const name = nameOf(joint, `${where}: joint`);
  const at = `${where}: joint ${name}`;
  const got = attribute(joint, 'type');
  const type = JOINT_TYPES.find((known) => known === got);
  if (!type) throw new ConfigError(`${at}: type`, got ?? 'nothing', JOINT_TYPES.join(', '));
  const linkOf = (end: 'parent' | 'child'): string => {
    const link = attribute(child(joint, end), 'link');
    if (link === null) throw new ConfigError(`${at}: ${end}`, 'nothing', 'a link name');
    return link;
  };
  const axis = triple(child(joint, 'axis'), 'xyz', [1, 0, 0], `${at}: axis`);
  if (type !== 'fixed' && vec3.norm(axis) < 1e-9)
    throw new ConfigError(`${at}: axis`, axis.join(' '), 'a direction');
  return {
    name,
    type,
    parent: linkOf('parent'),
    child: linkOf('child'),
    origin: originOf(joint, at),
    axis: vec3.normalise(axis),
    limit: parseLimit(type, child(joint, 'limit'), `${at}: limit`),
    mimic: parseMimic(child(joint, 'mimic'), `${at}: mimic`),
  };
}

function parseLimit(type: JointType, limit: Element | null, at: string): UrdfJoint['limit'] {
  if (type === 'fixed') return null;
  const rate = (key: string): number | null => {
    if (attribute(limit, key) === null) return null;
    const value = number(limit, key, at);
    if (value < 0) throw new ConfigError(`${at}: ${key}`, `${value}`, 'at least 0');
    return value;
  };
  const rates = { velocity: rate('velocity'), effort: rate('effort') };
  if (type === 'continuous') return { lower: -Infinity, upper: Infinity, ...rates };
  if (!limit) throw new ConfigError(at, 'nothing', `<limit> of a ${type} joint`);
  // URDF: lower and upper default to 0 where they are left out.
  const bound = (key: string): number =>
    attribute(limit, key) === null ? 0 : number(limit, key, at);
  const [lower, upper] = [bound('lower'), bound('upper')];
  if (lower >= upper) throw new ConfigError(at, `${lower} … ${upper}`, 'lower below upper');
  return { lower, upper, ...rates };
}

function parseMimic(mimic: Element | null, at: string): UrdfJoint['mimic'] {
  if (!mimic) return null;
  const joint = attribute(mimic, 'joint');
  if (joint === null) throw new ConfigError(at, 'no joint', 'the name of a joint');
  const factor = (key: string, fallback: number): number =>
    attribute(mimic, key) === null ? fallback : number(mimic, key, at);
  return { joint, multiplier: factor('multiplier', 1), offset: factor('offset', 0) };
}

// ── Elements and attributes ─────────────────────────────────────────────────────────────────────────────────────────

/** The first child element of that name. An element without attributes and children reads as an empty one. */
function child(element: Element | null, name: string): Element | null {
  return element ? (children(element, name)[0] ?? null) : null;
}

function children(element: Element, name: string): readonly Element[] {
  const value = element[name];
  if (value === undefined) return [];
  const list: readonly unknown[] = Array.isArray(value) ? value : [value];
  return list.map((item) => (typeof item === 'object' && item !== null ? (item as Element) : {}));
}

function attribute(element: Element | null, key: string): string | null {
  const value = element?.[`@${key}`];
  return typeof value === 'string' ? value : null;
}

function nameOf(element: Element, at: string): string {
  const name = attribute(element, 'name');
  if (name === null || name === '') throw new ConfigError(at, 'no name', 'a name attribute');
  return name;
}

function number(element: Element | null, key: string, at: string): number {
  const text = attribute(element, key);
  return numbers(text, 1, `${at}: ${key}`)[0]!;
}

function triple(element: Element | null, key: string, fallback: Vec3 | null, at: string): Vec3 {
  const text = attribute(element, key);
  if (text === null && fallback) return fallback;
  const [x, y, z] = numbers(text, 3, `${at}: ${key}`);
  return [x!, y!, z!];
}

function numbers(text: string | null, count: number, at: string): readonly number[] {
  const words = text?.trim().split(/\s+/) ?? [];
  const values = words.map(Number);
  const fits = words.length === count && words.every((word) => word !== '');
  if (!fits || !values.every(Number.isFinite))
    throw new ConfigError(at, text === null ? 'nothing' : `"${text}"`, `${count} finite number(s)`);
  return values;
}

function originOf(element: Element, at: string): Pose {
  const origin = child(element, 'origin');
  const [xyz, rpy] = [triple(origin, 'xyz', vec3.zero, at), triple(origin, 'rpy', vec3.zero, at)];
  return pose.fromXyzRpy(xyz, rpy);
}

function rgbaOf(material: Element, at: string): Geometry['rgba'] {
  const color = child(material, 'color');
  if (!color) return null;
  const [r, g, b, a] = numbers(attribute(color, 'rgba'), 4, `${at}: color: rgba`);
  return [r!, g!, b!, a!];
}
