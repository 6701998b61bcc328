/**
 * Openings 0 … 1 → open (1) or close (0), with hysteresis: a new state is wanted where the opening crosses
 * 0.5 ± hysteresis, and is offered until a command has carried it.
 */
export class GripperSwitch {
  readonly #hysteresis: number;
  #wanted: 0 | 1 | null = null;
  #sent: number | null = null;

  constructor(hysteresis: number) {
    this.#hysteresis = hysteresis;
  }

  /** The state last carried by a command; null before the first. */
  get current(): number | null {
    return this.#sent;
  }

  want(opening: number): void {
    if (opening > 0.5 + this.#hysteresis) this.#wanted = 1;
    else if (opening < 0.5 - this.#hysteresis) this.#wanted = 0;
  }

  /** What has still to be sent; null: nothing. */
  get pending(): number | null {
    return this.#wanted === this.#sent ? null : this.#wanted;
  }

  confirm(sent: number | null): void {
    if (sent !== null) this.#sent = sent;
  }

  /** The gripper may have been moved by others: the next wish is sent even where it is the same. */
  forget(): void {
    this.#wanted = null;
    this.#sent = null;
  }
}
