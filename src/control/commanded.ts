import { type Arm, forward, jacobian } from '../arm/kinematics.js';
import type { ArmCommand, EndEffectorReading, Vec3 } from '../types.js';
import { type JointState, poseAtRest, type PoseState } from './motion.js';

/** Joints as commanded; null for Cartesian commands and for a hold that names no joints. */
export function jointsFromCommand(command: ArmCommand, arm: Arm | null): JointState | null {
  if (command.kind !== 'joint' || command.position.length !== arm?.joints.length) return null;
  return { kind: 'joint', position: command.position, velocity: command.velocity };
}

/**
 * The tool as commanded, in the base frame. A twist says how fast, not where: it takes the place from the measurement,
 * as does a command that says neither.
 */
export function poseFromCommand(
  command: ArmCommand,
  arm: Arm | null,
  measured: EndEffectorReading | null,
): PoseState | null {
  switch (command.kind) {
    case 'joint': {
      const joints = jointsFromCommand(command, arm);
      if (!joints || !arm) return measured && poseAtRest(measured.pose);
      return { kind: 'pose', pose: forward(arm, joints.position), ...twist(arm, joints) };
    }
    case 'pose': {
      const { pose, linear, angular } = command;
      return { kind: 'pose', pose, linear, angular };
    }
    case 'twist': {
      const { linear, angular } = command;
      return measured && { kind: 'pose', pose: measured.pose, linear, angular };
    }
  }
}

/** J(q) q̇. */
function twist(
  arm: Arm,
  { position, velocity }: JointState,
): { readonly linear: Vec3; readonly angular: Vec3 } {
  const n = velocity.length;
  const j = jacobian(arm, position);
  const row = (r: number): number => velocity.reduce((sum, v, i) => sum + j[r * n + i]! * v, 0);
  return { linear: [row(0), row(1), row(2)], angular: [row(3), row(4), row(5)] };
}
