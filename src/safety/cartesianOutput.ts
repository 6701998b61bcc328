/**
 * Guarding a tool pose or twist where joints are not commanded: norms of velocity, acceleration and jerk, the workspace
 * box, and, where an arm model and joint readings are there, singularities. The commanded pose is the integral of the
 * commanded twist.
 *
 * Targets are in the frame the arm is measured in. Who is sent poses is held to them by its own controller; who is sent
 * twists is not, so a twist takes the arm from where it is measured, and the integral only tells whether it follows.
 */
import { type Arm } from '../arm/kinematics.js';
import type { Config } from '../config.js';
import * as quaternion from '../math/quaternion.js';
import * as vec3 from '../math/vec3.js';
import * as poses from '../math/pose.js';
import type { ArmTarget, Pose, Vec3 } from '../types.js';
import {
  explains,
  type Lag,
  lagReason,
  type Motion,
  ON_TARGET,
  type Output,
  type SpeedShares,
} from './output.js';
import {
  checkEndEffector,
  checkFreshness,
  type EffortLimit,
  JointReader,
  type Measurement,
  poseProblem,
} from './readings.js';
import { type GuardReason, reason } from './reasons.js';
import { SingularityWatch } from './singularity.js';
import { allowedShare, stepReason, StepWindow } from './stepClamp.js';
import { boxMargins, FACES, faceName } from './surroundings.js';
import { VectorMotion } from './vectorMotion.js';

type Target = Exclude<ArmTarget, { kind: 'rest' }>;

/** Halvings between the braking step and the wanted one. */
const HALVINGS = 12;
/** s at rest after which a twist guard takes the measured pose for the commanded one: the integral drifts. */
const SETTLE = 0.5;

export class CartesianOutput implements Output {
  private readonly config: Config;
  private readonly frameId: string;
  private readonly reader: JointReader | null;
  private readonly efforts: readonly EffortLimit[];
  private readonly singularity: SingularityWatch | null;
  private readonly linear: VectorMotion;
  private readonly angular: VectorMotion;
  private readonly window: StepWindow<Pose>;
  private readonly marginsNow = new Float64Array(FACES);
  private readonly marginsStop = new Float64Array(FACES);
  private commanded: Pose = poses.identity;
  private measured: Pose = poses.identity;
  private lastTarget: Pose = poses.identity;
  private restingFor = 0;

  /** `arm` is null for a robot whose joints are not reported. */
  constructor(config: Config, arm: Arm | null) {
    const { guard } = config;
    this.config = config;
    this.frameId = config.endEffector?.frameId ?? config.baseFrame;
    this.reader = arm && new JointReader(arm.jointNames);
    this.efforts = (arm?.jointNames ?? []).map((name, i) => ({
      name,
      effort: Math.min(config.joints?.limits[name]?.effort ?? Infinity, arm!.effort[i]!),
    }));
    this.singularity = arm && new SingularityWatch(arm, guard.singularity);
    this.linear = new VectorMotion({
      velocity: guard.linearVelocity,
      acceleration: guard.linearAcceleration,
      jerk: guard.linearJerk,
    });
    this.angular = new VectorMotion({
      velocity: guard.angularVelocity,
      acceleration: guard.angularAcceleration,
      jerk: guard.angularJerk,
    });
    this.window = new StepWindow(config);
  }

  get isAtRest(): boolean {
    return vec3.norm(this.linear.velocity) === 0 && vec3.norm(this.angular.velocity) === 0;
  }

  measure(reported: Measurement, nowNs: bigint): readonly GuardReason[] {
    const { endEffector, endEffectorReceivedNs, joints, jointsReceivedNs, stampNs } = reported;
    const { guard } = this.config;
    const stale = checkFreshness(
      'end-effector reading',
      endEffector,
      endEffectorReceivedNs,
      nowNs,
      stampNs,
      guard,
    );
    if (stale !== null || endEffector === null) return stale === null ? [] : [stale];
    const invalid = checkEndEffector(endEffector, this.frameId);
    if (invalid !== null) return [invalid];
    this.measured = normalised(endEffector.pose);
    if (this.reader === null) return [];
    const staleJoints = checkFreshness(
      'joint reading',
      joints,
      jointsReceivedNs,
      nowNs,
      stampNs,
      guard,
    );
    if (staleJoints !== null || joints === null) return staleJoints === null ? [] : [staleJoints];
    const unusable = this.reader.read(joints) ?? this.reader.checkEffort(this.efforts);
    return unusable === null ? [] : [unusable];
  }

  checkTracking(): GuardReason | null {
    const distance = vec3.distance(this.commanded.translation, this.measured.translation);
    const { trackingError, trackingErrorRotation } = this.config.guard;
    if (!(distance <= trackingError))
      return reason(
        'trackingError',
        `The tool is ${distance.toFixed(3)} m from where it was commanded to be, ${trackingError} m is allowed.`,
      );
    const angle = quaternion.angleBetween(this.commanded.rotation, this.measured.rotation);
    if (angle <= trackingErrorRotation) return null;
    return reason(
      'trackingError',
      `The tool is turned by ${angle.toFixed(3)} rad from where it was commanded to be, ${trackingErrorRotation} rad is allowed.`,
    );
  }

  seed(nowNs: bigint): void {
    this.commanded = this.measured;
    this.linear.seed();
    this.angular.seed();
    this.restartTarget(nowNs);
  }

  checkTarget(target: Target): GuardReason | null {
    if (target.kind !== 'pose')
      return reason(
        'targetInvalid',
        `The target is a ${target.kind} position, a pose was expected.`,
      );
    const problem = poseProblem(target.pose, target.frameId, this.frameId);
    return problem === null ? null : reason('targetInvalid', `The target pose ${problem}.`);
  }

  towards(target: Target, shares: SpeedShares, nowNs: bigint, dt: number): readonly GuardReason[] {
    const raw = normalised((target as Extract<Target, { kind: 'pose' }>).pose);
    if (dt <= 0) {
      const here = this.inCommandedFrame(raw);
      return this.isOn(here) ? [] : [lagReason(this.lagOf(here, dt), shares, dt)];
    }
    const reasons: GuardReason[] = [];
    const clamped = this.clampStep(this.clampToBox(raw, reasons), nowNs, reasons);
    const [linearTarget, angularTarget] = this.velocitiesOf(clamped, dt);
    const wanted = this.inCommandedFrame(clamped);
    const [linearError, angularError] = difference(this.commanded, wanted);
    let share = shares.scale * shares.ramp;
    const propose = (): readonly [Vec3, Vec3] => [
      this.linear.towards(linearError, linearTarget, share, dt),
      this.angular.towards(angularError, angularTarget, share, dt),
    ];
    let [linear, angular] = propose();
    const slow = this.singularity?.slowDown(this.reader!.position, linear, angular, dt) ?? null;
    if (slow !== null) {
      share *= slow.share;
      reasons.push(slow.reason);
      [linear, angular] = propose();
    }
    const lag = this.lagOf(wanted, dt);
    this.move(this.keepInBox(linear, dt, reasons), angular, wanted, dt, reasons);
    if (!explains(reasons) && !this.isOn(wanted)) reasons.push(lagReason(lag, shares, dt));
    this.restingFor = 0;
    return reasons;
  }

  toRest(nowNs: bigint, dt: number): readonly GuardReason[] {
    const reasons: GuardReason[] = [];
    if (dt > 0) {
      const linear = this.keepInBox(this.linear.toRest(dt), dt, reasons);
      this.move(linear, this.angular.toRest(dt), null, dt, reasons);
    }
    this.settle(nowNs, dt);
    return reasons;
  }

  brake(nowNs: bigint, dt: number): void {
    if (dt > 0) this.move(this.linear.braking(dt), this.angular.braking(dt), null, dt, []);
    this.settle(nowNs, dt);
  }

  motion(): Motion {
    const linear = Object.freeze([...this.linear.velocity] as const);
    const angular = Object.freeze([...this.angular.velocity] as const);
    const { frameId } = this;
    if (this.config.output === 'twist') return { kind: 'twist', frameId, linear, angular };
    const { translation, rotation } = this.commanded;
    const pose = Object.freeze({
      translation: Object.freeze([...translation] as const),
      rotation: Object.freeze([...rotation] as const),
    });
    return { kind: 'pose', frameId, pose, linear, angular };
  }

  describe(): string {
    return [
      `Cartesian guard for ${this.config.output} commands in ${this.frameId}: every command is finite; the tool's linear and angular velocity and acceleration stay within their limits, jerk except when stopping, and the commanded path stays in the workspace box with room to brake.`,
      this.config.output === 'twist'
        ? 'The path is the integral of the twists since the arm last rested; a halt ends in twist 0. What the arm does when commands stop coming is its controller’s.'
        : 'A pose is the last one moved on by a guarded twist; a halt ends in holding a pose.',
      this.singularity === null
        ? 'NOT guarded, left to the robot’s controller: joint limits, singularities, distances to the table and between links, effort.'
        : 'Near singularities (by the reported joints) it slows down, and it halts where a joint reports more effort than its limit. NOT guarded, left to the robot’s controller: joint limits, distances to the table and between links.',
      'That the arm follows is checked by the tracking error of the tool, in position and rotation.',
    ].join(' ');
  }

  private restartTarget(nowNs: bigint): void {
    const from = this.config.output === 'twist' ? this.measured : this.commanded;
    this.lastTarget = from;
    this.window.restart(from, nowNs);
  }

  /** For a twist: as far from the commanded pose as the target is from the measured one, in translation and rotation. */
  private inCommandedFrame(target: Pose): Pose {
    if (this.config.output !== 'twist') return target;
    const [translation, rotation] = difference(this.measured, target);
    const turn = quaternion.fromRotationVector(rotation);
    return {
      translation: vec3.add(this.commanded.translation, translation),
      rotation: quaternion.normalise(quaternion.multiply(turn, this.commanded.rotation)),
    };
  }

  /** No target is followed. A twist guard at rest forgets what its integral has drifted: the output stays 0. */
  private settle(nowNs: bigint, dt: number): void {
    this.restingFor = this.isAtRest ? this.restingFor + dt : 0;
    if (this.config.output === 'twist' && this.restingFor > SETTLE && this.checkTracking() === null)
      this.commanded = this.measured;
    this.restartTarget(nowNs);
  }

  private clampToBox(raw: Pose, reasons: GuardReason[]): Pose {
    const { min, max } = this.config.guard.workspace;
    const translation = raw.translation.map((value, axis) =>
      Math.min(Math.max(value, min[axis]!), max[axis]!),
    ) as unknown as Vec3;
    const outside = vec3.distance(translation, raw.translation);
    if (outside === 0) return raw;
    reasons.push(
      reason(
        'workspace',
        `The target is ${outside.toFixed(3)} m outside the workspace, at [${raw.translation.map((value) => value.toFixed(3)).join(', ')}] m.`,
      ),
    );
    return { translation, rotation: raw.rotation };
  }

  private clampStep(wanted: Pose, nowNs: bigint, reasons: GuardReason[]): Pose {
    const { anchor, steps } = this.window.open(nowNs);
    const share = allowedShare(anchor, wanted, this.config, steps);
    let clamped = wanted;
    if (share < 1) {
      reasons.push(stepReason(anchor, wanted, this.config));
      clamped = poses.interpolate(anchor, wanted, share);
    }
    this.window.close(clamped, nowNs);
    return clamped;
  }

  /** Linear and angular velocity of the target since the last tick; 0 where that was a jump. */
  private velocitiesOf(wanted: Pose, dt: number): readonly [Vec3, Vec3] {
    const from = this.lastTarget;
    this.lastTarget = wanted;
    const [linear, angular] = difference(from, wanted).map((v) => vec3.scale(v, 1 / dt)) as [
      Vec3,
      Vec3,
    ];
    return [
      vec3.norm(linear) <= this.linear.limits.velocity ? linear : vec3.zero,
      vec3.norm(angular) <= this.angular.limits.velocity ? angular : vec3.zero,
    ];
  }

  /** The nearest velocity to `wanted`, on the way to braking, that can still stop inside the box. */
  private keepInBox(wanted: Vec3, dt: number, reasons: GuardReason[]): Vec3 {
    const blocked = this.blockedFace(wanted, dt);
    if (blocked < 0) return wanted;
    if (!explains(reasons))
      reasons.push(
        reason(
          'workspace',
          `The tool must brake before the workspace's ${faceName(blocked)} face.`,
        ),
      );
    const brake = this.linear.braking(dt);
    const speed = vec3.norm(this.linear.velocity);
    // What is jerked to stop at one face may not gain speed along another.
    const isAllowed = (velocity: Vec3): boolean =>
      this.blockedFace(velocity, dt) < 0 &&
      (vec3.norm(velocity) <= speed || !this.linear.exceedsJerk(velocity, dt));
    let clear = 0;
    for (let half = 0.5, i = 0; i < HALVINGS; i++, half /= 2)
      if (isAllowed(vec3.lerp(brake, wanted, clear + half))) clear += half;
    return vec3.lerp(brake, wanted, clear);
  }

  /**
   * A face that this step and braking after it would cross, or −1. From outside a face, what leads further out. A twist
   * is held to it both from where it was commanded to be and from where the arm is.
   */
  private blockedFace(velocity: Vec3, dt: number): number {
    const speed = vec3.norm(velocity);
    const time = dt + speed / (2 * this.linear.limits.acceleration);
    const starts =
      this.config.output === 'twist' ? [this.commanded, this.measured] : [this.commanded];
    const { workspace } = this.config.guard;
    for (const { translation } of starts) {
      boxMargins(translation, workspace, this.marginsNow);
      boxMargins(vec3.addScaled(translation, velocity, time), workspace, this.marginsStop);
      for (let face = 0; face < FACES; face++)
        if (this.marginsStop[face]! < Math.min(0, this.marginsNow[face]!)) return face;
    }
    return -1;
  }

  private move(
    linear: Vec3,
    angular: Vec3,
    wanted: Pose | null,
    dt: number,
    reasons: GuardReason[],
  ): void {
    const isHard = this.linear.apply(linear, dt);
    const turnsHard = this.angular.apply(angular, dt);
    const turn = quaternion.fromRotationVector(vec3.scale(angular, dt));
    this.commanded = {
      translation: vec3.addScaled(this.commanded.translation, linear, dt),
      rotation: quaternion.normalise(quaternion.multiply(turn, this.commanded.rotation)),
    };
    if (wanted !== null) this.commanded = snapped(this.commanded, wanted);
    if (!isHard && !turnsHard) return;
    const { linearJerk, angularJerk } = this.config.guard;
    reasons.push(
      reason(
        'hardStop',
        isHard
          ? `The tool brakes beyond its jerk limit of ${linearJerk} m/s³.`
          : `The tool's turning brakes beyond its jerk limit of ${angularJerk} rad/s³.`,
      ),
    );
  }

  private isOn(wanted: Pose): boolean {
    const [linear, angular] = difference(this.commanded, wanted);
    return vec3.norm(linear) <= ON_TARGET && vec3.norm(angular) <= ON_TARGET;
  }

  /** Of position or rotation, whichever has further to go for its speed; before the step is applied. */
  private lagOf(wanted: Pose, dt: number): Lag {
    const [linear, angular] = difference(this.commanded, wanted);
    const turns =
      vec3.norm(angular) / this.angular.limits.velocity >
      vec3.norm(linear) / this.linear.limits.velocity;
    const [error, { limits, velocity }] = turns ? [angular, this.angular] : [linear, this.linear];
    const needed = vec3.scale(error, 1 / dt);
    return {
      what: turns ? "The tool's rotation" : 'The tool',
      unit: turns ? 'rad' : 'm',
      velocity: vec3.norm(needed),
      acceleration: vec3.distance(needed, velocity) / dt,
      limits,
    };
  }
}

/** Translation and rotation vector, in the base frame, that take `from` to `to`. */
function difference(from: Pose, to: Pose): readonly [Vec3, Vec3] {
  return [
    vec3.sub(to.translation, from.translation),
    quaternion.toRotationVector(
      quaternion.multiply(to.rotation, quaternion.conjugate(from.rotation)),
    ),
  ];
}

/** What is within rounding of the target is the target. */
function snapped(commanded: Pose, wanted: Pose): Pose {
  const [linear, angular] = difference(commanded, wanted);
  const rounding = 16 * Number.EPSILON * (1 + vec3.norm(wanted.translation));
  return {
    translation: vec3.norm(linear) <= rounding ? wanted.translation : commanded.translation,
    rotation: vec3.norm(angular) <= rounding ? wanted.rotation : commanded.rotation,
  };
}

function normalised({ translation, rotation }: Pose): Pose {
  return { translation, rotation: quaternion.normalise(rotation) };
}
