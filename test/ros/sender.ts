/** fixtures/outputs.mjs, as tests start it: a process with a guard that sends commands to a robot of seven joints. */
import { Child } from './child.js';
import type { Fields, Message } from './peer.js';

export const JOINTS = ['joint1', 'joint2', 'joint3', 'joint4', 'joint5', 'joint6', 'joint7'];
export const START = [0, -0.3, 0, -2, 0, 1.8, 0.8];
const limits = { lower: -2.9, upper: 3.7, velocity: 2, acceleration: 10, jerk: 1000 };

export const robotYaml = (more: Fields): Fields => ({
  robot: 'test',
  joints: {
    topic: '/joint_states',
    limits: Object.fromEntries(JOINTS.map((name) => [name, limits])),
  },
  baseFrame: 'base_link',
  cameras: {},
  output: 'joint',
  control: { rateHz: 50, policyPeriod: 0.2 },
  guard: {
    ...{ linearVelocity: 10, linearAcceleration: 100, linearJerk: 10000 },
    ...{ angularVelocity: 10, angularAcceleration: 100, angularJerk: 10000 },
    workspace: { min: [-5, -5, -5], max: [5, 5, 5] },
    ...{ maxStepTranslation: 10, maxStepRotation: 10, maxJointAge: 0.5, watchdog: 0.5 },
    // The peer's arm stands still, whatever it is told.
    ...{ trackingError: 10, trackingErrorRotation: 3, rampIn: 0 },
  },
  dryRun: false,
  ...more,
});

export type Step = readonly [string, Fields?];
export const run = (config: Fields, steps: readonly Step[]): Child =>
  new Child(process.execPath, [
    'test/ros/fixtures/outputs.mjs',
    JSON.stringify(config),
    JSON.stringify(steps),
  ]);

/** What the step printed, its `nth` time. */
export async function said(child: Child, step: string, nth = 1, ms = 20_000): Promise<Message> {
  const pattern = new RegExp(`(?:^${step} (.*)\\n[^]*?){${nth}}`, 'm');
  return JSON.parse((await child.waitForOutput(pattern, ms))[1]!);
}
export const sentences = (findings: readonly { severity: string; sentence: string }[]): string[] =>
  findings.map(({ severity, sentence }) => `${severity}: ${sentence}`);
