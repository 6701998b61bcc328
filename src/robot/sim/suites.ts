/**
 * Suites of episodes, versioned and frozen: the same suite, version and seed give the same scenes, tasks and sentences for
 * good. What would change one makes a new version. An episode's plan is all that its scene depends on.
 */
import { seededRandom } from '../../math/random.js';
import { instructionFor, sentencesFor } from './instructions.js';
import { makesSense } from './room.js';
import { sceneries, type SceneryName } from './scenery.js';
import {
  coreFamilies,
  families,
  padColours,
  tasksOf,
  type BlockColour,
  type Family,
  type SceneState,
  type Task,
} from './tasks.js';
import type { Extra, World } from './world.js';

export const suiteNames = ['core', 'extended', 'held-out'] as const;
export type SuiteName = (typeof suiteNames)[number];

/** Canonical: a family's first sentence form; varied: any of them. */
export type Language = 'canonical' | 'varied';

export interface Suite {
  readonly version: number;
  readonly families: readonly Family[];
  /** Taken in turn, each for one round of the families. */
  readonly sceneries: readonly SceneryName[];
  readonly language: Language;
}

export const suites: Readonly<Record<SuiteName, Suite>> = {
  core: { version: 1, families: coreFamilies, sceneries: ['core'], language: 'canonical' },
  extended: { version: 1, families, sceneries: ['extended'], language: 'varied' },
  // Core scenes, but for one thing each: so that a drop says what it is due to.
  'held-out': {
    version: 1,
    families,
    sceneries: ['heldOutCamera', 'heldOutColours', 'heldOutSizes'],
    language: 'canonical',
  },
};

/** s of simulated time that an episode may take. */
export const longestFor: Readonly<Record<Family, number>> = {
  pick: 12,
  put: 12,
  push: 12,
  stack: 15,
  sort: 24,
  hold: 15,
  reach: 12,
  pushTo: 15,
  clear: 15,
};

export interface ScenePlan {
  readonly seed: number;
  /** Null: drawn from the core families. */
  readonly family: Family | null;
  readonly scenery: SceneryName;
  readonly language: Language;
  readonly extra: Extra;
}

/** Of the suite's families some, each in turn. Episode n of seed s has the scene of seed `s · 100 000 + n`. */
export function planOf(
  suite: Suite,
  wanted: readonly Family[],
  seed: number,
  index: number,
): Omit<ScenePlan, 'extra'> & { readonly family: Family } {
  const round = Math.floor(index / wanted.length);
  return {
    seed: seed * 100_000 + index,
    family: wanted[index % wanted.length]!,
    scenery: suite.sceneries[round % suite.sceneries.length]!,
    language: suite.language,
  };
}

export interface Assignment {
  readonly task: Task;
  readonly instruction: string;
}

/** Puts a scene onto the world's table, and says what is to be done in it. */
export function setUp(world: World, plan: ScenePlan): Assignment {
  const random = seededRandom(plan.seed);
  for (;;) {
    world.reset(random.integer(2 ** 31), plan.scenery, plan.extra);
    const family = plan.family ?? random.pick(coreFamilies);
    const tasks = possibleTasks(family, world.blocks, world.state(), plan.scenery);
    if (tasks.length === 0) continue; // no room for it in this scene
    const task = random.pick(tasks);
    const instruction =
      plan.language === 'canonical' ? instructionFor(task) : random.pick(sentencesFor(task));
    return { task, instruction };
  }
}

/** Core tasks of core scenes are taken as they come, with room or without: their suite is frozen so. */
export function possibleTasks(
  family: Family,
  blocks: readonly BlockColour[],
  state: SceneState,
  scenery: SceneryName,
): readonly Task[] {
  const tasks = tasksOf(family, blocks, padColours);
  if (scenery === 'core' && coreFamilies.some((core) => core === family)) return tasks;
  const { always } = sceneries[scenery];
  return tasks.filter(
    (task) => (always.length === 0 || always.includes(task.block)) && makesSense(task, state),
  );
}
