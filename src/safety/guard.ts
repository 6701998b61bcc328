import type { Config } from '../config.js';
import { UnguardedCommandError } from '../errors.js';
import type {
  ArmCommand,
  ArmTarget,
  EndEffectorReading,
  JointReading,
  Pose,
  Reason,
  Verdict,
} from '../types.js';

/** What the guard needs to know of an arm. Joints in the order of `jointNames`; poses in the base frame. */
export interface GuardArm {
  readonly jointNames: readonly string[];
  /** Pose of the tool centre point. */
  forward(position: readonly number[]): Pose;
}

/** What the robot last reported, and when (steady clock) it was received. */
export interface GuardMeasurement {
  /** ROS, bag or simulation clock now. */
  readonly stampNs: bigint;
  readonly joints: JointReading | null;
  readonly jointsReceivedNs: bigint | null;
  readonly endEffector: EndEffectorReading | null;
  readonly endEffectorReceivedNs: bigint | null;
}

export interface GuardInput extends GuardMeasurement {
  /** Steady clock now. */
  readonly nowNs: bigint;
  readonly target: ArmTarget;
  /** The prediction behind the target; null for rest and for an operator's targets. */
  readonly prediction: {
    readonly observationStampNs: bigint;
    readonly confidence: number;
  } | null;
}

/** Every command that was made here, and nothing else. */
const made = new WeakSet<object>();

/** @throws UnguardedCommandError on anything the guard did not make, a faithful copy of a command included. */
export function assertGuarded(command: unknown): asserts command is ArmCommand {
  if (typeof command !== 'object' || command === null || !made.has(command))
    throw new UnguardedCommandError('only a command made by the guard may be sent to a robot');
}

/** Work in progress: holds still and refuses to activate. The signature is what control is written against. */
export class Guard {
  readonly kind: 'joint' | 'cartesian';
  readonly counts: ReadonlyMap<string, number> = new Map();
  readonly latched: Reason | null = null;

  constructor(config: Config, arm: GuardArm | null, _capsules: unknown) {
    this.kind = config.output === 'joint' && arm !== null ? 'joint' : 'cartesian';
  }

  /** Seeds the last command from the measured state. Returns why not, where it cannot. */
  activate(_nowNs: bigint, _measured: GuardMeasurement): Reason | null {
    return { code: 'notActive', message: 'the guard is not built yet' };
  }

  deactivate(_nowNs: bigint): void {}

  /** Exactly one command per call. Never throws on bad data. */
  guard(input: GuardInput): Verdict {
    const command = Object.freeze({
      kind: 'joint',
      nowNs: input.nowNs,
      names: [],
      position: [],
      velocity: [],
      gripper: null,
    }) as unknown as ArmCommand;
    made.add(command);
    return {
      outcome: 'halt',
      reasons: [{ code: 'notActive', message: 'the guard is not built yet' }],
      command,
    };
  }

  /** Clears a latched halt. Returns why not, where the cause persists. */
  rearm(_nowNs: bigint): Reason | null {
    return this.latched;
  }

  /** 0 … 1; multiplies the speed scale of the configuration. */
  setSpeedScale(_scale: number): void {}

  /** What is guaranteed for this output, in operator words. */
  describe(): string {
    return `${this.kind} guard`;
  }
}
