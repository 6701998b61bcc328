import { describe, expect, it } from '@jest/globals';
import * as vec3 from '../../src/math/vec3.js';

describe('vec3', () => {
  it('adds, subtracts and scales', () => {
    expect(vec3.add([1, 2, 3], [10, 20, 30])).toEqual([11, 22, 33]);
    expect(vec3.sub([1, 2, 3], [10, 20, 30])).toEqual([-9, -18, -27]);
    expect(vec3.scale([1, -2, 3], 2)).toEqual([2, -4, 6]);
    expect(vec3.addScaled([1, 2, 3], [10, 20, 30], 0.1)).toEqual([2, 4, 6]);
  });

  it('has right-handed cross products', () => {
    expect(vec3.cross([1, 0, 0], [0, 1, 0])).toEqual([0, 0, 1]);
    expect(vec3.dot([1, 2, 3], vec3.cross([1, 2, 3], [4, 5, 6]))).toBe(0);
  });

  it('measures and normalises', () => {
    expect(vec3.norm([2, 3, 6])).toBe(7);
    expect(vec3.distance([1, 1, 1], [3, 4, 7])).toBe(7);
    expect(vec3.norm(vec3.normalise([2, 3, 6]))).toBeCloseTo(1, 15);
    expect(vec3.normalise([0, 0, 0])).toEqual([0, 0, 0]);
  });

  it('shortens only what is too long', () => {
    expect(vec3.clampNorm([0, 3, 4], 10)).toEqual([0, 3, 4]);
    expect(vec3.norm(vec3.clampNorm([0, 3, 4], 1))).toBeCloseTo(1, 15);
  });

  it('lies between its ends', () => {
    expect(vec3.lerp([0, 0, 0], [4, 8, -4], 0.25)).toEqual([1, 2, -1]);
  });
});
