/**
 * What a person sees of one simulated episode: the scene rendered large, the marks the model was asked about, the traces
 * it predicted, and the path the gripper took. None of these pixels reaches a model.
 */
import { encodeAnimatedWebp, encodeJpeg } from '../image/codec.js';
import {
  copyImage,
  drawDisc,
  drawOutlinedLine,
  drawText,
  drawTrace,
  fillBox,
  markColour,
} from '../image/draw.js';
import type { Pixel, RgbImage, TracePrediction } from '../types.js';

export interface Shot {
  readonly picture: RgbImage;
  /** Source-image pixels of the camera (width `cameraWidth`): where the gripper has been so far, this instant last. */
  readonly path: readonly Pixel[];
  readonly prediction: TracePrediction | null;
  /** 0 … 1: how opaque its traces are, which were predicted on an earlier picture; 1 if absent. */
  readonly traceOpacity?: number;
}

export interface Film {
  readonly shots: readonly Shot[];
  readonly cameraWidth: number;
}

const pathColour = [255, 255, 255] as const;

/** One annotated picture: traces first, then the path, then the numbered marks on top. */
export function annotate(shot: Shot, cameraWidth: number): RgbImage {
  const image = copyImage(shot.picture);
  const zoom = image.width / cameraWidth;
  const large = ({ x, y }: Pixel): Pixel => ({ x: x * zoom, y: y * zoom });
  const width = Math.max(2, image.width / 150);
  for (const { id, start, future } of shot.prediction?.traces ?? []) {
    const trace = { start: large(start), future: future.map(large) };
    drawTrace(image, trace, markColour(id), width, shot.traceOpacity);
  }
  if (shot.path.length > 1) {
    drawOutlinedLine(image, shot.path.map(large), {
      colour: pathColour,
      width: width * 0.8,
      opacity: 0.9,
    });
  }
  for (const { id, at } of shot.prediction?.marks ?? []) drawNumber(image, id, large(at), width);
  return image;
}

/** The numbered mark: a disc in its colour, dark digit. */
function drawNumber(image: RgbImage, id: number, at: Pixel, width: number): void {
  const radius = width * 2.6;
  drawDisc(image, at, { colour: markColour(id), width: 2 * radius, opacity: 1 });
  const height = radius * 1.1;
  drawText(
    image,
    String(id),
    { x: at.x - height * 0.36, y: at.y - height / 2 },
    height,
    [10, 10, 20],
  );
}

/** The episode as a moving picture, 5 frames per second; the last one stays. */
export async function encodeFilm(film: Film): Promise<Uint8Array> {
  const frames = film.shots.map((shot) => annotate(shot, film.cameraWidth));
  const last = frames.at(-1)!;
  return encodeAnimatedWebp([...frames, last, last, last, last], 200);
}

export interface PosterColumn {
  readonly instruction: string;
  readonly film: Film;
}

/**
 * One still picture for a README: a column per episode; above, the marks and where the model said they would move; below,
 * the end of the episode with the path the gripper took.
 */
export async function encodePoster(columns: readonly PosterColumn[]): Promise<Uint8Array> {
  const { height, width } = columns[0]!.film.shots[0]!.picture;
  const [gap, caption] = [12, 44];
  const poster: RgbImage = {
    height: 2 * height + gap + caption,
    width: columns.length * (width + gap) - gap,
    data: new Uint8Array(
      (2 * height + gap + caption) * (columns.length * (width + gap) - gap) * 3,
    ).fill(255),
  };
  for (const [i, { instruction, film }] of columns.entries()) {
    const left = i * (width + gap);
    const { shots, cameraWidth } = film;
    const predicted =
      shots.find(({ prediction }) => (prediction?.traces.length ?? 0) > 0) ?? shots[0]!;
    paste(poster, annotate({ ...predicted, path: [] }, cameraWidth), left, caption);
    paste(
      poster,
      annotate({ ...shots.at(-1)!, prediction: null }, cameraWidth),
      left,
      caption + height + gap,
    );
    drawCaption(poster, instruction, left, width);
  }
  return encodeJpeg(poster, 90);
}

function paste(onto: RgbImage, image: RgbImage, left: number, top: number): void {
  for (let y = 0; y < image.height; y++) {
    const row = image.data.subarray(3 * y * image.width, 3 * (y + 1) * image.width);
    onto.data.set(row, 3 * ((top + y) * onto.width + left));
  }
}

function drawCaption(onto: RgbImage, text: string, left: number, width: number): void {
  fillBox(onto, { x: left, y: 0, width, height: 36 }, [24, 26, 34], 1);
  drawText(onto, text, { x: left + 12, y: 12 }, 13, [240, 242, 248]);
}
