/** Seeded episodes of a Cartesian guard under ordinary and hostile input, watched by the independent checker. */
import * as quaternion from '../../src/math/quaternion.js';
import { type Random, seededRandom } from '../../src/math/random.js';
import { Guard, type GuardInput } from '../../src/safety/guard.js';
import type { Pose, Vec3, Verdict } from '../../src/types.js';
import { Clocks, troubleCartesian } from './hostility.js';
import { checkVerdict, SpeedShare, VectorChecker } from './invariants.js';
import { count, type FuzzResult, missing } from './jointFuzz.js';
import { cartesianConfig, cartesianInput } from './robots.js';

const BOX = { min: [-0.4, -0.3, 0], max: [0.5, 0.4, 0.6] } as const;

export function fuzzCartesian(
  seed: number,
  episodes: number,
  ticks: number,
  output: 'twist' | 'pose',
  result: FuzzResult,
): void {
  const random = seededRandom(seed);
  for (let episode = 0; episode < episodes && result.violations.length < 20; episode++)
    runEpisode(random.fork(), `${output} seed ${seed} episode ${episode}`, ticks, output, result);
}

function runEpisode(
  random: Random,
  where: string,
  ticks: number,
  output: 'twist' | 'pose',
  result: FuzzResult,
): void {
  const limits = (fast: number): { velocity: number; acceleration: number; jerk: number } => ({
    velocity: random.between(0.1, 1) * fast,
    acceleration: random.between(0.5, 5) * fast,
    jerk: random.between(5, 100) * fast,
  });
  const [linear, angular] = [limits(1), limits(2)];
  const guard = new Guard(
    cartesianConfig(output, {
      linearVelocity: linear.velocity,
      linearAcceleration: linear.acceleration,
      linearJerk: linear.jerk,
      angularVelocity: angular.velocity,
      angularAcceleration: angular.acceleration,
      angularJerk: angular.jerk,
      workspace: BOX,
      minConfidence: 0.5,
      unsure: { below: 0.7, over: 1 },
      trackingError: 1,
    }),
    null,
    null,
  );
  const clocks = new Clocks(random, random.pick(['regular', 'jitter', 'wild']));
  let measured = randomPose(random, random.uniform() < 0.1 ? 0.5 : -0.02);
  const input = (target: Pose): GuardInput => ({
    ...cartesianInput(measured, target, clocks.nowNs),
    stampNs: clocks.stampNs,
    prediction: { observationStampNs: clocks.stampNs, confidence: 1 },
    endEffector: { stampNs: clocks.stampNs, frameId: 'base', pose: measured },
  });
  guard.activate(clocks.nowNs, input(measured));
  const share = new SpeedShare(0, clocks.nowNs);
  const movement = new VectorChecker('linear', linear);
  const turning = new VectorChecker('angular', angular);
  // The commanded pose: of pose commands as sent, of twist commands their integral.
  let position = measured.translation;
  let orientation = measured.rotation;
  let motionNs = clocks.nowNs;
  let goal = measured;
  const say = (found: readonly string[]): void => {
    for (const violation of found) result.violations.push(`${where}: ${violation}`);
  };

  for (let tick = 0; tick < ticks && result.violations.length < 20; tick++) {
    const clockReason = clocks.tick();
    const elapsed = Number(clocks.nowNs - motionNs) / 1e9;
    const dt = elapsed < 1e-6 ? 0 : Math.min(elapsed, 0.1);
    if (elapsed < 0 || elapsed >= 1e-6) motionNs = clocks.nowNs;
    goal = nextGoal(random, tick, goal, measured);
    const healthy = input(goal);
    const trouble =
      random.uniform() < 0.01
        ? troubleCartesian(healthy, random)
        : { input: healthy, expected: null };
    const wasLatched = guard.latched !== null;
    const verdict = guard.guard(trouble.input);
    result.inputs++;
    count(result, verdict);
    say(checkVerdict(verdict, guard, wasLatched));
    const { command } = verdict;
    if (command.kind !== output) {
      say([`a ${command.kind} command`]);
      return;
    }
    const left = share.at(clocks.nowNs);
    say(movement.check(command.linear, verdict, dt, left));
    say(turning.check(command.angular, verdict, dt, left));
    if (!wasLatched) say(missing(verdict, trouble.expected, clockReason));

    const before = position;
    position = position.map((value, i) => value + command.linear[i]! * dt) as unknown as Vec3;
    if (command.kind === 'pose') {
      say(unlike(command.pose, position, orientation, command.angular, dt));
      position = command.pose.translation;
      orientation = command.pose.rotation;
    }
    say(boxed(before, position, command.linear, linear.acceleration, verdict.outcome));

    // The arm follows at once; a twist guard's integral is then what was measured.
    measured = { translation: position, rotation: orientation };
    if (command.kind === 'twist') {
      const turn = quaternion.fromRotationVector(
        command.angular.map((value) => value * dt) as unknown as Vec3,
      );
      orientation = quaternion.normalise(quaternion.multiply(turn, orientation));
      measured = { translation: position, rotation: orientation };
    }
    if (verdict.outcome !== 'halt' && tick % 16 === 0)
      say(regard(guard, trouble.input, measured, verdict));
    if (guard.latched !== null && random.uniform() < 0.1) {
      const refused = guard.rearm(clocks.nowNs);
      if (refused === null) {
        motionNs = clocks.nowNs;
        const seen = trouble.input.endEffector!.pose.translation;
        position = seen;
        orientation = trouble.input.endEffector!.pose.rotation;
        movement.restart();
        turning.restart();
        measured = { translation: position, rotation: orientation };
      }
    }
    if (random.uniform() < 0.005) {
      const scale = random.pick([0, 0.2, 1, 1, NaN, 7, -1]);
      guard.setSpeedScale(scale);
      share.set(scale);
    }
  }
}

/** The command again as target, at the same time, of an arm that followed it: the same command, and nothing new to say. */
function regard(guard: Guard, input: GuardInput, reached: Pose, verdict: Verdict): string[] {
  const { command } = verdict;
  const again = guard.guard({
    ...input,
    endEffector: { ...input.endEffector!, pose: reached },
    target: { kind: 'pose', pose: reached, frameId: 'base', gripper: command.gripper },
  });
  const [one, other] = [command, again.command].map((made) =>
    JSON.stringify({ ...made, nowNs: null }),
  );
  return again.outcome === 'pass' && one === other
    ? []
    : [`guarding again: ${again.outcome} ${again.reasons.map(({ message }) => message).join()}`];
}

/** A pose inside the box, or up to `outside` m beyond it. */
function randomPose(random: Random, outside: number): Pose {
  const translation = BOX.min.map((min, i) =>
    random.between(min - outside, BOX.max[i]! + outside),
  ) as unknown as Vec3;
  const axis = [random.normal(), random.normal(), random.normal()] as const;
  return { translation, rotation: quaternion.fromRotationVector(axis) };
}

/** Resting, drifting, teleporting or trembling, by turns. */
function nextGoal(random: Random, tick: number, goal: Pose, measured: Pose): Pose {
  const manner = Math.floor(tick / 40) % 4;
  if (tick % 40 === 0) return manner === 1 ? measured : randomPose(random, 0.3);
  switch (manner) {
    case 0:
      return goal;
    case 1: {
      const drift = [0.001, -0.001, 0.001 * Math.sin(tick / 5)] as const;
      const translation = goal.translation.map((v, i) => v + drift[i]!) as unknown as Vec3;
      const turn = quaternion.fromRotationVector([0, 0.004, 0.003]);
      const rotation = quaternion.normalise(quaternion.multiply(turn, goal.rotation));
      return { translation, rotation };
    }
    case 2:
      return randomPose(random, 2);
    default: {
      const translation = goal.translation.map((v) => v + random.between(-0.02, 0.02));
      return { translation: translation as unknown as Vec3, rotation: goal.rotation };
    }
  }
}

/** A pose command is the last one moved on by its own twist. */
function unlike(
  pose: Pose,
  position: Vec3,
  from: Pose['rotation'],
  angular: Vec3,
  dt: number,
): string[] {
  const found: string[] = [];
  const off = Math.hypot(...pose.translation.map((value, i) => value - position[i]!));
  if (off > 1e-12) found.push(`pose is ${off} m from its integral`);
  const turned = quaternion.angleBetween(from, pose.rotation);
  const rate = Math.hypot(...angular) * dt;
  if (Math.abs(turned - rate) > 1e-9) found.push(`turned by ${turned} rad, commanded ${rate}`);
  const unit = Math.hypot(...pose.rotation);
  if (Math.abs(unit - 1) > 1e-9) found.push(`quaternion of length ${unit}`);
  return found;
}

/** Inside: with room to brake. Outside: no further out. */
function boxed(
  before: Vec3,
  after: Vec3,
  velocity: Vec3,
  acceleration: number,
  outcome: string,
): string[] {
  const speed = Math.hypot(...velocity);
  return after.flatMap((value, axis) => {
    const stop = value + (velocity[axis]! * speed) / (2 * acceleration);
    const low = Math.min(BOX.min[axis]!, before[axis]!);
    const high = Math.max(BOX.max[axis]!, before[axis]!);
    return Math.min(value, stop) < low - 1e-9 || Math.max(value, stop) > high + 1e-9
      ? [`axis ${axis} at ${value}, stops at ${stop}, box ${low} … ${high} (${outcome})`]
      : [];
  });
}
