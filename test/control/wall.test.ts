import { expect, it } from '@jest/globals';
import { Aligner } from '../../src/control/align.js';
import type { Clock, Instant } from '../../src/control/clock.js';
import { ControlLoop, type Tick } from '../../src/control/loop.js';
import { runWall } from '../../src/control/wall.js';
import { Guard } from '../../src/safety/guard.js';
import { testArm, testConfig } from '../support/controlRobot.js';
import { LaggingArm } from '../support/laggingArm.js';
import { ScriptedPolicy, towards } from '../support/scriptedPolicy.js';

const MS = 1_000_000n;

/** A clock whose n-th sleep ends late by `lateness[n]` ms; the robot lives in its time. */
class LateClock implements Clock {
  #nowNs = 1_000_000_000n;
  #sleeps = 0;
  readonly #robot: LaggingArm;
  readonly #lateness: readonly bigint[];

  constructor(robot: LaggingArm, lateness: readonly bigint[]) {
    this.#robot = robot;
    this.#lateness = lateness;
  }

  now(): Instant {
    return { nowNs: this.#nowNs, stampNs: this.#robot.stampNs };
  }

  /** Sleeps that can be ended from outside are deadlines and watchdogs: they do not move this clock. */
  async sleepUntil(nowNs: bigint, signal?: AbortSignal): Promise<void> {
    if (signal) {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      return;
    }
    const late = (this.#lateness[this.#sleeps++] ?? 0n) * MS;
    const wakeNs = (nowNs > this.#nowNs ? nowNs : this.#nowNs) + late;
    this.#robot.step(wakeNs - this.#nowNs);
    this.#nowNs = wakeNs;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function run(lateness: readonly bigint[]) {
  const config = testConfig();
  const robot = new LaggingArm();
  const clock = new LateClock(robot, lateness);
  const aligner = new Aligner({ config, arm: testArm, nowNs: () => clock.now().nowNs });
  const ticks: Tick[] = [];
  const loop = new ControlLoop({
    config,
    arm: testArm,
    guard: new Guard(config, testArm, null),
    aligner,
    robot,
    observer: { onTick: (tick) => ticks.push(tick) },
  });
  await robot.start(aligner);
  aligner.onInstruction('reach');
  const startNs = clock.now().nowNs;
  const result = await runWall({
    loop,
    policy: new ScriptedPolicy(towards([0.4, 0.1, 0.5])),
    config,
    clock,
    until: () => null,
    maxTicks: 40,
  });
  return { result, times: ticks.map(({ nowNs }) => Number((nowNs - startNs) / MS)) };
}

it('ticks on a fixed grid: a late tick does not shift the next, and its lateness is reported', async () => {
  // Sleep 0 is the activation at 20 ms; sleep 3 is the tick due at 80 ms.
  const { result, times } = await run([0n, 0n, 0n, 7n]);
  expect(times.slice(0, 5)).toEqual([40, 60, 87, 100, 120]);
  expect(result.jitterMs.percentile(100)).toBe(7);
  expect(result.jitterMs.percentile(50)).toBe(0);
  expect(result.missedTicks).toBe(0);
  expect(result.ticks).toBe(40);
});

it('leaves out ticks whose time has passed, instead of bunching them up, and counts them', async () => {
  // Due at 80 ms, begun at 133 ms: those due at 100 and 120 ms are left out, the next is due at 140 ms.
  const { result, times } = await run([0n, 0n, 0n, 53n]);
  expect(times.slice(0, 5)).toEqual([40, 60, 133, 140, 160]);
  expect(result.missedTicks).toBe(2);
  // Late by 53 ms; given up at 133 ms, 33 and 13 ms after their time.
  // 46 ticks of the session, and those of watching that the arm rests.
  expect(result.jitterMs.count).toBeGreaterThanOrEqual(46 + 8);
  expect(result.atRest).toBe(true);
  const latest = [100, 97, 95].map((p) => result.jitterMs.percentile(p));
  expect(latest).toEqual([53, 33, 13]);
});
