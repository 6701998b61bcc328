/** Entries of the last seconds, bounded in bytes: pictures go first, as they weigh most. */
import type { Entry, RecorderCall } from './blackBoxProtocol.js';

interface Kept extends Entry {
  readonly nowNs: bigint;
  /** Order of arrival. */
  readonly number: number;
  readonly bytes: number;
}

/** What an entry without a picture weighs, about: a reading of seven joints, a verdict with two reasons. */
const SMALL_BYTES = 1024;
/** A ROS clock that runs back by more than this began anew: what is older is of another run. */
const JUMP_NS = 500_000_000n;

export class EntryRing {
  readonly #spanNs: bigint;
  readonly #maxBytes: number;
  readonly #pictures = new Queue<Kept>();
  readonly #others = new Queue<Kept>();
  /** In force before the oldest entry. */
  #reset: RecorderCall | null = null;
  #instruction: RecorderCall | null = null;
  #lastStampNs: bigint | null = null;
  #bytes = 0;
  #number = 0;

  constructor(spanNs: bigint, maxBytes: number) {
    this.#spanNs = spanNs;
    this.#maxBytes = maxBytes;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** @param nowNs steady clock. @param stampNs ROS clock. */
  add(call: RecorderCall, nowNs: bigint, stampNs: bigint): void {
    if (this.#lastStampNs !== null && this.#lastStampNs - stampNs > JUMP_NS) this.#forget();
    this.#lastStampNs = stampNs;
    const picture = call.method === 'onImage';
    const bytes = SMALL_BYTES + (picture ? call.values[1].data.byteLength : 0);
    const kept = { call, nowNs, stampNs, bytes, number: this.#number++ };
    (picture ? this.#pictures : this.#others).push(kept);
    this.#bytes += bytes;
    for (const queue of [this.#pictures, this.#others])
      while (queue.first && nowNs - queue.first.nowNs > this.#spanNs) this.#drop(queue);
    while (this.#bytes > this.#maxBytes)
      this.#drop(this.#pictures.first ? this.#pictures : this.#others);
  }

  /** In order of arrival, after the reset and the instruction that were in force when the oldest came. */
  entries(): Entry[] {
    const kept = merged([...this.#pictures], [...this.#others]);
    const stampNs = kept[0]?.stampNs ?? this.#lastStampNs ?? 0n;
    const head = [this.#reset, this.#instruction].flatMap((call) => call ?? []);
    return [
      ...head.map((call) => ({ stampNs, call })),
      ...kept.map(({ stampNs, call }) => ({ stampNs, call })),
    ];
  }

  #drop(queue: Queue<Kept>): void {
    const { call, bytes } = queue.shift()!;
    this.#bytes -= bytes;
    if (call.method === 'onInstruction') this.#instruction = call;
    // An episode begins without an instruction.
    if (call.method === 'onReset') [this.#reset, this.#instruction] = [call, null];
  }

  #forget(): void {
    for (const queue of [this.#pictures, this.#others]) while (queue.first) this.#drop(queue);
  }
}

function merged(a: readonly Kept[], b: readonly Kept[]): Kept[] {
  const all: Kept[] = [];
  let [i, j] = [0, 0];
  while (i < a.length || j < b.length)
    if (j >= b.length || (i < a.length && a[i]!.number < b[j]!.number)) all.push(a[i++]!);
    else all.push(b[j++]!);
  return all;
}

/** First in, first out, without moving what stays. */
class Queue<T> {
  #items: (T | undefined)[] = [];
  #from = 0;

  get first(): T | undefined {
    return this.#items[this.#from];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  shift(): T | undefined {
    const item = this.first;
    this.#items[this.#from] = undefined;
    if (this.#from < this.#items.length) this.#from += 1;
    if (this.#from > 1024 && 2 * this.#from > this.#items.length) {
      this.#items.splice(0, this.#from);
      this.#from = 0;
    }
    return item;
  }

  *[Symbol.iterator](): Generator<T> {
    for (let i = this.#from; i < this.#items.length; i++) yield this.#items[i]!;
  }
}
