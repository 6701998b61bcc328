import { describe, expect, it } from '@jest/globals';
import { readFileSync } from 'node:fs';
import { centreCrop } from '../../src/image/centreCrop.js';
import { resizeLanczos3 } from '../../src/image/lanczos.js';
import type { RgbImage } from '../../src/types.js';
import { bytesFrom, largestDifference, picture } from './golden.js';

interface StoredImage {
  readonly height: number;
  readonly width: number;
  readonly data: string;
}

/** What TensorFlow made of the same pixels: test/oracle/tensorflow_pictures.py. */
const golden = JSON.parse(
  readFileSync(new URL('../golden/tensorflowPictures.json', import.meta.url), 'utf8'),
) as {
  readonly versions: Readonly<Record<string, string>>;
  readonly pictures: Readonly<Record<string, StoredImage>>;
  readonly centreCrop: readonly { source: string; area: number; output: StoredImage }[];
  readonly lanczos3: readonly { source: string; output: StoredImage }[];
};

function image({ height, width, data }: StoredImage): RgbImage {
  return { height, width, data: bytesFrom(data) };
}

describe(`centreCrop against TensorFlow ${golden.versions['tensorflow']}`, () => {
  for (const { source, area, output } of golden.centreCrop) {
    it(`gives the same bytes for ${source}, area ${area}`, () => {
      const cropped = centreCrop(image(golden.pictures[source]!), area);
      expect([cropped.height, cropped.width]).toEqual([output.height, output.width]);
      expect(largestDifference(cropped.data, bytesFrom(output.data))).toBe(0);
    });
  }
});

describe('centreCrop', () => {
  it('keeps a picture that is kept whole', () => {
    const source = picture('wide');
    const same = centreCrop(source, 1);
    expect(same.data).toEqual(source.data);
    expect(same.data).not.toBe(source.data);
  });

  it('keeps √area of each side: a quarter of a 5 px row lies between 1 and 3 px', () => {
    // Corners at (1 ± √0.25) / 2 of positions 0 … 4: 1 and 3, sampled at 1, 1.5, 2, 2.5, 3.
    const grey = [0, 40, 80, 120, 160].flatMap((value) => [value, value, value]);
    const row = { height: 1, width: 5, data: Uint8Array.from(grey) };
    const reds = Array.from(centreCrop(row, 0.25).data).filter((_, i) => i % 3 === 0);
    expect(reds).toEqual([40, 60, 80, 100, 120]);
  });

  it.each([0, -0.1, 1.01, NaN])('refuses a share of %d', (area) => {
    expect(() => centreCrop(picture('tiny'), area)).toThrow(
      `centre crop: got ${area}, expected a share of the area above 0, at most 1`,
    );
  });
});

describe(`resizeLanczos3 against TensorFlow ${golden.versions['tensorflow']}`, () => {
  for (const { source, output } of golden.lanczos3) {
    it(`gives the same bytes for ${source} → ${output.height}×${output.width}`, () => {
      const resized = resizeLanczos3(image(golden.pictures[source]!), output);
      expect([resized.height, resized.width]).toEqual([output.height, output.width]);
      expect(largestDifference(resized.data, bytesFrom(output.data))).toBe(0);
    });
  }
});

describe('resizeLanczos3', () => {
  it('refuses an empty size', () => {
    expect(() => resizeLanczos3(picture('tiny'), { height: 3, width: 0.5 })).toThrow(
      'resize: got 3×0.5, expected a whole height and width of at least 1',
    );
  });
});
