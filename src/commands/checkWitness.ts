/** What a check sees of the robot and of control, beside the black box: the latest pictures and readings, and ticks. */
import { type Instant, secondsFromNs } from '../control/clock.js';
import type { Tick } from '../control/loop.js';
import { percentile } from '../math/statistics.js';
import type { FlightRecorder } from '../node/ports.js';
import type { ControlObserver } from '../node/observers.js';
import type { CameraImage, GripperReading, JointReading } from '../types.js';

/** Ticks kept of one stretch: some minutes at the fastest control rate that makes sense for a check. */
const MOST_TICKS = 60_000;
/** Ages kept per input: one of them says little, on a busy machine nothing. */
const MOST_AGES = 200;

/** What `age` knows a camera as: it may be called joints. */
export const cameraInput = (camera: string): string => `camera ${camera}`;

export class Witness implements FlightRecorder {
  readonly images = new Map<string, CameraImage>();
  readonly observer: ControlObserver;
  joints: JointReading | null = null;
  gripper: GripperReading | null = null;
  readonly #box: FlightRecorder;
  readonly #now: () => Instant;
  readonly #ages = new Map<string, number[]>();
  #ticks: Tick[] = [];
  #refusals: string[] = [];

  /** `box`: is handed everything too. */
  constructor(box: FlightRecorder, now: () => Instant) {
    this.#box = box;
    this.#now = now;
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

  /**
   * From stamp to receipt by the ROS clock, s: the median of the last messages of `joints`, `gripper` or a camera. Null
   * where none came.
   */
  age(input: string): number | null {
    const ages = this.#ages.get(input);
    return ages ? percentile(ages, 0.5) : null;
  }

  #note(input: string, stampNs: bigint): void {
    const ages = this.#ages.get(input) ?? [];
    ages.push(secondsFromNs(this.#now().stampNs - stampNs));
    if (ages.length > MOST_AGES) ages.shift();
    this.#ages.set(input, ages);
  }

  onImage(camera: string, image: CameraImage): void {
    this.#note(cameraInput(camera), image.stampNs);
    this.images.set(camera, image);
    this.#box.onImage(camera, image);
  }

  onJoints(joints: JointReading): void {
    this.joints = joints;
    this.#note('joints', joints.stampNs);
    this.#box.onJoints(joints);
  }

  onEndEffector(reading: Parameters<FlightRecorder['onEndEffector']>[0]): void {
    this.#box.onEndEffector(reading);
  }

  onGripper(reading: GripperReading): void {
    this.gripper = reading;
    this.#note('gripper', reading.stampNs);
    this.#box.onGripper(reading);
  }

  onInstruction(instruction: string): void {
    this.#box.onInstruction(instruction);
  }

  onReset(because: string): void {
    this.images.clear();
    this.joints = null;
    this.gripper = null;
    this.#ages.clear();
    this.#box.onReset(because);
  }

  dump(because: string): Promise<string | null> {
    return this.#box.dump(because);
  }

  close(): Promise<void> {
    return this.#box.close();
  }
}
