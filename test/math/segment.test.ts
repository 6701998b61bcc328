import { describe, expect, it } from '@jest/globals';
import { seededRandom } from '../../src/math/random.js';
import { segmentDistance } from '../../src/math/segment.js';
import * as vec3 from '../../src/math/vec3.js';
import type { Vec3 } from '../../src/types.js';

describe('segment distance', () => {
  it('is that of crossing, parallel, skew and touching segments', () => {
    expect(segmentDistance([-1, 0, 0], [1, 0, 0], [0, -1, 2], [0, 1, 2])).toBeCloseTo(2, 12);
    expect(segmentDistance([0, 0, 0], [1, 0, 0], [0, 3, 0], [1, 3, 0])).toBeCloseTo(3, 12);
    // Parallel, apart along the line: from (1,0,0) to (4,4,0) = 5.
    expect(segmentDistance([0, 0, 0], [1, 0, 0], [4, 4, 0], [9, 4, 0])).toBeCloseTo(5, 12);
    expect(segmentDistance([0, 0, 0], [1, 1, 0], [1, 0, 0], [0, 1, 0])).toBeCloseTo(0, 12);
  });

  it('takes points as segments', () => {
    expect(segmentDistance([0, 3, 4], [0, 3, 4], [0, 0, 0], [0, 0, 0])).toBe(5);
    expect(segmentDistance([2, 3, 0], [2, 3, 0], [0, 0, 0], [9, 0, 0])).toBeCloseTo(3, 12);
    expect(segmentDistance([0, 0, 0], [9, 0, 0], [12, 4, 0], [12, 4, 0])).toBeCloseTo(5, 12);
  });

  it('is the least over points sampled on both, for random and nearly parallel segments', () => {
    const random = seededRandom(23);
    const point = (): Vec3 => [random.normal(), random.normal(), random.normal()];
    for (let k = 0; k < 60; k++) {
      const [p1, q1, p2] = [point(), point(), point()];
      const d1 = vec3.sub(q1, p1);
      const q2 = k % 2 === 0 ? point() : vec3.add(p2, vec3.addScaled(d1, point(), 1e-8));
      const got = segmentDistance(p1, q1, p2, q2);
      expect(segmentDistance(p2, q2, p1, q1)).toBeCloseTo(got, 6);
      let least = Infinity;
      const steps = 120;
      for (let i = 0; i <= steps; i++)
        for (let j = 0; j <= steps; j++)
          least = Math.min(
            least,
            vec3.distance(vec3.lerp(p1, q1, i / steps), vec3.lerp(p2, q2, j / steps)),
          );
      expect(got).toBeLessThanOrEqual(least + 1e-6);
      const spacing = (vec3.distance(p1, q1) + vec3.distance(p2, q2)) / steps;
      expect(got).toBeGreaterThanOrEqual(least - spacing);
    }
  });
});
