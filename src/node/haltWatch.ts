/**
 * At every halt: it is told, the seconds before it are written down, and where something around the arm stopped it, the
 * task has ended. What comes back (consent, a clock, an operator's word) begins no motion by itself: a new instruction does.
 */
import type { LoopObserver, Tick } from '../control/loop.js';
import type { RosNode } from '../robot/ros/ros.js';
import { REASONS } from '../safety/reasons.js';
import type { Reason } from '../types.js';
import type { InstructionServer } from './instructionServer.js';
import type { FlightRecorder } from './ports.js';

/** Holds that pass by themselves: what latches ends a task anyway. */
const PASSING: ReadonlySet<string> = new Set(['notEnabled', 'clockSilent']);
/** ms: a latch that could not be written, so soon after another file, is tried once more. */
const AGAIN_MS = 5500;

export class HaltWatch implements LoopObserver {
  readonly #node: Pick<RosNode, 'log'>;
  readonly #recorder: FlightRecorder;
  readonly #instructions: Pick<InstructionServer, 'instruction' | 'stop'>;
  #wasHalted = false;
  #wasLatched = false;

  constructor(
    node: Pick<RosNode, 'log'>,
    recorder: FlightRecorder,
    instructions: Pick<InstructionServer, 'instruction' | 'stop'>,
  ) {
    this.#node = node;
    this.#recorder = recorder;
    this.#instructions = instructions;
  }

  onTick({ verdict }: Tick): void {
    const { outcome, reasons } = verdict;
    const isHalted = outcome === 'halt';
    const isLatched = isHalted && reasons.some(latches);
    if ((isHalted && !this.#wasHalted) || (isLatched && !this.#wasLatched)) {
      this.#node.log.warn(`halt: ${reasons.map(({ message }) => message).join(' ')}`);
      // A released button is no incident: it would push the incidents out.
      if (reasons.some(({ code }) => code !== 'notEnabled'))
        void this.#writeDown(reasons, isLatched);
    }
    this.#wasHalted = isHalted;
    this.#wasLatched = isLatched;
    const passing = reasons.find(({ code }) => PASSING.has(code));
    if (isHalted && passing && this.#instructions.instruction !== null)
      this.#instructions.stop(passing.message);
  }

  /** Never rejects. */
  async #writeDown(reasons: readonly Reason[], isLatched: boolean): Promise<void> {
    const because = reasons.map(({ code, message }) => `${code}: ${message}`).join(' ');
    let path = await this.#recorder.dump(because);
    if (path === null && isLatched) {
      await new Promise((resolve) => setTimeout(resolve, AGAIN_MS));
      path = await this.#recorder.dump(because);
    }
    if (path !== null) this.#node.log.warn(`the seconds before the halt are in ${path}`);
  }
}

function latches({ code }: Reason): boolean {
  return (
    (REASONS as Readonly<Record<string, { readonly effect: string }>>)[code]?.effect === 'latch'
  );
}
