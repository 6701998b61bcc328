/** When a GripperCommand goal has ended: at its position, or where the fingers stopped on something. m, m/s. */

export interface GripperSettings {
  readonly goalTolerance: number;
  /** Slower than this is standing still. */
  readonly stallVelocity: number;
  /** Standing still for this long, ns, is a stall. */
  readonly stallNs: bigint;
}

export class GripperGoal {
  readonly position: number;
  readonly #settings: GripperSettings;
  #movedNs: bigint;

  constructor(position: number, nowNs: bigint, settings: GripperSettings) {
    this.position = position;
    this.#settings = settings;
    this.#movedNs = nowNs;
  }

  check(position: number, velocity: number, nowNs: bigint): 'moving' | 'reached' | 'stalled' {
    const { goalTolerance, stallVelocity, stallNs } = this.#settings;
    if (Math.abs(position - this.position) < goalTolerance) return 'reached';
    if (Math.abs(velocity) > stallVelocity) this.#movedNs = nowNs;
    return nowNs - this.#movedNs > stallNs ? 'stalled' : 'moving';
  }
}
