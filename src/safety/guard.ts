/**
 * The only maker of ArmCommand. Every call makes exactly one: a step towards the target within all limits, or a step of
 * the braking path, or a hold. Pure: both clocks are passed in, and nothing here reads files or sends.
 *
 * Supervisory and soft real-time: no safety-rated function. The robot's own stop and its controller's limits stay.
 */
import type { ArmCapsules } from '../arm/clearance.js';
import type { Arm } from '../arm/kinematics.js';
import type { Config } from '../config.js';
import { ConfigError, UnguardedCommandError } from '../errors.js';
import type { ArmCommand, ArmTarget, Reason, Verdict } from '../types.js';
import { CartesianOutput } from './cartesianOutput.js';
import { JointOutput, leadOf } from './jointOutput.js';
import type { Motion, Output } from './output.js';
import { type Measurement, seconds } from './readings.js';
import { ConfidenceWindow } from './confidenceWindow.js';
import { type GuardReason, reason, ReasonLedger, REASONS } from './reasons.js';

export type { GuardReason } from './reasons.js';

export type { Measurement as GuardMeasurement } from './readings.js';

export interface GuardInput extends Measurement {
  /** Steady clock now. */
  readonly nowNs: bigint;
  readonly target: ArmTarget;
  /** The prediction behind the target; null for rest and for an operator's targets. */
  readonly prediction: {
    readonly observationStampNs: bigint;
    readonly confidence: number;
    readonly episode?: number;
    /** Of a model's answer; absent: nobody is sure or unsure. */
    readonly tokens?: readonly number[];
    /** How long it plans ahead; absent: one policy period. */
    readonly chunk?: { readonly stepPeriodNs: bigint; readonly steps: readonly unknown[] };
  } | null;
  /** Why the arm must not move now, from outside control: an operator, a missing consent, the layer below. */
  readonly holds?: readonly GuardReason[];
}

const NS_PER_S = 1e9;
/** rad/s or m/s: what a resting arm may report of its joints. */
const RESTING = 0.05;
/** s */
const SHORTEST_TICK = 1e-6;

/** The last command of every guard, and nothing else: an older one is as unfit to be sent as a made-up one. */
const made = new WeakSet<object>();

/** @throws UnguardedCommandError on anything but a guard's last command, a faithful copy or an earlier one included. */
export function assertGuarded(command: unknown): asserts command is ArmCommand {
  if (typeof command !== 'object' || command === null || !made.has(command))
    throw new UnguardedCommandError('got a command that the guard did not make, expected its own');
}

export class Guard {
  readonly kind: 'joint' | 'cartesian';
  private readonly config: Config;
  private readonly output: Output;
  private readonly ledger: ReasonLedger;
  private readonly confidences: ConfidenceWindow | null;
  /** s after which a command that is not followed by another ends in its braking path; Infinity: it does not. */
  private readonly expiry: number;
  private isActive = false;
  private isSeeded = false;
  private latch: Reason | null = null;
  private scale = 1;
  private rampFromNs = 0n;
  private isHeld = false;
  private lastNowNs: bigint | null = null;
  private lastMotionNs = 0n;
  private lastStampNs: bigint | null = null;
  private lastMeasured: Measurement | null = null;
  private lastCommand: ArmCommand | null = null;

  /**
   * `arm`: null for a robot without reported joints, which gets the Cartesian guard. `capsules`: null where distances to
   * table and links are not to be guarded. `onFirst` is called with the first reason of each code: log it there.
   * @throws ConfigError where the output is joint and there is no arm, or the limits do not fit the arm's joints.
   */
  constructor(
    config: Config,
    arm: Arm | null,
    capsules: ArmCapsules | null,
    onFirst: (reason: Reason) => void = () => undefined,
  ) {
    if (config.output === 'joint' && arm === null)
      throw new ConfigError('output', 'joint', 'twist or pose where no arm is described');
    this.config = config;
    this.kind = config.output === 'joint' ? 'joint' : 'cartesian';
    this.output =
      config.output === 'joint'
        ? new JointOutput(config, arm!, capsules)
        : new CartesianOutput(config, arm);
    // Only what is told ahead carries its braking path.
    this.expiry = leadOf(config) || Infinity;
    this.ledger = new ReasonLedger(onFirst);
    const { unsure } = config.guard;
    this.confidences = unsure ? new ConfidenceWindow(unsure.over) : null;
  }

  /** How often each reason was given, by code. A latched reason counts once per latch. */
  get counts(): ReadonlyMap<string, number> {
    return this.ledger.counts;
  }

  /** Why the arm is stopped until re-armed; null where it is not. */
  get latched(): Reason | null {
    return this.latch;
  }

  /** Takes over from rest at the measured state. Returns why not: latched, still braking, or not to be relied on. */
  activate(nowNs: bigint, measured: Measurement): Reason | null {
    if (this.latch !== null) return this.latch;
    if (this.isSeeded && !this.output.isAtRest)
      return this.note(reason('stillMoving', 'The arm still moves by the last commands.'));
    const [problem] = this.output.measure(measured, nowNs);
    if (problem !== undefined) return this.note(problem);
    if (reportsMotion(measured)) return this.note(armMoves());
    this.output.seed(nowNs);
    this.isSeeded = true;
    this.isActive = true;
    this.startRamp(nowNs);
    this.lastStampNs = measured.stampNs;
    this.lastMeasured = measured;
    return null;
  }

  /** From the next call of `guard` on the arm brakes and holds, until it is activated again. */
  deactivate(nowNs: bigint): void {
    this.isActive = false;
    this.lastNowNs ??= nowNs;
  }

  /**
   * Ends a latched stop, on an operator's word only. Returns why not: while the arm still brakes, or the last measurement
   * is not to be relied on. Motion begins anew from where the arm is.
   */
  rearm(nowNs: bigint): Reason | null {
    if (this.latch === null) return null;
    if (this.isActive && this.lastMeasured !== null) {
      if (!this.output.isAtRest) return this.latch;
      const [problem] = this.output.measure(this.lastMeasured, nowNs);
      if (problem !== undefined) return problem;
      if (reportsMotion(this.lastMeasured)) return this.note(armMoves());
      this.output.seed(nowNs);
    }
    this.latch = null;
    this.startRamp(nowNs);
    return null;
  }

  /** 0 … 1, multiplies the configuration's speed scale. What is not a number is 0. */
  setSpeedScale(scale: number): void {
    this.scale = Number.isFinite(scale) ? Math.min(Math.max(scale, 0), 1) : 0;
  }

  /** 0 … 1: the share of the limits' speeds that is left by configuration and operator. */
  get speedScale(): number {
    return this.config.guard.speedScale * this.scale;
  }

  /** Exactly one command per call, and at most one step of motion. Never throws, whatever the data. */
  guard(input: GuardInput): Verdict {
    const { nowNs, target } = input;
    const clocks = this.checkClocks(input);
    const dt = this.advance(nowNs);
    if (!this.isActive)
      return this.halt(nowNs, dt, [this.note(reason('notActive', 'The guard is not active.'))]);
    if (this.latch !== null) {
      this.lastMeasured = input;
      return this.halt(nowNs, dt, [this.latch]);
    }

    const { holds = [] } = input;
    const halts = [...holds, ...clocks, ...this.checkMeasured(input), ...this.checkWish(input)];
    this.lastMeasured = input;
    // Consent that comes back starts slowly, like an activation.
    if (this.isHeld && holds.length === 0) this.rampFromNs = nowNs;
    this.isHeld = holds.length > 0;
    if (halts.length > 0) {
      for (const halting of halts) this.note(halting);
      this.latch = halts.find(({ code }) => REASONS[code].effect === 'latch') ?? null;
      return this.halt(nowNs, dt, halts);
    }

    const limits =
      target.kind === 'rest'
        ? [reason('rest', `Coming to rest: ${target.because}.`), ...this.output.toRest(nowNs, dt)]
        : [...this.output.towards(target, this.speedShares(nowNs), nowNs, dt)];
    const gripper = this.limitGripper(target.gripper, limits);
    const command = this.make(nowNs, this.output.motion(), gripper);
    if (limits.length === 0) return { outcome: 'pass', reasons: [], command };
    for (const limit of limits) this.note(limit);
    return { outcome: 'limited', reasons: limits, command };
  }

  /** What is guaranteed for this output, in operator words. */
  describe(): string {
    const { dryRun } = this.config;
    return dryRun
      ? `${this.output.describe()} Dry run: nothing is sent, so the tracking error is not checked.`
      : this.output.describe();
  }

  private checkClocks({ nowNs, stampNs }: GuardInput): GuardReason[] {
    const found: GuardReason[] = [];
    if (this.lastNowNs !== null) {
      const elapsed = Number(nowNs - this.lastNowNs) / NS_PER_S;
      const { watchdog } = this.config.guard;
      if (elapsed < 0)
        found.push(
          reason('steadyClockBackwards', `The steady clock ran backwards by ${seconds(-elapsed)}.`),
        );
      if (elapsed > watchdog)
        found.push(
          reason(
            'tickGap',
            `No control tick for ${seconds(elapsed)}, the watchdog allows ${seconds(watchdog)}: the computer was too busy.`,
          ),
        );
    }
    if (this.lastStampNs !== null && stampNs < this.lastStampNs) {
      const back = Number(this.lastStampNs - stampNs) / NS_PER_S;
      found.push(reason('stampBackwards', `The ROS clock ran backwards by ${seconds(back)}.`));
    }
    this.lastStampNs = stampNs;
    return found;
  }

  /** @returns the real time to move by since the last motion, 0 … watchdog, s. */
  private advance(nowNs: bigint): number {
    this.lastNowNs = nowNs;
    const elapsed = Number(nowNs - this.lastMotionNs) / NS_PER_S;
    // Too short to divide by: it is left for the next tick.
    if (elapsed >= 0 && elapsed < SHORTEST_TICK) return 0;
    this.lastMotionNs = nowNs;
    if (elapsed > this.expiry && this.isSeeded) {
      // The command before has ended in its braking path: motion goes on from where that led, not from where it was left.
      this.output.follow?.(nowNs, elapsed);
      return 0;
    }
    return Math.min(Math.max(elapsed, 0), this.config.guard.watchdog);
  }

  private checkMeasured(input: GuardInput): readonly GuardReason[] {
    const problems = this.output.measure(input, input.nowNs);
    if (problems.length > 0) return problems;
    // In a dry run the arm does not get the commands and cannot be expected to follow them.
    const tracking = this.config.dryRun ? null : this.output.checkTracking();
    return tracking === null ? [] : [tracking];
  }

  private checkWish({ target, prediction, stampNs }: GuardInput): readonly GuardReason[] {
    if (target.kind === 'rest') return [];
    const found: GuardReason[] = [];
    if (prediction !== null) {
      const behind = this.checkPrediction(prediction, stampNs);
      if (behind !== null) found.push(behind);
    }
    const invalid = this.output.checkTarget(target);
    if (invalid !== null) found.push(invalid);
    return found;
  }

  private checkPrediction(
    prediction: NonNullable<GuardInput['prediction']>,
    stampNs: bigint,
  ): GuardReason | null {
    const { observationStampNs, confidence, chunk } = prediction;
    const { minConfidence, unsure, maxFutureStamp, maxObservationAge } = this.config.guard;
    if (!(confidence >= 0 && confidence <= 1))
      return reason('predictionInvalid', `The confidence is ${confidence}, expected 0 … 1.`);
    const age = Number(stampNs - observationStampNs) / NS_PER_S;
    if (age < -maxFutureStamp)
      return reason(
        'futureStamp',
        `The observation is stamped ${seconds(-age)} in the future, ${seconds(maxFutureStamp)} is allowed.`,
      );
    // The last step begins at its own time, or at maxObservationAge where that is later; it lasts one period, and so does
    // coming to rest on it.
    const period = chunk ? Number(chunk.stepPeriodNs) / NS_PER_S : this.config.control.policyPeriod;
    const ahead = ((chunk?.steps.length ?? 1) - 1) * period;
    const allowed = Math.max(maxObservationAge, ahead) + 2 * period;
    if (age > allowed)
      return reason(
        'observationStale',
        `The policy acts on an observation ${seconds(age)} old, ${seconds(allowed)} is allowed.`,
      );
    if (confidence < minConfidence)
      return reason(
        'lowConfidence',
        `The policy's confidence is ${confidence.toFixed(3)}, at least ${minConfidence} is required.`,
      );
    const mean = this.confidences?.mean(prediction) ?? null;
    if (unsure && mean !== null && mean < unsure.below)
      return reason(
        'unsure',
        `The policy's confidence over the last ${unsure.over} actions is ${mean.toFixed(3)}, at least ${unsure.below} is required.`,
      );
    return null;
  }

  private speedShares(nowNs: bigint): { readonly scale: number; readonly ramp: number } {
    const { rampIn } = this.config.guard;
    const since = Number(nowNs - this.rampFromNs) / NS_PER_S;
    const ramp = rampIn > 0 ? Math.min(Math.max(since / rampIn, 0), 1) : 1;
    return { scale: this.speedScale, ramp };
  }

  private startRamp(nowNs: bigint): void {
    this.rampFromNs = nowNs;
    this.lastNowNs = nowNs;
    this.lastMotionNs = nowNs;
  }

  private limitGripper(opening: number | null, reasons: GuardReason[]): number | null {
    if (opening === null) return null;
    const clamped = Number.isFinite(opening) ? Math.min(Math.max(opening, 0), 1) : null;
    if (clamped !== opening)
      reasons.push(reason('gripper', `The gripper opening is ${opening}, expected 0 … 1.`));
    return clamped;
  }

  private halt(nowNs: bigint, dt: number, reasons: readonly Reason[]): Verdict {
    this.output.brake(nowNs, dt);
    const motion = this.isSeeded ? this.output.motion() : this.stillness();
    return { outcome: 'halt', reasons, command: this.make(nowNs, motion, null) };
  }

  /** Before the arm's state was ever known: a command that moves nothing, a twist of 0 or no joint at all. */
  private stillness(): Motion {
    const zero = Object.freeze([0, 0, 0] as const);
    if (this.kind === 'joint') return { kind: 'joint', names: [], position: [], velocity: [] };
    const frameId = this.config.endEffector?.frameId ?? this.config.baseFrame;
    return { kind: 'twist', frameId, linear: zero, angular: zero };
  }

  private make(nowNs: bigint, motion: Motion, gripper: number | null): ArmCommand {
    // The brand has no value: what makes this a command is that it is in `made`.
    const command = Object.freeze({ ...motion, nowNs, gripper }) as unknown as ArmCommand;
    if (this.lastCommand) made.delete(this.lastCommand);
    this.lastCommand = command;
    made.add(command);
    return command;
  }

  private note(given: GuardReason): Reason {
    this.ledger.add(given);
    return given;
  }
}

/** Where the robot says how fast its joints are, whether one of them moves; a speed that is no number counts as motion. */
function reportsMotion({ joints }: Measurement): boolean {
  return joints?.velocity?.some((speed) => !(Math.abs(speed) <= RESTING)) ?? false;
}

function armMoves(): GuardReason {
  return reason('stillMoving', 'The arm reports that it still moves.');
}
