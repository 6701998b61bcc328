/**
 * What the built-in simulation asks for, how success is judged, and which instruction means which task. A task is plain
 * data; judging reads only the scene's state, never a policy.
 */
import type { Vec3 } from '../../types.js';
import type { Random } from '../../math/random.js';

export const blockColours = ['red', 'green', 'blue', 'yellow'] as const;
export const padColours = ['purple', 'teal'] as const;
export const families = ['pick', 'put', 'push'] as const;
export type BlockColour = (typeof blockColours)[number];
export type PadColour = (typeof padColours)[number];
export type Family = (typeof families)[number];

export type Task =
  | { readonly family: 'pick'; readonly block: BlockColour }
  | { readonly family: 'put'; readonly block: BlockColour; readonly pad: PadColour }
  | { readonly family: 'push'; readonly block: BlockColour; readonly side: 'left' | 'right' };

/** Everything that judging and the scripted expert read, in the base frame, m and rad. */
export interface SceneState {
  readonly tcp: Vec3;
  /** Angle of the gripper about the vertical, wrapped to (−π, π]. */
  readonly tcpYaw: number;
  /** Distance between the finger pads, m. */
  readonly gripperWidth: number;
  /** Blocks on the table (a scene holds some of the colours). */
  readonly blocks: Readonly<
    Partial<Record<BlockColour, { readonly position: Vec3; readonly yaw: number }>>
  >;
  readonly pads: Readonly<Partial<Record<PadColour, Vec3>>>;
}

/** Seen from the camera in front of the robot, +y is right of the robot and right in the image. */
export const sideSign = { left: -1, right: 1 } as const;

export function instructionFor(task: Task): string {
  switch (task.family) {
    case 'pick':
      return `pick the ${task.block} block`;
    case 'put':
      return `put the ${task.block} block on the ${task.pad} pad`;
    case 'push':
      return `push the ${task.block} block ${task.side}`;
  }
}

/** Inverse of instructionFor; null for any other sentence. */
export function taskFor(instruction: string): Task | null {
  const block = `(${blockColours.join('|')})`;
  const pick = new RegExp(`^pick the ${block} block$`).exec(instruction);
  if (pick) return { family: 'pick', block: pick[1] as BlockColour };
  const put = new RegExp(`^put the ${block} block on the (${padColours.join('|')}) pad$`).exec(
    instruction,
  );
  if (put) return { family: 'put', block: put[1] as BlockColour, pad: put[2] as PadColour };
  const push = new RegExp(`^push the ${block} block (left|right)$`).exec(instruction);
  if (push)
    return { family: 'push', block: push[1] as BlockColour, side: push[2] as 'left' | 'right' };
  return null;
}

/** Every task that makes sense in a scene with these objects. */
export function tasksIn(
  blocks: readonly BlockColour[],
  pads: readonly PadColour[],
): readonly Task[] {
  return blocks.flatMap((block): Task[] => [
    { family: 'pick', block },
    ...pads.map((pad): Task => ({ family: 'put', block, pad })),
    { family: 'push', block, side: 'left' },
    { family: 'push', block, side: 'right' },
  ]);
}

export function randomTask(
  random: Random,
  family: Family,
  blocks: readonly BlockColour[],
  pads: readonly PadColour[],
): Task {
  return random.pick(tasksIn(blocks, pads).filter((task) => task.family === family));
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

const liftHeight = 0.1;
const padReach = 0.04;
const pushDistance = 0.07;

export type Outcome = 'running' | 'success' | 'wrongObject';

/** Judges a scene against its start. Wrong object: another block was lifted, put on the pad, or pushed as far. */
export function judge(task: Task, start: SceneState, now: SceneState): Outcome {
  const others = blockColours.filter((colour) => colour !== task.block && now.blocks[colour]);
  if (others.some((colour) => done({ ...task, block: colour }, start, now))) return 'wrongObject';
  return done(task, start, now) ? 'success' : 'running';
}

function done(task: Task, start: SceneState, now: SceneState): boolean {
  const at = now.blocks[task.block]?.position;
  const was = start.blocks[task.block]?.position;
  if (!at || !was) return false;
  switch (task.family) {
    case 'pick':
      return isHolding(now, task.block) && at[2] > liftHeight;
    case 'put': {
      const pad = now.pads[task.pad];
      const onPad =
        pad !== undefined && Math.hypot(at[0] - pad[0], at[1] - pad[1]) < padReach && at[2] < 0.03;
      return onPad && now.gripperWidth > 0.06 && now.tcp[2] > 0.06;
    }
    case 'push':
      return (at[1] - was[1]) * sideSign[task.side] > pushDistance && at[2] < 0.03;
  }
}
