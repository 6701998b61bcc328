/**
 * Camera frames → what the decoder sees of them: decoded, marks drawn, resized, centre cropped (all 8 bit), then
 * normalised for each tower, cut into crops and encoded. One order, the same for training data.
 */
import { ModelError } from '../errors.js';
import { rgbFromCamera } from '../image/camera.js';
import type { CanvasRule } from '../image/canvas.js';
import { centreCrop } from '../image/centreCrop.js';
import { resizeLanczos3 } from '../image/lanczos.js';
import { drawMarks } from '../image/marks.js';
import { resizePillow } from '../image/pillow.js';
import { towerCrops, type Normalisation } from '../image/pixels.js';
import type { Answer, Mark, Observation, RgbImage } from '../types.js';
import type { Contract, ImageSegment } from './contract.js';
import { imagesOf } from './promptPieces.js';
import type { PromptIds } from './prompt.js';
import { accept, refuse } from './refusal.js';
import type { Stopwatch } from './stopwatch.js';
import type { VisionEncoder, VisualTokens } from './vision.js';
import { encodeTogether } from './visionBatch.js';

/** Camera name by picture key of the contract. */
export type CameraOfPicture = Readonly<Record<string, string>>;

/**
 * Which camera feeds which picture of the contract's prompts.
 * @param cameras picture key by camera name (`modelKey` of robot.yaml).
 * @throws ModelError unless every picture has exactly one camera.
 */
export function assignCameras(
  contract: Contract,
  cameras: Readonly<Record<string, string>>,
): CameraOfPicture {
  const { action, trace } = contract.prompts;
  const keys = [...imagesOf(action), ...(trace ? imagesOf(trace) : [])].map(({ image }) => image);
  return Object.fromEntries(
    [...new Set(keys)].map((key) => {
      const names = Object.keys(cameras).filter((name) => cameras[name] === key);
      if (names.length === 1) return [key, names[0]!];
      const where = `model ${contract.name}, picture "${key}"`;
      throw new ModelError(
        where,
        names.join(', ') || 'no camera',
        `one camera with modelKey: ${key}`,
      );
    }),
  );
}

/** A camera's frame as rgb8. Refused where the observation has none. @throws DataError on a damaged frame. */
export async function readPicture(
  { images }: Observation,
  camera: string,
): Promise<Answer<RgbImage>> {
  const frame = Object.hasOwn(images, camera) ? images[camera] : undefined;
  if (!frame) {
    const got = Object.keys(images).join(', ') || 'no image';
    return refuse('badObservation', 'observation', got, `an image of camera ${camera}`);
  }
  return accept(await rgbFromCamera(frame, `camera ${camera}`));
}

/** How a model picture becomes what the towers see: one canvas, and each tower's normalisation, in their order. */
export interface PictureRecipe {
  readonly canvas: CanvasRule;
  readonly towers: readonly Normalisation[];
}

/** The towers' recipes as one. @throws ModelError on what no code here computes. */
export function recipeOf(contract: Contract): PictureRecipe {
  const { towers, recipes, prompts, name } = contract;
  const each = towers.map(({ recipe }) => recipes[recipe]!);
  const canvases = new Set(each.map(({ canvas }) => `${canvas.maxCrops} × ${canvas.cropSize} px`));
  if (canvases.size > 1) {
    throw new ModelError(`model ${name}, towers`, [...canvases].join(', '), 'one canvas for all');
  }
  for (const [kind, prompt] of Object.entries(prompts)) {
    // An answer in coordinates of a picture means the whole picture.
    if (kind === 'action' || !prompt) continue;
    if (imagesOf(prompt).every(({ centreCropArea }) => centreCropArea === undefined)) continue;
    throw new ModelError(
      `model ${name}, prompts.${kind}`,
      'centreCropArea',
      'a picture shown whole',
    );
  }
  return { canvas: each[0]!.canvas, towers: each.map(({ mean, std }) => ({ mean, std })) };
}

const resizers = {
  bilinear: (image, size) => resizePillow(image, size, 'bilinear'),
  bicubic: (image, size) => resizePillow(image, size, 'bicubic'),
  lanczos3: resizeLanczos3,
} satisfies Record<string, typeof resizeLanczos3>;

/** What a prompt's segment makes of a camera picture: marks, resize, centre crop. The source's size without a resize. */
export function modelPicture(
  source: RgbImage,
  { marks: drawn, resize, centreCropArea }: ImageSegment,
  marks: readonly Mark[],
): RgbImage {
  const marked = drawn === 'drawn' ? drawMarks(source, marks) : source;
  const resized = resize ? resizers[resize.filter](marked, resize) : marked;
  return centreCropArea === undefined ? resized : centreCrop(resized, centreCropArea);
}

/** A picture as its source gave it, and what a prompt makes of it. */
export interface ShownPicture {
  readonly source: RgbImage;
  readonly segment: ImageSegment;
}

/** Pictures → their visual tokens, in their order. Those of equal shape go through the towers together. */
export async function seePictures(
  pictures: readonly ShownPicture[],
  marks: readonly Mark[],
  recipe: PictureRecipe,
  vision: VisionEncoder,
  stopwatch: Stopwatch,
): Promise<readonly VisualTokens[]> {
  const crops = await stopwatch.measure('preprocessMs', () =>
    pictures.map(({ source, segment }) =>
      towerCrops(modelPicture(source, segment, marks), canvasOf(recipe, segment), recipe.towers),
    ),
  );
  return stopwatch.measure('visionMs', () => encodeTogether(vision, crops));
}

/** A prompt's pictures → their visual tokens, by position of their placeholder. `sources`: by picture key. */
export async function encodePictures(
  images: PromptIds['images'],
  sources: Readonly<Record<string, RgbImage>>,
  marks: readonly Mark[],
  recipe: PictureRecipe,
  vision: VisionEncoder,
  stopwatch: Stopwatch,
): Promise<{ readonly position: number; readonly visual: VisualTokens }[]> {
  const shown = images.map(({ segment }) => ({ source: sources[segment.image]!, segment }));
  const visual = await seePictures(shown, marks, recipe, vision, stopwatch);
  return images.map(({ position }, index) => ({ position, visual: visual[index]! }));
}

/** The recipe's, with no more crops than the segment allows. */
export function canvasOf({ canvas }: PictureRecipe, { maxCrops }: ImageSegment): CanvasRule {
  return { ...canvas, maxCrops: Math.min(canvas.maxCrops, maxCrops ?? canvas.maxCrops) };
}
