/** What commands leave through: one output for the arm, one for the gripper. */
import type { Arm } from '../../../arm/kinematics.js';
import type { Config } from '../../../config.js';
import type { ArmCommand, Reason } from '../../../types.js';
import type { RosNode } from '../ros.js';

/** The two clocks, read together: steady, and ROS. */
export interface Now {
  readonly nowNs: bigint;
  readonly stampNs: bigint;
}

/** Something about the layer below that an operator must know before the arm moves. */
export interface Finding {
  /** `refuse`: the arm must not be activated. */
  readonly severity: 'refuse' | 'warn';
  readonly sentence: string;
}

export const refuse = (sentence: string): Finding => ({ severity: 'refuse', sentence });
export const warn = (sentence: string): Finding => ({ severity: 'warn', sentence });

/** What an output for the arm is made from. */
export interface OutputOptions {
  readonly node: RosNode;
  readonly config: Config;
  /** Whose limits count beside robot.yaml's; null where there is no description. */
  readonly arm: Arm | null;
  readonly now: () => Now;
}

export interface CommandOutput {
  /** Where commands go, in operator words: "topic /arm_controller/joint_trajectory". */
  readonly target: string;
  /** @throws Error for a command of another kind or other joints than robot.yaml's: a bug, never an operating state. */
  send(command: ArmCommand, now: Now): void;
  /** The stream begins anew: what was refused before is forgotten. */
  begin(nowNs: bigint): void;
  /** Nothing more goes out, what waits to be sent included. */
  end(): void;
  /** Why what was sent did not arrive or was not accepted; null while all is well. Cheap: called every tick. */
  problem(nowNs: bigint): Reason | null;
  /** Whether the layer below can be expected to take the stream. Takes up to some seconds; never rejects. */
  check(): Promise<readonly Finding[]>;
  dispose(): void;
}
