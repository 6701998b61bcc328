import type { RosLogger } from './ros.js';

/**
 * Keeps what callbacks throw away from the client library, which would abort the process: the first failure of each kind
 * is logged, all are counted.
 */
import { messageOf } from '../../errors.js';
export class Containment {
  private readonly counts = new Map<string, number>();
  private log: Pick<RosLogger, 'error'>;

  constructor(log: Pick<RosLogger, 'error'>) {
    this.log = log;
  }

  /** Contained failures so far, by what failed. */
  get failures(): ReadonlyMap<string, number> {
    return this.counts;
  }

  /** From now on failures are told to `log`. */
  tell(log: Pick<RosLogger, 'error'>): void {
    this.log = log;
  }

  /** `callback` that never throws and never rejects: it returns undefined where it failed. */
  wrap<A extends readonly unknown[]>(
    what: string,
    callback: (...args: A) => unknown,
  ): (...args: A) => void {
    return (...args) => this.run(what, () => callback(...args));
  }

  run(what: string, callback: () => unknown): void {
    try {
      const result = callback();
      if (result instanceof Promise)
        result.catch((error: unknown) => {
          this.failed(what, error);
        });
    } catch (error) {
      this.failed(what, error);
    }
  }

  failed(what: string, error: unknown): void {
    const count = (this.counts.get(what) ?? 0) + 1;
    this.counts.set(what, count);
    if (count > 1) return;
    try {
      this.log.error(`${what} failed: ${messageOf(error)} (further failures are only counted)`);
    } catch {
      // A logger that fails, as after shutdown, is no reason to let the failure out.
    }
  }
}
