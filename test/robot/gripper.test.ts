import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../../src/math/random.js';
import { openingFromPosition, positionFromOpening } from '../../src/robot/gripper.js';

describe('gripper opening', () => {
  it('runs from 0 at closed to 1 at open, whichever is larger', () => {
    expect(openingFromPosition(0.025, { closed: 0.01, open: 0.04 })).toBeCloseTo(0.5, 12);
    expect(openingFromPosition(0.2, { closed: 0.8, open: 0 })).toBeCloseTo(0.75, 12);
  });

  it('is limited to its ends', () => {
    expect(openingFromPosition(-0.03, { closed: 0, open: 1 })).toBe(0);
    expect(openingFromPosition(1.02, { closed: 0, open: 1 })).toBe(1);
  });

  it.each([
    { closed: 0, open: 1 },
    { closed: 0, open: 0.04 },
    { closed: 0.01, open: 0.037 },
    { closed: 0.8, open: 0 },
    { closed: -0.3, open: 0.7 },
  ])('comes back exactly from 50000 positions between $closed and $open', (range) => {
    const random = seededRandom(1);
    for (let i = 0; i < 50000; i++) {
      const opening = openingFromPosition(random.between(range.closed, range.open), range);
      const position = positionFromOpening(opening, range);
      if (openingFromPosition(position, range) !== opening)
        throw new Error(`opening ${opening} came back as ${openingFromPosition(position, range)}`);
    }
    expect(positionFromOpening(0, range)).toBe(range.closed);
  });
});
