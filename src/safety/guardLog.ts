/** What a run tells its operator of the guard: what it guarantees, at the start, and each reason the first time it is given. */
import type { Reason } from '../types.js';
import type { Guard } from './guard.js';
import { REASONS } from './reasons.js';

/** What a limit says is information; what stops the arm is a warning. */
export type Weight = 'info' | 'warn';

export class GuardLog {
  private readonly say: (line: string, weight: Weight) => void;
  private readonly codes = new Set<string>();
  private isDescribed = false;

  /** Lives through all guards of a run: an episode has its own. */
  constructor(say: (line: string, weight: Weight) => void) {
    this.say = say;
  }

  /** For a guard's `onFirst`. */
  readonly onFirst = ({ code, message }: Reason): void => {
    if (this.codes.has(code)) return;
    this.codes.add(code);
    const effect = (REASONS as Readonly<Record<string, { readonly effect: string }>>)[code]?.effect;
    this.say(`guard: ${code}: ${message}`, effect === 'limit' ? 'info' : 'warn');
  };

  /** Call with every guard; said once. */
  opened(guard: Guard): void {
    if (this.isDescribed) return;
    this.isDescribed = true;
    this.say(`guard: ${guard.describe()}`, 'info');
  }
}
