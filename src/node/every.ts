/** A timer of the steady clock that neither keeps the process alive nor ends it. */
import type { Disposable } from '../robot/ros/ros.js';

/** What `act` throws goes to `onError`, and the timer goes on: an exception in a timer would end the process. */
export function every(
  periodMs: number,
  act: () => void,
  onError: (error: unknown) => void,
): Disposable {
  const timer = setInterval(() => {
    try {
      act();
    } catch (error) {
      onError(error);
    }
  }, periodMs);
  timer.unref();
  return { dispose: () => clearInterval(timer) };
}
