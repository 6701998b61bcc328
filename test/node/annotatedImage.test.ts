import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { encodeJpeg, decodeImage } from '../../src/image/codec.js';
import { AnnotatedImages } from '../../src/node/annotatedImage.js';
import { annotatedPicture } from '../../src/node/annotatedPicture.js';
import type { CameraImage, RgbImage } from '../../src/types.js';
import { FakeNode } from './fakeNode.js';

const grey = (height: number, width: number): RgbImage => ({
  height,
  width,
  data: new Uint8Array(height * width * 3).fill(90),
});
const nothing = { marks: [], traces: [], caption: [] };

function cameraImage(stampNs: bigint, { height, width, data } = grey(40, 60)): CameraImage {
  const layout = { encoding: 'rgb8', step: width * 3, isBigEndian: false };
  return { kind: 'raw', stampNs, frameId: 'optical', height, width, ...layout, data };
}

describe('the picture', () => {
  test('small, it grows by a whole factor; every pixel as it was', () => {
    const image = { height: 1, width: 2, data: Uint8Array.of(1, 2, 3, 4, 5, 6) };
    const large = annotatedPicture(image, nothing);
    expect([large.height, large.width]).toEqual([360, 720]);
    const pixel = (y: number, x: number) => [
      ...large.data.slice((y * 720 + x) * 3, (y * 720 + x) * 3 + 3),
    ];
    expect([pixel(0, 0), pixel(359, 359), pixel(0, 360), pixel(359, 719)]).toEqual([
      [1, 2, 3],
      [1, 2, 3],
      [4, 5, 6],
      [4, 5, 6],
    ]);
  });

  test('large, it keeps its size, and the source is not drawn on', () => {
    const image = grey(480, 640);
    const drawn = annotatedPicture(image, {
      marks: [{ id: 2, at: { x: 100, y: 100 } }],
      traces: [{ id: 2, start: { x: 100, y: 100 }, future: [{ x: 300, y: 100 }] }],
      caption: ['pick up the größte block'],
    });
    expect([drawn.height, drawn.width]).toEqual([480, 640]);
    expect(image.data.every((value) => value === 90)).toBe(true);
    const changed = (y: number, x: number): boolean => drawn.data[(y * 640 + x) * 3] !== 90;
    // On the trace, in the caption's box, and where nothing is.
    expect([changed(100, 200), changed(470, 630), changed(200, 500)]).toEqual([true, true, false]);
  });

  test('old marks and traces are faint; the caption is not', () => {
    const overlay = {
      marks: [{ id: 1, at: { x: 100, y: 300 } }],
      traces: [{ id: 1, start: { x: 100, y: 100 }, future: [{ x: 300, y: 100 }] }],
      caption: ['traces 3.0 s old (stale)'],
    };
    const fresh = annotatedPicture(grey(480, 640), overlay);
    const stale = annotatedPicture(grey(480, 640), { ...overlay, opacity: 0.25 });
    const change = ({ data }: RgbImage, y: number, x: number): number =>
      Math.abs(data[(y * 640 + x) * 3]! - 90);
    // In the middle of the trace, and on the ring of 6.7 px around the mark.
    for (const [y, x] of [
      [100, 200],
      [300, 106],
    ] as const) {
      expect(change(fresh, y, x)).toBeGreaterThan(60);
      expect(change(stale, y, x)).toBeGreaterThan(5);
      expect(change(stale, y, x)).toBeLessThan(change(fresh, y, x) / 2);
    }
    expect(change(stale, 470, 630)).toBe(change(fresh, 470, 630));
  });

  test('a caption that has no room is left out', () => {
    const caption = Array.from({ length: 100 }, () => 'line');
    const drawn = annotatedPicture(grey(400, 40), { ...nothing, caption });
    expect(drawn.data.every((value) => value === 90)).toBe(true);
  });
});

describe('the topics', () => {
  let fake: FakeNode;
  let images: AnnotatedImages;
  const [raw, jpeg] = ['~/annotated_image', '~/annotated_image/compressed'];

  beforeEach(() => {
    fake = new FakeNode();
    images = new AnnotatedImages(fake.node);
  });
  afterEach(() => images.dispose());

  /** Until `count` pictures are there. */
  async function published(topic: string, count = 1): Promise<void> {
    const until = Date.now() + 10_000;
    while (fake.publishedOn(topic).length < count && Date.now() < until)
      await new Promise((resolve) => setTimeout(resolve, 10));
  }

  test('carry the drawn picture with the stamp and frame of its source', async () => {
    const image = cameraImage(7_000_000_000n);
    images.show(image, nothing);
    await published(jpeg);
    await published(raw);
    const header = { stamp: { sec: 7, nanosec: 0 }, frame_id: 'optical' };
    expect(fake.publishedOn(raw)).toMatchObject([
      { header, height: 360, width: 540, encoding: 'rgb8', step: 1620 },
    ]);
    expect(fake.publishedOn(jpeg)).toMatchObject([{ header, format: 'jpeg' }]);
    const decoded = await decodeImage(fake.publishedOn(jpeg)[0]!['data'] as Uint8Array, 'test');
    expect([decoded.height, decoded.width]).toEqual([360, 540]);
    // Borrowed, not handed over.
    expect(image.data.byteLength).toBe(40 * 60 * 3);
  });

  test('carry only what is subscribed to; with nobody, nothing is done', async () => {
    fake.subscriptionCounts.set(raw, 0);
    images.show(cameraImage(1n), nothing);
    await published(jpeg);
    expect(fake.publishedOn(raw)).toEqual([]);
    fake.subscriptionCounts.set(jpeg, 0);
    expect(images.isWanted).toBe(false);
    images.show(cameraImage(2n), nothing);
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(fake.publishedOn(jpeg)).toHaveLength(1);
  });

  test('of pictures that come while one is drawn, the newest is next', async () => {
    for (let stamp = 1n; stamp <= 20n; stamp++) images.show(cameraImage(stamp), nothing);
    await published(jpeg, 2);
    await new Promise((resolve) => setTimeout(resolve, 200));
    const stamps = fake
      .publishedOn(jpeg)
      .map((m) => (m['header'] as { stamp: { nanosec: number } }).stamp.nanosec);
    expect(stamps).toEqual([1, 20]);
  });

  test('a damaged picture is told once, and the next one is drawn', async () => {
    const whole = await encodeJpeg(grey(64, 64), 80);
    const damaged = { kind: 'compressed', frameId: 'f', format: 'jpeg' } as const;
    const half = whole.slice(0, whole.length / 2);
    images.show({ ...damaged, stampNs: 1n, data: half }, nothing);
    await new Promise((resolve) => setTimeout(resolve, 500));
    images.show({ ...damaged, stampNs: 2n, data: half }, nothing);
    await new Promise((resolve) => setTimeout(resolve, 300));
    images.show({ ...damaged, stampNs: 3n, data: whole }, nothing);
    await published(jpeg);
    expect(fake.publishedOn(jpeg)).toHaveLength(1);
    expect(fake.logged).toHaveLength(1);
    expect(fake.logged[0]).toContain('does not decode');
  });
});
