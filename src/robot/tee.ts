import type { RobotListener } from './robot.js';

/** One listener that hands every reading to all of them, in their order. */
export function tee(...listeners: readonly RobotListener[]): RobotListener {
  return {
    onImage: (camera, image) => listeners.forEach((to) => to.onImage(camera, image)),
    onJoints: (joints) => listeners.forEach((to) => to.onJoints(joints)),
    onEndEffector: (reading) => listeners.forEach((to) => to.onEndEffector(reading)),
    onGripper: (reading) => listeners.forEach((to) => to.onGripper(reading)),
    onInstruction: (instruction) => listeners.forEach((to) => to.onInstruction(instruction)),
    onReset: (because) => listeners.forEach((to) => to.onReset(because)),
  };
}
