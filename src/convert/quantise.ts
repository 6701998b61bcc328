/**
 * Rows of a linear layer ↔ MatMulNBits of ONNX Runtime (docs/ContribOperators.md): every row is cut into blocks of
 * inputs, each block is whole numbers and one scale. 4-bit numbers lie two in a byte, the first in the low half; the
 * last block of a row is padded. Zero is stored as 8, or 128: symmetric, without zero points.
 */
import { ModelError } from '../errors.js';
import type { ErrorTally } from './tensorError.js';

export interface BlockLayout {
  readonly bits: 4 | 8;
  /** Inputs that share a scale. */
  readonly block: number;
  readonly inputs: number;
}

export const blocksPerRow = ({ block, inputs }: BlockLayout): number => Math.ceil(inputs / block);

/** Of one row's whole numbers. */
export const packedBytesPerRow = (layout: BlockLayout): number =>
  (blocksPerRow(layout) * layout.block * layout.bits) / 8;

/** What a scale is stored as: the whole numbers are chosen for the scale that the graph will read. */
export type ScaleRounding = (scale: number) => number;

/**
 * @param rows [n, inputs]
 * @param packed [n, packedBytesPerRow], overwritten.
 * @param scales [n, blocksPerRow], overwritten.
 * @param tally told the error of each row, beginning with row `firstRow` of `key`.
 * @throws ModelError on numbers that are not finite.
 */
export function quantiseRows(
  rows: Float32Array,
  layout: BlockLayout,
  round: ScaleRounding,
  packed: Uint8Array,
  scales: Float32Array,
  tally: ErrorTally,
  at: { readonly key: string; readonly firstRow: number },
): void {
  const { bits, block, inputs } = layout;
  const blocks = blocksPerRow(layout);
  const bytes = (block * bits) / 8;
  const quantiseBlock = bits === 4 ? quantiseBlock4 : quantiseBlock8;
  const row: BlockError = { squaredError: 0, squaredSum: 0, largest: 0 };
  for (let r = 0; r * inputs < rows.length; r++) {
    row.squaredError = row.squaredSum = row.largest = 0;
    for (let b = 0; b < blocks; b++) {
      const from = r * inputs + b * block;
      const end = Math.min(from + block, (r + 1) * inputs);
      const slot = r * blocks + b;
      scales[slot] = quantiseBlock(rows, from, end, round, packed, slot * bytes, bytes, row);
    }
    if (!Number.isFinite(row.squaredSum + row.squaredError)) {
      const where = `${at.key}, row ${at.firstRow + r}`;
      throw new ModelError(where, 'a number that is not finite', 'finite weights');
    }
    tally.add(at.key, at.firstRow + r, row.squaredError, row.squaredSum, row.largest);
  }
}

/** The inverse: what MatMulNBits multiplies with, [n, inputs]. */
export function dequantiseRows(
  packed: Uint8Array,
  scales: Float32Array,
  layout: BlockLayout,
): Float32Array {
  const { bits, block, inputs } = layout;
  const blocks = blocksPerRow(layout);
  const n = scales.length / blocks;
  const rows = new Float32Array(n * inputs);
  for (let r = 0; r < n; r++) {
    for (let i = 0; i < inputs; i++) {
      const slot = r * blocks + Math.floor(i / block);
      const at = slot * block + (i % block);
      const whole =
        bits === 8 ? packed[at]! - 128 : ((packed[at >> 1]! >> (4 * (at & 1))) & 15) - 8;
      rows[r * inputs + i] = whole * scales[slot]!;
    }
  }
  return rows;
}

/** Sums over the blocks of a row; `largest` is the largest absolute error. */
interface BlockError {
  squaredError: number;
  squaredSum: number;
  largest: number;
}

/** ±127 steps: the largest number of the block is met exactly. Returns the scale. */
function quantiseBlock8(
  w: Float32Array,
  from: number,
  end: number,
  round: ScaleRounding,
  packed: Uint8Array,
  at: number,
  bytes: number,
  error: BlockError,
): number {
  let large = 0;
  for (let i = from; i < end; i++) large = Math.max(large, Math.abs(w[i]!));
  const scale = round(large / 127);
  const inverse = scale === 0 ? 0 : 1 / scale;
  let { squaredError, squaredSum, largest } = error;
  for (let i = from; i < end; i++) {
    const value = w[i]!;
    const rounded = Math.floor(value * inverse + 128.5);
    const q = rounded > 255 ? 255 : rounded < 0 ? 0 : rounded;
    packed[at + i - from] = q;
    const off = Math.abs(value - (q - 128) * scale);
    squaredError += off * off;
    squaredSum += value * value;
    if (off > largest) largest = off;
  }
  packed.fill(128, at + end - from, at + bytes);
  error.squaredError = squaredError;
  error.squaredSum = squaredSum;
  error.largest = largest;
  return scale;
}

/**
 * −8 … 7 steps. Two divisions of the block are tried, one that meets its number of largest magnitude (as −8, as
 * llama.cpp's Q4_0 does) and one that clips it by `clip`; each with the scale that fits its whole numbers best, in the
 * least squares. The better one is kept. On normally distributed weights, blocks of 32 (128), the relative error is
 * 8.2 % (9.8 %), against 9.7 % (11.7 %) for ±7 steps and 8.6 % (10.3 %) for Q4_0.
 */
function quantiseBlock4(
  w: Float32Array,
  from: number,
  end: number,
  round: ScaleRounding,
  packed: Uint8Array,
  at: number,
  bytes: number,
  error: BlockError,
): number {
  // 1. The number of largest magnitude.
  let large = 0;
  let signed = 0;
  for (let i = from; i < end; i++) {
    const value = w[i]!;
    const size = Math.abs(value);
    if (size > large) {
      large = size;
      signed = value;
    }
  }
  // 2. Both divisions: Σwq and Σq² of each. The least error of a division is Σw² − (Σwq)²/Σq².
  const wide = signed === 0 ? 0 : -8 / signed;
  const tight = wide / clip;
  let wq = 0;
  let qq = 0;
  let wqTight = 0;
  let qqTight = 0;
  for (let i = from; i < end; i++) {
    const value = w[i]!;
    let q = ((value * wide + 8.5) | 0) - 8;
    if (q > 7) q = 7;
    wq += value * q;
    qq += q * q;
    let qTight = ((value * tight + 32.5) | 0) - 32;
    if (qTight > 7) qTight = 7;
    else if (qTight < -8) qTight = -8;
    wqTight += value * qTight;
    qqTight += qTight * qTight;
  }
  const useTight = wqTight * wqTight * qq > wq * wq * qqTight;
  const divide = useTight ? tight : wide;
  const scale = qq === 0 ? 0 : round(useTight ? wqTight / qqTight : wq / qq);
  // 3. The whole numbers of the one that is kept, two in a byte; padding is zero.
  let { squaredError, squaredSum, largest } = error;
  for (let k = 0; k < bytes; k++) {
    let pair = 0x88;
    for (let half = 0; half < 2; half++) {
      const i = from + 2 * k + half;
      if (i >= end) break;
      const value = w[i]!;
      let q = (value * divide + 32.5) | 0;
      if (q > 39) q = 39;
      else if (q < 24) q = 24;
      q -= 24;
      pair = half === 0 ? (pair & 0xf0) | q : (pair & 0x0f) | (q << 4);
      const off = Math.abs(value - (q - 8) * scale);
      squaredError += off * off;
      squaredSum += value * value;
      if (off > largest) largest = off;
    }
    packed[at + k] = pair;
  }
  error.squaredError = squaredError;
  error.squaredSum = squaredSum;
  error.largest = largest;
  return scale;
}

const clip = 0.92;
