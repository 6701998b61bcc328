/** Moves the simulated arm by end-effector deltas as the node does, but without control loop and guard: for training data. */
import { solveIk } from '../../arm/inverse.js';
import { fromRpy } from '../../math/quaternion.js';
import type { EndEffectorDelta } from '../../types.js';
import type { SceneState } from './tasks.js';
import type { World } from './world.js';

/** s between two answers of a policy. */
export const policyPeriod = 0.2;
/** From picture to motion: the stated 50 ms of a lock-step run, up to the next control tick. */
const latency = 0.06;
const controlPeriod = 0.02;
const ticksPerPeriod = Math.round(policyPeriod / controlPeriod);

/** The joint path under way: over one policy period, of which the next answer cuts off the rest. */
interface Stroke {
  readonly from: readonly number[];
  readonly to: readonly number[];
  /** Control ticks done. */
  done: number;
}

/**
 * As the node moves: an answer comes `latency` after its picture, is blended in over one policy period from then on, and is
 * cut off in mid-motion by the next one. The first ticks of a period are the last ones of the stroke before.
 */
export class Driver {
  readonly #world: World;
  #stroke: Stroke | null = null;

  constructor(world: World) {
    this.#world = world;
  }

  /** Moves the tool by one delta from the pose it was seen at; lasts one policy period. */
  drive(seen: SceneState, action: EndEffectorDelta): void {
    const world = this.#world;
    const late = Math.round(latency / controlPeriod);
    for (let i = 0; i < late; i++) this.#tick();
    const goal = {
      translation: [
        Math.min(0.68, Math.max(0.28, seen.tcp[0] + action.translation[0])),
        Math.min(0.32, Math.max(-0.32, seen.tcp[1] + action.translation[1])),
        Math.min(0.4, Math.max(0.008, seen.tcp[2] + action.translation[2])),
      ] as const,
      rotation: fromRpy([Math.PI, 0, seen.tcpYaw + action.rotation[2]]),
    };
    const from = this.#stroke ? at(this.#stroke) : world.joints().position;
    const to = solveIk(world.arm, from, goal, { maxIterations: 30 }).position;
    this.#stroke = { from, to, done: 0 };
    world.grip(action.gripper > 0.5 ? 1 : 0);
    for (let i = 0; i < ticksPerPeriod - late; i++) this.#tick();
  }

  #tick(): void {
    const stroke = this.#stroke;
    if (stroke) {
      stroke.done = Math.min(stroke.done + 1, ticksPerPeriod);
      const moving = stroke.done < ticksPerPeriod ? 1 / policyPeriod : 0;
      const velocity = stroke.to.map((q, j) => (q - stroke.from[j]!) * moving);
      this.#world.command(at(stroke), velocity);
    }
    this.#world.advance(controlPeriod);
  }
}

function at({ from, to, done }: Stroke): number[] {
  return from.map((q, j) => q + ((to[j]! - q) * done) / ticksPerPeriod);
}
