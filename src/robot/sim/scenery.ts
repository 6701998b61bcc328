/**
 * What scenes look like, as tables: which blocks, how large and how slippery, what lies about, light and camera. A scenery
 * and a seed give a scene. `core` never changes: the figures of years are compared on it.
 */
import type { Random } from '../../math/random.js';
import type { Vec3 } from '../../types.js';
import { coreBlockHalf, heldOutColours, seenColours, type BlockColour } from './tasks.js';

export const sceneryNames = [
  'core',
  'extended',
  'heldOutCamera',
  'heldOutColours',
  'heldOutSizes',
] as const;
export type SceneryName = (typeof sceneryNames)[number];

export type ClutterShape = 'can' | 'bar';

/** What the physics model of a scene is made of. */
export interface SceneObjects {
  /** Half edges, m. */
  readonly blocks: readonly { readonly colour: BlockColour; readonly half: number }[];
  readonly clutter: readonly { readonly shape: ClutterShape; readonly grey: number }[];
  /** Sliding friction between blocks and table. */
  readonly friction: number;
  /** Ready: a low bar lies out of sight until it is put in the way. */
  readonly obstacle: 'none' | 'ready';
}

/** Of the four colours' bodies a core scene shows three; the fourth is parked out of sight. */
export const coreObjects: SceneObjects = {
  blocks: seenColours.map((colour) => ({ colour, half: coreBlockHalf })),
  clutter: [],
  friction: 1,
  obstacle: 'none',
};

/** How a scene departs from the nominal one, each uniformly. */
export interface Variation {
  /** Camera eye, ± m; its aim moves half as far. */
  readonly camera: number;
  /** Relative change of every colour. */
  readonly colour: number;
  /** Share of light that reaches shadows. */
  readonly ambient: readonly [number, number];
}

export interface Scenery {
  readonly camera: { readonly eye: Vec3; readonly aim: Vec3 };
  readonly variation: Variation;
  /** Three of these colours are in a scene, … */
  readonly colours: readonly BlockColour[];
  /** … with these always among them; tasks are about these, where there are any. */
  readonly always: readonly BlockColour[];
  /** Draws sizes, friction and clutter; null: every scene has `coreObjects`. */
  readonly objects:
    ((random: Random, present: readonly BlockColour[]) => Omit<SceneObjects, 'obstacle'>) | null;
}

const coreScenery: Scenery = {
  camera: { eye: [1.04, 0, 0.62], aim: [0.47, 0, 0.05] },
  variation: { camera: 0.015, colour: 0.08, ambient: [0.45, 0.6] },
  colours: seenColours,
  always: [],
  objects: null,
};

const shapes: readonly ClutterShape[] = ['can', 'bar'];

export const sceneries: Readonly<Record<SceneryName, Scenery>> = {
  core: coreScenery,
  extended: {
    ...coreScenery,
    variation: { camera: 0.03, colour: 0.14, ambient: [0.4, 0.65] },
    objects: (random, present) => ({
      blocks: present.map((colour) => ({ colour, half: random.between(0.018, 0.022) })),
      clutter: Array.from({ length: random.integer(3) }, () => ({
        shape: random.pick(shapes),
        grey: random.between(0.15, 0.9),
      })),
      friction: random.between(0.6, 1),
    }),
  },
  heldOutCamera: {
    ...coreScenery,
    // From the arm's left, higher and nearer: about 25° round the table.
    camera: { eye: [0.97, 0.26, 0.66], aim: [0.47, 0, 0.05] },
  },
  heldOutColours: {
    ...coreScenery,
    colours: [...seenColours, ...heldOutColours],
    always: heldOutColours,
    objects: (_, present) => ({
      ...coreObjects,
      blocks: present.map((colour) => ({ colour, half: coreBlockHalf })),
    }),
  },
  heldOutSizes: {
    ...coreScenery,
    objects: (random, present) => ({
      ...coreObjects,
      blocks: present.map((colour) => ({ colour, half: random.pick([0.016, 0.024]) })),
    }),
  },
};
