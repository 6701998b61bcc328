import type { Clock } from '../control/clock.js';

/** The process's clocks: steady (hrtime) and wall. Handed down; nothing below reads a global clock. */
export const realClock: Clock = {
  now: () => ({ nowNs: process.hrtime.bigint(), stampNs: BigInt(Date.now()) * 1_000_000n }),
  sleepUntil: (nowNs, signal) =>
    new Promise((resolve) => {
      const wake = (): void => {
        clearTimeout(timer);
        signal?.removeEventListener('abort', wake);
        resolve();
      };
      const ms = Math.max(0, Number(nowNs - process.hrtime.bigint()) / 1e6);
      const timer = setTimeout(wake, ms);
      signal?.addEventListener('abort', wake, { once: true });
      if (signal?.aborted) wake();
    }),
};
