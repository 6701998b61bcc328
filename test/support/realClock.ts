/** The machine's own time, for tests that run real threads. */
import type { SteadyClock } from '../../src/model/supervisor.js';

export const realClock: SteadyClock = {
  now: () => ({ nowNs: process.hrtime.bigint() }),
  sleepUntil: (nowNs, signal) =>
    new Promise((resolve) => {
      const leftMs = Math.max(0, Number(nowNs - process.hrtime.bigint()) / 1e6);
      const timer = setTimeout(resolve, leftMs);
      const end = (): void => {
        clearTimeout(timer);
        resolve();
      };
      if (signal?.aborted) end();
      else signal?.addEventListener('abort', end, { once: true });
    }),
};
