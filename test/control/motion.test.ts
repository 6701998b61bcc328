import { describe, expect, it } from '@jest/globals';
import {
  advance,
  blend,
  type JointState,
  jointsAtRest,
  poseAtRest,
  type PoseState,
} from '../../src/control/motion.js';
import * as quaternion from '../../src/math/quaternion.js';
import { type Random, seededRandom } from '../../src/math/random.js';
import * as vec3 from '../../src/math/vec3.js';
import type { Vec3 } from '../../src/types.js';

function randomVector(random: Random, size: number): Vec3 {
  return [random.normal() * size, random.normal() * size, random.normal() * size];
}

function randomState(random: Random): PoseState {
  return {
    kind: 'pose',
    pose: {
      translation: randomVector(random, 0.3),
      rotation: quaternion.fromRotationVector(randomVector(random, 0.8)),
    },
    linear: randomVector(random, 0.5),
    angular: randomVector(random, 1),
  };
}

/** Velocities by central difference of the poses: the oracle for what blend says of itself. */
function measured(
  from: PoseState,
  to: PoseState,
  duration: number,
  t: number,
): { readonly linear: Vec3; readonly angular: Vec3 } {
  const h = 1e-6;
  const [a, b] = [t - h, t + h].map((time) => blend(from, to, duration, time) as PoseState);
  const turned = quaternion.multiply(b!.pose.rotation, quaternion.conjugate(a!.pose.rotation));
  return {
    linear: vec3.scale(vec3.sub(b!.pose.translation, a!.pose.translation), 1 / (2 * h)),
    angular: vec3.scale(quaternion.toRotationVector(turned), 1 / (2 * h)),
  };
}

describe('a blend of poses', () => {
  it('starts and ends with the given poses and velocities, and says its own velocity: 200 random ones', () => {
    const random = seededRandom(11);
    for (let n = 0; n < 200; n++) {
      const [from, to] = [randomState(random), randomState(random)];
      const duration = random.between(0.05, 2);
      for (const [t, state] of [
        [2e-6, from],
        [duration - 2e-6, to],
      ] as const) {
        const near = blend(from, to, duration, t) as PoseState;
        expect(vec3.distance(near.pose.translation, state.pose.translation)).toBeLessThan(1e-4);
        expect(quaternion.angleBetween(near.pose.rotation, state.pose.rotation)).toBeLessThan(1e-4);
        expect(vec3.distance(near.linear, state.linear)).toBeLessThan(0.05);
        expect(vec3.distance(near.angular, state.angular)).toBeLessThan(0.05);
      }
      const t = random.between(0.1, 0.9) * duration;
      const middle = blend(from, to, duration, t) as PoseState;
      const oracle = measured(from, to, duration, t);
      expect(vec3.distance(middle.linear, oracle.linear)).toBeLessThan(1e-6);
      expect(vec3.distance(middle.angular, oracle.angular)).toBeLessThan(1e-6);
    }
  });

  it('goes from rest to rest on a straight line, halfway at half time at 1.5 times the mean speed', () => {
    const from = poseAtRest({ translation: [0, 0, 0], rotation: quaternion.identity });
    const to = poseAtRest({
      translation: [0.1, 0.2, 0],
      rotation: quaternion.fromRotationVector([0, 0, 1]),
    });
    const middle = blend(from, to, 2, 1) as PoseState;
    expect(vec3.distance(middle.pose.translation, [0.05, 0.1, 0])).toBeLessThan(1e-12);
    expect(vec3.distance(middle.linear, [0.075, 0.15, 0])).toBeLessThan(1e-12);
    expect(vec3.distance(middle.angular, [0, 0, 0.75])).toBeLessThan(1e-12);
    const half = quaternion.fromRotationVector([0, 0, 0.5]);
    expect(quaternion.angleBetween(middle.pose.rotation, half)).toBeLessThan(1e-12);
  });

  it('turns the shorter way, whatever sign the quaternions have', () => {
    const from = poseAtRest({ translation: [0, 0, 0], rotation: quaternion.identity });
    const [x, y, z, w] = quaternion.fromRotationVector([0.4, 0, 0]);
    const to = poseAtRest({ translation: [0, 0, 0], rotation: [-x, -y, -z, -w] });
    const middle = blend(from, to, 1, 0.5) as PoseState;
    expect(quaternion.angleBetween(middle.pose.rotation, quaternion.identity)).toBeCloseTo(0.2, 12);
  });

  it('is a state itself outside its span', () => {
    const random = seededRandom(3);
    const [from, to] = [randomState(random), randomState(random)];
    expect(blend(from, to, 1, -1)).toBe(from);
    expect(blend(from, to, 1, 0)).toBe(from);
    expect(blend(from, to, 1, 1)).toBe(to);
    expect(blend(from, to, 1, 5)).toBe(to);
  });
});

describe('a blend of joints', () => {
  it('keeps constant velocity exactly where both ends agree with it', () => {
    const from: JointState = { kind: 'joint', position: [0, 1], velocity: [0.5, -1] };
    const to: JointState = { kind: 'joint', position: [1, -1], velocity: [0.5, -1] };
    expect(blend(from, to, 2, 0.5)).toEqual({
      kind: 'joint',
      position: [0.25, 0.5],
      velocity: [0.5, -1],
    });
  });

  it('cannot be with a pose', () => {
    const pose = poseAtRest({ translation: [0, 0, 0], rotation: quaternion.identity });
    expect(() => blend(jointsAtRest([0]), pose, 1, 0.5)).toThrow(
      'a blend from a joint to a pose state has no meaning',
    );
  });
});

it('carries a state on at its own velocity', () => {
  const state: PoseState = {
    kind: 'pose',
    pose: { translation: [1, 0, 0], rotation: quaternion.identity },
    linear: [0, 2, 0],
    angular: [0, 0, 0.5],
  };
  const { pose } = advance(state, 0.1);
  expect(pose.translation).toEqual([1, 0.2, 0]);
  const turned = quaternion.fromRotationVector([0, 0, 0.05]);
  expect(quaternion.angleBetween(pose.rotation, turned)).toBeLessThan(1e-12);
  const joints: JointState = { kind: 'joint', position: [1], velocity: [3] };
  expect(advance(joints, 0.5).position).toEqual([2.5]);
});
