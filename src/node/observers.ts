/** Several observers of control as one: each hears everything, whatever the others throw. */
import type { DeskObserver } from '../control/desk.js';
import type { LoopObserver } from '../control/loop.js';

export type ControlObserver = DeskObserver & LoopObserver;

/** @returns an observer that throws the first error after all have been called. */
export function together(...observers: readonly ControlObserver[]): Required<ControlObserver> {
  const all = (call: (observer: ControlObserver) => void): void => {
    let failure: { readonly error: unknown } | null = null;
    for (const observer of observers) {
      try {
        call(observer);
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure) throw failure.error;
  };
  return {
    onRequest: (...event) => all((observer) => observer.onRequest?.(...event)),
    onAction: (...event) => all((observer) => observer.onAction?.(...event)),
    onTrace: (...event) => all((observer) => observer.onTrace?.(...event)),
    onTick: (...event) => all((observer) => observer.onTick?.(...event)),
    onRefusal: (...event) => all((observer) => observer.onRefusal?.(...event)),
    onRecovery: (...event) => all((observer) => observer.onRecovery?.(...event)),
  };
}
