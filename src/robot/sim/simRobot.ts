/**
 * The built-in simulation as a robot: physics and camera live in a worker, time is ours to advance. In a wall-clock run
 * the caller advances it at the pace of the real clock.
 */
import { assertGuarded } from '../../safety/guard.js';
import type { ArmCommand, RgbImage } from '../../types.js';
import { openingFromPosition } from '../gripper.js';
import type { LockstepRobot, RobotListener } from '../robot.js';
import type { Frame, ServoCommand } from './protocol.js';
import { SimThread } from './simThread.js';
import type { Disturbance, DisturbanceEvent } from './disturb.js';
import type { Outcome } from './judge.js';
import type { ScenePlan } from './suites.js';
import type { Task } from './tasks.js';

/** One finger's travel, m. */
export const fingers = { closed: 0, open: 0.04 } as const;
/** Simulated time between two episodes, and the stamp of the first one. */
export const betweenEpisodesNs = 1_000_000_000n;
export const firstStampNs = 2_000_000_000n;

export interface SimOptions {
  /** Text of the arm's URDF. */
  readonly urdf: string;
  /** Arm joints in the order of the configuration. */
  readonly jointNames: readonly string[];
  /** Name of the camera in the configuration. */
  readonly camera: string;
  readonly cameraSize: { readonly height: number; readonly width: number };
  readonly cameraPeriodNs: bigint;
}

export class SimRobot implements LockstepRobot {
  readonly #thread: SimThread;
  readonly #options: SimOptions;
  #listener: RobotListener | null = null;
  #command: ServoCommand | null = null;
  #stampNs = 0n;
  #startNs = 0n;
  #task: Task | null = null;
  #instruction = '';
  #disturbed: DisturbanceEvent | null = null;
  #outcome: Outcome = 'running';
  #frames: Frame[] = [];

  constructor(options: SimOptions) {
    this.#options = options;
    this.#thread = new SimThread({
      world: { urdf: options.urdf, camera: options.cameraSize },
      cameraPeriodNs: options.cameraPeriodNs,
    });
  }

  get stampNs(): bigint {
    return this.#stampNs;
  }

  /** When this episode began. */
  get startNs(): bigint {
    return this.#startNs;
  }

  get task(): Task {
    if (!this.#task) throw new Error('reset the simulation first');
    return this.#task;
  }

  /** How the running episode stands. */
  get outcome(): Outcome {
    return this.#outcome;
  }

  /** The truth at every camera frame of this episode. */
  get frames(): readonly Frame[] {
    return this.#frames;
  }

  /** The sentence of this episode. */
  get instruction(): string {
    return this.#instruction;
  }

  /** What went wrong in this episode so far; null: nothing was made to. */
  get disturbed(): DisturbanceEvent | null {
    return this.#disturbed;
  }

  /** A new episode. Call before `start`, or between runs. `disturbances`: of which one will happen. */
  async reset(
    plan: Omit<ScenePlan, 'extra'>,
    disturbances: readonly Disturbance[] = [],
  ): Promise<Task> {
    const request = { kind: 'reset', plan, disturbances, pauseNs: betweenEpisodesNs } as const;
    const reply = await this.#thread.ask(request);
    this.#task = reply.task;
    this.#instruction = reply.instruction;
    this.#stampNs = reply.stampNs;
    this.#startNs = reply.stampNs;
    this.#command = null;
    this.#outcome = 'running';
    this.#disturbed = null;
    this.#frames = [];
    this.#announce();
    return reply.task;
  }

  /** A listener that `reset` has told already is not told again. */
  start(listener: RobotListener): Promise<void> {
    if (listener === this.#listener) return Promise.resolve();
    this.#listener = listener;
    this.#announce();
    return Promise.resolve();
  }

  send(command: ArmCommand): void {
    assertGuarded(command);
    this.#command = servoCommand(command, this.#options.jointNames, this.#command);
  }

  async advance(durationNs: bigint): Promise<void> {
    const command = this.#command;
    const reply = await this.#thread.ask({ kind: 'advance', durationNs, command });
    this.#stampNs = reply.stampNs;
    this.#outcome = this.#outcome === 'running' ? reply.outcome : this.#outcome;
    const listener = this.#listener;
    const { stampNs, joints, gripperWidth } = reply;
    listener?.onJoints({ stampNs, names: this.#options.jointNames, ...joints });
    listener?.onGripper({ stampNs, opening: openingFromPosition(gripperWidth / 2, fingers) });
    this.#disturbed ??= reply.disturbed;
    if (reply.frame) this.#frames.push(reply.frame);
    if (reply.image) listener?.onImage(this.#options.camera, reply.image);
  }

  /** The scene as it is now, at any size: for people, not for the model. May be asked for while time advances. */
  async picture(height: number, width: number): Promise<RgbImage> {
    return (await this.#thread.ask({ kind: 'picture', height, width })).image;
  }

  stop(): Promise<void> {
    return this.#thread.stop();
  }

  #announce(): void {
    if (!this.#task || !this.#listener) return;
    this.#listener.onReset('a new simulated episode');
    this.#listener.onInstruction(this.#instruction);
  }
}

/**
 * What the servos are told by a guarded command, after `last`. A command for no joints, which a guard makes before it has
 * seen the arm, moves nothing: the servos keep what they were told.
 * @throws Error for commands other than of exactly these joints: a robot and a guard of different arms.
 */
export function servoCommand(
  command: ArmCommand,
  jointNames: readonly string[],
  last: ServoCommand | null,
): ServoCommand | null {
  if (command.kind !== 'joint')
    throw new Error(`simulation: got a ${command.kind} command, expected joint`);
  const { names, position, velocity } = command;
  if (names.length === 0) return last;
  if (names.length !== jointNames.length || names.some((name, i) => name !== jointNames[i]))
    throw new Error(
      `simulation: got a command for ${names.join(', ')}, expected ${jointNames.join(', ')}`,
    );
  return { position, velocity, gripper: command.gripper ?? last?.gripper ?? null };
}
