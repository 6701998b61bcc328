/**
 * Training frames at simulation speed: the expert drives the scene directly, with the policy's period and a stated
 * latency but without control loop and guard, and every frame is labelled for every instruction that makes sense in it.
 * Noisy episodes (bursts of wrong actions, flipped grippers, switched tasks) show recovery; clean ones also give the true
 * future of the gripper and the blocks, from which traces are made.
 */
import { solveIk } from '../../arm/inverse.js';
import { fromRpy } from '../../math/quaternion.js';
import { seededRandom, type Random } from '../../math/random.js';
import type { EndEffectorDelta, Pixel, RgbImage, Vec3 } from '../../types.js';
import { expertAction } from './expert.js';
import type { Frame } from './protocol.js';
import { pointsOf, project, type Point, type World } from './world.js';
import {
  blockColours,
  families,
  instructionFor,
  judge,
  padColours,
  randomTask,
  tasksIn,
  type SceneState,
  type Task,
} from './tasks.js';

export const policyPeriod = 0.2;
/** From picture to motion: the stated 50 ms of a lock-step run, up to the next control tick. */
const latency = 0.06;
const controlPeriod = 0.02;
const ticksPerPeriod = Math.round(policyPeriod / controlPeriod);
const horizon = 8;
const longestEpisode = 45;

export interface Demonstration {
  readonly episode: number;
  readonly image: RgbImage;
  readonly instruction: string;
  /** x, y, z (m), yaw (rad) of the tool and gripper opening 0 … 1. */
  readonly state: readonly number[];
  /** One expert action per instruction: x, y, z (m), roll, pitch, yaw (rad), gripper. */
  readonly labels: readonly { readonly instruction: string; readonly action: readonly number[] }[];
  /** Where things are in the picture: the gripper, the blocks, the pads. */
  readonly points: readonly Point[];
  /** Pixels of gripper and blocks now and after each of the eight coming steps; null where the future was disturbed. */
  readonly motion: readonly { readonly name: string; readonly at: readonly Pixel[] }[] | null;
}

/** One episode, frame by frame. The same seed gives the same frames. */
export function* demonstrate(world: World, seed: number): Generator<Demonstration> {
  const random = seededRandom(seed);
  world.reset(random.integer(2 ** 31));
  const noisy = random.uniform() < 0.5;
  const start = world.state();
  let task = randomTask(random, random.pick(families), world.blocks, padColours);
  const frames: Omit<Demonstration, 'motion'>[] = [];
  const motion: Point[][] = [];
  const noise = burstNoise(random);
  const driver = new Driver(world);
  // Two frames after success are kept; a clean episode runs on unseen, so that every kept frame has its whole future.
  let after = 0;
  const enough = noisy ? 2 : 2 + horizon;
  for (let k = 0; k < longestEpisode && after < enough; k++) {
    const state = world.state();
    const points = pointsOf(world, state);
    if (after < 2) {
      const labels = labelled({ state, camera: world.camera, points }, task, seed);
      frames.push({ ...labels, image: world.render() });
    }
    motion.push(points);
    const action = expertAction(state, task);
    driver.drive(state, noisy ? noise(action) : action);
    if (after > 0 || judge(task, start, world.state()) !== 'running') after++;
    if (noisy && random.uniform() < 0.04) {
      task = randomTask(random, random.pick(families), world.blocks, padColours);
    }
  }
  for (const [k, frame] of frames.entries()) {
    yield { ...frame, motion: noisy ? null : futureOf(motion.slice(k, k + 1 + horizon)) };
  }
}

/** What the expert would do in a frame for every instruction that makes sense in it. */
export function labelled(
  { state, camera, points }: Pick<Frame, 'state' | 'camera' | 'points'>,
  task: Task,
  episode: number,
): Omit<Demonstration, 'motion' | 'image'> {
  const blocks = blockColours.filter((colour) => state.blocks[colour]);
  const pads = padColours.map((colour) => ({
    name: colour,
    at: project(camera, state.pads[colour]!),
  }));
  return {
    episode,
    instruction: instructionFor(task),
    state: [...state.tcp, state.tcpYaw, opening(state)],
    points: [...points, ...pads],
    labels: tasksIn(blocks, padColours).map((other) => {
      const { translation, rotation, gripper } = expertAction(state, other);
      return { instruction: instructionFor(other), action: [...translation, ...rotation, gripper] };
    }),
  };
}

function opening(state: SceneState): number {
  return Math.min(1, Math.max(0, state.gripperWidth / 0.08));
}

function futureOf(steps: readonly (readonly Point[])[]) {
  if (steps.length <= horizon) return null;
  return steps[0]!.map(({ name }, i) => ({ name, at: steps.map((points) => points[i]!.at) }));
}

/** Wrong actions in bursts of one to three steps. */
function burstNoise(random: Random): (action: EndEffectorDelta) => EndEffectorDelta {
  let left = 0;
  let flip = false;
  let offset: Vec3 = [0, 0, 0];
  return (action) => {
    if (left === 0 && random.uniform() < 0.12) {
      left = 1 + random.integer(3);
      flip = random.uniform() < 0.25;
      offset = [0.02 * random.normal(), 0.02 * random.normal(), 0.012 * random.normal()];
    }
    if (left === 0) return action;
    left--;
    const { translation: t, rotation: r, gripper } = action;
    return {
      translation: [t[0] + offset[0], t[1] + offset[1], t[2] + offset[2]],
      rotation: [r[0], r[1], r[2] + 0.08 * random.normal()],
      gripper: flip ? 1 - gripper : gripper,
    };
  };
}

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
class Driver {
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
