/** Guarding joint positions: joint limits, then tool, table and links, against the guard's own last command. */
import type { ArmCapsules } from '../arm/clearance.js';
import { type Arm, forward } from '../arm/kinematics.js';
import type { Config } from '../config.js';
import { ConfigError } from '../errors.js';
import type { ArmTarget, Pose } from '../types.js';
import { type JointBounds, JointMotion } from './jointMotion.js';
import { JointPath } from './jointPath.js';
import {
  explains,
  type Lag,
  lagReason,
  type Motion,
  ON_TARGET,
  type Output,
  type SpeedShares,
} from './output.js';
import { checkFreshness, JointReader, type Measurement } from './readings.js';
import { type GuardReason, reason } from './reasons.js';
import { allowedShare, stepReason, StepWindow } from './stepClamp.js';

type Target = Exclude<ArmTarget, { kind: 'rest' }>;

/** s: small, so that the steps of a braking path are where its parabola is (within v · step / 2). */
const FOLLOWING_STEP = 1e-3;
/** No arm takes longer to brake. */
const LONGEST_FOLLOWING = 10_000;

/** A joint position and where it puts the tool. */
interface Anchor {
  readonly position: readonly number[];
  readonly pose: Pose;
}

export class JointOutput implements Output {
  private readonly config: Config;
  private readonly arm: Arm;
  private readonly names: readonly string[];
  private readonly bounds: readonly JointBounds[];
  private readonly reader: JointReader;
  private readonly state: JointMotion;
  private readonly path: JointPath;
  private readonly capsules: ArmCapsules | null;
  private readonly window: StepWindow<Anchor>;
  /** For the target's velocity; where the arm was commanded to be while it followed none. */
  private lastTarget: readonly number[] = [];
  private readonly targetVelocity: Float64Array;
  private readonly step: Float64Array;
  /** What was commanded, and until when, as far back as the arm is told ahead. */
  private readonly past: { readonly untilNs: bigint; readonly position: readonly number[] }[] = [];
  private readonly leadNs: bigint;

  constructor(config: Config, arm: Arm, capsules: ArmCapsules | null) {
    this.config = config;
    this.arm = arm;
    this.capsules = capsules;
    this.bounds = jointBounds(config, arm);
    this.names = Object.freeze([...arm.jointNames]);
    this.reader = new JointReader(this.names);
    this.state = new JointMotion(this.bounds);
    this.path = new JointPath(arm, capsules, this.state, config.guard);
    this.window = new StepWindow(config);
    this.targetVelocity = new Float64Array(this.names.length);
    this.step = new Float64Array(this.names.length);
    this.leadNs = BigInt(Math.round(leadOf(config) * 1e9));
  }

  get isAtRest(): boolean {
    return this.state.isAtRest;
  }

  measure(measured: Measurement, nowNs: bigint): readonly GuardReason[] {
    const { joints, jointsReceivedNs, stampNs } = measured;
    const stale = checkFreshness(
      'joint reading',
      joints,
      jointsReceivedNs,
      nowNs,
      stampNs,
      this.config.guard,
    );
    if (stale !== null || joints === null) return stale === null ? [] : [stale];
    const invalid = this.reader.read(joints);
    if (invalid !== null) return [invalid];
    this.remember(nowNs);
    const strained = this.reader.checkEffort(this.bounds);
    return strained === null ? [] : [strained];
  }

  /** A receiver that is told ahead is where it should be by now where it is what it was told a lead ago. */
  checkTracking(): GuardReason | null {
    const limit = this.config.guard.trackingError;
    const expected = this.past[0]?.position ?? this.state.position;
    for (const [i, { name }] of this.bounds.entries()) {
      const [commanded, measured] = [expected[i]!, this.reader.position[i]!];
      if (Math.abs(commanded - measured) > limit)
        return reason(
          'trackingError',
          `Joint ${name} is at ${measured.toFixed(3)}, commanded ${commanded.toFixed(3)}: more than ${limit} apart.`,
        );
    }
    return null;
  }

  seed(nowNs: bigint): void {
    this.state.seed(this.reader.position);
    this.past.length = 0;
    this.restartTarget(nowNs);
  }

  checkTarget(target: Target): GuardReason | null {
    if (target.kind !== 'joint')
      return reason(
        'targetInvalid',
        `The target is a ${target.kind}, a joint position was expected.`,
      );
    const { position } = target;
    if (position.length !== this.names.length)
      return reason(
        'targetInvalid',
        `The target has ${position.length} joints, ${this.names.length} were expected.`,
      );
    for (const [i, name] of this.names.entries())
      if (!Number.isFinite(position[i]))
        return reason('targetInvalid', `The target of joint ${name} is ${position[i]!}.`);
    return null;
  }

  towards(target: Target, shares: SpeedShares, nowNs: bigint, dt: number): readonly GuardReason[] {
    const raw = (target as Extract<Target, { kind: 'joint' }>).position;
    if (dt <= 0) return this.isOn(raw) ? [] : [lagReason(this.lagOf(raw, dt), shares, dt)];
    const reasons: GuardReason[] = [];
    const wanted = this.clampStep(this.clampToLimits(raw, reasons), nowNs, reasons);
    this.setTargetVelocity(wanted, dt);
    reasons.push(
      ...this.path.plan(wanted, this.targetVelocity, shares.scale * shares.ramp, dt, this.step),
    );
    const lag = this.lagOf(wanted, dt);
    this.move(wanted, dt, reasons);
    if (!explains(reasons) && !this.isOn(wanted)) reasons.push(lagReason(lag, shares, dt));
    return reasons;
  }

  toRest(nowNs: bigint, dt: number): readonly GuardReason[] {
    const reasons: GuardReason[] = [];
    if (dt > 0) {
      reasons.push(...this.path.planRest(dt, this.step));
      this.move(null, dt, reasons);
    }
    this.restartTarget(nowNs);
    return reasons;
  }

  brake(nowNs: bigint, dt: number): void {
    if (dt > 0) {
      this.state.braking(dt, this.step);
      this.state.apply(this.step, null, dt);
    }
    this.restartTarget(nowNs);
  }

  follow(nowNs: bigint, seconds: number): void {
    const steps = Math.min(Math.ceil(seconds / FOLLOWING_STEP), LONGEST_FOLLOWING);
    for (let i = 0; i < steps && !this.isAtRest; i++) {
      this.state.braking(FOLLOWING_STEP, this.step);
      this.state.apply(this.step, null, FOLLOWING_STEP);
    }
    this.restartTarget(nowNs);
  }

  motion(): Motion {
    return {
      kind: 'joint',
      names: this.names,
      position: Object.freeze([...this.state.position]),
      velocity: Object.freeze([...this.state.velocity]),
    };
  }

  describe(): string {
    const { tableHeight, linkClearance } = this.config.guard;
    const clearances =
      this.capsules === null
        ? 'Distances to the table and between links are not guarded.'
        : `Links keep ${linkClearance} m from each other${tableHeight === undefined ? ' (no table is configured)' : ` and from the table at z = ${tableHeight} m`}.`;
    const uncovered = this.capsules?.uncovered ?? [];
    return [
      `Joint guard for ${this.names.join(', ')}: every command is finite and within the joints' limits of position (a braking path always exists), velocity and acceleration; within their jerk limits except when stopping.`,
      'Directions are kept where no limit forbids it. The tool stays in the workspace and slows down near singularities.',
      clearances,
      ...(uncovered.length > 0
        ? [`Without known shape, so not guarded: ${uncovered.join(', ')}.`]
        : []),
      'That the arm follows the commands, and what it touches beyond table and itself, is checked by tracking error and effort only.',
    ].join(' ');
  }

  private remember(nowNs: bigint): void {
    if (nowNs < (this.past.at(-1)?.untilNs ?? nowNs)) this.past.length = 0;
    this.past.push({ untilNs: nowNs, position: [...this.state.position] });
    // The first is the newest that is a lead old; what is older has been played.
    while (this.past.length > 1 && this.past[1]!.untilNs <= nowNs - this.leadNs) this.past.shift();
  }

  /** Motion begins anew where the arm is commanded to be: targets are measured from here. */
  private restartTarget(nowNs: bigint): void {
    this.lastTarget = [...this.state.position];
    const pose = forward(this.arm, this.lastTarget);
    this.window.restart({ position: this.lastTarget, pose }, nowNs);
  }

  private clampToLimits(raw: readonly number[], reasons: GuardReason[]): readonly number[] {
    return raw.map((value, i) => {
      const { name, lower, upper } = this.bounds[i]!;
      const clamped = Math.min(Math.max(value, lower), upper);
      if (clamped !== value && reasons.length === 0)
        reasons.push(
          reason(
            'positionLimit',
            `The target of joint ${name} is ${value.toPrecision(4)}, its limits are ${lower} … ${upper}.`,
          ),
        );
      return clamped;
    });
  }

  /** Shortened along the line in joint space until the tool is within one policy step. */
  private clampStep(
    wanted: readonly number[],
    nowNs: bigint,
    reasons: GuardReason[],
  ): readonly number[] {
    const { anchor, steps } = this.window.open(nowNs);
    const from = anchor.pose;
    const to = forward(this.arm, wanted);
    let [clamped, pose] = [wanted, to];
    let share = allowedShare(from, to, this.config, steps);
    if (share < 1) {
      reasons.push(stepReason(from, to, this.config));
      // The tool's path is curved: the share is corrected until it fits, and then halved where that does not end.
      for (let i = 0, excess = share; excess < 1 && i < 12; i++) {
        if (i > 0) share *= i < 6 ? excess * 0.999 : excess / 2;
        clamped = wanted.map((value, joint) => {
          const start = anchor.position[joint]!;
          return start + share * (value - start);
        });
        pose = forward(this.arm, clamped);
        excess = allowedShare(from, pose, this.config, steps);
      }
    }
    this.window.close({ position: clamped, pose }, nowNs);
    return clamped;
  }

  private setTargetVelocity(wanted: readonly number[], dt: number): void {
    for (const [i, { velocity }] of this.bounds.entries()) {
      const speed = (wanted[i]! - this.lastTarget[i]!) / dt;
      // Faster than the joint can be is a jump, not a motion.
      this.targetVelocity[i] = Math.abs(speed) <= velocity ? speed : 0;
    }
    this.lastTarget = wanted;
  }

  private move(wanted: readonly number[] | null, dt: number, reasons: GuardReason[]): void {
    const hard = this.state.apply(this.step, wanted, dt);
    if (hard < 0) return;
    const { name, jerk } = this.bounds[hard]!;
    reasons.push(
      reason('hardStop', `Joint ${name} brakes beyond its jerk limit of ${jerk} rad/s³.`),
    );
  }

  private isOn(wanted: readonly number[]): boolean {
    return wanted.every((value, i) => Math.abs(value - this.state.position[i]!) <= ON_TARGET);
  }

  /** Of the joint that has furthest to go for its speed; before the step is applied. */
  private lagOf(wanted: readonly number[], dt: number): Lag {
    let worst = 0;
    let most = -1;
    for (const [i, { velocity }] of this.bounds.entries()) {
      const needs = Math.abs(wanted[i]! - this.state.position[i]!) / velocity;
      if (needs > most) [worst, most] = [i, needs];
    }
    const limits = this.bounds[worst]!;
    const velocity = (wanted[worst]! - this.state.position[worst]!) / dt;
    return {
      what: `Joint ${limits.name}`,
      unit: 'rad',
      velocity: Math.abs(velocity),
      acceleration: Math.abs(velocity - this.state.velocity[worst]!) / dt,
      limits,
    };
  }
}

/** s from a command to the time at which the arm is to be where it says; 0 where it is to be there at once. */
export function leadOf({ command, control }: Config): number {
  return command?.type === 'jointTrajectory' || command?.type === 'followJointTrajectory'
    ? command.leadPeriods / control.rateHz
    : 0;
}

/** Limits of the configuration and of the description, the more cautious of each. Order of the arm's joints. */
function jointBounds(config: Config, arm: Arm): readonly JointBounds[] {
  const configured = config.joints?.limits ?? {};
  const where = 'joints.limits';
  for (const name of Object.keys(configured))
    if (!arm.jointNames.includes(name))
      throw new ConfigError(`${where}.${name}`, name, `a joint of ${arm.jointNames.join(', ')}`);
  return arm.jointNames.map((name, i) => {
    const limits = configured[name];
    if (limits === undefined)
      throw new ConfigError(`${where}.${name}`, 'nothing', 'limits for every joint of the arm');
    const lower = Math.max(limits.lower, arm.lower[i]!);
    const upper = Math.min(limits.upper, arm.upper[i]!);
    if (!(lower < upper))
      throw new ConfigError(
        `${where}.${name}`,
        `${limits.lower} … ${limits.upper}`,
        `a range that meets the description's ${arm.lower[i]!} … ${arm.upper[i]!}`,
      );
    return {
      name,
      lower,
      upper,
      velocity: Math.min(limits.velocity, arm.velocity[i]!),
      acceleration: limits.acceleration,
      jerk: limits.jerk,
      effort: Math.min(limits.effort ?? Infinity, arm.effort[i]!),
    };
  });
}
