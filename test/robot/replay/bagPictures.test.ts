import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { decodeImage, encodeJpeg } from '../../../src/image/codec.js';
import { Bag } from '../../../src/robot/replay/bag.js';
import { pictureAt, picturesOver, pictureTopic } from '../../../src/robot/replay/bagPictures.js';
import { Recorder } from '../../../src/robot/replay/recorder.js';
import { bridge } from '../../support/bridgeBag.js';
import { temporaryFolder } from '../../support/tinyMagma.js';

const folder = temporaryFolder();
const path = join(folder.path, 'pictures.mcap');
const topic = bridge.cameras['camera_0']!.topic;
/** Grey values 10, 20 … 100, one picture each 0.2 s; an instruction comes 0.1 s before the first. */
const greys = Array.from({ length: 10 }, (_, i) => 10 * (i + 1));
let bag: Bag;

beforeAll(async () => {
  let now = 50_000_000_000n;
  const recorder = await Recorder.open(path, bridge, () => now);
  recorder.onInstruction('look');
  now += 100_000_000n;
  for (const grey of greys) {
    const data = new Uint8Array(16 * 16 * 3).fill(grey);
    const jpeg = await encodeJpeg({ height: 16, width: 16, data }, 100);
    recorder.onImage('camera_0', {
      ...{ kind: 'compressed', stampNs: now, frameId: 'camera_0', format: 'jpeg' },
      data: jpeg,
    });
    now += 200_000_000n;
  }
  await recorder.close();
  bag = await Bag.open(path);
});

afterAll(async () => {
  await bag.close();
  folder.remove();
});

/** A flat picture's value, within what JPEG loses. */
async function greyOf({ image }: Awaited<ReturnType<typeof pictureAt>>): Promise<number> {
  const { data } = await decodeImage(image.data, 'test');
  return Math.round(data[0]! / 10) * 10;
}

describe('the camera of a bag', () => {
  it('is the only topic with pictures, or the one that is named', () => {
    expect(pictureTopic(bag).topic).toBe(topic);
    expect(pictureTopic(bag, topic).topic).toBe(topic);
  });

  it('is refused where the name is another, with those there are', () => {
    expect(() => pictureTopic(bag, '/instruction')).toThrow(
      `camera: got /instruction, expected a topic with pictures: ${topic}`,
    );
  });
});

describe('pictures of a bag', () => {
  it.each([
    // The first picture is logged at 0.1 s: it stands for what is before it, too.
    [0, 10],
    [0.1, 10],
    [0.29, 10],
    [0.3, 20],
    [1.0, 50],
    [99, 100],
  ])('at %d s: the last one until then', async (seconds, grey) => {
    const picture = await pictureAt(bag, pictureTopic(bag), seconds);
    expect(await greyOf(picture)).toBe(grey);
    expect(picture.seconds).toBeCloseTo(0.1 + 0.2 * (grey / 10 - 1), 9);
  });

  it('spread evenly are in order, the first and the last among them', async () => {
    const pictures = await picturesOver(bag, pictureTopic(bag), 4);
    expect(await Promise.all(pictures.map(greyOf))).toEqual([10, 40, 70, 100]);
  });

  it('are all there are where more are wanted', async () => {
    expect(await picturesOver(bag, pictureTopic(bag), 32)).toHaveLength(10);
  });
});
