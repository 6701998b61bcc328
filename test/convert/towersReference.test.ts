/**
 * The features of the towers themselves, before any projector: Magma's ConvNeXt as open_clip and timm build it, OpenVLA's
 * DINOv2 and SigLIP as timm does. test/oracle/magma_reference.py and openvla_reference.py watched them run.
 */
import { afterAll, describe, expect, it } from '@jest/globals';
import { copyFileSync, mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { openCheckpoint } from '../../src/convert/checkpoint.js';
import {
  readCheckpointConfig,
  type CheckpointLayout,
  type TowerConfig,
} from '../../src/convert/checkpointConfig.js';
import { convNextTower } from '../../src/convert/convNext.js';
import { ExternalData } from '../../src/convert/external.js';
import { Graph, modelBytes } from '../../src/convert/onnx.js';
import { rename } from '../../src/convert/ops.js';
import { vitTower } from '../../src/convert/vit.js';
import { openWeightStore, plainFormat } from '../../src/convert/weightStore.js';
import { cropTensor } from '../../src/image/pixels.js';
import { readContract } from '../../src/model/contract.js';
import { modelPicture } from '../../src/model/pictures.js';
import {
  chooseProvider,
  float32Data,
  float32Tensor,
  openSession,
} from '../../src/model/session.js';
import type { Vec3 } from '../../src/types.js';
import { writeHashedWeights, type HashedWeight } from '../support/hashedWeights.js';
import { openExpected, readJson, referencePicture, sampled } from '../support/reference.js';
import { largestDifference, temporaryFolder } from '../support/tinyMagma.js';

const folderOf = (name: string) => fileURLToPath(new URL(`../golden/${name}`, import.meta.url));
const magma = folderOf('magmaReference');
const openvla = folderOf('openvlaReference');
const temporary = temporaryFolder();
afterAll(() => temporary.remove());

/** Runs one tower of a checkpoint. pixels [N,3,side,side] → its features as its graph gives them. */
async function featuresOf(
  folder: string,
  tower: TowerConfig,
  pixels: Float32Array,
  side: number,
): Promise<Float32Array> {
  const path = join(mkdtempSync(join(temporary.path, 'tower-')), 'tower.onnx');
  const external = new ExternalData(`${path}.weights`);
  const checkpoint = openCheckpoint(folder);
  try {
    const store = openWeightStore(checkpoint, external, plainFormat);
    const g = new Graph('tower');
    const input = g.input('pixels', 'float32', ['N', 3, side, side]);
    const features =
      tower.kind === 'convnext'
        ? convNextTower(g, input, tower, store)
        : vitTower(g, input, tower, store);
    rename(g, features, 'features');
    g.output('features', 'float32', ['N', 'A', 'B', 'C']);
    writeFileSync(path, modelBytes(g));
  } finally {
    external.close();
    checkpoint.close();
  }
  const session = await openSession(path, chooseProvider('cpu'), 1);
  try {
    const shape = [pixels.length / (3 * side * side), 3, side, side];
    const outputs = await session.run({ pixels: float32Tensor(shape, pixels) }, ['features']);
    return float32Data(outputs['features'], 'features').slice();
  } finally {
    await session.release();
  }
}

/** Width, height of the camera's picture, and of what is made of it. */
interface Case {
  readonly size: readonly [number, number];
  readonly resize?: readonly [number, number] | null;
}

const casesOf = (folder: string) =>
  (readJson(folder, 'expected.json') as { cases: Readonly<Record<string, Case>> }).cases;

function pictureOf(folder: string, name: string) {
  const { size, resize } = casesOf(folder)[name]!;
  const [width, height] = resize ?? size;
  const segment = { image: 'primary', resize: { filter: 'bicubic', height, width } } as const;
  return modelPicture(referencePicture(...size), segment, []);
}

describe("Magma's ConvNeXt", () => {
  const contract = readContract(folderOf('magma8b'));
  const { canvas, mean, std } = contract.recipes['clip']!;
  const config = readCheckpointConfig(join(magma, 'config.json'), contract);

  it.each(['action', 'trace', 'question', 'interface'])(
    'sees in %s what timm sees',
    async (name) => {
      const crops = cropTensor(pictureOf(magma, name), { ...canvas, mean, std });
      const features = await featuresOf(magma, config.towers[0]!, crops.pixels, 512);
      const values = openExpected(magma)(`${name}.features`);
      expect(largestDifference(sampled(features, values.length), values)).toBeLessThan(1e-4);
    },
  );
});

describe("OpenVLA's two Vision Transformers", () => {
  const { weights } = readJson(openvla, 'expected.json') as {
    weights: Record<string, HashedWeight>;
  };
  const checkpoint = join(temporary.path, 'openvla');
  mkdirSync(checkpoint);
  copyFileSync(join(openvla, 'config.json'), join(checkpoint, 'config.json'));
  writeHashedWeights(join(checkpoint, 'model.safetensors'), weights);
  const layout: CheckpointLayout = readContract(folderOf('openvla'));
  const config = readCheckpointConfig(join(checkpoint, 'config.json'), layout);
  const { tvf_normalize_params: normalisations } = readJson(
    openvla,
    'preprocessor_config.json',
  ) as {
    tvf_normalize_params: readonly { mean: Vec3; std: Vec3 }[];
  };

  it.each(['bridge', 'fractal', 'wide'])('see in %s what timm sees', async (name) => {
    const resize = { filter: 'bicubic', height: 224, width: 224 } as const;
    const { size } = casesOf(openvla)[name]!;
    const picture = modelPicture(referencePicture(...size), { image: 'primary', resize }, []);
    const rule = { cropSize: 224, maxCrops: 1 };
    const each: Float32Array[] = [];
    for (const [i, tower] of config.towers.entries()) {
      const { pixels } = cropTensor(picture, { ...rule, ...normalisations[i]! });
      each.push(await featuresOf(checkpoint, tower, pixels, 224));
    }
    // [256, 16] and [256, 24] side by side.
    const [dino, siglip] = each as [Float32Array, Float32Array];
    const features = Float32Array.from({ length: 256 * 40 }, (_, i) => {
      const [patch, channel] = [Math.floor(i / 40), i % 40];
      return channel < 16 ? dino[patch * 16 + channel]! : siglip[patch * 24 + channel - 16]!;
    });
    const values = openExpected(openvla)(`${name}.features`);
    expect(largestDifference(sampled(features, values.length), values)).toBeLessThan(1e-4);
  });
});
