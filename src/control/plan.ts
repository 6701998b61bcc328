/**
 * A chunk of actions → a plan: knots in time, joined by blends, from the state of motion now to rest after the last step.
 * Pure. Steady clock throughout; the chunk's age, from stamps, is turned into steady times here, once.
 */
import * as pose from '../math/pose.js';
import * as quaternion from '../math/quaternion.js';
import * as vec3 from '../math/vec3.js';
import type { ActionChunk, EndEffectorDelta, Pose, Vec3 } from '../types.js';
import { nsFromSeconds, secondsFromNs } from './clock.js';
import {
  blend,
  jointsAtRest,
  type MotionState,
  poseAtRest,
  type PoseState,
  rotationBetween,
} from './motion.js';

export interface Knot {
  readonly atNs: bigint;
  readonly state: MotionState;
}

/** One step as it will be played. */
export interface PlannedStep {
  readonly endNs: bigint;
  readonly goal: MotionState;
  readonly gripper: number;
}

export interface Plan {
  /** [0] is the start. Times increase. */
  readonly knots: readonly Knot[];
  /** Elapsed steps left out; at least one. */
  readonly steps: readonly PlannedStep[];
}

/** Speeds to pass a goal at, and how hard to brake behind the last one. m, rad, s. Joints in the arm's order. */
export interface MotionLimits {
  readonly linear: SpeedLimit;
  readonly angular: SpeedLimit;
  readonly joints: readonly SpeedLimit[];
}

export interface SpeedLimit {
  readonly velocity: number;
  readonly acceleration: number;
}

export interface PlanInput {
  readonly chunk: ActionChunk;
  readonly start: Knot;
  /** What the first delta is added to; not read for absolute chunks. */
  readonly reference: Pose | null;
  /** Steady clock now, ≥ start. */
  readonly nowNs: bigint;
  /** Stamp now − stamp of the observation. */
  readonly ageNs: bigint;
  /**
   * What the arm does at the end of the last step: `flow` passes it at the step's mean speed and, should nothing follow,
   * swings back to it; `rest` comes to rest on it.
   */
  readonly ending: 'flow' | 'rest';
  readonly limits: MotionLimits;
}

/** Steps whose time has passed; never the last one. */
export function elapsedSteps(chunk: ActionChunk, ageNs: bigint): number {
  const elapsed = ageNs > 0n ? Number(ageNs / chunk.stepPeriodNs) : 0;
  return Math.min(elapsed, chunk.steps.length - 1);
}

/** The chunk has at least one step, is finite, and is of the start's kind. */
export function planChunk(input: PlanInput): Plan {
  const { chunk, start, limits } = input;
  const steps = scheduleSteps(input);
  const last = steps.at(-1)!;
  const knots: Knot[] = [start];
  for (const step of steps) {
    const nearby = 2n * (step.endNs - knots.at(-1)!.atNs) < chunk.stepPeriodNs;
    if (nearby && step !== last) continue;
    knots.push({ atNs: step.endNs, state: step.goal });
  }
  const through = withThroughSpeeds(knots, input.ending, limits);
  const end = through.at(-1)!;
  const settle = settleNs(end.state, chunk.stepPeriodNs, limits);
  if (settle > 0n) through.push({ atNs: end.atNs + settle, state: last.goal });
  return { knots: through, steps };
}

/** When the arm is planned to be at rest on the last goal. */
export function endNs(plan: Plan): bigint {
  return plan.knots.at(-1)!.atNs;
}

/** The state of motion at `nowNs`: the start before it, at rest on the last goal after the end. */
export function stateAt(plan: Plan, nowNs: bigint): MotionState {
  const next = plan.knots.findIndex((knot) => knot.atNs > nowNs);
  if (next === -1) return plan.knots.at(-1)!.state;
  if (next === 0) return plan.knots[0]!.state;
  const [from, to] = [plan.knots[next - 1]!, plan.knots[next]!];
  return blend(
    from.state,
    to.state,
    secondsFromNs(to.atNs - from.atNs),
    secondsFromNs(nowNs - from.atNs),
  );
}

/** The step under way at `nowNs`; the last one once all have ended. */
export function stepAt(plan: Plan, nowNs: bigint): PlannedStep {
  return plan.steps.find((step) => step.endNs > nowNs) ?? plan.steps.at(-1)!;
}

/**
 * Step k ends at stamp + (k + 1) · period. The last step, where it is all that is left, spans one period from now,
 * however old its observation is: otherwise a policy slower than its period would never move the arm.
 */
function scheduleSteps({ chunk, reference, nowNs, ageNs }: PlanInput): PlannedStep[] {
  const first = elapsedSteps(chunk, ageNs);
  const onlyLast = first === chunk.steps.length - 1;
  const goals = stepGoals(chunk, reference, first);
  return goals.map((goal, i) => ({
    endNs: onlyLast
      ? nowNs + chunk.stepPeriodNs
      : nowNs - ageNs + BigInt(first + i + 1) * chunk.stepPeriodNs,
    goal,
    gripper: chunk.steps[first + i]!.gripper,
  }));
}

/** Goals of steps `first` … last, at rest. */
function stepGoals(chunk: ActionChunk, reference: Pose | null, first: number): MotionState[] {
  switch (chunk.kind) {
    case 'jointPosition':
      return chunk.steps.slice(first).map((step) => jointsAtRest(step.position));
    case 'endEffectorPose':
      return chunk.steps.slice(first).map((step) => poseAtRest(step.pose));
    case 'endEffectorDelta': {
      // From the observed pose, all deltas lead to a goal, the elapsed ones too. The last target is one the arm is on
      // its way to already: what has elapsed lies behind it.
      const from = chunk.reference === 'observedPose' ? 0 : first;
      let goal = reference!;
      const goals = chunk.steps.slice(from).map((delta) => {
        goal = applyDelta(goal, delta, chunk.composition);
        return poseAtRest(goal);
      });
      return goals.slice(first - from);
    }
  }
}

/** `base`: R' = δ·R, t' = t + δ. `tool`: T' = T·δ. */
export function applyDelta(
  from: Pose,
  delta: EndEffectorDelta,
  composition: 'base' | 'tool',
): Pose {
  const rotation = quaternion.fromRotationVector(delta.rotation);
  if (composition === 'tool')
    return pose.compose(from, { translation: delta.translation, rotation });
  return {
    translation: vec3.add(from.translation, delta.translation),
    rotation: quaternion.normalise(quaternion.multiply(rotation, from.rotation)),
  };
}

/**
 * Velocities at the knots after the first: between two blends the weighted harmonic mean of their mean speeds, 0 where a
 * component turns round, so that no component overshoots a goal on the way (Fritsch & Butland 1984).
 */
function withThroughSpeeds(
  knots: readonly Knot[],
  ending: PlanInput['ending'],
  limits: MotionLimits,
): Knot[] {
  const spans = knots.slice(1).map((knot, i) => meanSpeed(knots[i]!, knot));
  return knots.map((knot, i) => {
    if (i === 0) return knot;
    const [before, after] = [spans[i - 1]!, spans[i]];
    if (after) return { ...knot, state: moving(knot.state, harmonicMean(before, after), limits) };
    return ending === 'flow' ? { ...knot, state: moving(knot.state, before.speed, limits) } : knot;
  });
}

interface Span {
  readonly seconds: number;
  /** By component: x, y, z, then the rotation vector; or one per joint. */
  readonly speed: readonly number[];
}

function meanSpeed(from: Knot, to: Knot): Span {
  const seconds = secondsFromNs(to.atNs - from.atNs);
  return { seconds, speed: difference(from.state, to.state).map((way) => way / seconds) };
}

function difference(from: MotionState, to: MotionState): readonly number[] {
  if (from.kind === 'joint' && to.kind === 'joint')
    return to.position.map((position, i) => position - from.position[i]!);
  const [a, b] = [(from as PoseState).pose, (to as PoseState).pose];
  return [...vec3.sub(b.translation, a.translation), ...rotationBetween(a, b)];
}

function harmonicMean(before: Span, after: Span): readonly number[] {
  const [w1, w2] = [2 * after.seconds + before.seconds, after.seconds + 2 * before.seconds];
  return before.speed.map((a, i) => {
    const b = after.speed[i]!;
    return a * b > 0 ? (w1 + w2) / (w1 / a + w2 / b) : 0;
  });
}

/** The state with this speed, shortened to the limits. */
function moving(state: MotionState, speed: readonly number[], limits: MotionLimits): MotionState {
  if (state.kind === 'joint') {
    const velocity = speed.map((value, i) => {
      const limit = limits.joints[i]!.velocity;
      return Math.min(limit, Math.max(-limit, value));
    });
    return { ...state, velocity };
  }
  return {
    ...state,
    linear: vec3.clampNorm(speed.slice(0, 3) as unknown as Vec3, limits.linear.velocity),
    angular: vec3.clampNorm(speed.slice(3) as unknown as Vec3, limits.angular.velocity),
  };
}

/**
 * Time to come to rest on the very place that was passed at speed v: a blend of T seconds brakes with at most 4 v / T.
 * At least one step period; 0 for a state at rest.
 */
function settleNs(state: MotionState, stepPeriodNs: bigint, limits: MotionLimits): bigint {
  const needed =
    state.kind === 'joint'
      ? state.velocity.map((v, i) => (4 * Math.abs(v)) / limits.joints[i]!.acceleration)
      : [
          (4 * vec3.norm(state.linear)) / limits.linear.acceleration,
          (4 * vec3.norm(state.angular)) / limits.angular.acceleration,
        ];
  const longest = Math.max(...needed);
  if (longest === 0) return 0n;
  const ns = nsFromSeconds(longest);
  return ns > stepPeriodNs ? ns : stepPeriodNs;
}
