/**
 * The order in which the worker serves requests: an action goes before a trace. A trace that has begun is suspended at
 * its next pause, the action runs, the trace goes on. Every request is answered exactly once.
 */
import type { Answer, Observation, Refusal, TracePrediction } from '../types.js';
import type { Pause } from './predictor.js';
import type {
  ActionRequest,
  FromWorker,
  ModelAction,
  Outcome,
  ToWorker,
  TraceQuestion,
  TraceRequest,
} from './protocol.js';

/** What of a Predictor is scheduled. */
export interface Predicts {
  predictAction(observation: Observation): Promise<Outcome<ModelAction>>;
  predictTrace(
    observation: Observation,
    question: TraceQuestion,
    pause: Pause,
  ): Promise<Outcome<TracePrediction>>;
}

export interface SchedulerOptions {
  readonly predictor: Predicts;
  readonly reply: (message: FromWorker) => void;
  /** Lets messages in that came while the thread was busy. */
  readonly turn: () => Promise<void>;
  /** Told of anything thrown: a bug, after which nothing more is served. */
  readonly onFailure: (error: unknown) => void;
}

export class Scheduler {
  readonly #options: SchedulerOptions;
  #actions: ActionRequest[] = [];
  #traces: TraceRequest[] = [];
  readonly #cancelled = new Set<number>();
  /** Of what is being served now: a trace may be suspended below an action. */
  readonly #running = new Set<number>();
  #isWorking = false;
  #isStopped = false;

  constructor(options: SchedulerOptions) {
    this.#options = options;
  }

  receive(message: Exclude<ToWorker, { kind: 'close' }>): void {
    if (this.#isStopped) return;
    switch (message.kind) {
      case 'action':
        this.#actions.push(message);
        break;
      case 'trace':
        this.#traces.push(message);
        break;
      case 'cancel':
        this.#cancel(message.id);
        break;
    }
    if (!this.#isWorking) void this.#work();
  }

  /** Serves nothing more; what is being served ends at its next pause, unanswered. */
  stop(): void {
    this.#isStopped = true;
  }

  async #work(): Promise<void> {
    this.#isWorking = true;
    try {
      while (this.#hasWork()) {
        await this.#serveActions();
        const trace = this.#traces.shift();
        if (trace) await this.#serveTrace(trace);
      }
      this.#isWorking = false;
    } catch (error) {
      this.#isStopped = true;
      this.#options.onFailure(error);
    }
  }

  #hasWork(): boolean {
    return !this.#isStopped && this.#actions.length + this.#traces.length > 0;
  }

  async #serveActions(): Promise<void> {
    for (let next = this.#nextAction(); next; next = this.#nextAction()) {
      const { id, observation } = next;
      const outcome = await this.#serve(id, () =>
        this.#options.predictor.predictAction(observation),
      );
      this.#reply({ kind: 'action', id, outcome });
    }
  }

  #nextAction(): ActionRequest | undefined {
    return this.#isStopped ? undefined : this.#actions.shift();
  }

  async #serveTrace({ id, observation, question }: TraceRequest): Promise<void> {
    const { predictor, turn } = this.#options;
    const pause: Pause = async () => {
      await turn();
      await this.#serveActions();
      return this.#isStopped || this.#cancelled.has(id) ? cancelled : null;
    };
    const outcome = await this.#serve(id, () =>
      predictor.predictTrace(observation, question, pause),
    );
    this.#reply({ kind: 'trace', id, outcome });
  }

  async #serve<T>(id: number, predict: () => Promise<Outcome<T>>): Promise<Outcome<T>> {
    this.#running.add(id);
    try {
      return await predict();
    } finally {
      this.#running.delete(id);
      this.#cancelled.delete(id);
    }
  }

  /** One that waits is answered at once; a trace that runs, at its next pause; an action that runs, when it is done. */
  #cancel(id: number): void {
    if (this.#running.has(id)) {
      this.#cancelled.add(id);
      return;
    }
    const waits = (request: { readonly id: number }): boolean => request.id === id;
    if (this.#actions.some(waits)) this.#reply({ kind: 'action', id, outcome: notStarted() });
    if (this.#traces.some(waits)) this.#reply({ kind: 'trace', id, outcome: notStarted() });
    this.#actions = this.#actions.filter((request) => !waits(request));
    this.#traces = this.#traces.filter((request) => !waits(request));
  }

  #reply(message: FromWorker): void {
    if (!this.#isStopped) this.#options.reply(message);
  }
}

/** Whoever cancelled has told the caller why. */
const cancelled: Refusal = { kind: 'preempted', message: 'the request was cancelled' };

function notStarted<T>(): Outcome<T> {
  const answer: Answer<T> = { ok: false, refusal: cancelled };
  const timing = { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 };
  return { answer, timing };
}
