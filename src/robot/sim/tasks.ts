/**
 * What the built-in simulation may be asked for, as plain data: colours, task families, and the state of a scene that
 * judging and the scripted expert read. Sentences are in instructions.ts, judging in judge.ts, suites in suites.ts.
 */
import type { Vec3 } from '../../types.js';
import type { Random } from '../../math/random.js';

/** Of the core and extended suites. */
export const seenColours = ['red', 'green', 'blue', 'yellow'] as const;
/** Of held-out scenes alone. */
export const heldOutColours = ['orange', 'pink'] as const;
export const blockColours = [...seenColours, ...heldOutColours] as const;
export const padColours = ['purple', 'teal'] as const;
export type BlockColour = (typeof blockColours)[number];
export type PadColour = (typeof padColours)[number];

export const coreFamilies = ['pick', 'put', 'push'] as const;
export const families = [
  ...coreFamilies,
  ...(['stack', 'sort', 'hold', 'reach', 'pushTo', 'clear'] as const),
] as const;
export type Family = (typeof families)[number];

export const sides = ['left', 'right'] as const;
export type Side = (typeof sides)[number];
/** Seen from the camera in front of the robot, +y is right of the robot and right in the image. */
export const sideSign = { left: -1, right: 1 } as const;

export interface BlockTask {
  readonly family: 'pick' | 'hold' | 'clear';
  readonly block: BlockColour;
}
export interface PadTask {
  readonly family: 'put' | 'pushTo';
  readonly block: BlockColour;
  readonly pad: PadColour;
}
export interface SideTask {
  readonly family: 'push' | 'reach';
  readonly block: BlockColour;
  readonly side: Side;
}
export interface StackTask {
  readonly family: 'stack';
  readonly block: BlockColour;
  readonly onto: BlockColour;
}
export interface SortTask {
  readonly family: 'sort';
  readonly block: BlockColour;
  readonly pad: PadColour;
  readonly other: BlockColour;
  readonly otherPad: PadColour;
}
export type Task = BlockTask | PadTask | SideTask | StackTask | SortTask;

export interface BlockState {
  /** Centre, m. */
  readonly position: Vec3;
  /** rad. */
  readonly yaw: number;
  /** Half its edge, m, where it is not the core suite's 0.02. */
  readonly half?: number | undefined;
}

/** Everything that judging and the scripted expert read, in the base frame, m and rad. */
export interface SceneState {
  readonly tcp: Vec3;
  /** Angle of the gripper about the vertical, wrapped to (−π, π]. */
  readonly tcpYaw: number;
  /** Distance between the finger pads, m. */
  readonly gripperWidth: number;
  /** Blocks on the table (a scene holds some of the colours). */
  readonly blocks: Readonly<Partial<Record<BlockColour, BlockState>>>;
  readonly pads: Readonly<Partial<Record<PadColour, Vec3>>>;
  /** Things that no instruction names; absent where there are none. */
  readonly clutter?: readonly Vec3[] | undefined;
}

export const coreBlockHalf = 0.02;

export function halfOf(block: BlockState): number {
  return block.half ?? coreBlockHalf;
}

/** Every task of one family that can be said of these objects, whether or not there is room for it. */
export function tasksOf(
  family: Family,
  blocks: readonly BlockColour[],
  pads: readonly PadColour[],
): readonly Task[] {
  switch (family) {
    case 'pick':
    case 'hold':
    case 'clear':
      return blocks.map((block) => ({ family, block }));
    case 'put':
    case 'pushTo':
      return blocks.flatMap((block) => pads.map((pad) => ({ family, block, pad })));
    case 'push':
    case 'reach':
      return blocks.flatMap((block) => sides.map((side) => ({ family, block, side })));
    case 'stack':
      return pairs(blocks).map(([block, onto]) => ({ family, block, onto }));
    case 'sort': {
      const [pad, otherPad] = pads;
      if (!pad || !otherPad) return [];
      return pairs(blocks).map(([block, other]) => ({ family, block, pad, other, otherPad }));
    }
  }
}

function pairs<T>(all: readonly T[]): (readonly [T, T])[] {
  return all.flatMap((a) => all.filter((b) => b !== a).map((b) => [a, b] as const));
}

/** Every core task in a scene with these objects: block by block, as the first training sets have them. */
export function tasksIn(
  blocks: readonly BlockColour[],
  pads: readonly PadColour[],
): readonly Task[] {
  return blocks.flatMap((block) =>
    coreFamilies.flatMap((family) => tasksOf(family, [block], pads)),
  );
}

export function randomTask(
  random: Random,
  family: Family,
  blocks: readonly BlockColour[],
  pads: readonly PadColour[],
): Task {
  return random.pick(tasksOf(family, blocks, pads));
}

/** The block is between the closed fingers. */
export function isHolding(state: SceneState, block: BlockColour): boolean {
  const at = state.blocks[block]?.position;
  return (
    at !== undefined &&
    state.gripperWidth > 0.02 &&
    state.gripperWidth < 0.055 &&
    Math.hypot(at[0] - state.tcp[0], at[1] - state.tcp[1], at[2] - state.tcp[2]) < 0.03
  );
}
