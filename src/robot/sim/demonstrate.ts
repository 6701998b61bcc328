/**
 * Training frames at simulation speed: the expert drives the scene directly, with the policy's period and a stated
 * latency but without control loop and guard, and every frame is labelled for every instruction that makes sense in it.
 * Noisy episodes (bursts of wrong actions, flipped grippers, switched tasks) show recovery; clean ones also give the true
 * future of the gripper and the blocks, from which traces are made.
 */
import { seededRandom, type Random } from '../../math/random.js';
import type { EndEffectorDelta, Pixel, RgbImage, Vec3 } from '../../types.js';
import { Driver, policyPeriod } from './driver.js';
import { expertAction } from './expert.js';
import { instructionFor, sentencesFor } from './instructions.js';
import { Referee } from './judge.js';
import type { Frame } from './protocol.js';
import {
  planOf,
  possibleTasks,
  setUp,
  type Assignment,
  type ScenePlan,
  type Suite,
} from './suites.js';
import {
  blockColours,
  coreFamilies,
  padColours,
  randomTask,
  tasksIn,
  type Family,
  type SceneState,
} from './tasks.js';
import { pointsOf, project, type Point } from './view.js';
import type { World } from './world.js';

/** Steps of a trace. */
export const horizon = 8;
/** Policy periods; tasks of several parts take longer. */
const longestEpisode = { core: 45, more: 110 } as const;

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
  /** Which way each block lies, rad about the vertical; it looks the same after a quarter turn. */
  readonly yaws: readonly { readonly name: string; readonly yaw: number }[];
  /** Pixels of gripper and blocks now and after each of the eight coming steps; null where the future was disturbed. */
  readonly motion: readonly { readonly name: string; readonly at: readonly Pixel[] }[] | null;
}

/** One core episode, frame by frame. The same seed gives the same frames. */
export function demonstrate(world: World, seed: number): Generator<Demonstration> {
  const random = seededRandom(seed);
  world.reset(random.integer(2 ** 31));
  const noisy = random.uniform() < 0.5;
  const next = (): Assignment => {
    const task = randomTask(random, random.pick(coreFamilies), world.blocks, padColours);
    return { task, instruction: instructionFor(task) };
  };
  const sayings = coreSayings(world.state());
  return episode(world, { seed, random, noisy, next, sayings, longest: longestEpisode.core });
}

/** As demonstrate, of any suite and of some of its families, each in turn. */
export function demonstrateSuite(
  world: World,
  suite: Suite,
  families: readonly Family[],
  seed: number,
  index: number,
): Generator<Demonstration> {
  const plan = planOf(suite, families, seed, index);
  const begun = setUp(world, { ...plan, extra: 'none' });
  const random = seededRandom(plan.seed).fork();
  const noisy = random.uniform() < 0.5;
  const sayings = sayingsFor(suite, plan, world.state(), begun);
  let first: Assignment | null = begun;
  const next = (): Assignment => {
    const assignment = first ?? random.pick(sayings);
    first = null;
    return assignment;
  };
  const longest = longestEpisode.more;
  return episode(world, { seed: plan.seed, random, noisy, next, sayings, longest });
}

/**
 * What an episode's frames are labelled for: every task that its scene has room for at the start, each in one of its
 * sentences, and the episode's own.
 */
export function sayingsFor(
  suite: Suite,
  plan: Omit<ScenePlan, 'extra'>,
  start: SceneState,
  own: Assignment,
): readonly Assignment[] {
  if (plan.scenery === 'core') return coreSayings(start);
  const random = seededRandom(plan.seed ^ 0x5a17);
  const blocks = blockColours.filter((colour) => start.blocks[colour]);
  const said = suite.families.flatMap((family) =>
    possibleTasks(family, blocks, start, plan.scenery).map((task): Assignment => {
      const sentences = plan.language === 'canonical' ? [instructionFor(task)] : sentencesFor(task);
      return { task, instruction: random.pick(sentences) };
    }),
  );
  return said.some(({ instruction }) => instruction === own.instruction) ? said : [...said, own];
}

interface EpisodeCourse {
  readonly seed: number;
  readonly random: Random;
  readonly noisy: boolean;
  /** What to do first, and whenever the mind is changed. */
  readonly next: () => Assignment;
  /** What every frame is labelled for. */
  readonly sayings: readonly Assignment[];
  readonly longest: number;
}

function* episode(
  world: World,
  { seed, random, noisy, next, sayings, longest }: EpisodeCourse,
): Generator<Demonstration> {
  const start = world.state();
  let assignment = next();
  let referee = new Referee(assignment.task, start);
  const frames: Omit<Demonstration, 'motion'>[] = [];
  const motion: Point[][] = [];
  const noise = burstNoise(random);
  const driver = new Driver(world);
  // Two frames after success are kept; a clean episode runs on unseen, so that every kept frame has its whole future.
  let after = 0;
  const enough = noisy ? 2 : 2 + horizon;
  for (let k = 0; k < longest && after < enough; k++) {
    const state = world.state();
    const points = pointsOf(world, state);
    if (after < 2) {
      const frame = { state, camera: world.camera, points };
      frames.push({ ...labelled(frame, assignment, sayings, seed), image: world.render() });
    }
    motion.push(points);
    const action = expertAction(state, assignment.task);
    driver.drive(state, noisy ? noise(action) : action);
    if (after > 0 || referee.look(world.state(), policyPeriod) !== 'running') after++;
    if (noisy && random.uniform() < 0.04) {
      assignment = next();
      referee = new Referee(assignment.task, start);
    }
  }
  for (const [k, frame] of frames.entries()) {
    yield { ...frame, motion: noisy ? null : futureOf(motion.slice(k, k + 1 + horizon)) };
  }
}

/** What can be said in a core scene, in the canonical sentences. */
function coreSayings(state: SceneState): readonly Assignment[] {
  const blocks = blockColours.filter((colour) => state.blocks[colour]);
  return tasksIn(blocks, padColours).map((task) => ({ task, instruction: instructionFor(task) }));
}

/** What the expert would do in a frame for everything that may be said in it. */
export function labelled(
  { state, camera, points }: Pick<Frame, 'state' | 'camera' | 'points'>,
  { instruction }: Assignment,
  sayings: readonly Assignment[],
  episode: number,
): Omit<Demonstration, 'motion' | 'image'> {
  const pads = padColours.map((colour) => ({
    name: colour,
    at: project(camera, state.pads[colour]!),
  }));
  return {
    episode,
    instruction,
    state: [...state.tcp, state.tcpYaw, opening(state)],
    points: [...points, ...pads],
    yaws: blockColours.flatMap((name) => {
      const block = state.blocks[name];
      return block ? [{ name, yaw: block.yaw }] : [];
    }),
    labels: sayings.map((saying) => {
      const { translation, rotation, gripper } = expertAction(state, saying.task);
      return {
        instruction: saying.instruction,
        action: [...translation, ...rotation, gripper],
      };
    }),
  };
}

function opening(state: SceneState): number {
  return Math.min(1, Math.max(0, state.gripperWidth / 0.08));
}

/** Of a frame's points and those of the frames that followed; null where too few did. */
export function futureOf(steps: readonly (readonly Point[])[]): Demonstration['motion'] {
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
