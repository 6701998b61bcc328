/** Where the pictures of a question come from: a file, a folder, a video file, or a camera of a bag. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { ConfigError, DataError } from '../errors.js';
import { rgbFromCamera } from '../image/camera.js';
import { decodeImage } from '../image/codec.js';
import { readVideoFrames } from '../image/video.js';
import { spread } from '../math/spread.js';
import { Bag } from '../robot/replay/bag.js';
import {
  pictureAt,
  picturesOver,
  pictureTopic,
  type BagPicture,
} from '../robot/replay/bagPictures.js';
import type { RgbImage } from '../types.js';

export type PictureSource =
  | { readonly kind: 'file'; readonly path: string }
  | {
      readonly kind: 'bag';
      readonly path: string;
      /** Topic; the bag's only one with pictures if absent. */
      readonly camera?: string;
      /** s from the bag's start. */
      readonly at?: number;
    };

export interface AskedPicture {
  /** What a person calls it. */
  readonly name: string;
  readonly image: RgbImage;
}

const pictureNames = /\.(?:jpe?g|png)$/i;

/** One picture. @throws DataError, ConfigError */
export async function readOne(source: PictureSource): Promise<AskedPicture> {
  if (source.kind === 'bag') {
    return withBag(source, async (bag, topic) =>
      decoded(await pictureAt(bag, topic, source.at ?? 0), topic.topic),
    );
  }
  const { path } = source;
  if ((await kindOf(path)) === 'folder' || !pictureNames.test(path)) {
    const got = extname(path) === '' ? 'a folder' : extname(path);
    throw new ConfigError('--image', `${path} (${got})`, 'a JPEG or PNG, or --video with it');
  }
  return readPictureFile(path);
}

/**
 * At most `count` pictures in the order of time, spread evenly over a bag, a folder of pictures (in the order of their
 * names, numbers as numbers) or a video file. @throws DataError, ConfigError
 */
export async function readMany(
  source: PictureSource,
  count: number,
): Promise<readonly AskedPicture[]> {
  if (source.kind === 'bag') {
    return withBag(source, async (bag, topic) => {
      const pictures = await picturesOver(bag, topic, count);
      return Promise.all(pictures.map((picture) => decoded(picture, topic.topic)));
    });
  }
  const { path } = source;
  if ((await kindOf(path)) === 'folder') return readFolder(path, count);
  if (pictureNames.test(path)) return [await readPictureFile(path)];
  let indices: readonly number[] = [];
  const frames = readVideoFrames(path, (total) => (indices = spread(total, count)));
  return frames.map((image, i) => ({ name: `${path}, frame ${indices[i]}`, image }));
}

async function readFolder(folder: string, count: number): Promise<readonly AskedPicture[]> {
  const names = (await readdir(folder)).filter((name) => pictureNames.test(name)).sort(byNumber);
  if (names.length === 0)
    throw new DataError(folder, 'no .jpg or .png file', 'pictures of a video');
  const chosen = spread(names.length, count).map((index) => join(folder, names[index]!));
  return Promise.all(chosen.map(readPictureFile));
}

const byNumber = new Intl.Collator('en', { numeric: true }).compare;

async function readPictureFile(path: string): Promise<AskedPicture> {
  let bytes: Uint8Array;
  try {
    bytes = await readFile(path);
  } catch (error) {
    throw new DataError(path, (error as Error).message, 'a readable picture');
  }
  return { name: path, image: await decodeImage(bytes, path) };
}

async function kindOf(path: string): Promise<'folder' | 'file'> {
  try {
    return (await stat(path)).isDirectory() ? 'folder' : 'file';
  } catch (error) {
    throw new DataError(path, (error as Error).message, 'a picture, a folder of them or a video');
  }
}

async function withBag<T>(
  { path, camera }: Extract<PictureSource, { kind: 'bag' }>,
  read: (bag: Bag, topic: ReturnType<typeof pictureTopic>) => Promise<T>,
): Promise<T> {
  const bag = await Bag.open(path);
  try {
    return await read(bag, pictureTopic(bag, camera));
  } finally {
    await bag.close();
  }
}

async function decoded({ seconds, image }: BagPicture, topic: string): Promise<AskedPicture> {
  const name = `${topic} at ${seconds.toFixed(2)} s`;
  return { name, image: await rgbFromCamera(image, name) };
}
