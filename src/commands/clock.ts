import type { Clock } from '../control/clock.js';

/** The process's clocks: steady (hrtime) and wall. Handed down; nothing below reads a global clock. */
export const realClock: Clock = {
  now: () => ({ nowNs: process.hrtime.bigint(), stampNs: BigInt(Date.now()) * 1_000_000n }),
  sleepUntil: (nowNs, signal) =>
    new Promise((resolve) => {
      let timer: NodeJS.Timeout;
      const wake = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      // Timers count whole milliseconds from when the event loop last looked at the clock: one may end early.
      const sleep = (): void => {
        const ms = Math.ceil(Number(nowNs - process.hrtime.bigint()) / 1e6);
        timer = setTimeout(() => (process.hrtime.bigint() < nowNs ? sleep() : wake()), ms);
      };
      sleep();
      signal?.addEventListener('abort', wake, { once: true });
      if (signal?.aborted) wake();
    }),
};
