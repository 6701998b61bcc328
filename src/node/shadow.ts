/**
 * A second policy that predicts on what the first is asked about, and is compared with it. It hears of control as an
 * observer and has no way back: its answers go to `~/shadow/action_chunk` and into the comparison, nowhere else. Where it
 * is slower than the first, it misses requests; where it fails, that is counted.
 */
import { messageOf } from '../errors.js';
import type { Arm } from '../arm/kinematics.js';
import { type Instant, secondsFromNs } from '../control/clock.js';
import type { DeskObserver } from '../control/desk.js';
import type { Policy } from '../control/policy.js';
import * as pose from '../math/pose.js';
import { messageFromAction } from '../robot/messages/actionMessages.js';
import { seenFrom } from '../robot/messages/observationHash.js';
import { qos, type RosNode, type RosPublisher } from '../robot/ros/ros.js';
import type { ActionPrediction, Answer, Observation } from '../types.js';
import { pathDifference } from './pathDifference.js';

export interface ShadowOptions {
  readonly node: RosNode;
  /** Closed with the shadow. */
  readonly policy: Policy;
  readonly arm: Arm | null;
  readonly now: () => Instant;
}

/** Mean and worst of what was seen so far; NaN before the first. */
export interface Spread {
  readonly mean: number;
  readonly worst: number;
}

export interface ShadowComparison {
  readonly policy: string;
  /** Requests of the first policy that the shadow answered too, and that lead somewhere comparable. */
  readonly compared: number;
  /** Requests that came while the shadow was busy with an earlier one. */
  readonly missed: number;
  /** Answers of the shadow that are no predictions, or could not be taken. */
  readonly refused: number;
  /** Pairs without a common frame, or in which the first gave no prediction. */
  readonly incomparable: number;
  /** Between the two, mean over the common time of a chunk, m and rad. */
  readonly translation: Spread;
  readonly rotation: Spread;
  /** 0 … 1 */
  readonly gripperAgreement: number;
  /** From request to answer of the shadow, ms. */
  readonly latencyMs: Spread;
  /** Why the latest refused answer was none; null where there was none. */
  readonly problem: string | null;
}

/** A policy that is only watched may take its time; the next request it takes is a fresh one. */
const TIMEOUT_MS = 60_000;

/** One observation that both were asked about. Undefined: not answered yet. */
interface Pair {
  readonly observation: Observation;
  first: Answer<ActionPrediction> | undefined;
  own: Answer<ActionPrediction> | undefined;
}

export class Shadow implements DeskObserver {
  readonly #options: ShadowOptions;
  readonly #publisher: RosPublisher;
  readonly #translation = new Running();
  readonly #rotation = new Running();
  readonly #agreement = new Running();
  readonly #latency = new Running();
  readonly #counts = { missed: 0, refused: 0, incomparable: 0 };
  #problem: string | null = null;
  #pair: Pair | null = null;
  #episode: number | null = null;
  #isClosed = false;

  constructor(options: ShadowOptions) {
    this.#options = options;
    const type = 'magma_vla/msg/ActionChunk';
    this.#publisher = options.node.publisher(type, '~/shadow/action_chunk', qos.state);
  }

  get comparison(): ShadowComparison {
    return {
      policy: this.#options.policy.name,
      compared: this.#translation.count,
      ...this.#counts,
      translation: this.#translation.spread,
      rotation: this.#rotation.spread,
      gripperAgreement: this.#agreement.spread.mean,
      latencyMs: this.#latency.spread,
      problem: this.#problem,
    };
  }

  onRequest(observation: Observation): void {
    if (this.#isClosed) return;
    if (this.#pair && !this.#pair.own) {
      this.#counts.missed++;
      return;
    }
    const pair: Pair = { observation, first: undefined, own: undefined };
    this.#pair = pair;
    void this.#ask(pair);
  }

  onAction(
    answer: Answer<ActionPrediction>,
    { observation }: { readonly observation: Observation },
  ): void {
    if (this.#pair?.observation !== observation) return;
    this.#pair.first = answer;
    this.#compare(this.#pair);
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    this.#publisher.dispose();
    await this.#options.policy.close();
  }

  /** Never rejects. */
  async #ask(pair: Pair): Promise<void> {
    const startedNs = this.#options.now().nowNs;
    const own = await this.#answer(pair.observation);
    if (this.#isClosed) return;
    pair.own = own;
    try {
      this.#take(pair, own, secondsFromNs(this.#options.now().nowNs - startedNs) * 1e3);
    } catch (error) {
      this.#refuse(`its answer could not be taken: ${messageOf(error)}`);
    }
  }

  async #answer(observation: Observation): Promise<Answer<ActionPrediction>> {
    const { policy } = this.#options;
    const late = new AbortController();
    try {
      if (observation.episode !== this.#episode) policy.reset(observation.episode);
      this.#episode = observation.episode;
      return await Promise.race([
        policy.requestAction(observation, TIMEOUT_MS),
        silence(TIMEOUT_MS * 1.1, late.signal),
      ]);
    } catch (error) {
      return { ok: false, refusal: { kind: 'workerFailed', message: messageOf(error) } };
    } finally {
      late.abort();
    }
  }

  #take(pair: Pair, own: Answer<ActionPrediction>, tookMs: number): void {
    if (!own.ok) {
      this.#refuse(own.refusal.message);
      return;
    }
    this.#latency.add(tookMs);
    this.#publisher.publish(messageFromAction(own.value, seenFrom(pair.observation)));
    this.#compare(pair);
  }

  /** Once both have answered. */
  #compare({ observation, first, own }: Pair): void {
    if (!first || !own?.ok) return;
    const start = observation.endEffector?.pose ?? pose.identity;
    const { arm } = this.#options;
    const difference = first.ok
      ? pathDifference(first.value.chunk, own.value.chunk, start, arm)
      : null;
    if (!difference) {
      this.#counts.incomparable++;
      return;
    }
    this.#translation.add(difference.translation);
    this.#rotation.add(difference.rotation);
    this.#agreement.add(difference.gripperAgreement);
  }

  #refuse(problem: string): void {
    this.#counts.refused++;
    if (this.#problem === null) this.#options.node.log.warn(`shadow: ${problem}`);
    this.#problem = problem;
  }
}

class Running {
  count = 0;
  #sum = 0;
  #worst = NaN;

  add(value: number): void {
    this.count++;
    this.#sum += value;
    if (!(value <= this.#worst)) this.#worst = value;
  }

  get spread(): Spread {
    return { mean: this.#sum / this.count, worst: this.#worst };
  }
}

/** A policy that breaks its promise to answer in time must not hold the shadow up for ever. */
function silence(ms: number, signal: AbortSignal): Promise<Answer<ActionPrediction>> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      resolve({ ok: false, refusal: { kind: 'deadline', message: `no answer within ${ms} ms` } });
    }, ms);
    timer.unref();
    signal.addEventListener('abort', () => clearTimeout(timer));
  });
}
