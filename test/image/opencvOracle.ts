/** OpenCV's own colour conversions (opencv-js), for comparison. */
import { createRequire } from 'node:module';
import { portableOpenCv } from '../../src/image/opencv.js';

interface Mat {
  readonly data: Uint8Array;
  delete(): void;
}

export interface Cv {
  readonly Mat: new () => Mat;
  readonly matFromArray: (rows: number, cols: number, type: number, values: number[]) => Mat;
  readonly cvtColor: (from: Mat, to: Mat, code: number) => void;
  readonly CV_8UC1: number;
  readonly CV_8UC2: number;
  readonly COLOR_YUV2RGB_UYVY: number;
  readonly COLOR_YUV2RGB_YUY2: number;
  readonly COLOR_YUV2RGB_NV12: number;
  readonly COLOR_YUV2RGB_NV21: number;
  readonly COLOR_BayerBG2RGB: number;
  readonly COLOR_BayerRG2RGB: number;
  readonly COLOR_BayerGR2RGB: number;
  readonly COLOR_BayerGB2RGB: number;
}

interface Oracle {
  /** cvtColor of rows × cols × channels bytes. */
  readonly converted: (
    data: number[],
    rows: number,
    cols: number,
    channels: number,
    code: keyof Cv,
  ) => number[];
}

export async function opencv(): Promise<Oracle> {
  await portableOpenCv(); // which waits until the module is ready
  const cv = createRequire(import.meta.url)('@techstark/opencv-js') as Cv;
  const converted: Oracle['converted'] = (data, rows, cols, channels, code) => {
    const type = channels === 2 ? cv.CV_8UC2 : cv.CV_8UC1;
    const from = cv.matFromArray(rows, cols, type, data);
    const to = new cv.Mat();
    cv.cvtColor(from, to, cv[code] as number);
    const result = Array.from(to.data);
    from.delete();
    to.delete();
    return result;
  };
  return { converted };
}
