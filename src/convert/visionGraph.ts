/**
 * The vision graph: pixels → towers, side by side → projector → visual tokens. Its boundary is described in
 * model/graphs.ts. Pixels and tokens are fp32; between them everything has the compute type of the store.
 */
import { ModelError } from '../errors.js';
import { ports, type GraphManifest } from '../model/graphs.js';
import type { CheckpointConfig, TowerConfig } from './checkpointConfig.js';
import { convNextStride, convNextTower } from './convNext.js';
import { Graph, type Value } from './onnx.js';
import { cast, concat, rename, slice, transpose } from './ops.js';
import { projector } from './projector.js';
import { vitTower } from './vit.js';
import type { WeightStore } from './weightStore.js';

/** Asks the store for every weight of towers and projector, in a fixed order. */
export function visionGraph(config: CheckpointConfig, store: WeightStore): Graph {
  const { towers } = config;
  const { compute } = store.format;
  const g = new Graph('vision');
  const given = g.input(ports.pixels, 'float32', ['N', 3 * towers.length, 'H', 'W']);
  const grid = g.input(ports.grid, 'int64', [2]);
  const pixels = compute === 'float32' ? given : cast(g, given, compute);
  const features = towers.map((tower, index) =>
    featuresOf(g, towers.length === 1 ? pixels : channels(g, pixels, index), tower, store),
  );
  const joined = features.length === 1 ? features[0]! : concat(g, features, 3);
  const visual = projector(g, joined, grid, config.projector, store);
  rename(g, compute === 'float32' ? visual : cast(g, visual, 'float32'), ports.visual);
  g.output(ports.visual, 'float32', ['T', config.decoder.hiddenSize]);
  return g;
}

/** What must be known to feed the graph. @throws ModelError where towers do not see a picture alike. */
export function visionFacts(towers: readonly TowerConfig[]): GraphManifest['vision'] {
  const strides = new Set(towers.map(strideOf));
  const sizes = new Set(towers.flatMap((tower) => (tower.kind === 'vit' ? [tower.imageSize] : [])));
  if (strides.size !== 1 || sizes.size > 1) {
    const got = `strides of ${[...strides].join(', ')} px, sizes of ${[...sizes].join(', ')} px`;
    throw new ModelError('towers', got, 'one stride and one size');
  }
  return {
    stride: [...strides][0]!,
    towers: towers.length,
    cropSize: [...sizes][0] ?? null,
  };
}

function strideOf(tower: TowerConfig): number {
  return tower.kind === 'convnext' ? convNextStride(tower) : tower.patchSize;
}

/** pixels [N,3,H,W] → [N, H/stride, W/stride, width]. */
function featuresOf(g: Graph, pixels: Value, tower: TowerConfig, store: WeightStore): Value {
  switch (tower.kind) {
    case 'convnext':
      return transpose(g, convNextTower(g, pixels, tower, store), [0, 2, 3, 1]);
    case 'vit':
      return vitTower(g, pixels, tower, store);
  }
}

/** The three channels of one tower. */
function channels(g: Graph, pixels: Value, tower: number): Value {
  const at = (channel: number): Value => g.constant('int64', [1], [channel]);
  return slice(g, pixels, at(3 * tower), at(3 * tower + 3), 1);
}
