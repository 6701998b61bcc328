/** The readings of a bag by input and stamp: those that predictions of the recording were made of, and no others. */
import type { Arm } from '../arm/kinematics.js';
import { endEffectorFromJoints } from '../control/align.js';
import { hashedFrom, inputNames, type Seen } from '../robot/messages/observationHash.js';
import type { RobotListener } from '../robot/robot.js';
import type {
  ActionPrediction,
  CameraImage,
  EndEffectorReading,
  GripperReading,
  JointReading,
  Observation,
} from '../types.js';

type Reading = CameraImage | JointReading | EndEffectorReading | GripperReading;

interface Wanted {
  /** Predictions that need it. */
  users: number;
  /** Every reading of that stamp, oldest first: partial joint messages give several. */
  readonly readings: Reading[];
}

/** Readings of one input with one stamp: more are not looked at. */
const MOST_ALIKE = 8;

/** Hears a bag, and keeps what is wanted until it is released. */
export class WantedInputs implements RobotListener {
  readonly #arm: Arm | null;
  readonly #baseFrame: string;
  readonly #wanted = new Map<string, Wanted>();

  /** `arm`: as the run had it; null where the end effector's pose came from its topic. */
  constructor(arm: Arm | null, baseFrame: string) {
    this.#arm = arm;
    this.#baseFrame = baseFrame;
  }

  want({ inputs }: Seen): void {
    for (const { name, stampNs } of inputs) {
      const wanted = this.#wanted.get(key(name, stampNs)) ?? { users: 0, readings: [] };
      wanted.users += 1;
      this.#wanted.set(key(name, stampNs), wanted);
    }
  }

  release({ inputs }: Seen): void {
    for (const { name, stampNs } of inputs) {
      const wanted = this.#wanted.get(key(name, stampNs));
      if (wanted && --wanted.users === 0) this.#wanted.delete(key(name, stampNs));
    }
  }

  /** By input of `seen`; empty where the bag has shown none. */
  readings({ inputs }: Seen): readonly (readonly Reading[])[] {
    return inputs.map(({ name, stampNs }) => this.#wanted.get(key(name, stampNs))?.readings ?? []);
  }

  onImage(camera: string, image: CameraImage): void {
    this.#offer(camera, image);
  }

  onJoints(joints: JointReading): void {
    this.#offer(inputNames.joints, joints);
    if (!this.#arm || !this.#wanted.has(key(inputNames.endEffector, joints.stampNs))) return;
    const pose = endEffectorFromJoints(this.#arm, this.#baseFrame, joints);
    if (pose) this.#offer(inputNames.endEffector, pose);
  }

  /** As the aligner: where forward kinematics tells, the topic is not listened to. */
  onEndEffector(reading: EndEffectorReading): void {
    if (!this.#arm) this.#offer(inputNames.endEffector, reading);
  }

  onGripper(reading: GripperReading): void {
    this.#offer(inputNames.gripper, reading);
  }

  /** The instruction is part of the recorded prediction. */
  onInstruction(): void {
    return;
  }

  /** Stamps tell episodes apart. */
  onReset(): void {
    return;
  }

  #offer(name: string, reading: Reading): void {
    const readings = this.#wanted.get(key(name, reading.stampNs))?.readings;
    if (!readings) return;
    readings.push(reading);
    if (readings.length > MOST_ALIKE) readings.shift();
  }
}

/** An observation as the bag has it, and which of its inputs are not what was seen. */
export interface Rebuilt {
  readonly observation: Observation;
  /** Names of inputs; `stamp or instruction` where all inputs are the same. Empty: equal, or nothing was hashed. */
  readonly differs: readonly string[];
}

/**
 * Puts the observation together. Of several readings of one stamp, the one that was seen is found by its hash.
 *
 * @param readings per input of `seen`, at least one each.
 */
export function rebuild(
  { observationStampNs, episode }: ActionPrediction,
  seen: Seen,
  readings: readonly (readonly Reading[])[],
): Rebuilt {
  const chosen = readings.map((alike) => alike.length - 1);
  for (;;) {
    const observation = assemble(
      { stampNs: observationStampNs, episode, instruction: seen.instruction },
      seen.inputs.map(({ name }, i) => [name, readings[i]![chosen[i]!]!]),
    );
    if (!seen.sha256) return { observation, differs: [] };
    const found = hashedFrom(observation);
    const other = seen.inputs.flatMap(({ name, sha256 }, i) => {
      const rebuilt = found.inputs.find((input) => input.name === name)?.sha256;
      return sha256 && !(rebuilt && isSame(rebuilt, sha256)) ? [i] : [];
    });
    const next = other.filter((i) => chosen[i]! > 0);
    if (next.length === 0) {
      const names = other.map((i) => seen.inputs[i]!.name);
      const whole = isSame(found.sha256!, seen.sha256) ? [] : ['stamp or instruction'];
      return { observation, differs: names.length > 0 ? names : whole };
    }
    for (const i of next) chosen[i]! -= 1;
  }
}

function assemble(
  head: Pick<Observation, 'stampNs' | 'episode' | 'instruction'>,
  inputs: readonly (readonly [string, Reading])[],
): Observation {
  const { joints, endEffector, gripper } = inputNames;
  const named = new Map(inputs);
  const others: readonly string[] = [joints, endEffector, gripper];
  return {
    ...head,
    images: Object.fromEntries(
      inputs.filter(([name]) => !others.includes(name)),
    ) as Observation['images'],
    joints: (named.get(joints) as JointReading | undefined) ?? null,
    endEffector: (named.get(endEffector) as EndEffectorReading | undefined) ?? null,
    gripper: (named.get(gripper) as GripperReading | undefined) ?? null,
  };
}

function isSame(a: Uint8Array, b: Uint8Array): boolean {
  return a.every((byte, i) => byte === b[i]);
}

function key(name: string, stampNs: bigint): string {
  return `${name} ${stampNs}`;
}
