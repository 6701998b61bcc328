/** An arm that is where it was told to be, with cameras that send: the load of a robot without one. */
import type { Clock } from '../control/clock.js';
import { assertGuarded } from '../safety/guard.js';
import type { Robot, RobotListener } from '../robot/robot.js';
import type { ArmCommand } from '../types.js';
import type { BenchCamera } from './cameras.js';

/** Joint messages per second. */
const jointRateHz = 100;

export interface BenchRobotOptions {
  readonly clock: Clock;
  readonly cameras: readonly BenchCamera[];
  readonly jointNames: readonly string[];
  /** Where the arm begins, rad. */
  readonly position: readonly number[];
  readonly instruction: string;
}

export class BenchRobot implements Robot {
  readonly #options: BenchRobotOptions;
  #position: readonly number[];
  #velocity: readonly number[];
  #opening = 1;
  #timers: NodeJS.Timeout[] = [];
  /** Frames sent so far, all cameras together. */
  framesSent = 0;

  constructor(options: BenchRobotOptions) {
    this.#options = options;
    this.#position = options.position;
    this.#velocity = options.position.map(() => 0);
  }

  start(listener: RobotListener): Promise<void> {
    const { cameras, instruction } = this.#options;
    listener.onInstruction(instruction);
    this.#timers = cameras.map((camera) => {
      let count = 0;
      return setInterval(() => this.#sendFrame(listener, camera, count++), 1000 / camera.rateHz);
    });
    this.#timers.push(setInterval(() => this.#sendJoints(listener), 1000 / jointRateHz));
    return Promise.resolve();
  }

  send(command: ArmCommand): void {
    assertGuarded(command);
    if (command.gripper !== null) this.#opening = command.gripper;
    if (command.kind !== 'joint') return;
    this.#position = command.position;
    this.#velocity = command.velocity;
  }

  stop(): Promise<void> {
    for (const timer of this.#timers) clearInterval(timer);
    this.#timers = [];
    return Promise.resolve();
  }

  #sendFrame(listener: RobotListener, camera: BenchCamera, count: number): void {
    this.framesSent += 1;
    listener.onImage(camera.name, {
      kind: 'compressed',
      stampNs: this.#options.clock.now().stampNs,
      frameId: camera.name,
      format: 'jpeg',
      data: camera.frames[count % camera.frames.length]!,
    });
  }

  #sendJoints(listener: RobotListener): void {
    const { stampNs } = this.#options.clock.now();
    const names = this.#options.jointNames;
    const [position, velocity] = [this.#position, this.#velocity];
    listener.onJoints({ stampNs, names, position, velocity, effort: null });
    listener.onGripper({ stampNs, opening: this.#opening });
  }
}
