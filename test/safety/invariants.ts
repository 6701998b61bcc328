/**
 * What must hold of every command, checked from the outside: only from the commands themselves, the limits and the
 * clock. Shares no arithmetic with the guard. Each check returns the violations it found, as sentences.
 */
import type { Verdict } from '../../src/types.js';
import { assertGuarded, type Guard } from '../../src/safety/guard.js';
import { REASONS, type ReasonCode } from '../../src/safety/reasons.js';
import type { Limits } from './robots.js';

/** Relative rounding allowed on top of a limit. */
const EPS = 1e-9;

export function stopsHard(verdict: Verdict): boolean {
  return verdict.outcome === 'halt' || verdict.reasons.some(({ code }) => code === 'hardStop');
}

/** Jerk may be exceeded to lose speed or to let go of an acceleration, and for nothing else. */
function losesSpeedOrAcceleration(
  v: number,
  vNext: number,
  a: number,
  aNext: number,
  dt: number,
): boolean {
  const losesSpeed = Math.abs(vNext) <= Math.abs(v) + EPS && v * vNext >= -EPS;
  return losesSpeed || Math.abs(aNext) <= Math.abs(a) + EPS / dt;
}

/** Verdict and latch: exactly one frozen command of the guard's, and halts that stay. */
export function checkVerdict(verdict: Verdict, guard: Guard, wasLatched: boolean): string[] {
  const found: string[] = [];
  assertGuarded(verdict.command);
  if (!Object.isFrozen(verdict.command)) found.push('command is not frozen');
  const codes = verdict.reasons.map(({ code }) => code as ReasonCode);
  for (const { code, message } of verdict.reasons) {
    if (!(code in REASONS)) found.push(`unknown reason ${code}`);
    if (message.length < 10 || /undefined|\[object/.test(message))
      found.push(`no operator sentence: ${message}`);
  }
  if (new Set(codes).size !== codes.length) found.push(`said twice: ${codes.join()}`);
  const effects = codes.map((code) => REASONS[code].effect);
  if ((verdict.outcome === 'pass') !== (codes.length === 0)) found.push('reasons do not fit');
  if (verdict.outcome !== 'halt' && effects.some((effect) => effect !== 'limit'))
    found.push(`${codes.join()} without a halt`);
  if (verdict.outcome === 'halt' && effects.some((effect) => effect === 'limit'))
    found.push(`${codes.join()} halts`);
  if (wasLatched && verdict.outcome !== 'halt') found.push('a latched halt let go by itself');
  if (effects.includes('latch') && guard.latched === null)
    found.push(`${codes.join()} not latched`);
  const { gripper } = verdict.command;
  if (gripper !== null && !(gripper >= 0 && gripper <= 1)) found.push(`gripper ${gripper}`);
  return found;
}

/** Joint commands, one after the other. */
export class JointChecker {
  position: readonly number[];
  velocity: readonly number[];
  /** Whether no joint gained speed in the last step. */
  isBraking = false;
  private acceleration: readonly number[];
  private readonly names: readonly string[];
  private readonly limits: readonly Limits[];

  constructor(names: readonly string[], limits: readonly Limits[], start: readonly number[]) {
    this.names = names;
    this.limits = limits;
    this.position = start;
    this.velocity = start.map(() => 0);
    this.acceleration = this.velocity;
  }

  /** The guard was (re-)armed at rest; from a new place where `position` says so. */
  restart(position: readonly number[]): void {
    this.position = position;
    this.acceleration = position.map(() => 0);
  }

  get isAtRest(): boolean {
    return this.velocity.every((v) => v === 0);
  }

  /** `share`: what speed scale and ramp-in leave of the velocity limits, 0 … 1. */
  check(verdict: Verdict, dt: number, share = 1): string[] {
    const { command } = verdict;
    if (command.kind !== 'joint') return [`a ${command.kind} command`];
    if (command.names.join() !== this.names.join())
      return [`a command for ${command.names.join()}`];
    const found: string[] = [];
    const [next, speed] = [command.position, command.velocity];
    const acceleration = speed.map((v, i) => (dt > 0 ? (v - this.velocity[i]!) / dt : 0));
    this.limits.forEach(({ lower, upper, ...limit }, i) => {
      const [p, v, a] = [this.position[i]!, this.velocity[i]!, this.acceleration[i]!];
      const [pNext, vNext, aNext] = [next[i]!, speed[i]!, acceleration[i]!];
      const say = (what: string): void => {
        found.push(
          `${this.names[i]!}: ${what} (p ${p} → ${pNext}, v ${v} → ${vNext}, a ${a} → ${aNext}, dt ${dt}, ${verdict.outcome} ${verdict.reasons.map(({ code }) => code).join()})`,
        );
      };
      if (!Number.isFinite(pNext) || !Number.isFinite(vNext)) say('not finite');
      if (dt === 0) {
        if (pNext !== p || vNext !== v) say('moved in no time');
        return;
      }
      if (Math.abs(pNext - p - vNext * dt) > 1e-12 * (1 + Math.abs(p))) say('jumped');
      if (pNext > Math.max(upper, p) || pNext < Math.min(lower, p)) say('position');
      // From here on, the fastest braking must end before the limit; outside there is no speed outwards.
      const room = vNext > 0 ? upper - pNext : pNext - lower;
      if (vNext !== 0 && vNext ** 2 / (2 * limit.acceleration) > Math.max(0, room) + EPS)
        say('no braking path');
      if (Math.abs(vNext) > limit.velocity * (1 + EPS)) say('velocity');
      if (Math.abs(vNext - v) > limit.acceleration * dt * (1 + EPS) + 1e-12) say('acceleration');
      const jerked = Math.abs(aNext - a) > limit.jerk * dt * (1 + EPS) + 1e-8 * limit.acceleration;
      if (jerked && !stopsHard(verdict)) say('jerk without a stop');
      const loses = losesSpeedOrAcceleration(v, vNext, a, aNext, dt);
      if (jerked && !loses) say('jerk to gain speed');
      if (Math.abs(vNext) > share * limit.velocity * (1 + EPS) + 1e-9 && !loses)
        say(`gains speed above its share of ${share}`);
      if (verdict.outcome === 'halt') {
        const isBraking = Math.abs(vNext) <= Math.abs(v) && v * vNext >= 0;
        if (!isBraking) say('does not brake');
      }
    });
    if (verdict.outcome === 'halt' && dt > 0) {
      // Braking together: the slowest joint is at its limit, so all rest after max |v| / a.
      const time = (velocity: readonly number[]): number =>
        Math.max(...velocity.map((v, i) => Math.abs(v) / this.limits[i]!.acceleration));
      if (time(speed) > Math.max(0, time(this.velocity) - dt) + EPS)
        found.push('brakes too slowly');
    }
    this.isBraking = speed.every((v, i) => Math.abs(v) <= Math.abs(this.velocity[i]!) + EPS);
    [this.position, this.velocity] = [next, speed];
    if (dt > 0) this.acceleration = acceleration;
    return found;
  }
}

type Triple = readonly [number, number, number];

export interface CartesianLimits {
  readonly velocity: number;
  readonly acceleration: number;
  readonly jerk: number;
}

/** Linear or angular velocity of Cartesian commands, one after the other. */
export class VectorChecker {
  velocity: Triple = [0, 0, 0];
  private acceleration: Triple = [0, 0, 0];
  private readonly name: string;
  private readonly limits: CartesianLimits;

  constructor(name: string, limits: CartesianLimits) {
    this.name = name;
    this.limits = limits;
  }

  /** The guard was re-armed at rest, from a new place. */
  restart(): void {
    this.acceleration = [0, 0, 0];
  }

  check(next: Triple, verdict: Verdict, dt: number, share = 1): string[] {
    const found: string[] = [];
    const say = (what: string): void => {
      found.push(
        `${this.name}: ${what} (v ${this.velocity.join()} → ${next.join()}, a ${this.acceleration.join()}, dt ${dt}, ${verdict.outcome} ${verdict.reasons.map(({ code }) => code).join()})`,
      );
    };
    if (!next.every(Number.isFinite)) say('not finite');
    if (dt === 0) {
      if (distance(next, this.velocity) !== 0) say('changed in no time');
      return found;
    }
    const { velocity, acceleration, jerk } = this.limits;
    const [speed, before] = [length(next), length(this.velocity)];
    if (speed > velocity * (1 + EPS)) say('velocity');
    if (distance(next, this.velocity) > acceleration * dt * (1 + EPS) + 1e-12) say('acceleration');
    const aNext = next.map((v, i) => (v - this.velocity[i]!) / dt) as unknown as Triple;
    const jerked = distance(aNext, this.acceleration) > jerk * dt * (1 + EPS) + 1e-8 * acceleration;
    if (jerked && !stopsHard(verdict)) say('jerk without a stop');
    const loses = speed <= before + EPS || length(aNext) <= length(this.acceleration) + EPS / dt;
    if (jerked && !loses) say('jerk to gain speed');
    // Above it, only by the acceleration there was when it came to be exceeded.
    const fastest = Math.max(share * velocity, before + length(this.acceleration) * dt);
    if (speed > fastest * (1 + EPS) + 1e-9) say(`gains speed above its share of ${share}`);
    if (verdict.outcome === 'halt' && speed > Math.max(0, before - acceleration * dt) + EPS)
      say('brakes too slowly');
    [this.velocity, this.acceleration] = [next, aNext];
    return found;
  }
}

function length(v: Triple): number {
  return Math.hypot(v[0], v[1], v[2]);
}

function distance(a: Triple, b: Triple): number {
  return Math.hypot(a[0] - b[0], a[1] - b[1], a[2] - b[2]);
}

/** Speed scale and ramp-in as an operator understands them: what they leave of the velocity limits at a time. */
export class SpeedShare {
  private scale = 1;
  private fromNs: bigint;
  private readonly rampIn: number;

  constructor(rampIn: number, fromNs: bigint) {
    this.rampIn = rampIn;
    this.fromNs = fromNs;
  }

  set(scale: number): void {
    this.scale = scale > 1 ? 1 : scale > 0 ? scale : 0;
  }

  /** Activated or re-armed. */
  restart(nowNs: bigint): void {
    this.fromNs = nowNs;
  }

  at(nowNs: bigint): number {
    const since = Number(nowNs - this.fromNs) / 1e9;
    // Without a ramp, a steady clock that ran back changes nothing.
    if (this.rampIn === 0 || since >= this.rampIn) return this.scale;
    return since <= 0 ? 0 : (this.scale * since) / this.rampIn;
  }
}

/** The tool between two commands; while every joint brakes, or on the way to rest, its limit may wait. */
export function checkToolSpeed(
  from: readonly number[],
  to: readonly number[],
  dt: number,
  limit: number,
): string[] {
  const speed = dt > 0 ? Math.hypot(...to.map((value, i) => value - from[i]!)) / dt : 0;
  return speed > limit * (1 + 1e-3) ? [`tool at ${speed} m/s, limit ${limit}`] : [];
}
