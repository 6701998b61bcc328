/** Weights of a tiny checkpoint from hashes: what `fill` of test/oracle/openvla_reference.py makes of the same description. */
import { writeSafetensors, type RawTensor } from '../../src/convert/safetensors.js';

/** What makes the values of one weight, all exact in bf16. */
export interface HashedWeight {
  readonly shape: readonly number[];
  readonly seed: number;
  /** Odd integers −255 … 255 over 2^exponent; null: 1 + (−32 … 31)/128. */
  readonly exponent: number | null;
  /** Rows [first, end) as they are, the others divided by 8. */
  readonly loudRows?: readonly [number, number];
}

/** Writes the weights in the order of their description, as bf16. */
export function writeHashedWeights(
  path: string,
  weights: Readonly<Record<string, HashedWeight>>,
): void {
  const tensors = Object.entries(weights).map(([name, weight]): [string, RawTensor] => {
    const data = new Uint8Array(bfloat16Bits(hashedValues(weight)).buffer);
    return [name, { dtype: 'BF16', shape: weight.shape, data }];
  });
  writeSafetensors(path, new Map(tensors), { format: 'pt' });
}

export function hashedValues({ shape, seed, exponent, loudRows }: HashedWeight): Float32Array {
  const values = new Float32Array(shape.reduce((product, extent) => product * extent, 1));
  const width = values.length / shape[0]!;
  const [first, end] = loudRows ?? [0, shape[0]!];
  for (let row = 0, i = 0; row < shape[0]!; row++) {
    const factor = row >= first && row < end ? 1 : 1 / 8;
    for (const rowEnd = i + width; i < rowEnd; i++) {
      const byte = hash(i + seed) & 255;
      values[i] =
        exponent === null
          ? 1 + ((byte >> 2) - 32) / 128
          : ((byte * 2 - 255) / 2 ** exponent) * factor;
    }
  }
  return values;
}

/** 32 bits in, 32 bits out: the finaliser `lowbias32`. */
function hash(value: number): number {
  let x = value >>> 0;
  x = Math.imul(x ^ (x >>> 16), 0x7feb352d);
  x = Math.imul(x ^ (x >>> 15), 0x846ca68b);
  return (x ^ (x >>> 16)) >>> 0;
}

/** The upper halves of numbers whose lower halves are zero. */
function bfloat16Bits(values: Float32Array): Uint16Array {
  return Uint16Array.from(new Uint32Array(values.buffer), (bits) => bits >>> 16);
}
