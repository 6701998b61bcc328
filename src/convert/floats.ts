/**
 * 16-bit floating-point numbers as checkpoints and graphs hold them ↔ fp32. JavaScript has no arrays of them here: bits
 * travel in Uint16Array.
 */

/** bfloat16 is the upper half of a float32. */
export function float32FromBfloat16(source: Uint16Array, target: Float32Array): void {
  const bits = new Uint32Array(target.buffer, target.byteOffset, source.length);
  for (let i = 0; i < source.length; i++) bits[i] = source[i]! << 16;
}

let float16Table: Float32Array | undefined;

/** IEEE 754 binary16; exact, every value of it is a float32. */
export function float32FromFloat16(source: Uint16Array, target: Float32Array): void {
  float16Table ??= Float32Array.from({ length: 65536 }, (_, bits) => float16Value(bits));
  const table = float16Table;
  for (let i = 0; i < source.length; i++) target[i] = table[source[i]!]!;
}

export function float16Value(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction ? NaN : sign * Infinity;
  return exponent === 0
    ? sign * fraction * 2 ** -24
    : sign * (1024 + fraction) * 2 ** (exponent - 25);
}

/** 65520 as float32 bits: from here on rounding gives infinity, and infinities and NaN lie above. */
const firstTooLarge = 0x477ff000;
/** 2^-14 as float32 bits: below it a float16 is a multiple of 2^-24. */
const firstNormal = 0x38800000;
const scratch = new Float32Array(1);
const scratchBits = new Uint32Array(scratch.buffer);

/**
 * Rounds to the nearest float16, ties to even.
 * @returns index of the first number that is none (beyond ±65504 after rounding, infinite or NaN); −1: all are.
 */
export function float16FromFloat32(source: Float32Array, target: Uint16Array): number {
  const bits = new Uint32Array(source.buffer, source.byteOffset, source.length);
  for (let i = 0; i < bits.length; i++) {
    const word = bits[i]!;
    const sign = (word >>> 16) & 0x8000;
    const size = word & 0x7fffffff;
    if (size >= firstTooLarge) return i;
    if (size >= firstNormal) {
      // Exponent bias 127 → 15, 23 → 10 fraction bits; half of what is dropped, less one where the rest is even.
      target[i] = sign | ((size - 0x38000000 + 0x0fff + ((size >>> 13) & 1)) >>> 13);
    } else {
      // Numbers in [0.5, 1) are multiples of 2^-24: the addition rounds as float16 would.
      scratch[0] = Math.abs(source[i]!) + 0.5;
      target[i] = sign | (scratchBits[0]! - 0x3f000000);
    }
  }
  return -1;
}

/** One number rounded to the nearest float16 and back. */
export function roundToFloat16(value: number): number {
  const halves = new Uint16Array(1);
  const overflow = float16FromFloat32(Float32Array.of(value), halves) === 0;
  return overflow ? Math.sign(value) * Infinity : float16Value(halves[0]!);
}
