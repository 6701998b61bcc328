/**
 * What the arm must keep away from, as margins in metres that must not become negative: the six faces of the workspace
 * box around the tool, the table, and the arm's own links. From inside, only motion that does not shrink a margin passes.
 */
import { type ArmCapsules, clearance } from '../arm/clearance.js';
import { type Arm, forward } from '../arm/kinematics.js';
import type { GuardConfig } from '../config.js';
import type { Vec3 } from '../types.js';
import type { ReasonCode } from './reasons.js';

/** Faces of the box (lower x, y, z, upper x, y, z), then link–table, then link–link. */
export const FACES = 6;
const TABLE = FACES;
const LINKS = FACES + 1;
export const MARGINS = FACES + 2;

/** m: within this distance of a face of the workspace the arm slows down; near links and table, linkClearance is it. */
const WORKSPACE_SLOW_ZONE = 0.02;
/** The slowest an approach becomes before the stop. */
const SLOWEST_APPROACH = 0.1;

/** Distances of a point to the faces of a box, inside positive, into `out`[0 … 5]. */
export function boxMargins(point: Vec3, box: GuardConfig['workspace'], out: Float64Array): void {
  for (let axis = 0; axis < 3; axis++) {
    out[axis] = point[axis]! - box.min[axis]!;
    out[axis + 3] = box.max[axis]! - point[axis]!;
  }
}

/** `axis` 0 … 5 of boxMargins in words. */
export function faceName(face: number): string {
  return `${'xyz'[face % 3]!} ${face < 3 ? 'min' : 'max'}`;
}

export class Surroundings {
  private readonly arm: Arm;
  private readonly capsules: ArmCapsules | null;
  private readonly config: GuardConfig;

  constructor(arm: Arm, capsules: ArmCapsules | null, config: GuardConfig) {
    this.arm = arm;
    this.capsules = capsules;
    this.config = config;
  }

  /** All margins at a joint position, into `out`. Infinity where there is nothing to keep away from. */
  margins(position: ArrayLike<number>, out: Float64Array): void {
    boxMargins(forward(this.arm, position).translation, this.config.workspace, out);
    out[TABLE] = Infinity;
    out[LINKS] = Infinity;
    if (this.capsules === null) return;
    const { linkTable, linkLink } = clearance(this.arm, this.capsules, position, this.config);
    out[TABLE] = linkTable.distance - this.config.linkClearance;
    out[LINKS] = linkLink.distance - this.config.linkClearance;
  }

  /** Share of full speed (0.1 … 1) for motion that takes the margins from `now` to `next`. */
  approachShare(now: Float64Array, next: Float64Array): number {
    let share = 1;
    for (let i = 0; i < MARGINS; i++) {
      const zone = i < FACES ? WORKSPACE_SLOW_ZONE : this.config.linkClearance;
      if (next[i]! < now[i]! && now[i]! < zone)
        share = Math.min(share, Math.max(SLOWEST_APPROACH, now[i]! / zone));
    }
    return share;
  }

  /** The code and the sentence for margin i, which is `value` at `position`. */
  describe(i: number, value: number, position: ArrayLike<number>): readonly [ReasonCode, string] {
    if (i < FACES)
      return [
        'workspace',
        `The tool would come to ${millimetres(value)} of the workspace's ${faceName(i)} face while braking.`,
      ];
    const { linkClearance } = this.config;
    const { linkTable, linkLink } = clearance(this.arm, this.capsules!, position, this.config);
    const pair =
      i === TABLE ? `${linkTable.link} and the table` : `${linkLink.a} and ${linkLink.b}`;
    return [
      'clearance',
      `${pair} would come within ${millimetres(value + linkClearance)} of each other while braking, ${millimetres(linkClearance)} must be kept.`,
    ];
  }
}

function millimetres(metres: number): string {
  return `${(metres * 1000).toFixed(1)} mm`;
}
