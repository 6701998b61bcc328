import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { centreCrop } from '../../src/image/centreCrop.js';
import { resizePillow } from '../../src/image/pillow.js';
import { cropTensor, towerCrops, type CropTensor } from '../../src/image/pixels.js';
import { parseContract, type Contract, type ImageSegment } from '../../src/model/contract.js';
import { modelPicture, recipeOf, seePictures } from '../../src/model/pictures.js';
import { Stopwatch } from '../../src/model/stopwatch.js';
import type { RgbImage } from '../../src/types.js';

const golden = (path: string): string =>
  readFileSync(new URL(`../golden/${path}`, import.meta.url), 'utf8');

type Json = Record<string, never>;
function contractOf(name: string, change: (model: Json) => void = () => undefined): Contract {
  const model = JSON.parse(golden(`${name}/model.json`)) as Json;
  change(model);
  const statistics = golden(`${name}/dataset_statistics.json`);
  return parseContract(JSON.stringify(model), statistics, 'model.json');
}

/** Every byte its own. */
function gradient(height: number, width: number): RgbImage {
  const data = Uint8Array.from({ length: height * width * 3 }, (_, i) => (i * 7) % 256);
  return { height, width, data };
}

describe('towerCrops', () => {
  const rule = { cropSize: 4, maxCrops: 2 };
  const grey = { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] } as const;
  const raw = { mean: [0, 0, 0], std: [1, 1, 1] } as const;

  it('lays what each tower sees of a crop on the channels, crop after crop', () => {
    const image = gradient(4, 8);
    const { pixels, canvas } = towerCrops(image, rule, [raw, grey]);
    expect(canvas).toEqual({ rows: 1, cols: 2, height: 4, width: 8 });
    // [2 crops, 6 channels, 4, 4]: 48 numbers of the first tower, 48 of the second, for crop 0 and then for crop 1.
    const size = 3 * 4 * 4;
    const parts = [0, 1, 2, 3].map((k) => Array.from(pixels.subarray(k * size, (k + 1) * size)));
    const alone = [raw, grey].map((one) => cropTensor(image, { ...rule, ...one }).pixels);
    const crop = (tower: number, index: number): number[] =>
      Array.from(alone[tower]!.subarray(index * size, (index + 1) * size));
    expect(parts).toEqual([crop(0, 0), crop(1, 0), crop(0, 1), crop(1, 1)]);
  });

  it('is cropTensor for one tower', () => {
    const image = gradient(5, 9);
    expect(towerCrops(image, rule, [grey])).toEqual(cropTensor(image, { ...rule, ...grey }));
  });
});

describe('recipeOf', () => {
  it('gives the towers of OpenVLA one canvas and their own normalisation, DINOv2 first', () => {
    const { recipes } = contractOf('openvla');
    const { canvas, towers } = recipeOf(contractOf('openvla'));
    expect(canvas).toEqual({ cropSize: 224, maxCrops: 1 });
    expect(towers).toEqual([
      { mean: recipes['dino']!.mean, std: recipes['dino']!.std },
      { mean: [0.5, 0.5, 0.5], std: [0.5, 0.5, 0.5] },
    ]);
  });

  it('refuses towers that want different canvases', () => {
    const contract = contractOf('openvla', (model) => {
      Object.assign(model['recipes']!['siglip']['canvas'], { cropSize: 384 });
    });
    expect(() => recipeOf(contract)).toThrow(
      'towers: got 1 × 224 px, 1 × 384 px, expected one canvas for all',
    );
  });

  it('refuses a centre crop where the answer is in coordinates of the picture', () => {
    const contract = contractOf('magma8b', (model) => {
      const { segments } = model['prompts']!['trace'] as { segments: object[] };
      Object.assign(
        segments.find((segment) => 'image' in segment)!,
        { centreCropArea: 0.9 },
      );
    });
    expect(() => recipeOf(contract)).toThrow(
      'prompts.trace: got centreCropArea, expected a picture shown whole',
    );
  });
});

describe('modelPicture', () => {
  const source = gradient(20, 30);
  const shown = (segment: Omit<ImageSegment, 'image'>): RgbImage =>
    modelPicture(source, { image: 'primary', ...segment }, []);

  it('resizes before it crops the centre, as OpenVLA does', () => {
    const size = { height: 14, width: 14 };
    const both = shown({ resize: { filter: 'bicubic', ...size }, centreCropArea: 0.9 });
    expect(both).toEqual(centreCrop(resizePillow(source, size, 'bicubic'), 0.9));
    expect(both).not.toEqual(shown({ resize: { filter: 'bicubic', ...size } }));
  });

  it('knows filters that differ', () => {
    const size = { height: 14, width: 14 };
    const results = (['bilinear', 'bicubic', 'lanczos3'] as const).map((filter) =>
      shown({ resize: { filter, ...size } }).data.join(),
    );
    expect(new Set(results).size).toBe(3);
  });

  it('leaves a picture as it is where nothing is asked for', () => {
    expect(shown({})).toBe(source);
  });
});

describe('seePictures', () => {
  it('shows the towers pictures of equal size in one run', async () => {
    const asked: CropTensor[] = [];
    const vision = {
      encode: (crops: CropTensor) => {
        asked.push(crops);
        return Promise.resolve({ count: 2, data: Float32Array.from([1, 2]) });
      },
      release: () => Promise.resolve(),
    };
    const segment = { image: 'primary' };
    const pictures = [gradient(8, 8), gradient(8, 8)].map((source) => ({ source, segment }));
    const recipe = {
      canvas: { cropSize: 8, maxCrops: 1 },
      towers: [
        { mean: [0, 0, 0], std: [1, 1, 1] },
        { mean: [0, 0, 0], std: [2, 2, 2] },
      ],
    } as const;
    const visual = await seePictures(pictures, [], recipe, vision, new Stopwatch(() => 0));
    expect(asked.map(({ canvas }) => canvas.rows)).toEqual([2]);
    expect(asked[0]!.pixels).toHaveLength(2 * 2 * 3 * 64);
    expect(visual.map(({ data }) => Array.from(data))).toEqual([[1], [2]]);
  });
});
