/** Whether what the robot reports may be relied on: there, finite, fresh on both clocks, and not from the future. */
import type { Config } from '../config.js';
import * as pose from '../math/pose.js';
import type { EndEffectorReading, JointReading, Pose } from '../types.js';
import { type GuardReason, reason } from './reasons.js';

/** What the robot last reported, and when (steady clock) it was received. */
export interface Measurement {
  /** ROS, bag or simulation clock now. */
  readonly stampNs: bigint;
  readonly joints: JointReading | null;
  readonly jointsReceivedNs: bigint | null;
  readonly endEffector: EndEffectorReading | null;
  readonly endEffectorReceivedNs: bigint | null;
}

/** rad or m: no arm is further from its zero than this; a reading that is was not made by one. */
const FARTHEST = 1000;
/** How far the length of a quaternion may be from 1. */
const UNIT = 1e-3;

const NS_PER_S = 1e9;

/** Age on both clocks. `what` names the reading. */
export function checkFreshness(
  what: string,
  reading: { readonly stampNs: bigint } | null,
  receivedNs: bigint | null,
  nowNs: bigint,
  stampNs: bigint,
  { maxJointAge, maxFutureStamp }: Config['guard'],
): GuardReason | null {
  if (reading === null || receivedNs === null)
    return reason('measurementMissing', `No ${what} has arrived.`);
  const silence = Number(nowNs - receivedNs) / NS_PER_S;
  const age = Number(stampNs - reading.stampNs) / NS_PER_S;
  if (silence < 0)
    return reason(
      'futureStamp',
      `The last ${what} was received ${seconds(-silence)} from now by the steady clock.`,
    );
  if (age < -maxFutureStamp)
    return reason(
      'futureStamp',
      `The ${what} is stamped ${seconds(-age)} in the future, ${seconds(maxFutureStamp)} is allowed.`,
    );
  if (silence > maxJointAge)
    return reason(
      'measurementStale',
      `No ${what} for ${seconds(silence)}, ${seconds(maxJointAge)} is allowed.`,
    );
  if (age > maxJointAge)
    return reason(
      'measurementStale',
      `The ${what} is stamped ${seconds(age)} ago, ${seconds(maxJointAge)} is allowed.`,
    );
  return null;
}

/**
 * Positions and efforts of `names`, in that order, from a reading in any order. Remembers the order between ticks.
 * Effort stays null where it is not reported.
 */
export class JointReader {
  readonly position: Float64Array;
  readonly effort: Float64Array;
  hasEffort = false;
  private readonly names: readonly string[];
  private indices: readonly number[] = [];
  private order: readonly string[] | null = null;

  constructor(names: readonly string[]) {
    this.names = names;
    this.position = new Float64Array(names.length);
    this.effort = new Float64Array(names.length);
  }

  /** Takes a reading over. @returns why it cannot be used; nothing is taken over then. */
  read(reading: JointReading): GuardReason | null {
    const { names, position, effort } = reading;
    if (position.length !== names.length || (effort !== null && effort.length !== names.length))
      return reason(
        'measurementInvalid',
        `The joint reading has ${names.length} names, ${position.length} positions and ${effort?.length ?? 'no'} efforts.`,
      );
    if (names !== this.order) {
      this.indices = this.names.map((name) => names.indexOf(name));
      this.order = names;
    }
    for (let i = 0; i < this.names.length; i++) {
      const index = this.indices[i]!;
      const name = this.names[i]!;
      if (index < 0 || index >= names.length || names[index] !== name) {
        this.order = null;
        return reason('measurementInvalid', `The joint reading has no joint ${name}.`);
      }
      if (!(Math.abs(position[index]!) <= FARTHEST))
        return reason('measurementInvalid', `Joint ${name} reports position ${position[index]!}.`);
      if (effort !== null && !Number.isFinite(effort[index]))
        return reason('measurementInvalid', `Joint ${name} reports effort ${effort[index]!}.`);
    }
    this.hasEffort = effort !== null;
    for (let i = 0; i < this.names.length; i++) {
      this.position[i] = position[this.indices[i]!]!;
      this.effort[i] = effort?.[this.indices[i]!] ?? 0;
    }
    return null;
  }

  /** Which joint of the last reading pushes harder than its limit; null where none does, or effort is not reported. */
  checkEffort(limits: readonly EffortLimit[]): GuardReason | null {
    if (!this.hasEffort) return null;
    for (const [i, { name, effort }] of limits.entries()) {
      const reported = Math.abs(this.effort[i]!);
      if (reported > effort)
        return reason(
          'effortLimit',
          `Joint ${name} pushes with ${reported.toFixed(1)} N·m, the limit is ${effort} N·m.`,
        );
    }
    return null;
  }
}

/** N·m or N; Infinity: none. */
export interface EffortLimit {
  readonly name: string;
  readonly effort: number;
}

/** Why a reported pose cannot be used, in a frame that is expected to be `frameId`. */
export function checkEndEffector(reading: EndEffectorReading, frameId: string): GuardReason | null {
  const problem = poseProblem(reading.pose, reading.frameId, frameId);
  return problem === null
    ? null
    : reason('measurementInvalid', `The end-effector reading ${problem}.`);
}

/** What is wrong with a pose, as a predicate ("is in frame …"); null for a rigid pose within an arm's reach. */
export function poseProblem(
  { translation, rotation }: Pose,
  frameId: string,
  expectedFrameId: string,
): string | null {
  if (frameId !== expectedFrameId) return `is in frame "${frameId}", expected "${expectedFrameId}"`;
  if ((translation.length as number) !== 3 || (rotation.length as number) !== 4)
    return `has ${translation.length as number} + ${rotation.length as number} numbers, expected 3 + 4`;
  if (!pose.isFinite({ translation, rotation }))
    return `is not finite: [${translation.join(', ')}], [${rotation.join(', ')}]`;
  if (translation.some((value) => Math.abs(value) > FARTHEST))
    return `is at [${translation.join(', ')}] m`;
  const length = Math.hypot(...rotation);
  if (Math.abs(length - 1) > UNIT) return `has a quaternion of length ${length}, expected 1`;
  return null;
}

export function seconds(value: number): string {
  return `${value.toFixed(3)} s`;
}
