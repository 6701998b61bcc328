/** When a policy is to be asked next: at the pace that robot.yaml wants, in step with the camera. Pure; steady clock. */
import { nsFromSeconds } from './clock.js';

/**
 * The next request may come this share of a period after the last: then requests follow a camera that is as fast as the
 * policy, instead of asking about pictures that have waited for their turn.
 */
const EAGER = 0.9;
/** Until this share of a period after the last request, a picture that waits is left for one that is about to come. */
const PATIENT = 1.1;
/**
 * A request that is late, by up to this share of a period, does not make the next one late: where its picture had waited,
 * the period counts from when that came. Else a camera at the policy's rate would be asked about late for ever.
 */
const FORGIVEN = 0.5;

export class Rhythm {
  /** s */
  readonly #period: number;
  /** From when the period of the last request counts. */
  #fromNs: bigint | null = null;
  /** What lateness is forgiven against: with every request it moves on by EAGER of a period, so that they do not outrun it. */
  #paceNs: bigint | null = null;
  /** When the latest picture came, and how long after the one before. */
  #seen: { readonly nowNs: bigint; readonly intervalNs: bigint | null } | null = null;

  /** `period`: between two requests, s. */
  constructor(period: number) {
    this.#period = period;
  }

  /** Something new is to be done: no request about it has been made yet. */
  begin(): void {
    this.#fromNs = null;
    this.#paceNs = null;
  }

  /** A picture has come. A driver that asks at ticks only need not tell. */
  see(nowNs: bigint): void {
    this.#seen = { nowNs, intervalNs: this.#seen && nowNs - this.#seen.nowNs };
  }

  /** A request is made, about the latest picture. */
  ask(nowNs: bigint): void {
    const cameNs = this.#seen?.nowNs ?? nowNs;
    const earliestNs = nowNs - this.#ns(FORGIVEN);
    const paceNs =
      this.#paceNs === null ? earliestNs : later(this.#paceNs + this.#ns(EAGER), earliestNs);
    this.#paceNs = paceNs;
    this.#fromNs = later(cameNs, paceNs);
  }

  isDue(nowNs: bigint): boolean {
    return this.#isOver(EAGER, nowNs);
  }

  /**
   * Whether a picture that has waited is better left: the next one comes by the time the period is over. Where nothing has
   * been asked yet, within a period, and a camera of which too little was seen is taken to be as fast as the policy: a
   * beginning out of step with the camera would cut the first action short.
   */
  isAboutToSee(nowNs: bigint): boolean {
    if (!this.#seen) return false;
    const isFirst = this.#fromNs === null;
    const intervalNs = this.#seen.intervalNs ?? (isFirst ? this.#ns(1) : null);
    if (intervalNs === null) return false;
    const lastNs = (this.#fromNs ?? this.#seen.nowNs) + this.#ns(PATIENT);
    return nowNs < lastNs && this.#seen.nowNs + intervalNs < lastNs;
  }

  #isOver(share: number, nowNs: bigint): boolean {
    return this.#fromNs === null || nowNs >= this.#fromNs + this.#ns(share);
  }

  #ns(share: number): bigint {
    return nsFromSeconds(share * this.#period);
  }
}

const later = (a: bigint, b: bigint): bigint => (a > b ? a : b);
