/** Whether a task is done: reads only the scene's state over time, never a policy. */
import { clearance, clearRoom } from './room.js';
import {
  blockColours,
  halfOf,
  isHolding,
  sideSign,
  type BlockColour,
  type Family,
  type PadTask,
  type SceneState,
  type Task,
} from './tasks.js';

const liftHeight = 0.1;
const padReach = 0.04;
const pushDistance = 0.07;
/** Centre over centre, m. */
const stackReach = 0.02;
/** Beside a block: the gap between the centres, m, and how far off to the other axis. */
const beside = {
  least: 0.045,
  most: 0.095,
  across: 0.025,
  height: 0.05,
  blockMoved: 0.015,
} as const;

/** While one block is pushed clear, the others stay where they are, m. */
const othersMayMove = 0.05;

/** s that a task's end must last without interruption. */
const lasting: Readonly<Partial<Record<Family, number>>> = { hold: 2, reach: 0.4 };

export type Outcome = 'running' | 'success' | 'wrongObject';

/** Judges an instant against the episode's start, for tasks whose end need not last. */
export function judge(task: Task, start: SceneState, now: SceneState): Outcome {
  const others = blockColours.filter((colour) => now.blocks[colour] && !isNamed(task, colour));
  if (others.some((colour) => isWrong(task, colour, start, now))) return 'wrongObject';
  return isDone(task, start, now) ? 'success' : 'running';
}

/** Judges an episode as it goes on. */
export class Referee {
  readonly #task: Task;
  #start: SceneState;
  #lasted = 0;

  constructor(task: Task, start: SceneState) {
    this.#task = task;
    this.#start = start;
  }

  /** `seconds` since the last look, or since the start. */
  look(now: SceneState, seconds: number): Outcome {
    const outcome = judge(this.#task, this.#start, now);
    if (outcome !== 'success') {
      this.#lasted = 0;
      return outcome;
    }
    this.#lasted += seconds;
    return this.#lasted >= (lasting[this.#task.family] ?? 0) ? 'success' : 'running';
  }

  /** Somebody else moved things: what a task measures from its start, it measures from here. */
  restart(now: SceneState): void {
    this.#start = now;
    this.#lasted = 0;
  }
}

function isNamed(task: Task, colour: BlockColour): boolean {
  if (task.block === colour) return true;
  if (task.family === 'stack') return task.onto === colour;
  return task.family === 'sort' && task.other === colour;
}

/** What was asked for was done to another block. */
function isWrong(task: Task, colour: BlockColour, start: SceneState, now: SceneState): boolean {
  switch (task.family) {
    case 'reach':
      return false; // being beside one block may be being beside another
    case 'hold':
      return isDone({ family: 'pick', block: colour }, start, now);
    case 'clear':
      return movedBy(colour, start, now) > othersMayMove;
    case 'sort':
      return [task.pad, task.otherPad].some((pad) =>
        isDone({ family: 'put', block: colour, pad }, start, now),
      );
    case 'pick':
    case 'put':
    case 'push':
    case 'stack':
    case 'pushTo':
      return isDone({ ...task, block: colour }, start, now);
  }
}

function isDone(task: Task, start: SceneState, now: SceneState): boolean {
  const block = now.blocks[task.block];
  const was = start.blocks[task.block]?.position;
  if (!block || !was) return false;
  const at = block.position;
  switch (task.family) {
    case 'pick':
    case 'hold':
      return isHolding(now, task.block) && at[2] > liftHeight;
    case 'put':
      return isOnPad(task, now) && now.gripperWidth > 0.06 && now.tcp[2] > 0.06;
    case 'sort':
      return (
        isOnPad(task, now) &&
        isOnPad({ block: task.other, pad: task.otherPad }, now) &&
        now.gripperWidth > 0.06 &&
        now.tcp[2] > 0.06
      );
    case 'push':
      return (at[1] - was[1]) * sideSign[task.side] > pushDistance && at[2] < 0.03;
    case 'pushTo':
      return isOnPad(task, now) && !isHolding(now, task.block);
    case 'stack': {
      const below = now.blocks[task.onto];
      if (!below) return false;
      const [x, y, z] = below.position;
      const height = at[2] - z - halfOf(block) - halfOf(below);
      const away = now.gripperWidth > 0.06 && now.tcp[2] > at[2] + 0.04;
      return Math.hypot(at[0] - x, at[1] - y) < stackReach && Math.abs(height) < 0.006 && away;
    }
    case 'reach': {
      const gap = (now.tcp[1] - at[1]) * sideSign[task.side];
      const across = Math.abs(now.tcp[0] - at[0]);
      const near = gap > beside.least && gap < beside.most && across < beside.across;
      return (
        near && now.tcp[2] < beside.height && movedBy(task.block, start, now) < beside.blockMoved
      );
    }
    case 'clear':
      return (
        clearance(task.block, was, start) < clearRoom && clearance(task.block, at, now) > clearRoom
      );
  }
}

function movedBy(colour: BlockColour, start: SceneState, now: SceneState): number {
  const [was, at] = [start.blocks[colour]?.position, now.blocks[colour]?.position];
  return was && at ? Math.hypot(at[0] - was[0], at[1] - was[1]) : 0;
}

function isOnPad(task: Pick<PadTask, 'block' | 'pad'>, now: SceneState): boolean {
  const [at, pad] = [now.blocks[task.block]?.position, now.pads[task.pad]];
  if (!at || !pad) return false;
  return Math.hypot(at[0] - pad[0], at[1] - pad[1]) < padReach && at[2] < 0.03;
}
