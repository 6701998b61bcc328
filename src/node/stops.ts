/**
 * What stops the arm from outside control, and the one memory of a latched stop: it outlives every guard, deactivation
 * and configuration, and ends on an operator's word only.
 */
import { messageOf } from '../errors.js';
import { type GuardReason, REASONS } from '../safety/reasons.js';
import type { Reason } from '../types.js';

/** Asked at every control tick; null: no objection. Must be cheap. */
export type StopSource = () => GuardReason | null;

export class Stops {
  readonly #sources = new Set<StopSource>();
  #latched: Reason | null = null;
  #pending: GuardReason | null = null;

  /** Why the arm stays stopped until re-armed; null where it does not. */
  get latched(): Reason | null {
    return this.#latched;
  }

  /** Until the disposer is called. */
  watch(source: StopSource): () => void {
    this.#sources.add(source);
    return () => void this.#sources.delete(source);
  }

  /** Latches now, whether or not control runs; a running guard hears it at its next tick. */
  stop(given: GuardReason): void {
    this.#pending ??= given;
    this.#latched ??= given;
  }

  /** A guard latched by itself. */
  remember(latched: Reason | null): void {
    this.#latched ??= latched;
  }

  /** On an operator's word, after the running guard, if there is one, has agreed. */
  forget(): void {
    this.#latched = null;
    this.#pending = null;
  }

  /** What the guard is told at this tick. A source that throws is an objection: nobody knows what it would have said. */
  holds(): readonly GuardReason[] {
    const found: GuardReason[] = this.#pending ? [this.#pending] : [];
    for (const source of this.#sources) {
      const objection = answerOf(source);
      if (objection) found.push(objection);
    }
    return found;
  }

  /** Why motion must not begin: a latched stop, else what holds now. */
  objection(): Reason | null {
    return this.#latched ?? this.holds()[0] ?? null;
  }
}

function answerOf(source: StopSource): GuardReason | null {
  try {
    return source();
  } catch (error) {
    const message = messageOf(error);
    return { code: 'controlFailed', message: `What watches the robot failed: ${message}.` };
  }
}

/** A reason of another room as one of the guard's; what the guard has no name for is refused by the layer below. */
export function asGuardReason({ code, message }: Reason): GuardReason {
  return { code: code in REASONS ? (code as GuardReason['code']) : 'commandRefused', message };
}

/** An objection in operator words, with what ends a latched stop. */
export function withRemedy({ message }: Reason, latched: Reason | null): string {
  return latched ? `stopped: ${message} Call ~/rearm when it is safe.` : message;
}
