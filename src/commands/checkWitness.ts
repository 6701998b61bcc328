/** What a check sees of the robot and of control, beside the black box: the latest pictures and readings, and ticks. */
import type { Tick } from '../control/loop.js';
import type { FlightRecorder } from '../node/ports.js';
import type { ControlObserver } from '../node/observers.js';
import type { CameraImage, GripperReading, JointReading } from '../types.js';

/** Ticks kept of one stretch: some minutes at the fastest control rate that makes sense for a check. */
const MOST_TICKS = 60_000;

export class Witness implements FlightRecorder {
  readonly images = new Map<string, CameraImage>();
  readonly observer: ControlObserver;
  joints: JointReading | null = null;
  gripper: GripperReading | null = null;
  readonly #box: FlightRecorder;
  #ticks: Tick[] = [];
  #refusals: string[] = [];

  /** `box`: is handed everything too. */
  constructor(box: FlightRecorder) {
    this.#box = box;
    this.observer = {
      ...box.observer,
      onTick: (tick) => {
        if (this.#ticks.length < MOST_TICKS) this.#ticks.push(tick);
        box.observer.onTick?.(tick);
      },
      onRefusal: (reason, at) => {
        if (this.#refusals.length < 100) this.#refusals.push(reason.message);
        box.observer.onRefusal?.(reason, at);
      },
    };
  }

  /** Forgets the ticks and refusals so far: a new stretch begins. */
  begin(): void {
    this.#ticks = [];
    this.#refusals = [];
  }

  /** Since the last `begin`. */
  get ticks(): readonly Tick[] {
    return this.#ticks;
  }

  /** Why answers were not played, since the last `begin`. */
  get refusals(): readonly string[] {
    return this.#refusals;
  }

  onImage(camera: string, image: CameraImage): void {
    this.images.set(camera, image);
    this.#box.onImage(camera, image);
  }

  onJoints(joints: JointReading): void {
    this.joints = joints;
    this.#box.onJoints(joints);
  }

  onEndEffector(reading: Parameters<FlightRecorder['onEndEffector']>[0]): void {
    this.#box.onEndEffector(reading);
  }

  onGripper(reading: GripperReading): void {
    this.gripper = reading;
    this.#box.onGripper(reading);
  }

  onInstruction(instruction: string): void {
    this.#box.onInstruction(instruction);
  }

  onReset(because: string): void {
    this.images.clear();
    this.joints = null;
    this.gripper = null;
    this.#box.onReset(because);
  }

  dump(because: string): Promise<string | null> {
    return this.#box.dump(because);
  }

  close(): Promise<void> {
    return this.#box.close();
  }
}
