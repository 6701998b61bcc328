/** A policy that moves the arm by exactly what a person has just agreed to: one delta, once, and nothing else. */
import type { ActionPrediction, Answer, EndEffectorDelta, Observation } from '../types.js';
import type { Policy } from './policy.js';

/** A gripper value that asks for neither open nor closed: within every hysteresis. */
export const gripperAsItIs = 0.5;

/** What every request is answered with that nothing was agreed to for. */
export const nothingAgreed = 'nothing more was agreed to';

export interface Jog {
  /** Base frame: t' = t + δ, R' = δ·R; from where the arm was last commanded to be. */
  readonly delta: EndEffectorDelta;
  /** How long the motion takes; from rest to rest. */
  readonly durationNs: bigint;
}

export class JogPolicy implements Policy {
  readonly name = 'jog';
  readonly #frameId: string;
  #next: { readonly episode: number; readonly jog: Jog } | null = null;

  /** `frameId`: the base frame that deltas are given in. */
  constructor(frameId: string) {
    this.#frameId = frameId;
  }

  /** Whether what was agreed to has still to be asked for. */
  get isPending(): boolean {
    return this.#next !== null;
  }

  /** The next request of this episode is answered with this, and the one after it with a refusal. */
  agree(jog: Jog, episode: number): void {
    this.#next = { episode, jog };
  }

  /** What was agreed to and has not been asked for yet is agreed to no longer. */
  withdraw(): void {
    this.#next = null;
  }

  requestAction({ stampNs, episode }: Observation): Promise<Answer<ActionPrediction>> {
    const next = this.#next;
    if (next?.episode !== episode) {
      const refusal = { kind: 'badObservation', message: nothingAgreed } as const;
      return Promise.resolve({ ok: false, refusal });
    }
    this.#next = null;
    return Promise.resolve({
      ok: true,
      value: {
        observationStampNs: stampNs,
        episode,
        chunk: {
          kind: 'endEffectorDelta',
          stepPeriodNs: next.jog.durationNs,
          frameId: this.#frameId,
          reference: 'lastTarget',
          composition: 'base',
          steps: [next.jog.delta],
        },
        confidence: 1,
        timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
      },
    });
  }

  /** What was agreed to for another episode is not done in this one. */
  reset(episode: number): void {
    if (this.#next && this.#next.episode !== episode) this.#next = null;
  }

  close(): Promise<void> {
    this.#next = null;
    return Promise.resolve();
  }
}
