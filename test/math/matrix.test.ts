import { describe, expect, it } from '@jest/globals';
import { eigs, lusolve } from 'mathjs';
import {
  gram,
  smallestSingularValue,
  solveCholesky,
  symmetricEigenvalues,
} from '../../src/math/matrix.js';
import { seededRandom } from '../../src/math/random.js';

const random = seededRandom(17);
const randomMatrix = (rows: number, cols: number): Float64Array =>
  Float64Array.from({ length: rows * cols }, () => random.normal());
const rowsOf = (m: Float64Array, n: number): number[][] =>
  Array.from({ length: n }, (_, row) => [...m.subarray(row * n, row * n + n)]);
function randomGram(n: number): Float64Array {
  const out = new Float64Array(n * n);
  gram(randomMatrix(n, n + 1), n, n + 1, out);
  return out;
}

describe('small symmetric matrices', () => {
  it('solve by Cholesky as mathjs does by LU', () => {
    for (const n of [1, 2, 5, 6, 7]) {
      const a = randomGram(n);
      const b = randomMatrix(n, 1);
      const expected = lusolve(rowsOf(a, n), [...b]) as number[][];
      expect(solveCholesky(a.slice(), b, n)).toBe(true);
      b.forEach((value, i) => expect(value).toBeCloseTo(expected[i]![0]!, 6));
    }
  });

  it('refuse what is not positive definite or not finite', () => {
    expect(solveCholesky(Float64Array.of(1, 2, 2, 1), new Float64Array(2), 2)).toBe(false);
    expect(solveCholesky(Float64Array.of(0, 0, 0, 0), new Float64Array(2), 2)).toBe(false);
    expect(solveCholesky(Float64Array.of(NaN, 0, 0, 1), new Float64Array(2), 2)).toBe(false);
    expect(solveCholesky(Float64Array.of(Infinity, 0, 0, 1), new Float64Array(2), 2)).toBe(false);
  });

  it('have the eigenvalues mathjs finds', () => {
    for (const n of [2, 3, 6]) {
      const a = randomGram(n);
      const expected = (eigs(rowsOf(a, n)).values as number[]).toSorted((x, y) => x - y);
      symmetricEigenvalues(a, n).forEach((value, i) => {
        expect(value).toBeCloseTo(expected[i]!, 8);
      });
    }
    expect([...symmetricEigenvalues(Float64Array.of(3, 0, 0, -2), 2)]).toEqual([-2, 3]);
  });

  it('tell the smallest singular value of wide and tall matrices', () => {
    // diag(3, 0.5) with a column, or a row, of zeros.
    expect(smallestSingularValue(Float64Array.of(3, 0, 0, 0, 0.5, 0), 2, 3)).toBeCloseTo(0.5, 12);
    expect(smallestSingularValue(Float64Array.of(3, 0, 0, 0.5, 0, 0), 3, 2)).toBeCloseTo(0.5, 12);
    // Two equal rows: singular.
    expect(smallestSingularValue(Float64Array.of(1, 2, 3, 1, 2, 3), 2, 3)).toBeLessThan(1e-7);
  });

  it('never stretch a unit vector by less than the smallest singular value', () => {
    const j = randomMatrix(6, 7);
    const smallest = smallestSingularValue(j, 6, 7);
    for (let k = 0; k < 200; k++) {
      const y = randomMatrix(6, 1);
      const length = Math.hypot(...y);
      const image = Array.from({ length: 7 }, (_, col) =>
        y.reduce((sum, value, row) => sum + (value / length) * j[row * 7 + col]!, 0),
      );
      expect(Math.hypot(...image)).toBeGreaterThanOrEqual(smallest - 1e-9);
    }
  });
});
