/** Which blocks a scene has, and where things lie in it. */
import type { Random } from '../../math/random.js';
import type { Scenery } from './scenery.js';
import type { BlockColour } from './tasks.js';

/** x and y on the table, m. */
export type Place = readonly [number, number];

const blocksPerScene = 3;
/** Where things may start, base frame, m. */
const area = { x: [0.36, 0.6], y: [-0.18, 0.18] } as const;

/** Which of the scenery's colours this scene has, in the order of the table. */
export function coloursFor(
  random: Random,
  { colours: all, always }: Scenery,
): readonly BlockColour[] {
  const order = [...all];
  for (let i = order.length - 1; i > 0; i--) {
    const j = random.integer(i + 1);
    [order[i], order[j]] = [order[j]!, order[i]!];
  }
  const first = [...always, ...order.filter((colour) => !always.includes(colour))];
  return all.filter((colour) => first.indexOf(colour) < blocksPerScene);
}

/** Non-overlapping discs of the given radii in the area; starts over when it paints itself into a corner. */
export function spread(random: Random, radii: readonly number[]): readonly Place[] {
  for (;;) {
    const places: [number, number][] = [];
    for (const [i, radius] of radii.entries()) {
      for (let attempt = 0; attempt < 200 && places.length === i; attempt++) {
        const place: [number, number] = [random.between(...area.x), random.between(...area.y)];
        const free = places.every(
          (p, k) => Math.hypot(p[0] - place[0], p[1] - place[1]) > radius + radii[k]!,
        );
        if (free) places.push(place);
      }
    }
    if (places.length === radii.length) return places;
  }
}
