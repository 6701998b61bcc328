/**
 * Inverse kinematics by damped least squares, warm-started from the joints now: made for following a target that moves
 * a little at each control tick. Pure and deterministic; nothing is random, nothing restarts.
 *
 * It knows joint limits of position only. Speed, acceleration and collisions are the guard's.
 */
import { factorCholesky, gram, solveFactored } from '../math/matrix.js';
import * as pose from '../math/pose.js';
import * as quaternion from '../math/quaternion.js';
import * as vec3 from '../math/vec3.js';
import type { Pose, Vec3 } from '../types.js';
import { type Arm, jacobianFromLinkPoses, linkPoses } from './kinematics.js';

export type TaskWeights = readonly [number, number, number, number, number, number];

export interface IkOptions {
  readonly maxIterations?: number;
  /** λ² that is always there; grows with the error. More is calmer near singularities and slower to converge. */
  readonly damping?: number;
  /**
   * What an error counts, 0 … 1: translation x, y, z (per m), then rotation x, y, z (per rad), along the axes of the
   * *target* frame. A 5-axis arm gives up the rotation it lacks by a small weight or 0.
   */
  readonly taskWeights?: TaskWeights;
  /** Done where the weighted error (m and rad as one vector) is no longer than this. */
  readonly tolerance?: number;
  /** Largest change of any joint per iteration, rad or m: the whole step is scaled. */
  readonly maxJointStep?: number;
}

export interface IkResult {
  /** Within the joint limits. The closest that was seen: never further from the target than the start. */
  readonly position: number[];
  /** m and rad, unweighted, at `position`. Infinity where target or q0 is not finite. */
  readonly translationError: number;
  readonly rotationError: number;
  /** Both as one vector, each axis by its weight. */
  readonly weightedError: number;
  readonly iterations: number;
}

const DEFAULTS: Required<IkOptions> = {
  maxIterations: 50,
  damping: 1e-5,
  taskWeights: [1, 1, 1, 1, 1, 1],
  tolerance: 1e-5,
  maxJointStep: 0.3,
};

/**
 * Share of the way to mid-range that a redundant arm is pulled per iteration, in the motion the task leaves free, and
 * the error below which the pull fades: damping lets a little of the pull into the task, which must not hold the last
 * micrometres back.
 */
const MID_RANGE_GAIN = 0.02;
const FULL_PULL_ERROR = 0.02;

/**
 * Joint position whose tip is nearest `target` (baseFromTip), starting from `q0`.
 *
 * Step: Δq = z + JᵀW (W J JᵀW + (damping + ½‖We‖²) I)⁻¹ W (e − J z), where z pulls a redundant arm to mid-range
 * (Liégeois 1977) and the damping falls with the squared error (Sugihara, "Solvability-unconcerned inverse kinematics
 * by the Levenberg–Marquardt method", IEEE T-RO 2011). A joint that would leave its limits is put on the limit and the
 * step is solved again without it, so that the others make up for it.
 *
 * A target that is not finite gives q0 back. `position` is finite wherever q0 is.
 */
export function solveIk(
  arm: Arm,
  q0: readonly number[],
  target: Pose,
  options: IkOptions = {},
): IkResult {
  const settings = { ...DEFAULTS, ...options };
  if (!pose.isFinite(target) || !q0.every(Number.isFinite))
    return {
      position: [...q0],
      translationError: Infinity,
      rotationError: Infinity,
      weightedError: Infinity,
      iterations: 0,
    };
  const goal = { ...target, rotation: quaternion.normalise(target.rotation) };
  const work = new Workspace(arm);
  const q = Float64Array.from(q0, (value, i) => clamp(value, arm.lower[i]!, arm.upper[i]!));

  let error = linearise(arm, q, goal, settings.taskWeights, work);
  let [best, bestError] = [[...q], error];
  let iterations = 0;
  while (error.weighted > settings.tolerance && iterations < settings.maxIterations) {
    iterations++;
    if (!step(arm, q, error.weighted, settings, work)) break;
    error = linearise(arm, q, goal, settings.taskWeights, work);
    if (error.weighted < bestError.weighted) [best, bestError] = [[...q], error];
  }
  return {
    position: best,
    translationError: bestError.translation,
    rotationError: bestError.rotation,
    weightedError: bestError.weighted,
    iterations,
  };
}

/** Buffers of one solve, shared by its iterations. */
class Workspace {
  /** W · J in the target frame, 6 × n. */
  readonly jacobian: Float64Array;
  /** The same with the columns of frozen joints at 0. */
  readonly free: Float64Array;
  /** W · e in the target frame. */
  readonly error = new Float64Array(6);
  readonly normal = new Float64Array(36);
  readonly right = new Float64Array(6);
  readonly change: Float64Array;
  readonly pull: Float64Array;
  readonly frozen: Uint8Array;
  constructor(arm: Arm) {
    const n = arm.joints.length;
    this.jacobian = new Float64Array(6 * n);
    this.free = new Float64Array(6 * n);
    this.change = new Float64Array(n);
    this.pull = new Float64Array(n);
    this.frozen = new Uint8Array(n);
  }
}

interface PoseError {
  readonly translation: number;
  readonly rotation: number;
  /** ‖W e‖. */
  readonly weighted: number;
}

/** Error and Jacobian at `q`, turned into the target frame and weighted, into `work`. */
function linearise(
  arm: Arm,
  q: Float64Array,
  goal: Pose,
  weights: TaskWeights,
  work: Workspace,
): PoseError {
  const n = arm.joints.length;
  const { jacobian } = work;
  const tip = jacobianFromLinkPoses(arm, linkPoses(arm, q), jacobian);
  const targetFromBase = quaternion.conjugate(goal.rotation);
  const translation = quaternion.rotate(
    targetFromBase,
    vec3.sub(goal.translation, tip.translation),
  );
  // The rotation that is left, as seen from the base, is R_goal · R_tipᵀ; its vector in the target frame is this.
  const rotation = quaternion.toRotationVector(
    quaternion.multiply(quaternion.conjugate(tip.rotation), goal.rotation),
  );
  for (let row = 0; row < 3; row++) {
    work.error[row] = weights[row]! * translation[row]!;
    work.error[row + 3] = weights[row + 3]! * rotation[row]!;
  }
  for (let col = 0; col < n; col++) {
    for (const first of [0, 3]) {
      const inBase: Vec3 = [
        jacobian[first * n + col]!,
        jacobian[(first + 1) * n + col]!,
        jacobian[(first + 2) * n + col]!,
      ];
      const inTarget = quaternion.rotate(targetFromBase, inBase);
      for (let row = 0; row < 3; row++)
        jacobian[(first + row) * n + col] = weights[first + row]! * inTarget[row]!;
    }
  }
  return {
    translation: vec3.norm(translation),
    rotation: vec3.norm(rotation),
    weighted: Math.hypot(...work.error),
  };
}

/** Moves `q` by one iteration. @returns false where there is nothing left to move. */
function step(
  arm: Arm,
  q: Float64Array,
  error: number,
  settings: Required<IkOptions>,
  work: Workspace,
): boolean {
  const n = arm.joints.length;
  const { change, frozen } = work;
  const damping = settings.damping + error ** 2 / 2;
  frozen.fill(0);
  const gain = MID_RANGE_GAIN * Math.min(1, error / FULL_PULL_ERROR);
  pullToMidRange(arm, q, gain, settings.taskWeights, work);
  // Each pass freezes at least one joint or is the last.
  for (let pass = 0; pass < n; pass++) {
    if (!solveFree(n, damping, work)) return false;
    let largest = 0;
    for (let i = 0; i < n; i++) largest = Math.max(largest, Math.abs(change[i]!));
    const scale = largest > settings.maxJointStep ? settings.maxJointStep / largest : 1;
    let froze = false;
    for (let i = 0; i < n; i++) {
      if (frozen[i]) continue;
      const next = q[i]! + scale * change[i]!;
      const limited = clamp(next, arm.lower[i]!, arm.upper[i]!);
      if (limited === next) continue;
      // A joint on the way to its limit takes the part that is left, below; one that is there takes no part.
      if (limited !== q[i]) continue;
      frozen[i] = 1;
      froze = true;
    }
    if (froze) continue;
    for (let i = 0; i < n; i++) {
      if (!frozen[i]) q[i] = clamp(q[i]! + scale * change[i]!, arm.lower[i]!, arm.upper[i]!);
    }
    return largest > 1e-12;
  }
  return false;
}

/** z: towards mid-range, for joints that have one, where the arm has more joints than the task has dimensions. */
function pullToMidRange(
  arm: Arm,
  q: Float64Array,
  gain: number,
  weights: TaskWeights,
  work: Workspace,
): void {
  const dimensions = weights.filter((weight) => weight !== 0).length;
  const redundant = arm.joints.length > dimensions;
  for (let i = 0; i < q.length; i++) {
    const middle = (arm.lower[i]! + arm.upper[i]!) / 2;
    work.pull[i] = redundant && Number.isFinite(middle) ? gain * (middle - q[i]!) : 0;
  }
}

/** change ← z + Jᵀ (J Jᵀ + damping I)⁻¹ (e − J z) over the joints that are not frozen; J and e are weighted. */
function solveFree(n: number, damping: number, work: Workspace): boolean {
  const { jacobian, free, error, normal, right, change, pull, frozen } = work;
  for (let row = 0; row < 6; row++) {
    let left = error[row]!;
    for (let i = 0; i < n; i++) {
      const value = frozen[i] ? 0 : jacobian[row * n + i]!;
      free[row * n + i] = value;
      left -= value * pull[i]!;
    }
    right[row] = left;
  }
  gram(free, 6, n, normal);
  for (let row = 0; row < 6; row++) normal[row * 7] = normal[row * 7]! + damping;
  if (!factorCholesky(normal, 6)) return false;
  solveFactored(normal, right, 6);
  for (let i = 0; i < n; i++) {
    let sum = frozen[i] ? 0 : pull[i]!;
    for (let row = 0; row < 6; row++) sum += free[row * n + i]! * right[row]!;
    change[i] = sum;
  }
  return true;
}

function clamp(value: number, lower: number, upper: number): number {
  return Math.min(upper, Math.max(lower, value));
}
