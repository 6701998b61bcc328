/** The planar arm with its guard, and a robot that follows the commands perfectly. */
import { expect } from '@jest/globals';
import { Guard, type GuardInput } from '../../src/safety/guard.js';
import type { Verdict } from '../../src/types.js';
import { jointConfig, jointInput, type Limits, MS, planarArm } from './robots.js';

export const { arm, capsules } = planarArm(2);
export const limits: Limits = {
  lower: -2,
  upper: 2,
  velocity: 1,
  acceleration: 2,
  jerk: 20,
  effort: 50,
};
export const TICK = 20n * MS;

/** A guard with a perfectly following arm, ticked at 50 Hz. */
export class Bench {
  readonly guard: Guard;
  nowNs = 1000n * MS;
  position: readonly number[];
  velocity: readonly number[] = [0, 0];

  constructor(
    settings: Readonly<Record<string, unknown>> = {},
    start: readonly number[] = [0, 0],
    clearances: 'withCapsules' | 'withoutCapsules' = 'withoutCapsules',
  ) {
    this.guard = new Guard(
      jointConfig(arm, limits, settings),
      arm,
      clearances === 'withCapsules' ? capsules : null,
    );
    this.position = start;
    expect(this.guard.activate(this.nowNs, this.input(start))).toBeNull();
  }

  input(target: readonly number[]): GuardInput {
    return jointInput(arm.jointNames, this.position, target, this.nowNs);
  }

  tick(target: readonly number[], change: Partial<GuardInput> = {}, step = TICK): Verdict {
    this.nowNs += step;
    const verdict = this.guard.guard({ ...this.input(target), ...change });
    if (verdict.command.kind !== 'joint') throw new Error('expected a joint command');
    ({ position: this.position, velocity: this.velocity } = verdict.command);
    return verdict;
  }

  run(target: readonly number[], seconds: number): Verdict[] {
    return Array.from({ length: Math.round(seconds * 50) }, () => this.tick(target));
  }
}

export const codesOf = (verdict: Verdict): string[] => verdict.reasons.map(({ code }) => code);
