/** Seeded episodes of a joint guard under ordinary and hostile input, watched by the independent checker. */
import { type Random, seededRandom } from '../../src/math/random.js';
import { Guard, type GuardInput } from '../../src/safety/guard.js';
import { REASONS, type ReasonCode } from '../../src/safety/reasons.js';
import type { Verdict } from '../../src/types.js';
import { Clocks, troubleJoints } from './hostility.js';
import { checkToolSpeed, checkVerdict, JointChecker, SpeedShare } from './invariants.js';
import { jointConfig, jointInput, type Limits, type TestRobot } from './robots.js';

export interface FuzzResult {
  inputs: number;
  violations: string[];
  halts: number;
  limited: number;
  passes: number;
  hardStops: number;
  readonly codes: Map<string, number>;
}

export function emptyResult(): FuzzResult {
  return {
    inputs: 0,
    violations: [],
    halts: 0,
    limited: 0,
    passes: 0,
    hardStops: 0,
    codes: new Map(),
  };
}

/** Extra knowledge of one arm: margins in m that must not shrink below 0, from a joint position. */
export type Margins = (position: readonly number[]) => readonly number[];

export interface JointFuzz {
  readonly robot: TestRobot;
  readonly guard: Readonly<Record<string, unknown>>;
  readonly margins: Margins | null;
  /** Where the tool is, and how fast it may be, m/s. */
  readonly tool?: { readonly at: Margins; readonly speed: number };
  readonly useCapsules: 'withCapsules' | 'withoutCapsules';
  readonly manners: readonly ('regular' | 'jitter' | 'wild')[];
  /** Probability of trouble per tick. */
  readonly hostility: number;
}

export function fuzzJoints(
  seed: number,
  episodes: number,
  ticks: number,
  setup: JointFuzz,
  result: FuzzResult,
): void {
  const random = seededRandom(seed);
  for (let episode = 0; episode < episodes && result.violations.length < 20; episode++)
    runEpisode(random.fork(), `seed ${seed} episode ${episode}`, ticks, setup, result);
}

function runEpisode(
  random: Random,
  where: string,
  ticks: number,
  setup: JointFuzz,
  result: FuzzResult,
): void {
  const { arm, capsules } = setup.robot;
  const names = arm.jointNames;
  const limits = names.map((_, i) => randomLimits(random, arm.lower[i]!, arm.upper[i]!));
  const guard = new Guard(
    jointConfig(arm, limits, {
      minConfidence: 0.5,
      unsure: { below: 0.7, over: 1 },
      trackingError: 1,
      ...setup.guard,
    }),
    arm,
    setup.useCapsules === 'withCapsules' ? capsules : null,
  );
  const clocks = new Clocks(random, random.pick(setup.manners));
  // Where the arm really is: it follows the commands with a lag.
  let measured: readonly number[] = limits.map(({ lower, upper }) =>
    random.uniform() < 0.05 ? upper + random.between(0, 0.5) : random.between(lower, upper),
  );
  const input = (target: readonly number[]): GuardInput => ({
    ...jointInput(names, measured, target, clocks.nowNs),
    stampNs: clocks.stampNs,
    prediction: { observationStampNs: clocks.stampNs, confidence: 1 },
    joints: {
      stampNs: clocks.stampNs,
      names,
      position: measured,
      velocity: null,
      effort: random.uniform() < 0.5 ? names.map(() => random.between(-30, 30)) : null,
    },
  });
  guard.activate(clocks.nowNs, input(measured));
  const checker = new JointChecker(names, limits, measured);
  const share = new SpeedShare(Number(setup.guard.rampIn ?? 0), clocks.nowNs);
  const targets = new Targets(random, limits, measured);
  let dtFromNs = clocks.nowNs;
  let previous: { readonly input: GuardInput; readonly verdict: Verdict } | null = null;
  const say = (found: readonly string[]): void => {
    for (const violation of found) result.violations.push(`${where}: ${violation}`);
  };

  for (let tick = 0; tick < ticks && result.violations.length < 20; tick++) {
    const clockReason = clocks.tick();
    const elapsed = Number(clocks.nowNs - dtFromNs) / 1e9;
    // Below a microsecond time is saved up for the next tick.
    const dt = elapsed < 1e-6 ? 0 : Math.min(elapsed, 0.1);
    if (elapsed < 0 || elapsed >= 1e-6) dtFromNs = clocks.nowNs;
    const healthy = input(targets.next(tick, measured));
    const trouble =
      random.uniform() < setup.hostility
        ? troubleJoints(healthy, random)
        : { input: healthy, expected: null };
    const wasLatched = guard.latched !== null;
    const before = checker.position;
    const verdict = guard.guard(trouble.input);
    result.inputs++;
    count(result, verdict);
    say(checkVerdict(verdict, guard, wasLatched));
    say(checker.check(verdict, dt, share.at(clocks.nowNs)));
    const isResting = verdict.reasons.some(({ code }) => code === 'rest');
    if (setup.tool && verdict.outcome !== 'halt' && !isResting && !checker.isBraking) {
      const { at, speed } = setup.tool;
      say(checkToolSpeed(at(before), at(checker.position), dt, speed));
    }
    if (!wasLatched) say(missing(verdict, trouble.expected, clockReason));
    if (verdict.outcome === 'pass') say(unpassed(trouble.input, checker.position));
    if (setup.margins !== null)
      say(shrunk(setup.margins(before), setup.margins(checker.position), checker.isBraking));
    if (previous !== null && tick % 16 === 0) say(regard(guard, trouble.input, verdict));
    previous = { input: trouble.input, verdict };

    const lag = random.between(0.3, 1);
    measured = measured.map((value, i) => value + lag * (checker.position[i]! - value));
    if (guard.latched !== null && random.uniform() < 0.1) {
      const wasAtRest = checker.isAtRest;
      const refused = guard.rearm(clocks.nowNs);
      if (refused === null) share.restart(clocks.nowNs);
      dtFromNs = refused === null ? clocks.nowNs : dtFromNs;
      if (refused === null && !wasAtRest) say(['re-armed in motion']);
      if (refused === null) {
        // A re-arm starts anew from where the arm is measured.
        const seen = trouble.input.joints!.position;
        checker.restart(seen);
        measured = seen;
      }
    }
    if (random.uniform() < 0.005) {
      const scale = random.pick([0, 0.2, 1, 1, NaN, 7, -1]);
      guard.setSpeedScale(scale);
      share.set(scale);
    }
  }
}

/** Limits from slow to fast; jerk from soft to nearly none. */
function randomLimits(random: Random, lowest: number, highest: number): Limits {
  const velocity = random.between(0.2, 3);
  const acceleration = random.between(1, 15);
  return {
    lower: lowest + random.between(0, 0.2) * (highest - lowest),
    upper: highest - random.between(0, 0.2) * (highest - lowest),
    velocity,
    acceleration,
    jerk: random.between(10, 300),
    effort: 150,
  };
}

/** Targets of one episode: one manner for a while, then another. */
class Targets {
  private readonly random: Random;
  private readonly limits: readonly Limits[];
  private centre: readonly number[];
  private manner = 0;

  constructor(random: Random, limits: readonly Limits[], start: readonly number[]) {
    this.random = random;
    this.limits = limits;
    this.centre = start;
  }

  next(tick: number, measured: readonly number[]): readonly number[] {
    const { random, limits } = this;
    if (tick % 50 === 0) {
      this.manner = random.integer(6);
      this.centre = limits.map(({ lower, upper }) => random.between(lower, upper));
    }
    switch (this.manner) {
      case 0: // rests somewhere
        return this.centre;
      case 1: // a slow wave that begins where the arm is
        if (tick % 50 === 0) this.centre = measured;
        return this.centre.map((value) => value + 0.05 * (1 - Math.cos((tick % 50) / 8)));
      case 2: // anywhere, each tick
        return limits.map(({ lower, upper }) => random.between(lower - 1, upper + 1));
      case 3: // pushes against the upper limits
        return limits.map(({ upper }) => upper + 1);
      case 4: // pushes against alternating limits
        return limits.map(({ lower, upper }) => (tick % 20 < 10 ? lower - 1 : upper + 1));
      default: // trembles about where the arm is
        return measured.map((value) => value + random.between(-0.05, 0.05));
    }
  }
}

export function count(result: FuzzResult, verdict: Verdict): void {
  if (verdict.outcome === 'halt') result.halts++;
  else if (verdict.outcome === 'limited') result.limited++;
  else result.passes++;
  for (const { code } of verdict.reasons) {
    if (code === 'hardStop') result.hardStops++;
    result.codes.set(code, (result.codes.get(code) ?? 0) + 1);
  }
}

/** What must be said was said; something that halts elsewhere may have hidden what only limits. */
export function missing(
  verdict: Verdict,
  expected: ReasonCode | null,
  clockReason: ReasonCode | null,
): string[] {
  const codes = verdict.reasons.map(({ code }) => code);
  return [expected, clockReason]
    .filter((code) => code !== null)
    .filter(
      (code) =>
        !codes.includes(code) && !(verdict.outcome === 'halt' && REASONS[code].effect === 'limit'),
    )
    .filter((code) => code === clockReason || codes.every((other) => other !== 'notActive'))
    .map((code) => `${code} was not noticed, but ${verdict.outcome} ${codes.join()}`);
}

function unpassed(input: GuardInput, position: readonly number[]): string[] {
  const { target } = input;
  if (target.kind !== 'joint') return [`passed a ${target.kind}`];
  return target.position.every((value, i) => Math.abs(value - position[i]!) <= 1e-6)
    ? []
    : ['passed, but the command is not the target'];
}

/**
 * A margin that was kept is lost, or one that was lost before shrinks although the arm does not brake (acceleration goes
 * before workspace: who is already outside may have to brake there).
 */
function shrunk(before: readonly number[], after: readonly number[], isBraking: boolean): string[] {
  return after.flatMap((value, i) =>
    value < Math.min(0, before[i]!) - 1e-9 && !(before[i]! < 0 && isBraking)
      ? [`margin ${i} from ${before[i]!} to ${value} m`]
      : [],
  );
}

/** The command again as target, same state, same time: the same command, and nothing new to say. */
function regard(guard: Guard, input: GuardInput, verdict: Verdict): string[] {
  const { command } = verdict;
  if (verdict.outcome === 'halt' || command.kind !== 'joint') return [];
  const again = guard.guard({
    ...input,
    target: { kind: 'joint', position: command.position, gripper: command.gripper },
  });
  const same =
    again.command.kind === 'joint' &&
    again.command.position.every((value, i) => value === command.position[i]) &&
    again.command.velocity.every((value, i) => value === command.velocity[i]) &&
    again.command.gripper === command.gripper;
  return same && again.outcome === 'pass'
    ? []
    : [`guarding again: ${again.outcome} ${again.reasons.map(({ message }) => message).join()}`];
}
