/** Normalised crops → visual tokens of the decoder's width. */
import { join } from 'node:path';
import { ModelError } from '../errors.js';
import type { CropTensor } from '../image/pixels.js';
import { graphFiles, ports, type GraphManifest } from './graphs.js';
import {
  float32Data,
  float32Tensor,
  int64Tensor,
  openSession,
  type ProviderChoice,
} from './session.js';

/** One picture as the decoder sees it. */
export interface VisualTokens {
  readonly count: number;
  /** [count, hiddenSize], row-major. */
  readonly data: Float32Array;
}

export interface VisionEncoder {
  /**
   * `crops.pixels` is borrowed until the promise settles; several pictures at once: visionBatch.ts.
   * @throws ModelError: size, number of towers, broken weights.
   */
  encode(crops: CropTensor): Promise<VisualTokens>;
  release(): Promise<void>;
}

export async function openVision(
  folder: string,
  { vision, decoder }: GraphManifest,
  choice: ProviderChoice,
  threads: number,
): Promise<VisionEncoder> {
  const session = await openSession(join(folder, graphFiles.vision), choice, threads);
  return {
    encode: async ({ pixels, canvas }) => {
      const { rows, cols } = canvas;
      const height = canvas.height / rows;
      const width = canvas.width / cols;
      const shape = [rows * cols, 3 * vision.towers, height, width] as const;
      checkCrops(pixels, shape, vision);
      const outputs = await session.run(
        {
          [ports.pixels]: float32Tensor(shape, pixels),
          [ports.grid]: int64Tensor([2], [rows, cols]),
        },
        [ports.visual],
      );
      const data = float32Data(outputs[ports.visual], ports.visual);
      checkFinite(data, session.path);
      return { count: data.length / decoder.hiddenSize, data };
    },
    release: () => session.release(),
  };
}

/** A decoder may hide what is not a number behind numbers. */
function checkFinite(visual: Float32Array, path: string): void {
  const at = visual.findIndex((value) => !Number.isFinite(value));
  if (at >= 0) throw new ModelError(`${path}: visual tokens`, String(visual[at]), 'numbers');
}

function checkCrops(
  pixels: Float32Array,
  shape: readonly [number, number, number, number],
  { stride, cropSize }: GraphManifest['vision'],
): void {
  const [crops, channels, height, width] = shape;
  const got = `${height}×${width}`;
  if (cropSize !== null && (height !== cropSize || width !== cropSize)) {
    throw new ModelError('crop size', got, `${cropSize}×${cropSize}`);
  }
  if (height % stride !== 0 || width % stride !== 0 || height === 0 || width === 0) {
    throw new ModelError('crop size', got, `multiples of ${stride}`);
  }
  if (pixels.length !== crops * channels * height * width) {
    const expected = `${crops * channels * height * width} for [${shape.join(', ')}]`;
    throw new ModelError('crop pixels', `${pixels.length} numbers`, expected);
  }
}
