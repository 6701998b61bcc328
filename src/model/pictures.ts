/**
 * Camera frames → what the decoder sees of them: decoded, marks drawn, resized (all 8 bit), then normalised, cut into
 * crops and encoded. One order, the same for training data.
 */
import { ModelError } from '../errors.js';
import { rgbFromCamera } from '../image/camera.js';
import { drawMarks } from '../image/marks.js';
import { resizePillow } from '../image/pillow.js';
import { cropTensor } from '../image/pixels.js';
import type { Answer, Mark, Observation, RgbImage } from '../types.js';
import { imagesOf, type Contract, type ImageRecipe, type ImageSegment } from './contract.js';
import type { PromptIds } from './prompt.js';
import { accept, refuse } from './refusal.js';
import type { Stopwatch } from './stopwatch.js';
import type { VisionEncoder, VisualTokens } from './vision.js';

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

/** What a prompt's segment makes of a camera picture: marks, then Pillow's resize. Sizes are the source's otherwise. */
export function modelPicture(
  source: RgbImage,
  segment: ImageSegment,
  marks: readonly Mark[],
): RgbImage {
  const marked = segment.marks === 'drawn' ? drawMarks(source, marks) : source;
  return segment.resize ? resizePillow(marked, segment.resize, segment.resize.filter) : marked;
}

/** A prompt's pictures → their visual tokens, by position of their placeholder. `sources`: by picture key. */
export async function encodePictures(
  images: PromptIds['images'],
  sources: Readonly<Record<string, RgbImage>>,
  marks: readonly Mark[],
  recipe: ImageRecipe,
  vision: VisionEncoder,
  stopwatch: Stopwatch,
): Promise<{ readonly position: number; readonly visual: VisualTokens }[]> {
  const encoded: { position: number; visual: VisualTokens }[] = [];
  for (const { position, segment } of images) {
    const crops = await stopwatch.measure('preprocessMs', () => {
      const picture = modelPicture(sources[segment.image]!, segment, marks);
      return cropTensor(picture, {
        ...canvasOf(recipe, segment),
        mean: recipe.mean,
        std: recipe.std,
      });
    });
    const visual = await stopwatch.measure('visionMs', () => vision.encode(crops));
    encoded.push({ position, visual });
  }
  return encoded;
}

/** The recipe's, with no more crops than the segment allows. */
function canvasOf({ canvas }: ImageRecipe, { maxCrops }: ImageSegment): ImageRecipe['canvas'] {
  return { ...canvas, maxCrops: Math.min(canvas.maxCrops, maxCrops ?? canvas.maxCrops) };
}
