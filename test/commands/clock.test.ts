import { expect, it } from '@jest/globals';
import { realClock } from '../../src/commands/clock.js';

it('never wakes before the time, also where that is no whole millisecond away', async () => {
  for (let i = 0; i < 40; i++) {
    const untilNs = realClock.now().nowNs + 1_000_000n + BigInt(i) * 93_000n;
    await realClock.sleepUntil(untilNs);
    expect(realClock.now().nowNs).toBeGreaterThanOrEqual(untilNs);
  }
});

it('never wakes before the time, also where the thread was busy before it went to sleep', async () => {
  for (let i = 0; i < 10; i++) {
    await new Promise((resolve) => setImmediate(resolve));
    const busyUntilNs = realClock.now().nowNs + 5_000_000n;
    while (realClock.now().nowNs < busyUntilNs);
    const untilNs = realClock.now().nowNs + 3_400_000n;
    await realClock.sleepUntil(untilNs);
    expect(realClock.now().nowNs).toBeGreaterThanOrEqual(untilNs);
  }
});

it('wakes at once where the time has passed, and where it is told to', async () => {
  const beganNs = realClock.now().nowNs;
  await realClock.sleepUntil(beganNs - 5n);
  const ended = new AbortController();
  const sleeping = realClock.sleepUntil(beganNs + 60_000_000_000n, ended.signal);
  ended.abort();
  await sleeping;
  await realClock.sleepUntil(beganNs + 60_000_000_000n, ended.signal);
  expect(realClock.now().nowNs - beganNs).toBeLessThan(10_000_000_000n);
});
