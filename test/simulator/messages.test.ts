import { readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { armFromUrdf, forward } from '../../src/arm/kinematics.js';
import { parseUrdf } from '../../src/arm/urdf.js';
import * as pose from '../../src/math/pose.js';
import { project } from '../../src/robot/sim/view.js';
import { home } from '../../src/robot/sim/world.js';
import type { StepReading } from '../../src/robot/sim/protocol.js';
import {
  cameraInfoMessage,
  fixedTransforms,
  jointStateMessage,
  movingTransforms,
} from '../../src/simulator/messages.js';
import type { PinholeCamera, Pose } from '../../src/types.js';

const urdf = parseUrdf(readFileSync('config/builtin_arm.urdf', 'utf8'), 'built-in arm');
const arm = armFromUrdf(urdf, { baseLink: 'base_link', tipLink: 'tcp' });
const column = (position: readonly number[]) => ({
  position,
  velocity: position.map(() => 0),
  effort: position.map(() => 0),
});
const reading: StepReading = {
  stampNs: 1_002_500_000n,
  joints: column(home),
  fingers: column([0.03, 0.01]),
};
const camera: PinholeCamera = {
  height: 128,
  width: 128,
  fx: 223,
  fy: 223,
  cx: 64,
  cy: 64,
  cameraFromBase: pose.invert({ translation: [1, 0, 0.6], rotation: [0.6, -0.6, 0.4, -0.346] }),
};

interface Transform {
  header: { frame_id: string };
  child_frame_id: string;
  transform: {
    translation: { x: number; y: number; z: number };
    rotation: { x: number; y: number; z: number; w: number };
  };
}
const all = (...messages: object[]): Transform[] =>
  messages.flatMap((message) => (message as { transforms: Transform[] }).transforms);

describe('what the simulator publishes', () => {
  it('links every link of the arm to the base once, and the tool where forward kinematics has it', () => {
    const transforms = all(
      movingTransforms(urdf, reading, arm.jointNames),
      fixedTransforms(urdf, camera, 'front_optical', 1n),
    );
    const children = transforms.map((transform) => transform.child_frame_id);
    expect(new Set(children).size).toBe(children.length);
    expect(new Set([...children, 'base_link'])).toEqual(
      new Set([...urdf.links.map(({ name }) => name), 'front_optical']),
    );
    const baseFrom = (frame: string): Pose => {
      if (frame === 'base_link') return pose.identity;
      const { header, transform } = transforms.find((t) => t.child_frame_id === frame)!;
      const { x, y, z } = transform.translation;
      const q = transform.rotation;
      return pose.compose(baseFrom(header.frame_id), {
        translation: [x, y, z],
        rotation: [q.x, q.y, q.z, q.w],
      });
    };
    const expected = forward(arm, home);
    const got = baseFrom('tcp');
    got.translation.forEach((value, i) => expect(value).toBeCloseTo(expected.translation[i]!, 12));
    got.rotation.forEach((value, i) => expect(value).toBeCloseTo(expected.rotation[i]!, 12));
    // Fingers open along ±y of the hand by their own travel.
    const finger = transforms.find((t) => t.child_frame_id === 'right_finger')!.transform;
    expect(finger.translation.y).toBeCloseTo(-0.01, 12);
  });

  it('says K for pixel centres: a point projects half a pixel less than from the corner', () => {
    const info = cameraInfoMessage(camera, 5n, 'front_optical') as unknown as { k: number[] };
    const corner = project(camera, [0.5, 0.1, 0.05]);
    const [x, y, z] = pose.transformPoint(camera.cameraFromBase, [0.5, 0.1, 0.05]);
    expect((info.k[0]! * x) / z + info.k[2]!).toBeCloseTo(corner.x - 0.5, 9);
    expect((info.k[4]! * y) / z + info.k[5]!).toBeCloseTo(corner.y - 0.5, 9);
  });

  it('reports arm joints and both fingers with one value each', () => {
    const message = jointStateMessage(reading, arm.jointNames) as unknown as {
      name: string[];
      position: number[];
      effort: number[];
    };
    expect(message.name).toEqual([...arm.jointNames, 'left_finger_joint', 'right_finger_joint']);
    expect(message.position).toEqual([...home, 0.03, 0.01]);
    expect(message.effort).toHaveLength(9);
  });
});
