import { describe, expect, it } from '@jest/globals';
import { DataError } from '../../src/errors.js';
import { nativeOpenCv } from '../../src/image/opencv.js';
import { readVideoFrames, type VideoOpener } from '../../src/image/video.js';

/** A video of so many frames, each one pixel of its index; it declares `total`. */
function video(frames: number, total = frames) {
  let at = 0;
  const calls: string[] = [];
  const next = (call: string): number | null => {
    calls.push(call);
    return at < frames ? at++ : null;
  };
  const opener: VideoOpener = {
    ok: true,
    openVideo: () => ({
      frameCount: () => total,
      read: () => {
        const index = next('read');
        return index === null ? null : { height: 1, width: 1, data: Uint8Array.of(index, 0, 0) };
      },
      skip: () => next('skip') !== null,
      close: () => void calls.push('close'),
    }),
  };
  return { opener, calls };
}

describe('frames of a video', () => {
  it('are read one after the other, those between skipped, and no further than needed', () => {
    const { opener, calls } = video(100);
    const frames = readVideoFrames('clip.mp4', (total) => [0, 2, total - 97], opener);
    expect(frames.map(({ data }) => data[0])).toEqual([0, 2, 3]);
    expect(calls).toEqual(['read', 'skip', 'read', 'read', 'close']);
  });

  it('that are missing are refused, and the file is closed', () => {
    const { opener, calls } = video(2, 5);
    const read = () => readVideoFrames('clip.mp4', () => [0, 4], opener);
    expect(read).toThrow('clip.mp4: got 2 frames, expected 5, as its header says');
    expect(calls.at(-1)).toBe('close');
  });

  it('of a file without any are refused', () => {
    const { opener } = video(0);
    expect(() => readVideoFrames('clip.mp4', () => [0], opener)).toThrow('got 0 frames');
  });

  it('of what OpenCV does not open are refused, whatever it throws', () => {
    const openVideo = () => {
      // eslint-disable-next-line @typescript-eslint/only-throw-error -- the native binding throws what is no Error
      throw 'not a video';
    };
    const read = () => readVideoFrames('clip.mp4', () => [0], { ok: true, openVideo });
    expect(read).toThrow(DataError);
    expect(read).toThrow('a file that OpenCV does not open');
  });

  it('need a native OpenCV: without one the reader is told what helps', () => {
    const why = 'no native OpenCV (npm run build:opencv makes one): Cannot find module';
    const read = () => readVideoFrames('clip.mp4', () => [0], { ok: false, why });
    expect(read).toThrow(
      `clip.mp4: got a video file and ${why}, expected a native OpenCV to read it with, or a folder of its frames as pictures`,
    );
  });

  it('that is not there is refused with and without one', () => {
    const read = () => readVideoFrames('/nowhere/clip.mp4', () => [0]);
    expect(read).toThrow(nativeOpenCv().ok ? 'does not open' : 'npm run build:opencv');
  });
});
