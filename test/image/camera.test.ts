import { describe, expect, it } from '@jest/globals';
import { rawEncodings, rgbFromCamera, rgbFromRaw, type RawImage } from '../../src/image/camera.js';
import { encodeJpeg, encodePng } from '../../src/image/codec.js';
import { DataError } from '../../src/errors.js';
import { largestDifference, picture } from './golden.js';
import { opencv, type Cv } from './opencvOracle.js';

function raw(encoding: string, size: [number, number], step: number, data: number[]): RawImage {
  return {
    kind: 'raw',
    stampNs: 0n,
    frameId: 'camera',
    height: size[0],
    width: size[1],
    encoding,
    step,
    isBigEndian: false,
    data: Uint8Array.from(data),
  };
}

/** Bytes without a pattern, the same every time. */
function noise(length: number): number[] {
  let state = 12345;
  return Array.from({ length }, () => {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0;
    return state >>> 24;
  });
}

const convert = (image: RawImage): number[] => Array.from(rgbFromRaw(image, 'front').data);

describe('rgbFromRaw', () => {
  // Two pixels, (10, 20, 30) and (40, 50, 60), then two bytes of padding (99).
  const packed: [string, number[]][] = [
    ['rgb8', [10, 20, 30, 40, 50, 60, 99, 99]],
    ['bgr8', [30, 20, 10, 60, 50, 40, 99, 99]],
    ['8UC3', [30, 20, 10, 60, 50, 40, 99, 99]],
    ['rgba8', [10, 20, 30, 0, 40, 50, 60, 255, 99, 99]],
    ['bgra8', [30, 20, 10, 0, 60, 50, 40, 255, 99, 99]],
    ['8UC4', [30, 20, 10, 0, 60, 50, 40, 255, 99, 99]],
  ];
  for (const [encoding, row] of packed)
    it(`reads ${encoding} row by row and leaves out the padding`, () => {
      const image = raw(encoding, [2, 2], row.length, [...row, ...row]);
      const pixels = [10, 20, 30, 40, 50, 60];
      expect(convert(image)).toEqual([...pixels, ...pixels]);
    });

  it('repeats grey in all three channels', () => {
    for (const encoding of ['mono8', '8UC1'])
      expect(convert(raw(encoding, [2, 1], 3, [7, 99, 99, 200, 99, 99]))).toEqual([
        7, 7, 7, 200, 200, 200,
      ]);
  });

  it('scales 16 bit so that 65535 becomes 255, in either byte order', () => {
    // 0x0000, 0x8000 = 32768 → 127.5 → round(32768 / 257) = 128, 0xffff
    const little = raw('mono16', [1, 3], 6, [0, 0, 0, 0x80, 0xff, 0xff]);
    const big = { ...raw('mono16', [1, 3], 6, [0, 0, 0x80, 0, 0xff, 0xff]), isBigEndian: true };
    const expected = [0, 0, 0, 128, 128, 128, 255, 255, 255];
    expect(convert(little)).toEqual(expected);
    expect(convert(big)).toEqual(expected);
    expect(convert(raw('bgr16', [1, 1], 6, [0, 1, 0, 2, 0, 3]))).toEqual([3, 2, 1]);
  });

  it('reads BT.601 black, white and red', () => {
    // [Y, U, V]: black 16 128 128, white 235 128 128, red 81 90 240.
    const uyvy = [128, 16, 128, 235, 90, 81, 240, 81];
    const expected = [0, 0, 0, 255, 255, 255, 254, 0, 0, 254, 0, 0];
    expect(convert(raw('yuv422', [1, 4], 8, uyvy))).toEqual(expected);
    const yuyv = [16, 128, 235, 128, 81, 90, 81, 240];
    expect(convert(raw('yuv422_yuy2', [1, 4], 8, yuyv))).toEqual(expected);
  });

  it('gives a field of one colour that colour from every Bayer pattern, borders included', () => {
    const field = { r: 200, g: 100, b: 50 };
    for (const pattern of ['rggb', 'bggr', 'gbrg', 'grbg'] as const) {
      const site = (y: number, x: number): number =>
        field[pattern[(y % 2) * 2 + (x % 2)] as 'r' | 'g' | 'b'];
      const data = Array.from({ length: 24 }, (_, i) => site(Math.floor(i / 6), i % 6));
      const pixels = convert(raw(`bayer_${pattern}8`, [4, 6], 6, data));
      expect(pixels).toEqual(Array.from({ length: 72 }, (_, i) => [200, 100, 50][i % 3]));
    }
  });

  it('reads every encoding it names', () => {
    for (const encoding of rawEncodings) {
      const rows = encoding.startsWith('nv') ? 3 : 2;
      const image = raw(encoding, [2, 2], 12, noise(rows * 12));
      expect(rgbFromRaw(image, 'front').data).toHaveLength(12);
    }
  });
});

describe('rgbFromRaw against OpenCV', () => {
  const [height, width] = [10, 14];

  const semiPlanarAndPacked: [string, keyof Cv, number, number][] = [
    ['yuv422', 'COLOR_YUV2RGB_UYVY', height, 2],
    ['yuv422_yuy2', 'COLOR_YUV2RGB_YUY2', height, 2],
    ['nv12', 'COLOR_YUV2RGB_NV12', (height * 3) / 2, 1],
    ['nv21', 'COLOR_YUV2RGB_NV21', (height * 3) / 2, 1],
  ];
  for (const [encoding, code, rows, channels] of semiPlanarAndPacked)
    it(`converts ${encoding} to the same bytes`, async () => {
      const data = noise(rows * width * channels);
      const image = raw(encoding, [height, width], width * channels, data);
      const expected = (await opencv()).converted(data, rows, width, channels, code);
      expect(convert(image)).toEqual(expected);
    });

  // OpenCV names a pattern by the second row's second and third site.
  const bayer: [string, keyof Cv][] = [
    ['bayer_rggb8', 'COLOR_BayerBG2RGB'],
    ['bayer_bggr8', 'COLOR_BayerRG2RGB'],
    ['bayer_gbrg8', 'COLOR_BayerGR2RGB'],
    ['bayer_grbg8', 'COLOR_BayerGB2RGB'],
  ];
  for (const [encoding, code] of bayer)
    it(`converts the inside of ${encoding} to the same bytes`, async () => {
      const data = noise(height * width);
      const pixels = convert(raw(encoding, [height, width], width, data));
      const expected = (await opencv()).converted(data, height, width, 1, code);
      const inside = (values: number[]): number[] =>
        values.filter((_, i) => {
          const [y, x] = [Math.floor(i / 3 / width), Math.floor(i / 3) % width];
          return y > 0 && y < height - 1 && x > 0 && x < width - 1;
        });
      expect(inside(pixels)).toEqual(inside(expected));
    });
});

describe('rgbFromRaw refuses', () => {
  const refusals: [string, RawImage, string][] = [
    [
      'depth',
      raw('16UC1', [1, 1], 2, [0, 0]),
      'front: got encoding 16UC1, expected one of rgb8, bgr8',
    ],
    [
      'a step shorter than a row',
      raw('rgb8', [1, 2], 5, [0, 0, 0, 0, 0]),
      'front: got step 5, expected at least 6 bytes for 2 px of rgb8',
    ],
    [
      'missing bytes',
      raw('mono8', [2, 2], 2, [0, 0, 0]),
      'front: got 3 bytes, expected 4 for mono8 of 2×2 with step 2',
    ],
    [
      'missing chroma rows',
      raw('nv12', [2, 2], 2, [0, 0, 0, 0]),
      'front: got 4 bytes, expected 6 for nv12 of 2×2 with step 2',
    ],
    [
      'an odd width for shared chroma',
      raw('yuv422', [1, 3], 6, [0, 0, 0, 0, 0, 0]),
      'a width of 2',
    ],
    ['an empty picture', raw('rgb8', [0, 4], 12, []), 'none empty'],
    ['a prototype name', raw('constructor', [1, 1], 3, [0, 0, 0]), 'got encoding constructor'],
  ];
  for (const [what, image, message] of refusals)
    it(what, () => {
      expect(() => rgbFromRaw(image, 'front')).toThrow(DataError);
      expect(() => rgbFromRaw(image, 'front')).toThrow(message);
    });
});

describe('rgbFromCamera', () => {
  const compressed = (format: string, data: Uint8Array) =>
    ({ kind: 'compressed', stampNs: 0n, frameId: 'camera', format, data }) as const;

  it('decodes compressed pictures by their bytes, whatever the format string says', async () => {
    const image = picture('wide');
    const png = await encodePng(image);
    for (const format of ['png', 'bgr8; png compressed bgr8', ''])
      expect(await rgbFromCamera(compressed(format, png), 'front')).toEqual(image);
    const jpeg = await rgbFromCamera(compressed('jpeg', await encodeJpeg(image, 95)), 'front');
    expect(largestDifference(jpeg.data, image.data)).toBeLessThan(255);
    expect([jpeg.height, jpeg.width]).toEqual([24, 32]);
  });

  it('does not take depth for a picture', async () => {
    const png = await encodePng(picture('tiny'));
    await expect(
      rgbFromCamera(compressed('16UC1; compressedDepth png', png), 'front'),
    ).rejects.toThrow(
      'front: got format 16UC1; compressedDepth png, expected a colour or grey picture',
    );
  });

  it('names the camera and its format when data are damaged', async () => {
    const png = (await encodePng(picture('tiny'))).slice(0, 60);
    await expect(rgbFromCamera(compressed('png', png), 'wrist')).rejects.toThrow(
      /^wrist \(format png\): got a png of 60 bytes that does not decode/,
    );
  });
});
