/** What joint and Cartesian guarding have in common: the guard decides what is asked of it, it knows how to move. */
import type { ArmCommand, ArmTarget, Reason } from '../types.js';
import type { Measurement } from './readings.js';
import { type GuardReason, reason } from './reasons.js';

type WithoutStamp<T> = T extends unknown ? Omit<T, 'nowNs' | 'gripper' | keyof Brand> : never;
type Brand = Pick<ArmCommand, Extract<keyof ArmCommand, symbol>>;

/** The motion part of an ArmCommand, before the guard makes it one. */
export type Motion = WithoutStamp<ArmCommand>;

/** What speed scale and ramp-in leave of the velocity limits, each 0 … 1. */
export interface SpeedShares {
  readonly scale: number;
  readonly ramp: number;
}

/** The last command's motion and the steps that may follow it. Times in s; one step per call and per dt > 0. */
export interface Output {
  /** Takes over what the robot reports. Halting reasons where it cannot be used. Call before anything else in a tick. */
  measure(measured: Measurement, nowNs: bigint): readonly GuardReason[];
  /** Last command against the last usable measurement. */
  checkTracking(): GuardReason | null;
  /** At rest where the arm was last measured. */
  seed(nowNs: bigint): void;
  checkTarget(target: Exclude<ArmTarget, { kind: 'rest' }>): GuardReason | null;
  /** One step towards a target that passed checkTarget. */
  towards(
    target: Exclude<ArmTarget, { kind: 'rest' }>,
    shares: SpeedShares,
    nowNs: bigint,
    dt: number,
  ): readonly GuardReason[];
  /** One step of coming to rest softly. */
  toRest(nowNs: bigint, dt: number): readonly GuardReason[];
  /** One step of the braking path; at rest: holds. */
  brake(nowNs: bigint, dt: number): void;
  /**
   * `seconds` along the braking path: what a receiver does by itself that was told to brake where commands end. Cartesian
   * commands carry no braking path: the layer below stops by its own rules.
   */
  follow?(nowNs: bigint, seconds: number): void;
  readonly isAtRest: boolean;
  motion(): Motion;
  /** What is guaranteed, in operator words. */
  describe(): string;
}

/** One quantity that is behind its target, and the limits that can be why. */
export interface Lag {
  /** "Joint elbow", "The tool". */
  readonly what: string;
  readonly unit: 'rad' | 'm';
  /** What the target needs in this tick, magnitudes. */
  readonly velocity: number;
  readonly acceleration: number;
  readonly limits: {
    readonly velocity: number;
    readonly acceleration: number;
    readonly jerk: number;
  };
}

/** Which limit keeps a command from its target; null where other reasons said so already. */
export function lagReason(lag: Lag, { scale, ramp }: SpeedShares, dt: number): GuardReason {
  const { what, unit, velocity, acceleration, limits } = lag;
  const needs = `${what} needs ${velocity.toFixed(3)} ${unit}/s to reach the target now`;
  if (dt <= 0)
    return reason(
      'velocityLimit',
      `${what} cannot move: no time has passed since the last command.`,
    );
  if (velocity > limits.velocity)
    return reason('velocityLimit', `${needs}, the limit is ${limits.velocity} ${unit}/s.`);
  if (velocity > limits.velocity * scale)
    return reason(
      'speedScale',
      `${needs}, the speed scale leaves ${(limits.velocity * scale).toFixed(3)} ${unit}/s.`,
    );
  if (velocity > limits.velocity * scale * ramp)
    return reason(
      'rampIn',
      `${needs}, the ramp-in has reached ${(limits.velocity * scale * ramp).toFixed(3)} ${unit}/s.`,
    );
  if (acceleration > limits.acceleration)
    return reason(
      'accelerationLimit',
      `${what} needs ${acceleration.toFixed(2)} ${unit}/s² to reach the target now, the limit is ${limits.acceleration} ${unit}/s².`,
    );
  return reason(
    'jerkLimit',
    `${what} follows the target within its jerk limit of ${limits.jerk} ${unit}/s³.`,
  );
}

/** Rules that already explain why a command is not its target. */
export function explains(reasons: readonly Reason[]): boolean {
  return reasons.some(({ code }) => EXPLAINING.has(code));
}

const EXPLAINING: ReadonlySet<string> = new Set([
  'clearance',
  'singularity',
  'toolSpeed',
  'workspace',
]);

/** rad or m: a command this near its target is on it. */
export const ON_TARGET = 1e-6;
