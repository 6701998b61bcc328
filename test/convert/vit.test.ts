/** The towers of OpenVLA and its projector against timm and torch: test/oracle/vit_towers.py. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '../../src/convert/checkpoint.js';
import type { CheckpointConfig, VitConfig } from '../../src/convert/checkpointConfig.js';
import { ExternalData } from '../../src/convert/external.js';
import { Graph, modelBytes } from '../../src/convert/onnx.js';
import { rename } from '../../src/convert/ops.js';
import { openSafetensors } from '../../src/convert/safetensors.js';
import { visionFacts, visionGraph } from '../../src/convert/visionGraph.js';
import { vitTower } from '../../src/convert/vit.js';
import {
  openWeightStore,
  plainFormat,
  type WeightFormat,
  type WeightStore,
} from '../../src/convert/weightStore.js';
import {
  chooseProvider,
  float32Data,
  float32Tensor,
  int64Tensor,
  openSession,
} from '../../src/model/session.js';
import { largestDifference, temporaryFolder } from '../support/tinyMagma.js';

const golden = fileURLToPath(new URL('../golden/vitTowers', import.meta.url));

interface GoldenTower {
  readonly keyPrefix: string;
  readonly width: number;
  readonly blocks: number;
  readonly heads: number;
  readonly mlpWidth: number;
  readonly epsilon: number;
  readonly prefixTokens: number;
}
const record = JSON.parse(readFileSync(join(golden, 'expected.json'), 'utf8')) as {
  versions: Readonly<Record<string, string>>;
  imageSize: number;
  patchSize: number;
  hiddenSize: number;
  towers: readonly [GoldenTower, GoldenTower];
};

function towerOf({ blocks, ...sizes }: GoldenTower, more: Partial<VitConfig>): VitConfig {
  const { imageSize, patchSize } = record;
  return {
    ...sizes,
    ...{ kind: 'vit', imageSize, patchSize, depth: blocks - 1 },
    ...{ positionOnPrefix: false, layerScaleName: null, activation: 'gelu' },
    unusedKeys: [`blocks.${blocks - 1}.`, 'norm.', 'attn_pool.'].map(
      (name) => `${sizes.keyPrefix}${name}`,
    ),
    ...more,
  };
}
const dino = towerOf(record.towers[0], { layerScaleName: 'scale_factor' });
const siglip = towerOf(record.towers[1], {});
const width = dino.width + siglip.width;
const sizes = [width, 4 * width, record.hiddenSize, record.hiddenSize];
const config: CheckpointConfig = {
  towers: [dino, siglip],
  projector: {
    kind: 'mlp3x_gelu',
    keyPrefix: 'projector.',
    layers: [1, 2, 3].map((n) => ({
      ...{ key: `projector.fc${n}`, inputs: sizes[n - 1]!, outputs: sizes[n]! },
    })),
    rowSeparator: null,
  },
  decoder: {
    ...{ keyPrefix: '', layers: 0, hiddenSize: record.hiddenSize, intermediateSize: 0, heads: 0 },
    ...{ keyValueHeads: 0, headDim: 0, vocabulary: 0, maxPositions: 0, epsilon: 0, ropeTheta: 0 },
  },
  ignoredKeys: [],
};

const expected = new Map<string, Float32Array>();
const folder = temporaryFolder();
beforeAll(() => {
  const file = openSafetensors(join(golden, 'expected.safetensors'));
  for (const name of file.entries.keys()) expected.set(name, file.readFloat32(name));
  file.close();
});
afterAll(() => folder.remove());

/** Builds a graph from the golden weights, and runs it. Every tensor that is neither used nor `unused` is an error. */
async function run(
  name: string,
  build: (store: WeightStore) => Graph,
  feeds: Parameters<Awaited<ReturnType<typeof openSession>>['run']>[0],
  unused: readonly string[],
  format: WeightFormat = plainFormat,
): Promise<Float32Array> {
  const checkpoint = openCheckpoint(golden);
  const external = new ExternalData(join(folder.path, `${name}.weights`));
  const path = join(folder.path, `${name}.onnx`);
  try {
    writeFileSync(path, modelBytes(build(openWeightStore(checkpoint, external, format))));
    checkpoint.assertAllTaken(unused);
  } finally {
    external.close();
    checkpoint.close();
  }
  const session = await openSession(path, chooseProvider('cpu'), 1);
  try {
    const outputs = await session.run(feeds, ['visual']);
    return float32Data(outputs['visual'], 'visual').slice();
  } finally {
    await session.release();
  }
}

/** √(Σ(a − b)² / Σb²) */
function relativeError(a: Float32Array, b: Float32Array): number {
  const sum = (term: (i: number) => number): number =>
    b.reduce((total, _, i) => total + term(i) ** 2, 0);
  return Math.sqrt(sum((i) => a[i]! - b[i]!) / sum((i) => b[i]!));
}

/** Pixels of the golden pictures that one tower sees, [3, 3, side, side]. */
function pixelsOf(tower: number): Float32Array {
  const plane = record.imageSize ** 2;
  const all = expected.get('pixels')!;
  return Float32Array.from({ length: all.length / 2 }, (_, i) => {
    const picture = Math.floor(i / (3 * plane));
    return all[i + (picture + tower) * 3 * plane]!;
  });
}

describe(`vitTower against timm ${record.versions['timm']}`, () => {
  it.each<[string, VitConfig, number]>([
    ['dino', dino, 0],
    ['siglip', siglip, 1],
    ['siglipTanh', { ...siglip, activation: 'gelu_tanh' }, 1],
  ])('gives the patch tokens of the second-to-last block: %s', async (name, tower, index) => {
    const build = (store: WeightStore): Graph => {
      const g = new Graph(name);
      const pixels = g.input('pixels', 'float32', ['N', 3, 'H', 'W']);
      rename(g, vitTower(g, pixels, tower, store), 'visual');
      g.output('visual', 'float32', ['N', 's', 's', tower.width]);
      return g;
    };
    const side = record.imageSize;
    const feeds = { pixels: float32Tensor([3, 3, side, side], pixelsOf(index)) };
    const others = ['projector.', record.towers[1 - index]!.keyPrefix];
    const features = await run(name, build, feeds, [...others, ...tower.unusedKeys]);
    expect(largestDifference(features, expected.get(name)!)).toBeLessThan(1e-5);
  });

  it('tells the two forms of GELU apart', () => {
    const [exact, tanh] = [expected.get('siglip')!, expected.get('siglipTanh')!];
    expect(largestDifference(exact, tanh)).toBeGreaterThan(1e-4);
  });
});

describe('the vision graph of two towers', () => {
  const side = record.imageSize;
  const unused = [...dino.unusedKeys, ...siglip.unusedKeys];

  it('gives the visual tokens of torch for three pictures at once', async () => {
    const feeds = {
      pixels: float32Tensor([3, 6, side, side], expected.get('pixels')!),
      grid: int64Tensor([2], [3, 1]),
    };
    const visual = await run('pictures', (store) => visionGraph(config, store), feeds, unused);
    expect(largestDifference(visual, expected.get('visual')!)).toBeLessThan(1e-5);
  });

  it.each<[string, Partial<WeightFormat>, number]>([
    ['fp16 weights and arithmetic', { weights: 'fp16', compute: 'float16' }, 0.001],
    // 1.2 % with 8 bits, 20 % with 4, as 127 / 7.5 would have it: every layer adds the rounding of its weights.
    ['8-bit linear layers', { weights: 'int8', accuracyLevel: 0 }, 0.02],
    ['4-bit linear layers', { weights: 'int4', accuracyLevel: 0 }, 0.3],
    ['4-bit, fp16', { weights: 'int4', compute: 'float16', accuracyLevel: 0 }, 0.3],
  ])('stays near torch with %s', async (name, format, bound) => {
    const feeds = {
      pixels: float32Tensor([3, 6, side, side], expected.get('pixels')!),
      grid: int64Tensor([2], [3, 1]),
    };
    const build = (store: WeightStore): Graph => visionGraph(config, store);
    const visual = await run(name, build, feeds, unused, { ...plainFormat, ...format });
    expect(relativeError(visual, expected.get('visual')!)).toBeLessThan(bound);
  });

  it('says how it is fed', () => {
    expect(visionFacts(config.towers)).toEqual({ stride: 4, towers: 2, cropSize: 16 });
  });

  it('refuses pixels of another size, though they could be cut into patches', async () => {
    const feeds = {
      pixels: float32Tensor([1, 6, 2 * side, 2 * side], new Float32Array(24 * side ** 2)),
      grid: int64Tensor([2], [1, 1]),
    };
    const result = run('wrongSize', (store) => visionGraph(config, store), feeds, unused);
    await expect(result).rejects.toThrow('expected a run without an error');
  });

  it('refuses towers that do not see a picture alike', () => {
    expect(() => visionFacts([dino, { ...siglip, imageSize: 32 }])).toThrow(
      'towers: got strides of 4 px, sizes of 16, 32 px, expected one stride and one size',
    );
  });
});
