/** What the ROS application needs of rooms it may not import; `commands/run.ts` fills it. */
import type { ArmCapsules } from '../arm/clearance.js';
import type { Arm } from '../arm/kinematics.js';
import type { Config } from '../config.js';
import type { Clock } from '../control/clock.js';
import type { Policy } from '../control/policy.js';
import type { RobotListener } from '../robot/robot.js';
import type { Instant } from '../control/clock.js';
import type { ControlObserver } from './observers.js';
import type { Settings } from './settings.js';

export interface ArmModel {
  readonly arm: Arm;
  /** Null where distances between links are not known. */
  readonly capsules: ArmCapsules | null;
}

/** A policy, and what operators are told of it. */
export interface OpenedPolicy {
  readonly policy: Policy;
  /** Camera whose pictures get marks; null: no traces. */
  readonly traceCamera: string | null;
  /** Name, provider, decoding …, for diagnostics. */
  readonly facts: Readonly<Record<string, string>>;
  /** Answers that came too late or for an earlier episode, so far. */
  readonly dropped: () => Readonly<Record<string, number>>;
}

/** The last seconds of everything, written on demand. */
export interface FlightRecorder extends RobotListener {
  readonly observer: ControlObserver;
  /** Null: not written (too soon after the last). Never throws. */
  dump(because: string): Promise<string | null>;
  close(): Promise<void>;
}

export interface ApplicationPorts {
  /** Steady clock and timers; its stamps are not used. */
  readonly clock: Clock;
  readConfig(path: string): Config;
  /** `urdf`: text and where it is from; null: the file that robot.yaml names. Null for a robot without description. */
  describeArm(
    config: Config,
    urdf: { readonly text: string; readonly where: string } | null,
  ): ArmModel | null;
  /** Contract checked, loaded and warmed up. `folder` empty: the default model. `arm`: the one that is to be driven. */
  openPolicy(
    folder: string,
    config: Config,
    settings: Settings,
    say: (line: string) => void,
    arm: ArmModel | null,
  ): Promise<OpenedPolicy>;
  flightRecorder(config: Config, now: () => Instant, say: (line: string) => void): FlightRecorder;
}
