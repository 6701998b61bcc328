/**
 * Frames of a video file, by the native OpenCV where it has been built. Only for questions that a person asks about a
 * recording: nothing that drives a robot reads a video file, so it does not matter that decoders differ.
 */
import { DataError } from '../errors.js';
import type { RgbImage } from '../types.js';
import { nativeOpenCv, type NativeOpenCv } from './opencv.js';

export type VideoOpener =
  | Pick<Extract<NativeOpenCv, { ok: true }>, 'ok' | 'openVideo'>
  | Extract<NativeOpenCv, { ok: false }>;

/**
 * @param wanted which frames of how many, ascending.
 * @throws DataError for a file that is no video, or that ends before what it says; where no native OpenCV is built.
 */
export function readVideoFrames(
  path: string,
  wanted: (total: number) => readonly number[],
  opener: VideoOpener = nativeOpenCv(),
): readonly RgbImage[] {
  if (!opener.ok) {
    const expected = 'a native OpenCV to read it with, or a folder of its frames as pictures';
    throw new DataError(path, `a video file and ${opener.why}`, expected);
  }
  const reader = open(opener.openVideo, path);
  try {
    const total = reader.frameCount();
    if (!(total >= 1)) throw new DataError(path, `${total} frames`, 'a video');
    const indices = new Set(wanted(total));
    const frames: RgbImage[] = [];
    const cutOff = (index: number) =>
      new DataError(path, `${index} frames`, `${total}, as its header says`);
    // One after the other: many codecs cannot seek to a frame exactly.
    for (let index = 0; frames.length < indices.size; index++) {
      if (indices.has(index)) {
        const frame = reader.read();
        if (!frame) throw cutOff(index);
        frames.push(frame);
      } else if (!reader.skip()) throw cutOff(index);
    }
    return frames;
  } finally {
    reader.close();
  }
}

function open<T>(openVideo: (path: string) => T, path: string): T {
  try {
    return openVideo(path);
  } catch {
    // What the binding throws is no error with a message; OpenCV has said more on stderr.
    throw new DataError(path, 'a file that OpenCV does not open', 'a video');
  }
}
