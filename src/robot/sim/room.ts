/** Where there is room on the table: which tasks can be done in a scene, and where a block can be pushed to. */
import {
  blockColours,
  padColours,
  sideSign,
  sides,
  type BlockColour,
  type PadColour,
  type SceneState,
  type Side,
  type Task,
} from './tasks.js';

/** Free space around a block in the open, centre to centre, m. */
export const clearRoom = 0.1;

type Place = readonly [number, number];

/** How wide a way must be free for a block, or for the closed fingers, from centre to centre, m. */
const wayWidth = 0.055;
/** Behind a block, where a push begins. */
export const behind = 0.065;
/** Where blocks may be pushed, m. */
const reachable = { x: [0.3, 0.64], y: [-0.22, 0.22] } as const;
const scanned = 0.005;

/** From a place to the nearest other thing, pads too, centre to centre, m. */
export function clearance(
  block: BlockColour,
  at: Place | readonly number[],
  state: SceneState,
): number {
  const things = [...solidThings(state, block), ...Object.values(state.pads)];
  return Math.min(...things.map((other) => Math.hypot(other[0]! - at[0], other[1]! - at[1])));
}

/** Which way a block is nearest to open space, and how far that is; null where neither way leads there. */
export function wayOut(
  block: BlockColour,
  state: SceneState,
): { readonly side: Side; readonly distance: number } | null {
  const ways = sides.flatMap((side) => {
    const distance = distanceToRoom(block, side, state);
    return distance === null ? [] : [{ side, distance }];
  });
  return ways.sort((a, b) => a.distance - b.distance)[0] ?? null;
}

/** A little more room than judging wants, so that being done does not depend on the last millimetre. */
function distanceToRoom(block: BlockColour, side: Side, state: SceneState): number | null {
  const [x, y] = state.blocks[block]!.position;
  const solid = solidThings(state, block);
  for (let s = 0; ; s += scanned) {
    const at: Place = [x, y + sideSign[side] * s];
    if (at[1] < reachable.y[0] || at[1] > reachable.y[1]) return null;
    if (solid.some((other) => Math.hypot(other[0]! - at[0], other[1]! - at[1]) < 0.05)) return null;
    if (clearance(block, at, state) > clearRoom + 0.01) return s;
  }
}

/** Whether a task can be done as things stand, and is not done already. */
export function makesSense(task: Task, state: SceneState): boolean {
  const block = state.blocks[task.block];
  if (!block) return false;
  const [x, y] = block.position;
  const start = (direction: Place): Place => [x - direction[0] * behind, y - direction[1] * behind];
  const free = (from: Place, to: Place): boolean =>
    [from, to].every(isReachable) &&
    solidThings(state, task.block).every((other) => distanceToWay(other, from, to) > wayWidth);
  switch (task.family) {
    case 'pick':
    case 'put':
    case 'hold':
    case 'stack':
    case 'sort':
      return true;
    case 'push': {
      const direction: Place = [0, sideSign[task.side]];
      return free(start(direction), [x, y + 0.09 * sideSign[task.side]]);
    }
    case 'reach': {
      const at = start([0, -sideSign[task.side]]);
      return free(at, at);
    }
    case 'pushTo': {
      const pad = state.pads[task.pad];
      if (!pad) return false;
      const away = Math.hypot(pad[0] - x, pad[1] - y);
      if (away < 0.06) return false;
      return free(start([(pad[0] - x) / away, (pad[1] - y) / away]), [pad[0], pad[1]]);
    }
    case 'clear': {
      const way = wayOut(task.block, state);
      if (!way || clearance(task.block, block.position, state) > clearRoom - 0.01) return false;
      const at = start([0, sideSign[way.side]]);
      return free(at, at);
    }
  }
}

/** Where other things are: blocks, pads and clutter, but for one block and one pad. */
export function placesOfThings(
  state: SceneState,
  exceptBlock: BlockColour | null,
  exceptPad: PadColour | null,
): (readonly number[])[] {
  const pads = padColours.flatMap((colour) => {
    const at = colour === exceptPad ? undefined : state.pads[colour];
    return at ? [at] : [];
  });
  return [...solidThings(state, exceptBlock), ...pads];
}

/** What can be bumped into: other blocks and clutter. */
export function solidThings(state: SceneState, except: BlockColour | null): (readonly number[])[] {
  const blocks = blockColours.flatMap((colour) => {
    const block = colour === except ? undefined : state.blocks[colour];
    return block ? [block.position] : [];
  });
  return [...blocks, ...(state.clutter ?? [])];
}

function isReachable([x, y]: Place): boolean {
  return x >= reachable.x[0] && x <= reachable.x[1] + 0.02 && Math.abs(y) <= 0.3;
}

/** From a point to the segment, m. */
export function distanceToWay(point: readonly number[], from: Place, to: Place): number {
  const [dx, dy] = [to[0] - from[0], to[1] - from[1]];
  const length2 = dx * dx + dy * dy;
  const along =
    length2 === 0 ? 0 : ((point[0]! - from[0]) * dx + (point[1]! - from[1]) * dy) / length2;
  const t = Math.min(1, Math.max(0, along));
  return Math.hypot(point[0]! - from[0] - t * dx, point[1]! - from[1] - t * dy);
}
