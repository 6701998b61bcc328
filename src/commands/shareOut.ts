/** Numbered pieces of work among several doers: each takes the next piece as soon as it has done one. */

export interface Doer<T> {
  do(index: number): Promise<T>;
}

/** 0 … count − 1, but for those that are not wanted. */
export function* inOrder(count: number, isWanted: (index: number) => boolean): Generator<number> {
  for (let index = 0; index < count; index++) if (isWanted(index)) yield index;
}

/**
 * Until there are no more pieces. `onDone` is called one at a time, in the order in which pieces are done; a doer waits for
 * it before it goes on. Where a doer or `onDone` fails nothing new is begun, and the first failure is thrown when all rest.
 */
export async function shareOut<T>(
  pieces: Iterator<number>,
  doers: readonly Doer<T>[],
  onDone: (result: T, index: number) => void | Promise<void>,
): Promise<void> {
  let failed = false;
  let telling = Promise.resolve();
  const work = async (doer: Doer<T>): Promise<void> => {
    for (let next = pieces.next(); !failed && !next.done; next = pieces.next()) {
      const index = next.value;
      try {
        const result = await doer.do(index);
        const told = telling.then(() => onDone(result, index));
        telling = told.catch(() => undefined);
        await told;
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const ends = await Promise.allSettled(doers.map(work));
  const failure = ends.find((end) => end.status === 'rejected');
  if (failure) throw failure.reason;
}

/** Puts results that come in any order back into order: hands each on when all before it have been. */
export class Reorder<T> {
  readonly #waiting = new Map<number, T>();
  readonly #onNext: (result: T, index: number) => void;
  #next: number;

  constructor(first: number, onNext: (result: T, index: number) => void) {
    this.#next = first;
    this.#onNext = onNext;
  }

  add(result: T, index: number): void {
    this.#waiting.set(index, result);
    for (let next = this.#waiting.get(this.#next); next !== undefined;) {
      this.#waiting.delete(this.#next);
      this.#onNext(next, this.#next++);
      next = this.#waiting.get(this.#next);
    }
  }
}
