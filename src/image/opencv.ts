/**
 * OpenCV beside the model: interest points, homographies and warps behind one small port with two builds.
 *
 * - opencv-js (WebAssembly, always installed): the same bits on every machine.
 * - opencv4nodejs (native, after `npm run build:opencv`): 2–7 times faster; another version, so it rounds differently.
 *
 * Nothing the native build computes may reach a model, or predictions would depend on what is installed. Marks that are
 * drawn on model input therefore come from `interestPoints`, which is opencv-js always; `availableOpenCv` is for
 * annotation and pictures. Pixels have their origin at the top-left corner of the top-left pixel; OpenCV counts from
 * that pixel's centre, and the half pixel is taken into account here.
 */
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { InputError } from '../errors.js';
import type { Pixel, RgbImage } from '../types.js';

/** 3×3, row-major, last element 1: (x, y, 1) of the first picture → (x, y, 1) of the second up to scale. */
export type Homography = readonly number[];

export interface OpenCv {
  readonly build: 'opencv-js' | 'opencv4nodejs';
  /** Shi–Tomasi corners, strongest first, at least `minDistance` px apart, at most `max`; pixel centres. */
  readonly corners: (image: RgbImage, max: number, minDistance: number) => Pixel[];
  /** RANSAC with a 4 px threshold (as Magma's data pipeline); null where no plane fits. At least 4 pairs. */
  readonly homography: (from: readonly Pixel[], to: readonly Pixel[]) => Homography | null;
  /** The picture seen through `homography` (source → output), bilinear, same size, black outside. */
  readonly warp: (image: RgbImage, homography: Homography) => RgbImage;
}

const require = createRequire(import.meta.url);
const ransacThreshold = 4;
/** Corners weaker than this share of the strongest are no corners. */
const cornerQuality = 0.01;

/** Points worth marking on model input: the corners of opencv-js, the same on every machine. */
export async function interestPoints(
  image: RgbImage,
  max: number,
  minDistance: number,
): Promise<Pixel[]> {
  return (await portableOpenCv()).corners(image, max, minDistance);
}

/** The native build where there is one, else opencv-js. Not for anything that reaches a model. */
export async function availableOpenCv(): Promise<OpenCv> {
  const native = nativeOpenCv();
  return native.ok ? native.value : portableOpenCv();
}

let portable: Promise<{ value: OpenCv }> | null = null;

/** opencv-js, loaded once (0.4 s, 13 MB). */
export async function portableOpenCv(): Promise<OpenCv> {
  portable ??= loadWasm().then((cv) => ({ value: fromWasm(cv) }));
  return (await portable).value;
}

/** A video file, frame after frame. */
export interface VideoReader {
  /** As its header says. */
  frameCount(): number;
  /** The next frame; null at the end. */
  read(): RgbImage | null;
  /** Past the next frame; false at the end. */
  skip(): boolean;
  close(): void;
}

export type NativeOpenCv =
  | {
      readonly ok: true;
      readonly value: OpenCv;
      /** Throws something where the file is no video. */
      readonly openVideo: (path: string) => VideoReader;
    }
  | { readonly ok: false; readonly why: string };

let native: NativeOpenCv | null = null;

/** opencv4nodejs, or why it is not there. */
export function nativeOpenCv(): NativeOpenCv {
  native ??= loadNative();
  return native;
}

// ── opencv-js ───────────────────────────────────────────────────────────────────────────────────────────────────────

/** What is used of opencv-js; its memory is freed by hand. */
interface WasmMat {
  readonly rows: number;
  readonly cols: number;
  readonly data: Uint8Array;
  readonly data32F: Float32Array;
  readonly data64F: Float64Array;
  delete(): void;
}

interface Wasm {
  onRuntimeInitialized?: () => void;
  readonly Mat?: new () => WasmMat;
  readonly Size: new (width: number, height: number) => object;
  readonly CV_8UC1: number;
  readonly CV_8UC3: number;
  readonly CV_32FC2: number;
  readonly CV_64FC1: number;
  readonly RANSAC: number;
  matFromArray(rows: number, cols: number, type: number, values: ArrayLike<number>): WasmMat;
  goodFeaturesToTrack(
    image: WasmMat,
    corners: WasmMat,
    max: number,
    quality: number,
    minDistance: number,
  ): void;
  findHomography(from: WasmMat, to: WasmMat, method: number, threshold: number): WasmMat;
  warpPerspective(image: WasmMat, output: WasmMat, homography: WasmMat, size: object): void;
}

/**
 * Required, not imported, and not returned bare: the module has a `then` of its own, which `await` would call for ever.
 */
async function loadWasm(): Promise<{ readonly cv: Wasm }> {
  const before = listeners();
  const cv = require('@techstark/opencv-js') as Wasm;
  if (!cv.Mat) await new Promise<void>((resolve) => (cv.onRuntimeInitialized = resolve));
  // Emscripten listens for uncaught errors of the whole process only to throw them again; the program has its own way.
  for (const [event, known] of before)
    for (const listener of process.listeners(event as 'uncaughtException'))
      if (!known.includes(listener)) process.removeListener(event, listener);
  return { cv };
}

function listeners(): [string, unknown[]][] {
  return ['uncaughtException', 'unhandledRejection'].map((event) => [
    event,
    process.listeners(event as 'uncaughtException'),
  ]);
}

function fromWasm({ cv }: { readonly cv: Wasm }): OpenCv {
  /** Runs with a list of mats that are freed afterwards, whatever happens. */
  const freeing = <T>(run: (keep: (mat: WasmMat) => WasmMat) => T): T => {
    const mats: WasmMat[] = [];
    const keep = (mat: WasmMat): WasmMat => {
      mats.push(mat);
      return mat;
    };
    try {
      return run(keep);
    } finally {
      for (const mat of mats) mat.delete();
    }
  };
  const pairs = (points: readonly Pixel[]): WasmMat =>
    cv.matFromArray(
      points.length,
      1,
      cv.CV_32FC2,
      points.flatMap(({ x, y }) => [x, y]),
    );
  const empty = (): WasmMat => new cv.Mat!();

  return {
    build: 'opencv-js',
    corners: (image, max, minDistance) =>
      freeing((keep) => {
        const grey = keep(cv.matFromArray(image.height, image.width, cv.CV_8UC1, greyFrom(image)));
        const found = keep(empty());
        cv.goodFeaturesToTrack(grey, found, max, cornerQuality, minDistance);
        return Array.from({ length: found.rows }, (_, i) => ({
          x: found.data32F[2 * i]! + 0.5,
          y: found.data32F[2 * i + 1]! + 0.5,
        }));
      }),
    homography: (from, to) =>
      freeing((keep) => {
        requirePairs(from, to);
        const found = keep(
          cv.findHomography(keep(pairs(from)), keep(pairs(to)), cv.RANSAC, ransacThreshold),
        );
        return found.rows === 3 ? Array.from(found.data64F) : null;
      }),
    warp: (image, homography) =>
      freeing((keep) => {
        const { height, width } = image;
        const source = keep(cv.matFromArray(height, width, cv.CV_8UC3, image.data));
        const matrix = keep(cv.matFromArray(3, 3, cv.CV_64FC1, aboutPixelCentres(homography)));
        const output = keep(empty());
        cv.warpPerspective(source, output, matrix, new cv.Size(width, height));
        return { height, width, data: Uint8Array.from(output.data) };
      }),
  };
}

// ── opencv4nodejs ───────────────────────────────────────────────────────────────────────────────────────────────────

interface NativeMat {
  readonly rows: number;
  readonly cols: number;
  goodFeaturesToTrack(max: number, quality: number, minDistance: number): Pixel[];
  warpPerspective(homography: NativeMat, size: object): NativeMat;
  getData(): Buffer;
  getDataAsArray(): number[][];
}

interface Native {
  readonly Mat: {
    new (data: Buffer, rows: number, cols: number, type: number): NativeMat;
    new (rows: readonly (readonly number[])[], type: number): NativeMat;
  };
  readonly Size: new (width: number, height: number) => object;
  readonly Point2: new (x: number, y: number) => Pixel;
  readonly CV_8UC1: number;
  readonly CV_8UC3: number;
  readonly CV_64FC1: number;
  readonly RANSAC: number;
  readonly CAP_PROP_FRAME_COUNT: number;
  readonly COLOR_BGR2RGB: number;
  readonly VideoCapture: new (path: string) => {
    get(property: number): number;
    /** Without rows at the end. */
    read(): NativeMat & { cvtColor(code: number): NativeMat };
    release(): void;
  };
  findHomography(
    from: Pixel[],
    to: Pixel[],
    method: number,
    threshold: number,
  ): { homography: NativeMat };
}

/**
 * Loads the compiled binding itself: the package's own entry points search for build folders, log, read environment
 * variables, and throw as ESM.
 */
function loadNative(): NativeOpenCv {
  try {
    const entry = require.resolve('@u4/opencv4nodejs');
    const binding = join(dirname(entry), '../../build/Release/opencv4nodejs.node');
    const cv = require(binding) as Native;
    return { ok: true, value: fromNative(cv), openVideo: (path) => videoReader(cv, path) };
  } catch (error) {
    const why = (error as Error).message.split('\n')[0]!;
    return { ok: false, why: `no native OpenCV (npm run build:opencv makes one): ${why}` };
  }
}

function fromNative(cv: Native): OpenCv {
  const points = (list: readonly Pixel[]): Pixel[] => list.map(({ x, y }) => new cv.Point2(x, y));
  const mat = (data: Uint8Array, height: number, width: number, type: number): NativeMat =>
    new cv.Mat(Buffer.from(data.buffer, data.byteOffset, data.length), height, width, type);
  return {
    build: 'opencv4nodejs',
    corners: (image, max, minDistance) =>
      mat(greyFrom(image), image.height, image.width, cv.CV_8UC1)
        .goodFeaturesToTrack(max, cornerQuality, minDistance)
        .map(({ x, y }) => ({ x: x + 0.5, y: y + 0.5 })),
    homography: (from, to) => {
      requirePairs(from, to);
      const found = cv.findHomography(points(from), points(to), cv.RANSAC, ransacThreshold);
      const { homography } = found;
      return homography.rows === 3 ? homography.getDataAsArray().flat() : null;
    },
    warp: (image, homography) => {
      const { height, width } = image;
      const h = aboutPixelCentres(homography);
      const matrix = new cv.Mat([h.slice(0, 3), h.slice(3, 6), h.slice(6)], cv.CV_64FC1);
      const source = mat(image.data, height, width, cv.CV_8UC3);
      const output = source.warpPerspective(matrix, new cv.Size(width, height));
      return { height, width, data: Uint8Array.from(output.getData()) };
    },
  };
}

function videoReader(cv: Native, path: string): VideoReader {
  const capture = new cv.VideoCapture(path);
  return {
    frameCount: () => capture.get(cv.CAP_PROP_FRAME_COUNT),
    read: () => {
      const frame = capture.read();
      if (frame.rows === 0) return null;
      const rgb = frame.cvtColor(cv.COLOR_BGR2RGB);
      return { height: rgb.rows, width: rgb.cols, data: Uint8Array.from(rgb.getData()) };
    },
    skip: () => capture.read().rows > 0,
    close: () => capture.release(),
  };
}

// ── Both ────────────────────────────────────────────────────────────────────────────────────────────────────────────

/** BT.601 luma, so that both builds start from the same bytes. */
function greyFrom({ data }: RgbImage): Uint8Array {
  const grey = new Uint8Array(data.length / 3);
  for (let i = 0, at = 0; i < grey.length; i++, at += 3)
    grey[i] = (299 * data[at]! + 587 * data[at + 1]! + 114 * data[at + 2]! + 500) / 1000;
  return grey;
}

/** T(−½) · H · T(½): from our corner-based pixels to OpenCV's centre-based ones. */
function aboutPixelCentres(h: Homography): number[] {
  if (h.length !== 9) throw new InputError('homography', `${h.length} numbers`, '9');
  const [a, b, c, d, e, f, g, k, l] = h as [
    number, number, number, number, number, number, number, number, number,
  ]; // prettier-ignore
  const right = [a, b, (a + b) / 2 + c, d, e, (d + e) / 2 + f, g, k, (g + k) / 2 + l];
  return right.map((value, i) => (i < 6 ? value - right[6 + (i % 3)]! / 2 : value));
}

function requirePairs(from: readonly Pixel[], to: readonly Pixel[]): void {
  if (from.length !== to.length || from.length < 4)
    throw new InputError(
      'homography',
      `${from.length} and ${to.length} points`,
      'two lists of one length, at least 4',
    );
}
