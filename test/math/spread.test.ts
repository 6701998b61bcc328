import { describe, expect, it } from '@jest/globals';
import { spread } from '../../src/math/spread.js';

describe('indices spread over a video', () => {
  // numpy 2: np.linspace(0, total − 1, count, dtype=int).
  it.each([
    [100, 8, [0, 14, 28, 42, 56, 70, 84, 99]],
    [7, 3, [0, 3, 6]],
    [9, 1, [0]],
    [5, 5, [0, 1, 2, 3, 4]],
    [2, 2, [0, 1]],
  ])('of %i, %i', (total, count, indices) => {
    expect(spread(total, count)).toEqual(indices);
  });

  it('leave out one of 33 for 32, near the end', () => {
    expect(spread(33, 32)).toEqual([...Array(31).keys(), 31, 32].filter((i) => i !== 31));
  });

  it('are all there are, each once, where more are asked for', () => {
    expect(spread(3, 8)).toEqual([0, 1, 2]);
    expect(spread(1, 32)).toEqual([0]);
  });
});
