/**
 * A kinematic stand-in for a robot, for tests only: six joints that follow their last command with a first-order lag, one
 * camera, one gripper. No dynamics, no contact. Faults are switched on from outside.
 */
import type { LockstepRobot, RobotListener } from '../../src/robot/robot.js';
import { assertGuarded } from '../../src/safety/guard.js';
import type { ArmCommand } from '../../src/types.js';
import { HOME, JOINTS, testImage } from './controlRobot.js';

const LAG_S = 0.03;

export class LaggingArm implements LockstepRobot {
  readonly commands: ArmCommand[] = [];
  /** What no longer reports. */
  readonly silent = new Set<'camera' | 'joints' | 'gripper'>();
  /** 0 … 1: what is between the fingers lets them close no further than this. */
  between = 0;
  readonly #imagePeriodNs: bigint;
  #listener: RobotListener | null = null;
  #stampNs: bigint;
  #nextImageNs: bigint;
  #position: number[] = [...HOME];
  #goal: readonly number[] = HOME;
  #opening = 1;

  constructor(startNs = 10_000_000_000n, imagePeriodNs = 40_000_000n) {
    this.#stampNs = startNs;
    this.#nextImageNs = startNs;
    this.#imagePeriodNs = imagePeriodNs;
  }

  get stampNs(): bigint {
    return this.#stampNs;
  }

  get position(): readonly number[] {
    return this.#position;
  }

  get opening(): number {
    return Math.max(this.#opening, this.between);
  }

  start(listener: RobotListener): Promise<void> {
    this.#listener = listener;
    return Promise.resolve();
  }

  stop(): Promise<void> {
    this.#listener = null;
    return Promise.resolve();
  }

  send(command: ArmCommand): void {
    assertGuarded(command);
    this.commands.push(command);
    if (command.kind === 'joint' && command.position.length > 0) this.#goal = command.position;
    if (command.gripper !== null) this.#opening = command.gripper;
  }

  advance(durationNs: bigint): Promise<void> {
    this.step(durationNs);
    return Promise.resolve();
  }

  /** As advance, at once. */
  step(durationNs: bigint): void {
    const share = 1 - Math.exp(-Number(durationNs) / 1e9 / LAG_S);
    this.#position = this.#position.map((p, i) => p + share * (this.#goal[i]! - p));
    this.#stampNs += durationNs;
    this.#report();
  }

  /** The robot's clock jumps, by a negative amount backwards. */
  jump(byNs: bigint): void {
    this.#stampNs += byNs;
    this.#nextImageNs += byNs;
  }

  #report(): void {
    const stampNs = this.#stampNs;
    if (!this.silent.has('joints'))
      this.#listener?.onJoints({
        stampNs,
        names: JOINTS,
        position: [...this.#position],
        velocity: null,
        effort: null,
      });
    if (!this.silent.has('gripper')) this.#listener?.onGripper({ stampNs, opening: this.opening });
    for (; this.#nextImageNs <= stampNs; this.#nextImageNs += this.#imagePeriodNs)
      if (!this.silent.has('camera'))
        this.#listener?.onImage('front', testImage(this.#nextImageNs));
  }
}
