import type {
  ArmCommand,
  CameraImage,
  EndEffectorReading,
  GripperReading,
  JointReading,
} from '../types.js';

/** What a robot hands up. Calls are synchronous and cheap: the listener keeps references, it does not decode. */
export interface RobotListener {
  onImage(camera: string, image: CameraImage): void;
  onJoints(joints: JointReading): void;
  onEndEffector(reading: EndEffectorReading): void;
  onGripper(reading: GripperReading): void;
  onInstruction(instruction: string): void;
  /** A new episode began, or time jumped: everything older is forgotten. */
  onReset(because: string): void;
}

/** The port between the node and a robot: ROS 2, the built-in simulation, or a bag. */
export interface Robot {
  start(listener: RobotListener): Promise<void>;
  /** Sends one command. Throws UnguardedCommandError on anything the guard did not make. */
  send(command: ArmCommand): void;
  /**
   * The guard halts: what is not the arm's motion, as a gripper's, stops too. At every tick of the halt, before its
   * command; never throws. Absent: commands carry all that moves.
   */
  hold?(): void;
  /** What was being done is over: what waits to be sent beside the arm's motion is not sent; what is under way goes on. */
  drop?(): void;
  stop(): Promise<void>;
}

/** A robot whose time is ours to advance: results do not depend on the machine's load. */
export interface LockstepRobot extends Robot {
  /** Simulated or bag time now. */
  readonly stampNs: bigint;
  /** Advances by `durationNs`; every reading that falls due is handed to the listener before the promise resolves. */
  advance(durationNs: bigint): Promise<void>;
}
