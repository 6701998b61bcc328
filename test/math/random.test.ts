import { describe, expect, it } from '@jest/globals';
import { mean } from '../../src/math/statistics.js';
import { seededRandom } from '../../src/math/random.js';

const draw = (n: number, next: () => number): number[] => Array.from({ length: n }, next);

describe('seeded random numbers', () => {
  it('are mulberry32, whose first outputs for seed 0 are known', () => {
    // Computed in Python with 32-bit integers from the published algorithm.
    const { uniform } = seededRandom(0);
    expect(draw(3, uniform).map((u) => u * 2 ** 32)).toEqual([1144304738, 1416247, 958946056]);
  });

  it('repeat with the seed and differ without it', () => {
    expect(draw(20, seededRandom(7).uniform)).toEqual(draw(20, seededRandom(7).uniform));
    expect(draw(20, seededRandom(7).uniform)).not.toEqual(draw(20, seededRandom(8).uniform));
  });

  it('fill their ranges evenly', () => {
    const { between, integer, normal } = seededRandom(3);
    const wide = draw(20000, () => between(-2, 4));
    expect(Math.min(...wide)).toBeGreaterThanOrEqual(-2);
    expect(Math.max(...wide)).toBeLessThan(4);
    expect(mean(wide)).toBeCloseTo(1, 1);
    const dice = draw(6000, () => integer(6));
    for (let face = 0; face < 6; face++) {
      const count = dice.filter((value) => value === face).length;
      expect(count).toBeGreaterThan(850);
      expect(count).toBeLessThan(1150);
    }
    const bell = draw(20000, normal);
    expect(mean(bell)).toBeCloseTo(0, 1);
    expect(mean(bell.map((value) => value ** 2))).toBeCloseTo(1, 1);
  });

  it('pick each element and refuse an empty array', () => {
    const { pick } = seededRandom(4);
    expect(new Set(draw(50, () => pick([10, 20, 30])))).toEqual(new Set([10, 20, 30]));
    expect(() => pick([])).toThrow('empty array');
  });

  it('fork into a generator whose draws do not shift the parent', () => {
    const [a, b] = [seededRandom(9), seededRandom(9)];
    const fork = a.fork();
    b.fork();
    draw(100, fork.uniform);
    expect(draw(5, a.uniform)).toEqual(draw(5, b.uniform));
  });
});
