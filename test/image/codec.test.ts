import { describe, expect, it } from '@jest/globals';
import { decodeImage, encodeAnimatedWebp, encodeJpeg, encodePng } from '../../src/image/codec.js';
import { DataError } from '../../src/errors.js';
import { bytesFrom, golden, imageFrom, largestDifference, picture } from './golden.js';

describe(`decodeImage against Pillow ${golden.versions['pillow']}`, () => {
  for (const { name, bytes, decoded } of golden.files)
    it(`decodes ${name}`, async () => {
      const image = await decodeImage(bytesFrom(bytes), 'golden');
      expect([image.height, image.width]).toEqual([decoded.height, decoded.width]);
      // Two builds of the JPEG library may round a colour conversion differently; PNG is exact.
      const allowed = name.startsWith('jpeg') ? 1 : 0;
      expect(largestDifference(image.data, imageFrom(decoded).data)).toBeLessThanOrEqual(allowed);
    });
});

describe('decodeImage', () => {
  it('gives the same pixels for the same bytes', async () => {
    const bytes = await encodeJpeg(picture('wide'), 85);
    const [a, b] = [await decodeImage(bytes, 'a'), await decodeImage(bytes, 'b')];
    expect(a.data).toEqual(b.data);
  });

  it('refuses what is neither JPEG nor PNG', async () => {
    const svg = new TextEncoder().encode('<svg xmlns="http://www.w3.org/2000/svg"/>');
    await expect(decodeImage(svg, 'camera front')).rejects.toThrow(
      'camera front: got 41 bytes starting 3c 73 76 67, expected JPEG or PNG',
    );
    await expect(decodeImage(new Uint8Array(0), 'camera front')).rejects.toThrow(DataError);
  });

  it('refuses truncated files', async () => {
    for (const bytes of [await encodeJpeg(picture('tall'), 90), await encodePng(picture('tall'))])
      for (const length of [8, 40, bytes.length >> 1, bytes.length - 20])
        await expect(decodeImage(bytes.slice(0, length), 'front')).rejects.toThrow(
          /^front: got a (jpeg|png) of \d+ bytes that does not decode \(.+\), expected an undamaged/,
        );
  });

  it('refuses a JPEG with damaged data', async () => {
    const bytes = await encodeJpeg(picture('tall'), 90);
    bytes.fill(0xff, bytes.length - 60, bytes.length - 20);
    await expect(decodeImage(bytes, 'front')).rejects.toThrow(DataError);
  });

  it('refuses more than 64 megapixels from the header alone', async () => {
    // A PNG header announcing 10000 × 10000 px, with its checksum; no pixel data.
    const huge = bytesFrom(
      'iVBORw0KGgoAAAANSUhEUgAAJxAAACcQCAIAAACFbZ9EAAAADElEQVR42mNgAAAAAwABAA==',
    );
    await expect(decodeImage(huge, 'front')).rejects.toThrow(/pixel limit.*64 megapixels/);
  });
});

describe('encoders', () => {
  it('keeps every pixel through PNG', async () => {
    const image = picture('tall');
    expect(await decodeImage(await encodePng(image), 'png')).toEqual(image);
  });

  it('keeps a smooth picture within a few levels through JPEG', async () => {
    const ramp = {
      height: 16,
      width: 16,
      data: Uint8Array.from({ length: 768 }, (_, i) => (i / 3) >> 0),
    };
    const back = await decodeImage(await encodeJpeg(ramp, 95), 'jpeg');
    expect(largestDifference(back.data, ramp.data)).toBeLessThanOrEqual(6);
  });

  it('writes one animated WebP with every frame and its delay', async () => {
    const frames = [0, 80, 160].map((value) => ({
      height: 4,
      width: 6,
      data: new Uint8Array(72).fill(value),
    }));
    const bytes = await encodeAnimatedWebp(frames, 200);
    const text = Buffer.from(bytes).toString('latin1');
    expect(text.slice(0, 4) + text.slice(8, 12)).toBe('RIFFWEBP');
    const starts = [...text.matchAll(/ANMF/g)].map((match) => match.index);
    expect(starts).toHaveLength(3);
    // ANMF: 4 bytes name, 4 size, 12 position and size, then 3 bytes of duration.
    for (const start of starts) expect(bytes[start + 20]! + 256 * bytes[start + 21]!).toBe(200);
    expect(await encodeAnimatedWebp(frames, 200)).toEqual(bytes);
  });

  it('refuses an animation without frames or with frames of two sizes', async () => {
    await expect(encodeAnimatedWebp([], 100)).rejects.toThrow('got no frames');
    await expect(encodeAnimatedWebp([picture('wide'), picture('tall')], 100)).rejects.toThrow(
      'animation: got a frame of 45×21, expected 24×32',
    );
  });
});
