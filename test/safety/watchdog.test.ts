import { describe, expect, it } from '@jest/globals';
import { Watchdog } from '../../src/safety/watchdog.js';
import { MS } from './robots.js';

describe('Watchdog', () => {
  it('is silent before the first tick and while ticks come', () => {
    const watchdog = new Watchdog(0.1);
    expect(watchdog.check(1000n * MS)).toBeNull();
    watchdog.tick(1000n * MS);
    expect(watchdog.check(1100n * MS)).toBeNull();
  });

  it('halts when the loop is silent for longer than its timeout, and says for how long', () => {
    const watchdog = new Watchdog(0.1);
    watchdog.tick(0n);
    expect(watchdog.check(101n * MS)).toEqual({
      code: 'tickGap',
      message: 'The control loop has been silent for 101.0 ms, the watchdog allows 100.0 ms.',
    });
  });

  it('halts when the clock runs backwards', () => {
    const watchdog = new Watchdog(0.1);
    watchdog.tick(50n * MS);
    expect(watchdog.check(49n * MS)?.code).toBe('steadyClockBackwards');
  });

  it('rests after a stop on purpose', () => {
    const watchdog = new Watchdog(0.1);
    watchdog.tick(0n);
    watchdog.stop();
    expect(watchdog.check(1000n * MS)).toBeNull();
  });
});
