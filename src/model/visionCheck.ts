/**
 * Whether another provider sees what the CPU sees: the same made-up picture through both, compared number by number. The
 * decoder's own check (reference.ts) is given its visual tokens and would not notice.
 */
import { ModelError } from '../errors.js';
import type { CropTensor } from '../image/pixels.js';
import type { GraphManifest } from './graphs.js';
import { chooseProvider, type ProviderChoice } from './session.js';
import { openVision, type VisionEncoder } from './vision.js';

/** Visual tokens along a crop's side where the graph takes any: as many as Magma's, so that the same kernels are chosen. */
const tokens = 16;

/** Root mean square of the difference over that of the tokens: fp32 agrees to 1e-6, fp16 to 5e-4, 8-bit activations to 0.05. */
function largestDifference({ keyValueType, weights }: GraphManifest['decoder']): number {
  if (weights === 'int4' || weights === 'int8') return 0.15;
  return keyValueType === 'float32' && weights === 'fp32' ? 0.005 : 0.02;
}

/**
 * Opens the vision graph on the CPU besides, and closes it again.
 * @throws ModelError where the tokens differ, or either graph fails.
 */
export async function assertSeesAsCpu(
  vision: VisionEncoder,
  folder: string,
  manifest: GraphManifest,
  { provider }: ProviderChoice,
  threads: number,
): Promise<void> {
  const crops = madeUpCrops(manifest.vision);
  const cpu = await openVision(folder, manifest, chooseProvider('cpu'), threads);
  const expected = await cpu.encode(crops).finally(() => cpu.release());
  const seen = await vision.encode(crops);
  const where = `provider ${provider}: visual tokens of a made-up picture`;
  if (seen.data.length !== expected.data.length) {
    throw new ModelError(where, `${seen.count} tokens`, `${expected.count}, as from the CPU`);
  }
  const most = largestDifference(manifest.decoder);
  const difference = relativeDifference(seen.data, expected.data);
  if (difference <= most) return;
  const got = `numbers that differ from the CPU's by ${difference.toPrecision(2)} of their size`;
  throw new ModelError(where, got, `at most ${most}`);
}

/** Two crops side by side, of waves that no two towers and no two channels have in common. */
function madeUpCrops({ stride, towers, cropSize }: GraphManifest['vision']): CropTensor {
  const side = cropSize ?? tokens * stride;
  const count = 2 * 3 * towers * side * side;
  const pixels = Float32Array.from({ length: count }, (_, i) => Math.sin(0.37 * i + i / 977));
  return { pixels, canvas: { height: side, width: 2 * side, rows: 1, cols: 2 } };
}

function relativeDifference(a: Float32Array, b: Float32Array): number {
  let difference = 0;
  let size = 0;
  for (let i = 0; i < b.length; i++) {
    difference += (a[i]! - b[i]!) ** 2;
    size += b[i]! ** 2;
  }
  return Math.sqrt(difference / size);
}
