/**
 * Plays the newest accepted chunk: a target at every control tick, continuous in position and velocity across chunks.
 * Steady clock; stamps are read once, when a chunk is accepted.
 */
import type { Config } from '../config.js';
import * as quaternion from '../math/quaternion.js';
import * as vec3 from '../math/vec3.js';
import type {
  ActionChunk,
  ActionPrediction,
  ArmTarget,
  Observation,
  Pose,
  Reason,
  Verdict,
} from '../types.js';
import { isUsablePose, refuseAge, refuseChunk } from './accept.js';
import type { Instant } from './clock.js';
import { GripperSwitch } from './gripper.js';
import type { JointState, MotionState, PoseState } from './motion.js';
import { endNs, type MotionLimits, type Plan, planChunk, stateAt, stepAt } from './plan.js';

/** The arm as the guard last commanded it, carried on to now: what motion goes on from where the guard interfered. */
export interface Commanded {
  /** Null where no command and no measurement tells. */
  readonly pose: PoseState | null;
  readonly joints: JointState | null;
  /** Whether the guard passed the last target unchanged: then the plan itself is the exact state. */
  readonly passed: boolean;
}

/** What the guard's limits may still leave of a step when the next one is added to its goal, m and rad. */
const CATCH_UP = { translation: 0.01, rotation: 0.05 };

const NOTHING_YET = 'no action has been accepted yet';
const DONE = 'the last step is done and no newer action has come';

export class Player {
  readonly #config: Config;
  readonly #limits: MotionLimits;
  readonly #gripper: GripperSwitch;
  #plan: Plan | null = null;
  #prediction: ActionPrediction | null = null;
  #idleBecause = NOTHING_YET;
  /** When the last step of the newest chunk ends or ended; null after a stop. */
  #stepsEndNs: bigint | null = null;
  /** The target last given was the goal of the last step. */
  #onGoal = false;

  /** `jointNames`: the order of joint targets; empty for a robot without arm joints. */
  constructor(config: Config, jointNames: readonly string[]) {
    this.#config = config;
    this.#limits = motionLimits(config, jointNames);
    this.#gripper = new GripperSwitch(config.gripper?.hysteresis ?? 0);
  }

  /** The prediction being played; null at rest. */
  get prediction(): ActionPrediction | null {
    return this.#prediction;
  }

  /** 0 closed, 1 open: what was last sent. Null before the first, and from a halt on until the next. */
  get gripper(): number | null {
    return this.#gripper.current;
  }

  /** Switches to this prediction. Returns why not, where it cannot; what is being played then goes on. */
  play(
    prediction: ActionPrediction,
    observation: Observation,
    at: Instant,
    commanded: Commanded,
  ): Reason | null {
    const { chunk } = prediction;
    const ageNs = at.stampNs - prediction.observationStampNs;
    const refused =
      refuseChunk(chunk, this.#config, this.#limits.joints.length) ??
      refuseAge(chunk, ageNs, this.#config.guard);
    if (refused) return refused;
    const start = this.#startOf(chunk, at.nowNs, commanded);
    const reference = start && this.#referenceOf(chunk, observation, at.nowNs, commanded, start);
    if (!start || reference === undefined)
      return {
        code: 'unknownPose',
        message: `the pose of the arm in ${chunk.frameId}, which the action goes on from, is not known`,
      };
    this.#plan = planChunk({
      chunk,
      start: { atNs: at.nowNs, state: start },
      reference,
      nowNs: at.nowNs,
      ageNs,
      ending: this.#inTime(at.nowNs, chunk) ? 'flow' : 'rest',
      limits: this.#limits,
    });
    this.#stepsEndNs = this.#plan.steps.at(-1)!.endNs;
    this.#prediction = prediction;
    this.#idleBecause = DONE;
    this.#onGoal = false;
    return null;
  }

  /** Where the arm should be now. Not yet safe. */
  target(nowNs: bigint): ArmTarget {
    if (this.#plan && nowNs > endNs(this.#plan) + this.#prediction!.chunk.stepPeriodNs)
      this.#finish();
    if (!this.#plan) return { kind: 'rest', because: this.#idleBecause, gripper: null };
    this.#onGoal = nowNs >= endNs(this.#plan);
    const state = stateAt(this.#plan, nowNs);
    const gripper = this.#gripperAt(this.#plan, nowNs);
    if (state.kind === 'joint') return { kind: 'joint', position: state.position, gripper };
    return { kind: 'pose', pose: state.pose, frameId: this.#config.baseFrame, gripper };
  }

  /**
   * What became of the target. The last goal is held until the guard has let the arm get there, for one step period at
   * most; then the arm rests. A halt ends the action: only a new one moves the arm again, and tells the gripper anew.
   */
  confirm(verdict: Verdict): void {
    if (verdict.outcome === 'halt') this.#gripper.forget();
    this.#gripper.confirm(verdict.command.gripper);
    if (this.#onGoal && verdict.outcome === 'pass') this.#finish();
    if (this.#plan && verdict.outcome === 'halt')
      this.stop(`halted: ${verdict.reasons.map(({ message }) => withoutStop(message)).join('; ')}`);
  }

  /** What to say at rest: why nothing newer came, until something does. */
  explainRest(because: string): void {
    this.#idleBecause = because;
  }

  /** Drops what is being played; the guard brings the arm to rest. */
  stop(because: string): void {
    this.#finish();
    this.#stepsEndNs = null;
    this.#idleBecause = because;
  }

  /** Stops, and forgets what the gripper was told: a new episode. */
  reset(because: string): void {
    this.stop(because);
    this.#gripper.forget();
  }

  #finish(): void {
    this.#plan = null;
    this.#prediction = null;
    this.#onGoal = false;
  }

  #gripperAt(plan: Plan, nowNs: bigint): number | null {
    if (!this.#config.gripper) return null;
    this.#gripper.want(stepAt(plan, nowNs).gripper);
    return this.#gripper.pending;
  }

  /** The exact state of the plan where the guard let it pass, else the state the guard made of it. */
  #startOf(chunk: ActionChunk, nowNs: bigint, commanded: Commanded): MotionState | null {
    const kind = chunk.kind === 'jointPosition' ? 'joint' : 'pose';
    const planned = commanded.passed && this.#plan ? stateAt(this.#plan, nowNs) : null;
    if (planned?.kind === kind) return planned;
    if (kind === 'joint') return commanded.joints;
    return commanded.pose && isUsablePose(commanded.pose.pose) ? commanded.pose : null;
  }

  /**
   * What the first delta is added to; null where the chunk is absolute, undefined where it is unknown. `lastTarget` is the
   * goal of the step under way; where the guard holds the arm further back from it than CATCH_UP, or nothing is under way,
   * it is the commanded pose: targets that the guard does not let through must not pile up, and a step that a limit made a
   * tick late must not be cut off.
   */
  #referenceOf(
    chunk: ActionChunk,
    observation: Observation,
    nowNs: bigint,
    commanded: Commanded,
    start: MotionState,
  ): Pose | null | undefined {
    if (chunk.kind !== 'endEffectorDelta') return null;
    if (chunk.reference === 'observedPose') {
      const seen = observation.endEffector;
      return seen?.frameId === chunk.frameId && isUsablePose(seen.pose) ? seen.pose : undefined;
    }
    const goal = this.#plan && stepAt(this.#plan, nowNs).goal;
    const last = goal && (commanded.passed || isAlmostThere(start, goal)) ? goal : start;
    return last.kind === 'pose' ? last.pose : undefined;
  }

  /** Whether this chunk came before the one before it had run dry, give or take half a step. */
  #inTime(nowNs: bigint, chunk: ActionChunk): boolean {
    return this.#stepsEndNs !== null && nowNs <= this.#stepsEndNs + chunk.stepPeriodNs / 2n;
  }
}

function isAlmostThere(from: MotionState, goal: MotionState): boolean {
  if (from.kind !== 'pose' || goal.kind !== 'pose') return false;
  const [a, b] = [from.pose, goal.pose];
  return (
    vec3.distance(a.translation, b.translation) <= CATCH_UP.translation &&
    quaternion.angleBetween(a.rotation, b.rotation) <= CATCH_UP.rotation
  );
}

/** The guard's sentences end with a full stop; what is quoted in another sentence does not. */
function withoutStop(sentence: string): string {
  return sentence.replace(/\.$/, '');
}

function motionLimits(config: Config, jointNames: readonly string[]): MotionLimits {
  const { guard } = config;
  return {
    linear: { velocity: guard.linearVelocity, acceleration: guard.linearAcceleration },
    angular: { velocity: guard.angularVelocity, acceleration: guard.angularAcceleration },
    joints: jointNames.map((name) => config.joints!.limits[name]!),
  };
}
