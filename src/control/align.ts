/**
 * Collects what the robot reports, the latest by stamp, and puts it together into Observations.
 *
 * Stamps order messages of one stream; ages are counted on the steady clock from receipt. An older message that arrives
 * late never replaces a newer one; stamps that run back by more than that are a clock jump or a looping bag, and
 * everything is forgotten.
 */
import { type Arm, forward } from '../arm/kinematics.js';
import type { Config } from '../config.js';
import type { RobotListener } from '../robot/robot.js';
import type {
  CameraImage,
  EndEffectorReading,
  GripperReading,
  JointReading,
  Observation,
  Reason,
} from '../types.js';
import { nsFromSeconds, secondsFromNs } from './clock.js';
import { History } from './history.js';

/** A message this much older than its stream's latest is out of order; further back is a jump of the clock. */
const REORDERING_NS = nsFromSeconds(0.5);

export type Observed =
  | { readonly ok: true; readonly observation: Observation }
  | { readonly ok: false; readonly reason: Reason };

/** What the arm reports of itself, and when (steady clock) it came. */
export interface Measured {
  readonly joints: JointReading | null;
  readonly jointsReceivedNs: bigint | null;
  /** By forward kinematics, with the joints' stamp, where the arm's joints are known; else from its topic. */
  readonly endEffector: EndEffectorReading | null;
  readonly endEffectorReceivedNs: bigint | null;
}

interface Received<T> {
  readonly reading: T;
  readonly receivedNs: bigint;
}

export interface AlignerOptions {
  readonly config: Config;
  /** Null: the end-effector pose comes from its topic, if at all. */
  readonly arm: Arm | null;
  /** Steady clock. */
  readonly nowNs: () => bigint;
  /** Cameras without which there is no observation; those that feed the model where not given. */
  readonly requiredCameras?: readonly string[];
}

export class Aligner implements RobotListener {
  readonly #config: Config;
  readonly #arm: Arm | null;
  readonly #nowNs: () => bigint;
  readonly #requiredCameras: readonly string[];
  readonly #images = new Map<string, Received<CameraImage>>();
  readonly #counts = new Map<string, number>();
  #joints: Received<JointReading> | null = null;
  #endEffector: Received<EndEffectorReading> | null = null;
  #gripper: Received<GripperReading> | null = null;
  readonly #pastJoints = new History<JointReading>();
  readonly #pastPoses = new History<EndEffectorReading>();
  readonly #pastGrips = new History<GripperReading>();
  /** Cameras that an observation needs and that have shown nothing new since watchers were last told. */
  readonly #awaited: Set<string>;
  readonly #watchers = new Set<() => void>();
  #newSinceNs: bigint | null = null;
  #instruction: string | null = null;
  #episode = 0;
  #episodeBecause = 'start';

  constructor({ config, arm, nowNs, requiredCameras }: AlignerOptions) {
    this.#config = config;
    this.#arm = arm;
    this.#nowNs = nowNs;
    this.#requiredCameras =
      requiredCameras ??
      Object.keys(config.cameras).filter((name) => config.cameras[name]!.modelKey !== undefined);
    this.#awaited = new Set(this.#requiredCameras);
  }

  /**
   * `told` is called within the reading that completes something new to observe: a new picture of every camera that an
   * observation needs, and what arm and gripper report up to the first one's stamp, so that nothing that is nearer to the
   * picture is still to come. It must not throw. Returns what ends this.
   */
  watch(told: () => void): () => void {
    this.#watchers.add(told);
    return () => void this.#watchers.delete(told);
  }

  /** Increases by one at every reset, clock jump and change of the instruction. */
  get episode(): number {
    return this.#episode;
  }

  /** Why the episode began, in operator words. */
  get episodeBecause(): string {
    return this.#episodeBecause;
  }

  /** `outOfOrder`, `clockJump`, `unknownCamera`: how often. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** When watchers were last told, or would have been, by the steady clock; null: there is nothing to observe yet. */
  get newSinceNs(): bigint | null {
    return this.#newSinceNs;
  }

  onImage(camera: string, image: CameraImage): void {
    if (!(camera in this.#config.cameras)) {
      this.#count('unknownCamera');
      return;
    }
    const kept = this.#newer(image, this.#images.get(camera) ?? null);
    if (!kept) return;
    this.#images.set(camera, kept);
    this.#awaited.delete(camera);
    this.#tellWatchers();
  }

  onJoints(joints: JointReading): void {
    const kept = this.#newer(joints, this.#joints);
    if (!kept) return;
    this.#joints = kept;
    this.#pastJoints.add(joints);
    if (this.#arm) this.#followJoints(this.#arm, kept);
    this.#tellWatchers();
  }

  /** Ignored where forward kinematics tells: two sources of one pose would fight. */
  onEndEffector(reading: EndEffectorReading): void {
    if (this.#arm) return;
    const kept = this.#newer(reading, this.#endEffector);
    if (!kept) return;
    this.#endEffector = kept;
    this.#pastPoses.add(reading);
    this.#tellWatchers();
  }

  onGripper(reading: GripperReading): void {
    const kept = this.#newer(reading, this.#gripper);
    if (!kept) return;
    this.#gripper = kept;
    this.#pastGrips.add(reading);
    this.#tellWatchers();
  }

  /** The same instruction again (publishers repeat themselves) is no new episode. Empty: nothing is to be done. */
  onInstruction(instruction: string): void {
    const wanted = instruction === '' ? null : instruction;
    if (wanted === this.#instruction) return;
    this.#instruction = wanted;
    this.#beginEpisode(wanted === null ? 'no instruction any more' : `new instruction: ${wanted}`);
  }

  /** A new episode without a jump of time: readings stay. Null: nothing is to be done, and nothing is observed. */
  beginEpisode(instruction: string | null, because: string): void {
    this.#instruction = instruction;
    this.#beginEpisode(because);
  }

  /** What is to be done; null: nothing. */
  get instruction(): string | null {
    return this.#instruction;
  }

  onReset(because: string): void {
    this.#instruction = null;
    this.forgetReadings(because);
  }

  /** The clock jumped: readings from before it mean nothing. The instruction, which has no stamp, stays. */
  forgetReadings(because: string): void {
    this.#images.clear();
    this.#joints = null;
    this.#endEffector = null;
    this.#gripper = null;
    this.#pastJoints.clear();
    this.#pastPoses.clear();
    this.#pastGrips.clear();
    this.#awaitAll();
    this.#newSinceNs = null;
    this.#beginEpisode(because);
  }

  /** Latest opening of the gripper, 0 closed … 1 open; null: not known. */
  get gripper(): number | null {
    return this.#gripper?.reading.opening ?? null;
  }

  /** The same, with its receipt by the steady clock. */
  get gripperReceived(): { readonly opening: number; readonly receivedNs: bigint } | null {
    const latest = this.#gripper;
    return latest && { opening: latest.reading.opening, receivedNs: latest.receivedNs };
  }

  measured(): Measured {
    return {
      joints: this.#joints?.reading ?? null,
      jointsReceivedNs: this.#joints?.receivedNs ?? null,
      endEffector: this.#endEffector?.reading ?? null,
      endEffectorReceivedNs: this.#endEffector?.receivedNs ?? null,
    };
  }

  /**
   * The latest picture, and what the arm reported nearest to the picture's stamp; or what is missing or has fallen silent.
   * A pose that is newer than the picture would tell the policy that the arm is where the picture does not show it.
   */
  observe(): Observed {
    const reason = this.#incomplete();
    if (reason) return { ok: false, reason };
    const stampNs = this.#primaryStampNs();
    const apart = this.#apart(stampNs);
    if (apart) return { ok: false, reason: apart };
    return {
      ok: true,
      observation: {
        stampNs,
        episode: this.#episode,
        instruction: this.#instruction!,
        images: Object.fromEntries([...this.#images].map(([name, { reading }]) => [name, reading])),
        joints: this.#pastJoints.at(stampNs),
        endEffector: this.#pastPoses.at(stampNs),
        gripper: this.#pastGrips.at(stampNs),
      },
    };
  }

  /** A picture of another time than the first camera's shows what is not so any more, however lately it came. */
  #apart(stampNs: bigint): Reason | null {
    const limit = this.#config.guard.maxObservationAge;
    for (const camera of this.#requiredCameras) {
      const { reading } = this.#images.get(camera)!;
      const apart = Math.abs(secondsFromNs(reading.stampNs - stampNs));
      if (apart <= limit) continue;
      const message = `camera ${camera}: its picture is ${apart.toFixed(3)} s from the first camera's; at most ${limit} s is accepted`;
      return { code: 'cameraStale', message };
    }
    return null;
  }

  #followJoints(arm: Arm, { reading: joints, receivedNs }: Received<JointReading>): void {
    const reading = endEffectorFromJoints(arm, this.#config.baseFrame, joints);
    this.#endEffector = reading && { reading, receivedNs };
    if (reading) this.#pastPoses.add(reading);
    else this.#pastPoses.clear();
  }

  #tellWatchers(): void {
    if (this.#requiredCameras.length === 0 || this.#awaited.size > 0) return;
    if (!this.#armReportedUpTo(this.#primaryStampNs())) return;
    this.#awaitAll();
    this.#newSinceNs = this.#nowNs();
    for (const told of this.#watchers) told();
  }

  #awaitAll(): void {
    for (const camera of this.#requiredCameras) this.#awaited.add(camera);
  }

  #armReportedUpTo(stampNs: bigint): boolean {
    const { joints, endEffector, gripper } = this.#config;
    const reaches = (latest: Received<{ readonly stampNs: bigint }> | null): boolean =>
      latest !== null && latest.reading.stampNs >= stampNs;
    if (joints && !reaches(this.#joints)) return false;
    if (gripper && !reaches(this.#gripper)) return false;
    return !endEffector || this.#arm !== null || reaches(this.#endEffector);
  }

  #incomplete(): Reason | null {
    if (this.#instruction === null)
      return { code: 'noInstruction', message: 'no instruction has been given yet' };
    return this.missing();
  }

  /** Which input an observation would lack now: never received, or silent for too long. Null: none. */
  missing(): Reason | null {
    const { joints, endEffector, gripper, guard } = this.#config;
    for (const camera of this.#requiredCameras) {
      const image = this.#images.get(camera) ?? null;
      const silent = this.#silent(`camera ${camera}`, 'camera', image, guard.maxObservationAge);
      if (silent) return silent;
    }
    return (
      (joints && this.#silent('the joints', 'joints', this.#joints, guard.maxJointAge)) ??
      (endEffector && !this.#arm
        ? this.#silent('the end effector', 'endEffector', this.#endEffector, guard.maxJointAge)
        : null) ??
      (gripper
        ? this.#silent('the gripper', 'gripper', this.#gripper, guard.maxObservationAge)
        : null) ??
      null
    );
  }

  /** `limit` in s. */
  #silent(
    who: string,
    code: string,
    received: Received<unknown> | null,
    limit: number,
  ): Reason | null {
    if (!received) return { code: `${code}Missing`, message: `${who}: nothing received yet` };
    const age = secondsFromNs(this.#nowNs() - received.receivedNs);
    if (age <= limit) return null;
    return {
      code: `${code}Silent`,
      message: `${who}: silent for ${age.toFixed(3)} s; at most ${limit} s is accepted`,
    };
  }

  /** Of the first camera that is required, else that has an image; without any image, the arm's own stamp. */
  #primaryStampNs(): bigint {
    const cameras = [...this.#requiredCameras, ...Object.keys(this.#config.cameras)];
    const primary = cameras.find((name) => this.#images.has(name));
    if (primary !== undefined) return this.#images.get(primary)!.reading.stampNs;
    const { joints, endEffector } = this.measured();
    return (joints ?? endEffector)?.stampNs ?? 0n;
  }

  /** The reading with its receipt where it is to be kept; a jump of its stamps forgets everything first. */
  #newer<T extends { readonly stampNs: bigint }>(
    reading: T,
    latest: Received<T> | null,
  ): Received<T> | null {
    const behindNs = latest ? latest.reading.stampNs - reading.stampNs : 0n;
    if (behindNs > REORDERING_NS) {
      this.#count('clockJump');
      this.forgetReadings(
        `stamps ran back by ${secondsFromNs(behindNs).toFixed(3)} s: the clock jumped or a bag looped`,
      );
    } else if (behindNs > 0n) {
      this.#count('outOfOrder');
      return null;
    }
    return { reading, receivedNs: this.#nowNs() };
  }

  #beginEpisode(because: string): void {
    this.#episode++;
    this.#episodeBecause = because;
  }

  #count(code: string): void {
    this.#counts.set(code, (this.#counts.get(code) ?? 0) + 1);
  }
}

/** By forward kinematics, with the joints' stamp; null where the reading lacks a joint of the arm. */
export function endEffectorFromJoints(
  arm: Arm,
  baseFrame: string,
  joints: JointReading,
): EndEffectorReading | null {
  const position = inArmOrder(arm, joints);
  if (!position) return null;
  return { stampNs: joints.stampNs, frameId: baseFrame, pose: forward(arm, position) };
}

/** Positions in the arm's joint order, or null where the reading lacks one of them. */
export function inArmOrder(arm: Arm, reading: JointReading): readonly number[] | null {
  const positions = arm.jointNames.map((name) => reading.position[reading.names.indexOf(name)]);
  return positions.every((position) => position !== undefined) ? positions : null;
}
