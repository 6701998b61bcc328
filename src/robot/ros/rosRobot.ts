/** A robot behind ROS 2: readings from its topics, guarded commands to its controllers, through a gate. */
import type { Arm } from '../../arm/kinematics.js';
import type { DataError } from '../../errors.js';
import type { Config } from '../../config.js';
import { assertGuarded } from '../../safety/guard.js';
import { reason } from '../../safety/reasons.js';
import type { ArmCommand, Reason } from '../../types.js';
import type { Robot, RobotListener } from '../robot.js';
import { type InputReport, Inputs } from './inputs.js';
import { commandOutput } from './outputs/commandOutput.js';
import { type GripperOutput, gripperOutput } from './outputs/gripperOutput.js';
import { type CommandOutput, type Finding, type Now, warn } from './outputs/output.js';
import type { RosNode } from './ros.js';

export type { InputReport } from './inputs.js';
export type { Finding, Now } from './outputs/output.js';

export interface RosRobotOptions {
  readonly node: RosNode;
  readonly config: Config;
  /** Whose joint limits count beside robot.yaml's; absent or null where there is no description. */
  readonly arm?: Arm | null;
  readonly now: () => Now;
  /** The first message of each topic that could not be used, and why. */
  readonly onRefused: (topic: string, error: DataError) => void;
}

export class RosRobot implements Robot {
  readonly #options: RosRobotOptions;
  readonly #inputs: Inputs;
  readonly #output: CommandOutput | null;
  readonly #gripper: GripperOutput | null;
  /** Why nothing may leave; null: the gate is open. */
  #closed: string | null = 'not active';
  /** A command that had waited too long; until it is acknowledged nothing leaves any more. */
  #late: Reason | null = null;
  #withheld = 0;
  #isToldOfWithheld = false;

  /** The gate is closed at first. @throws ConfigError where robot.yaml contradicts itself. */
  constructor(options: RosRobotOptions) {
    const { node, config, now, arm = null } = options;
    this.#options = options;
    this.#inputs = new Inputs(options);
    this.#output = commandOutput({ node, config, arm, now });
    this.#gripper = gripperOutput(node, config);
  }

  /** Where commands go; null: nowhere, robot.yaml names no command. */
  get target(): string | null {
    return this.#output?.target ?? null;
  }

  get isOpen(): boolean {
    return this.#closed === null;
  }

  /** Commands that came while the gate was closed, and were not sent. */
  get withheld(): number {
    return this.#withheld;
  }

  /** A second call replaces the listener. */
  start(listener: RobotListener): Promise<void> {
    this.#inputs.start(listener);
    return Promise.resolve();
  }

  /** Lets commands out; what was refused before is forgotten. */
  open(): void {
    this.#closed = null;
    this.#late = null;
    this.#isToldOfWithheld = false;
    this.#output?.begin(this.#options.now().nowNs);
    this.#gripper?.begin();
  }

  /**
   * From now on nothing leaves. What was sent to the arm ends by itself: bring it to rest first. The gripper is held, as by
   * a halt.
   */
  close(because = 'not active'): void {
    this.#closed = because;
    this.#isToldOfWithheld = false;
    this.#output?.end();
    this.hold();
  }

  /** The gripper's part of a halt: forgets what it was to do, and stops opening; closing goes on. */
  hold(): void {
    this.#gripper?.hold(this.#options.now().nowNs);
  }

  /** The gripper's wish that waits is of a task that is over. */
  drop(): void {
    this.#gripper?.drop();
  }

  send(command: ArmCommand): void {
    assertGuarded(command);
    if (this.#closed !== null) {
      this.#withhold(this.#closed);
      return;
    }
    const now = this.#options.now();
    const waited = this.#waited(command, now);
    this.#late ??= waited;
    // A speed that was sent does not end by itself: what the guard brakes it with must go out, but for what is late itself.
    if (waited || (this.#late && !this.#sendsSpeeds)) {
      this.#withhold(this.#late!.message);
      return;
    }
    this.#output?.send(command, now);
    if (command.gripper !== null) this.#gripper?.want(command.gripper);
    this.#gripper?.tick(now.nowNs);
  }

  get #sendsSpeeds(): boolean {
    const type = this.#options.config.command?.type;
    return type === 'forwardVelocity' || type === 'servoTwist';
  }

  /** Why what was sent does not arrive or is not accepted; null while all is well or the gate is closed. Every tick. */
  problem(): Reason | null {
    if (this.#closed !== null) return null;
    if (this.#late) return this.#late;
    const arm = this.#output?.problem(this.#options.now().nowNs) ?? null;
    return arm ?? this.#gripper?.problem() ?? null;
  }

  /** Forgets refusals after an operator has re-armed, as far as their cause is gone. */
  acknowledge(): void {
    if (this.#closed === null) this.open();
  }

  /** What an operator must know of the layers below before the arm moves. Takes up to some seconds; never rejects. */
  async check(): Promise<readonly Finding[]> {
    if (!this.#output) return [warn('robot.yaml names no command: the arm is only watched.')];
    const found = await Promise.all([this.#output.check(), this.#gripper?.check() ?? []]);
    return found.flat();
  }

  /** What comes in, for diagnostics. At some Hz at most: it asks the graph. */
  inputs(): readonly InputReport[] {
    return this.#inputs.report();
  }

  /** Time jumped: readings merged from several messages begin anew, and so does the listener. */
  forget(because: string): void {
    this.#inputs.forget(because);
  }

  stop(): Promise<void> {
    this.close('stopped');
    this.#inputs.stop();
    this.#output?.dispose();
    this.#gripper?.dispose();
    return Promise.resolve();
  }

  /**
   * A process that is frozen after a command was made and goes on when the arm has come to rest would send it from where the
   * arm was. What was sent before ends by itself, so the arm stays where that has led.
   */
  #waited(command: ArmCommand, { nowNs }: Now): Reason | null {
    const waited = Number(nowNs - command.nowNs) / 1e9;
    const { watchdog } = this.#options.config.guard;
    if (waited <= watchdog) return null;
    return reason(
      'commandRefused',
      `A command waited ${waited.toFixed(3)} s before it could be sent, at most ${watchdog} s is allowed: it was not sent.`,
    );
  }

  #withhold(because: string): void {
    this.#withheld++;
    if (this.#isToldOfWithheld) return;
    this.#isToldOfWithheld = true;
    this.#options.node.log.info(`Commands are held back: ${because}.`);
  }
}
