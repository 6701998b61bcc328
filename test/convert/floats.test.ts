import { describe, expect, it } from '@jest/globals';
import {
  float16FromFloat32,
  float16Value,
  float32FromBfloat16,
  float32FromFloat16,
  roundToFloat16,
} from '../../src/convert/floats.js';

const finite = Array.from({ length: 0x7c00 }, (_, bits) => bits);
const convert = (values: readonly number[]): { halves: number[]; wrong: number } => {
  const halves = new Uint16Array(values.length);
  const wrong = float16FromFloat32(Float32Array.from(values), halves);
  return { halves: Array.from(halves), wrong };
};

describe('a float16', () => {
  it('survives float32 and back, every one of them', () => {
    const bits = [...finite, ...finite.map((b) => b | 0x8000)];
    const single = new Float32Array(bits.length);
    float32FromFloat16(Uint16Array.from(bits), single);
    expect(convert(Array.from(single))).toEqual({ halves: bits, wrong: -1 });
  });

  it('is the nearest to a number just beside the middle of two, and the even one of the two in the middle', () => {
    const wrong: string[] = [];
    for (const lower of finite.slice(0, -1)) {
      const upper = lower + 1;
      // Exact in float32: a float16 has 11 bits, the middle one more, float32 24.
      const middle = (float16Value(lower) + float16Value(upper)) / 2;
      const beside = middle * 2 ** -20;
      const { halves } = convert([middle, middle - beside, middle + beside, -middle]);
      const even = lower % 2 === 0 ? lower : upper;
      if (String(halves) !== String([even, lower, upper, even | 0x8000])) wrong.push(`${lower}`);
    }
    expect(wrong).toEqual([]);
  });

  it('is refused where rounding gives infinity, and where there is no number', () => {
    // 65504 is the largest; 65520 lies in the middle between it and 2^16.
    expect(convert([65504, 65519.99]).halves).toEqual([0x7bff, 0x7bff]);
    expect(convert([1, 65520]).wrong).toBe(1);
    expect(convert([-1e30]).wrong).toBe(0);
    expect(convert([0, 0, Infinity]).wrong).toBe(2);
    expect(convert([NaN]).wrong).toBe(0);
    expect(roundToFloat16(1e6)).toBe(Infinity);
  });

  it('is zero below half the smallest, keeping its sign', () => {
    expect(convert([2 ** -25, 2 ** -25 + 2 ** -40, -(2 ** -30), -0]).halves).toEqual([
      0, 1, 0x8000, 0x8000,
    ]);
  });
});

describe('a bfloat16', () => {
  it('is the upper half of a float32, in place too', () => {
    const target = new Float32Array(4);
    const bits = new Uint16Array(target.buffer, 8, 4);
    bits.set([0x3f80, 0xc000, 0x3eab, 0x0001]);
    float32FromBfloat16(bits, target);
    expect(Array.from(target)).toEqual([1, -2, 0.333984375, Math.fround(2 ** -133)]);
  });
});
