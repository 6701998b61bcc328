/**
 * What goes wrong in the middle of an episode, once, from the episode's seed:
 *
 * - moved: somebody puts the block elsewhere (or, while it is carried, the pad that it is carried to);
 * - bumped: something pushes the hand, in physics; servos and guard see it as they would on a real arm;
 * - black, frozen: for half a second the camera gives black pictures, or its last one again, with fresh stamps;
 * - obstacle: a low bar lies across the straight way, low enough for a lifted block to pass over.
 *
 * What cannot be (nowhere to put the block, no way long enough for a bar) becomes a bump.
 */
import { seededRandom, type Random } from '../../math/random.js';
import type { Vec3 } from '../../types.js';
import { makesSense, placesOfThings, solidThings } from './room.js';
import { halfOf, isHolding, type PadColour, type SceneState, type Task } from './tasks.js';
import type { World } from './world.js';

export const disturbances = ['moved', 'bumped', 'black', 'frozen', 'obstacle'] as const;
export type Disturbance = (typeof disturbances)[number];

export interface DisturbanceEvent {
  readonly kind: Disturbance;
  /** s into the episode. */
  readonly at: number;
}

const blindFor = 0.5;
const bumpFor = 0.15;
/** N. */
const bumpForce = [60, 120] as const;
const movedBy = [0.05, 0.08] as const;
/** Where things may be put, m. */
const area = { x: [0.36, 0.6], y: [-0.18, 0.18] } as const;

export class Disturber {
  readonly #world: World;
  readonly #task: Task;
  readonly #kind: Disturbance;
  readonly #random: Random;
  readonly #dueAt: number;
  #done = false;
  #blindUntil = -1;

  /** Of `kinds` each in turn, by the seed. */
  constructor(world: World, task: Task, seed: number, kinds: readonly Disturbance[]) {
    this.#world = world;
    this.#task = task;
    this.#kind = kinds[seed % kinds.length]!;
    this.#random = seededRandom(seed).fork();
    // A bar is there before the arm has come far; the rest falls somewhere into what an episode takes.
    this.#dueAt =
      this.#kind === 'obstacle' ? this.#random.between(0.1, 0.4) : this.#random.between(0.6, 2.4);
  }

  /** What the camera gives at this time; null: what there is to see. */
  blindAt(seconds: number): 'black' | 'frozen' | null {
    if (seconds >= this.#blindUntil) return null;
    return this.#kind === 'black' ? 'black' : 'frozen';
  }

  /** Called as time goes on; returns what begins now. */
  look(seconds: number, state: SceneState): DisturbanceEvent | null {
    if (this.#done || seconds < this.#dueAt) return null;
    this.#done = true;
    const kind = this.#begin(this.#kind, seconds, state) ? this.#kind : 'bumped';
    if (kind !== this.#kind) this.#bump();
    return { kind, at: seconds };
  }

  #begin(kind: Disturbance, seconds: number, state: SceneState): boolean {
    switch (kind) {
      case 'moved':
        return this.#move(state);
      case 'bumped':
        this.#bump();
        return true;
      case 'black':
      case 'frozen':
        this.#blindUntil = seconds + blindFor;
        return true;
      case 'obstacle':
        return this.#obstruct(state);
    }
  }

  #bump(): void {
    const angle = this.#random.between(0, 2 * Math.PI);
    const force = this.#random.between(...bumpForce);
    this.#world.bump([force * Math.cos(angle), force * Math.sin(angle), 0], bumpFor);
  }

  #move(state: SceneState): boolean {
    const task = this.#task;
    const carried = isHolding(state, task.block);
    const pad = padOf(task);
    if (carried && pad === null) return false;
    const from = carried ? state.pads[pad!]! : state.blocks[task.block]!.position;
    const room = carried ? 0.09 : 0.075;
    const others = placesOfThings(state, carried ? null : task.block, carried ? pad : null);
    const first = this.#random.between(0, 2 * Math.PI);
    const distance = this.#random.between(...movedBy);
    for (let k = 0; k < 16; k++) {
      const angle = first + (k * Math.PI) / 8;
      const at = [
        from[0] + distance * Math.cos(angle),
        from[1] + distance * Math.sin(angle),
      ] as const;
      if (!isFree(at, room, others)) continue;
      if (carried) {
        this.#world.move({ pad: pad! }, at, 0.001);
        return true;
      }
      const block = state.blocks[task.block]!;
      const moved = { ...block, position: [at[0], at[1], halfOf(block)] as const };
      if (!makesSense(task, { ...state, blocks: { ...state.blocks, [task.block]: moved } }))
        continue;
      this.#world.move({ block: task.block }, at, halfOf(block));
      return true;
    }
    return false;
  }

  /** Across the way from the tool to the block, or of the block to its place, about half-way. */
  #obstruct(state: SceneState): boolean {
    const task = this.#task;
    const block = state.blocks[task.block]!.position;
    const place = placeOf(task, state);
    const ways: (readonly [Vec3, Vec3])[] = [
      ...(place ? [[block, place] as const] : []),
      [state.tcp, block],
    ];
    const own = place ? [block, place] : [block];
    const others = solidThings(state, task.block);
    for (const [from, to] of ways) {
      for (const share of [0.5, 0.4, 0.6, 0.35, 0.65]) {
        const x = from[0] + share * (to[0] - from[0]);
        const y = from[1] + share * (to[1] - from[1]);
        if (!isFree([x, y], 0.085, own) || !isFree([x, y], 0.06, others)) continue;
        const clutter = [...(state.clutter ?? []), [x, y, 0.015] as const];
        if (!makesSense(task, { ...state, clutter })) continue;
        this.#world.putObstacle([x, y], Math.atan2(to[1] - from[1], to[0] - from[0]));
        return true;
      }
    }
    return false;
  }
}

function padOf(task: Task): PadColour | null {
  return task.family === 'put' ? task.pad : null;
}

/** Where a block is carried to; null where it is not. */
function placeOf(task: Task, state: SceneState): Vec3 | null {
  if (task.family === 'put' || task.family === 'sort') return state.pads[task.pad] ?? null;
  return task.family === 'stack' ? (state.blocks[task.onto]?.position ?? null) : null;
}

function isFree(
  at: readonly [number, number],
  room: number,
  others: readonly (readonly number[])[],
): boolean {
  const inside = at[0] > area.x[0] && at[0] < area.x[1] && at[1] > area.y[0] && at[1] < area.y[1];
  return inside && others.every((other) => Math.hypot(other[0]! - at[0], other[1]! - at[1]) > room);
}
