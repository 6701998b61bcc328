/**
 * How near an arm is to itself and to the table, from the collision geometry of its URDF. Against each other, every
 * shape is held in a capsule (a segment with a radius) that contains it; against the table, boxes count by their corners.
 * So a distance here is never more than the true one.
 */
import * as pose from '../math/pose.js';
import { segmentDistance } from '../math/segment.js';
import type { Pose, Vec3 } from '../types.js';
import { type Arm, linkPoses, motionOf, moveAlong } from './kinematics.js';
import type { Geometry, Shape, Urdf, UrdfJoint } from './urdf.js';

export interface Capsule {
  /** Name of the URDF link. */
  readonly link: string;
  /** Index into linkPoses of the moving frame it is attached to; 0 is the base. */
  readonly frame: number;
  /** End centres in that frame, m. */
  readonly start: Vec3;
  readonly end: Vec3;
  readonly radius: number;
}

/** A ball of a moving frame; the balls of a link reach as far down as its shapes do. */
export interface SupportBall {
  readonly link: string;
  readonly frame: number;
  /** In that frame, m. */
  readonly centre: Vec3;
  /** 0 for the corner of a box. */
  readonly radius: number;
}

export interface ArmCapsules {
  readonly capsules: readonly Capsule[];
  /** What is held against the table: of links that move. */
  readonly support: readonly SupportBall[];
  /** Indices of the capsules that are held against each other. */
  readonly pairs: readonly (readonly [number, number])[];
  /**
   * Links with geometry that has no extent here (meshes, or a visual without a collision shape). Nothing is known about
   * their clearance: whoever relies on it must refuse such a description or have the shapes added.
   */
  readonly uncovered: readonly string[];
}

export interface Clearance {
  /** The nearest pair; negative where they overlap. Infinity and '' where there is no pair. */
  readonly linkLink: { readonly distance: number; readonly a: string; readonly b: string };
  /** The lowest moving link above the table; negative below it. Infinity and '' without a table. */
  readonly linkTable: { readonly distance: number; readonly link: string };
}

/**
 * Capsules of all links that hang on the arm's base link, at the frame they move with. Links moved by joints outside
 * the chain (a gripper's fingers) are there three times: all such joints at their lower limits, midway, and at their
 * upper limits; a continuous one stays at 0. Links on one frame, and on neighbouring frames, are not held against each
 * other.
 */
export function capsulesFromUrdf(urdf: Urdf, arm: Arm): ArmCapsules {
  const capsules: Capsule[] = [];
  const support: SupportBall[] = [];
  const uncovered: string[] = [];
  const sampled = new Set<string>();
  for (const share of [0, 0.5, 1]) {
    for (const { link, frame, frameFromLink, moved } of placeLinks(urdf, arm, share)) {
      if (sampled.has(link) && !moved) continue;
      sampled.add(link);
      const { collision, visual } = urdf.links.find((candidate) => candidate.name === link)!;
      const unknown = collision.length === 0 ? visual.length > 0 : collision.some(isUnknown);
      if (unknown && !uncovered.includes(link)) uncovered.push(link);
      for (const { origin, shape } of collision) {
        if (!shape) continue;
        const frameFromShape = pose.compose(frameFromLink, origin);
        const capsule = { link, frame, ...around(shape, frameFromShape) };
        capsules.push(capsule);
        if (frame > 0) support.push(...supportOf(shape, capsule, frameFromShape));
      }
    }
  }
  const pairs: [number, number][] = [];
  for (let i = 0; i < capsules.length; i++)
    for (let j = i + 1; j < capsules.length; j++)
      if (Math.abs(capsules[i]!.frame - capsules[j]!.frame) > 1) pairs.push([i, j]);
  return { capsules, support, pairs, uncovered };
}

/** The same without the named pairs of links, in either order. */
export function withoutPairs(
  arm: ArmCapsules,
  ignored: readonly (readonly [string, string])[],
): ArmCapsules {
  const { capsules } = arm;
  const isIgnored = (i: number, j: number): boolean =>
    ignored.some(
      ([a, b]) =>
        (capsules[i]!.link === a && capsules[j]!.link === b) ||
        (capsules[i]!.link === b && capsules[j]!.link === a),
    );
  return { ...arm, pairs: arm.pairs.filter(([i, j]) => !isIgnored(i, j)) };
}

/**
 * Pairs of links nearer than `margin` at `q`, each once. At a pose known to be free these are the pairs whose capsules
 * say nothing, to be named in the configuration and left out by withoutPairs.
 */
export function overlappingPairs(
  arm: Arm,
  { capsules, pairs }: ArmCapsules,
  q: ArrayLike<number>,
  margin = 0,
): readonly (readonly [string, string])[] {
  const placed = placeCapsules(capsules, linkPoses(arm, q));
  const found = new Map<string, readonly [string, string]>();
  for (const [i, j] of pairs) {
    if (gap(placed[i]!, placed[j]!) >= margin) continue;
    const names = [capsules[i]!.link, capsules[j]!.link].sort() as [string, string];
    found.set(names.join('\n'), names);
  }
  return [...found.values()];
}

/**
 * Nearest pair of links, and nearest link to the table plane z = tableHeight of the base frame (links that move).
 * Where `q` is not finite nothing is clear: −Infinity, so that no comparison lets it pass.
 */
export function clearance(
  arm: Arm,
  { capsules, support, pairs }: ArmCapsules,
  q: ArrayLike<number>,
  { tableHeight }: { readonly tableHeight?: number | undefined } = {},
): Clearance {
  if (!Array.from(q).every(Number.isFinite)) {
    const distance = -Infinity;
    return { linkLink: { distance, a: '', b: '' }, linkTable: { distance, link: '' } };
  }
  const poses = linkPoses(arm, q);
  const placed = placeCapsules(capsules, poses);
  let linkLink = { distance: Infinity, a: '', b: '' };
  for (const [i, j] of pairs) {
    const distance = gap(placed[i]!, placed[j]!);
    if (distance < linkLink.distance)
      linkLink = { distance, a: capsules[i]!.link, b: capsules[j]!.link };
  }
  let linkTable = { distance: Infinity, link: '' };
  if (tableHeight === undefined) return { linkLink, linkTable };
  for (const { link, frame, centre, radius } of support) {
    const distance = pose.transformPoint(poses[frame]!, centre)[2] - radius - tableHeight;
    if (distance < linkTable.distance) linkTable = { distance, link };
  }
  return { linkLink, linkTable };
}

/** The capsules in the base frame. */
function placeCapsules(capsules: readonly Capsule[], poses: readonly Pose[]): readonly Capsule[] {
  return capsules.map(({ link, frame, start, end, radius }) => ({
    link,
    frame,
    start: pose.transformPoint(poses[frame]!, start),
    end: pose.transformPoint(poses[frame]!, end),
    radius,
  }));
}

function gap(a: Capsule, b: Capsule): number {
  return segmentDistance(a.start, a.end, b.start, b.end) - a.radius - b.radius;
}

function isUnknown(geometry: Geometry): boolean {
  return geometry.shape === null;
}

/** The capsule around a shape. A box lies along its longest edge; the radius reaches its corners. */
function around(shape: Shape, frameFromShape: Pose): Pick<Capsule, 'start' | 'end' | 'radius'> {
  const along = (axis: Vec3, radius: number): Pick<Capsule, 'start' | 'end' | 'radius'> => ({
    start: pose.transformPoint(frameFromShape, [-axis[0], -axis[1], -axis[2]]),
    end: pose.transformPoint(frameFromShape, axis),
    radius,
  });
  switch (shape.kind) {
    case 'sphere':
      return along([0, 0, 0], shape.radius);
    case 'cylinder':
      return along([0, 0, shape.length / 2], shape.radius);
    case 'box': {
      const [x, y, z] = shape.size;
      const longest = Math.max(x, y, z);
      if (longest === x) return along([x / 2, 0, 0], Math.hypot(y, z) / 2);
      if (longest === y) return along([0, y / 2, 0], Math.hypot(x, z) / 2);
      return along([0, 0, z / 2], Math.hypot(x, y) / 2);
    }
  }
}

function supportOf(shape: Shape, capsule: Capsule, frameFromShape: Pose): readonly SupportBall[] {
  const { link, frame, start, end, radius } = capsule;
  if (shape.kind !== 'box') return [start, end].map((centre) => ({ link, frame, centre, radius }));
  const [x, y, z] = shape.size;
  const signs = [-0.5, 0.5];
  const corners = signs.flatMap((i) =>
    signs.flatMap((j) => signs.map((k): Vec3 => [i * x, j * y, k * z])),
  );
  return corners.map((corner) => ({
    link,
    frame,
    centre: pose.transformPoint(frameFromShape, corner),
    radius: 0,
  }));
}

interface PlacedLink {
  readonly link: string;
  readonly frame: number;
  readonly frameFromLink: Pose;
  /** Whether a joint outside the chain moves it within its frame. */
  readonly moved: boolean;
}

/** Every link from the base link down, with joints outside the chain at `share` (0 … 1) of their range. */
function placeLinks(urdf: Urdf, arm: Arm, share: number): readonly PlacedLink[] {
  const placed: PlacedLink[] = [
    { link: arm.baseLink, frame: 0, frameFromLink: pose.identity, moved: false },
  ];
  // `placed` grows while it is walked: each link once, parents before children.
  for (const parent of placed) {
    for (const joint of urdf.joints.filter((candidate) => candidate.parent === parent.link)) {
      const onChain = arm.jointNames.indexOf(joint.name);
      const link = joint.child;
      if (onChain >= 0) {
        placed.push({ link, frame: onChain + 1, frameFromLink: pose.identity, moved: false });
        continue;
      }
      const position = sidePosition(urdf, joint, share);
      placed.push({
        link,
        frame: parent.frame,
        frameFromLink: pose.compose(
          parent.frameFromLink,
          moveAlong(joint.origin, motionOf(joint), joint.axis, position),
        ),
        moved: parent.moved || joint.limit !== null,
      });
    }
  }
  return placed;
}

/** Position of a joint outside the chain; a mimic joint follows the one it names (not one that follows in turn). */
function sidePosition(urdf: Urdf, joint: UrdfJoint, share: number): number {
  const { mimic } = joint;
  const driver = mimic ? urdf.joints.find((other) => other.name === mimic.joint)! : joint;
  const { lower, upper } = driver.limit ?? { lower: 0, upper: 0 };
  const position = Number.isFinite(lower + upper) ? lower + (upper - lower) * share : 0;
  return mimic ? mimic.multiplier * position + mimic.offset : position;
}
