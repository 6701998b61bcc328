/** Readings of the last second, so that what is fed to a policy beside a picture is of the picture's time. */
interface Stamped {
  readonly stampNs: bigint;
}

const SPAN_NS = 1_000_000_000n;
const CAPACITY = 4096;

export class History<T extends Stamped> {
  #readings: T[] = [];

  /** Stamps rise; what is older than a second before the newest is forgotten. */
  add(reading: T): void {
    this.#readings.push(reading);
    const from = this.#readings.findIndex(({ stampNs }) => stampNs >= reading.stampNs - SPAN_NS);
    if (from > 0 || this.#readings.length > CAPACITY) {
      this.#readings.splice(0, Math.max(from, this.#readings.length - CAPACITY));
    }
  }

  clear(): void {
    this.#readings = [];
  }

  /** The reading whose stamp is nearest; null without readings. */
  at(stampNs: bigint): T | null {
    let nearest: T | null = null;
    for (const reading of this.#readings) {
      if (!nearest || gap(reading.stampNs, stampNs) <= gap(nearest.stampNs, stampNs))
        nearest = reading;
    }
    return nearest;
  }
}

function gap(a: bigint, b: bigint): bigint {
  return a > b ? a - b : b - a;
}
