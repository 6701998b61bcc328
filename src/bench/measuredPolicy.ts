/**
 * The model as a policy whose answers are measured, then replaced: the arm moves to and fro by a few millimetres whatever
 * the weights say, so that control plans, solves and guards as it does on a robot.
 */
import type { ModelClient } from '../model/client.js';
import type {
  ActionPrediction,
  Answer,
  Observation,
  Refusal,
  Timing,
  TracePrediction,
} from '../types.js';
import type { Policy, TraceRequest } from '../control/policy.js';
import { spreadOf, type Spread } from './spread.js';

/** ms */
export type Stages = Readonly<Record<keyof Timing, Spread>>;

const stageNames = ['decodeMs', 'preprocessMs', 'visionMs', 'generateMs', 'totalMs'] as const;
const swing = 0.004;
const framesPerSwing = 25;

export class MeasuredPolicy implements Policy {
  readonly name = 'bench';
  readonly #client: ModelClient;
  readonly #frameId: string;
  #actions: Timing[] = [];
  #traces: Timing[] = [];
  readonly #failures = new Map<string, number>();

  constructor(client: ModelClient, frameId: string) {
    this.#client = client;
    this.#frameId = frameId;
  }

  /** Answers the worker gave, whatever they said. */
  get counts(): { readonly actions: number; readonly traces: number } {
    return { actions: this.#actions.length, traces: this.#traces.length };
  }

  /** Requests that were not answered, by kind of refusal. */
  get failures(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#failures);
  }

  /** Null where nothing was answered. */
  stages(kind: 'action' | 'trace'): Stages | null {
    const timings = kind === 'action' ? this.#actions : this.#traces;
    if (timings.length === 0) return null;
    const of = (stage: keyof Timing): Spread => spreadOf(timings.map((timing) => timing[stage]));
    return Object.fromEntries(stageNames.map((name) => [name, of(name)])) as Stages;
  }

  forget(): void {
    this.#actions = [];
    this.#traces = [];
    this.#failures.clear();
  }

  async requestAction(
    observation: Observation,
    timeoutMs: number,
  ): Promise<Answer<ActionPrediction>> {
    const answer = await this.#client.requestAction(observation, timeoutMs);
    const timing = this.#client.timings.action;
    if (!this.#isAnswered(answer) || !timing) return answer;
    this.#actions.push(timing);
    return { ok: true, value: this.#movement(observation, timing) };
  }

  async requestTrace(
    observation: Observation,
    what: TraceRequest,
    timeoutMs: number,
  ): Promise<Answer<TracePrediction>> {
    const answer = await this.#client.requestTrace(observation, what, timeoutMs);
    const timing = this.#client.timings.trace;
    if (!this.#isAnswered(answer) || !timing) return answer;
    this.#traces.push(timing);
    const { stampNs: observationStampNs, episode } = observation;
    const { camera, marks } = what;
    const stepPeriodNs = 200_000_000n;
    const value = { observationStampNs, episode, camera, stepPeriodNs, marks, traces: [] };
    return { ok: true, value: { ...value, confidence: 1, timing } };
  }

  reset(episode: number): void {
    this.#client.reset(episode);
  }

  close(): Promise<void> {
    return this.#client.close();
  }

  /** An answer of fixed length rarely is a sentence of the model's grammar: that is an answer here. */
  #isAnswered(answer: Answer<unknown>): boolean {
    const failure: Refusal['kind'] | null = answer.ok ? null : answer.refusal.kind;
    if (failure === null || failure === 'malformedAnswer') return true;
    this.#failures.set(failure, (this.#failures.get(failure) ?? 0) + 1);
    return false;
  }

  #movement(observation: Observation, timing: Timing): ActionPrediction {
    const turn = Math.floor(this.#actions.length / framesPerSwing) % 2 === 0 ? 1 : -1;
    return {
      observationStampNs: observation.stampNs,
      episode: observation.episode,
      chunk: {
        kind: 'endEffectorDelta',
        stepPeriodNs: 200_000_000n,
        frameId: this.#frameId,
        reference: 'observedPose',
        composition: 'base',
        steps: [{ translation: [0, turn * swing, 0], rotation: [0, 0, 0], gripper: 1 }],
      },
      confidence: 1,
      timing,
    };
  }
}
