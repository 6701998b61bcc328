import { expect, it } from '@jest/globals';
import { simulatedClock } from '../../src/commands/simulatedClock.js';
import { FakeClock } from '../support/fakeClock.js';

const MS = 1_000_000n;

it('goes on between the steps of a simulation, waits where a step is late, and never runs back', async () => {
  const real = new FakeClock();
  const robot = { stampNs: 7_000n * MS };
  const beganNs = real.now().nowNs;
  const clock = simulatedClock(real, robot, { beganNs, periodNs: 20n * MS });
  const startNs = robot.stampNs;
  const shown: number[] = [];
  const show = (): void => void shown.push(Number(clock.now().stampNs - startNs) / 1e6);
  const pass = async (ms: bigint): Promise<void> => {
    await real.pass(ms * MS);
    show();
  };
  const step = (): void => {
    robot.stampNs += 20n * MS;
    show();
  };
  show();
  await pass(13n);
  // Due at 20 ms, done at 24 ms.
  await pass(11n);
  step();
  await pass(6n);
  // Due at 40 ms, late by 55 ms; the two that fell due meanwhile follow at once.
  await pass(65n);
  step();
  step();
  step();
  expect(shown).toEqual([0, 13, 20, 24, 30, 40, 60, 80, 95]);
  expect(clock.now().nowNs).toBe(real.now().nowNs);
});
