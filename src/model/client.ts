/**
 * The model as a policy, on the main thread: hands requests to the inference worker and keeps their deadlines. Never
 * decodes, infers or draws. At most one action and one trace are under way; an action goes first.
 */
import { ModelError } from '../errors.js';
import type {
  ActionPrediction,
  Answer,
  Observation,
  Refusal,
  Timing,
  TracePrediction,
} from '../types.js';
import { packAction, packTrace, type Parcel } from './parcel.js';
import type {
  LoadProgress,
  ModelAction,
  ModelFacts,
  ModelSettings,
  TraceQuestion,
} from './protocol.js';
import {
  nsFromMs,
  Supervisor,
  type Health,
  type Reply,
  type RestartRule,
  type SteadyClock,
} from './supervisor.js';
import { builtWorker } from './thread.js';

export interface ClientOptions {
  readonly settings: ModelSettings;
  readonly clock: SteadyClock;
  readonly onProgress?: (progress: LoadProgress) => void;
  readonly onHealth?: (health: Health) => void;
  /** A request that the worker has not answered so long after its deadline means that it hangs. */
  readonly graceMs?: number;
  readonly restarts?: RestartRule;
  readonly startTimeoutMs?: number;
  /** A worker other than model/worker.ts that speaks model/protocol.ts. */
  readonly worker?: URL;
}

type Kind = Reply['kind'];

/** A request that the worker owes a reply to. */
interface Owed {
  readonly kind: Kind;
  readonly observation: Observation;
  readonly deadlineNs: bigint;
  /** Answers the caller; null once that is done. */
  settle: ((answer: Answer<ActionPrediction | TracePrediction>) => void) | null;
  /** Ends the watch over deadline and grace. */
  readonly replied: AbortController;
}

export class ModelClient {
  readonly #clock: SteadyClock;
  readonly #graceMs: number;
  readonly #supervisor: Supervisor;
  readonly #owed = new Map<number, Owed>();
  readonly #timings: Record<Kind, Timing | null> = { action: null, trace: null };
  readonly #dropped = { late: 0, staleEpisode: 0 };
  #facts: ModelFacts | null = null;
  #lastId = 0;
  #episode = -Infinity;

  /**
   * Resolves when the model is loaded and warmed up.
   * @throws ModelError where it cannot be; the thread has ended then.
   */
  static async open(options: ClientOptions): Promise<ModelClient> {
    const client = new ModelClient(options);
    try {
      client.#facts = await client.#supervisor.open();
      return client;
    } catch (error) {
      await client.close();
      throw error;
    }
  }

  private constructor(options: ClientOptions) {
    this.#clock = options.clock;
    this.#graceMs = options.graceMs ?? 2000;
    this.#supervisor = new Supervisor({
      settings: options.settings,
      clock: options.clock,
      worker: options.worker ?? builtWorker(),
      restarts: options.restarts ?? { max: 5, backOffMs: 500 },
      startTimeoutMs: options.startTimeoutMs ?? 600_000,
      onReply: (reply) => this.#hear(reply),
      onDown: (because) => this.#refuseAll({ kind: 'workerFailed', message: because }),
      onProgress: options.onProgress ?? (() => undefined),
      onHealth: options.onHealth ?? (() => undefined),
    });
  }

  get name(): string {
    return this.facts.name;
  }

  /** What was loaded first, which provider and which decoding were chosen, and why. */
  get facts(): ModelFacts {
    if (!this.#facts) throw new ModelError('model client', 'no model', 'one that is open');
    return this.#facts;
  }

  get health(): Health {
    return this.#supervisor.health;
  }

  /** Of the worker's latest reply, whether prediction or refusal. */
  get timings(): Readonly<Record<Kind, Timing | null>> {
    return this.#timings;
  }

  /** Replies that came after their deadline, or after their episode. They are counted and go nowhere. */
  get dropped(): Readonly<{ late: number; staleEpisode: number }> {
    return this.#dropped;
  }

  /** Resolves by its deadline, with a prediction or a refusal; never rejects. Buffers of the observation are copied. */
  requestAction(observation: Observation, timeoutMs: number): Promise<Answer<ActionPrediction>> {
    return this.#request<ModelAction>('action', observation, timeoutMs, (id) =>
      packAction(id, observation, this.facts),
    );
  }

  /** As requestAction. Without marks the picture's own points of interest are marked. */
  requestTrace(
    observation: Observation,
    what: TraceQuestion,
    timeoutMs: number,
  ): Promise<Answer<TracePrediction>> {
    return this.#request<TracePrediction>('trace', observation, timeoutMs, (id) =>
      packTrace(id, observation, what, this.facts),
    );
  }

  /** A new episode: requests of earlier ones are refused now, and their replies dropped. */
  reset(episode: number): void {
    this.#episode = episode;
    for (const [id, owed] of this.#owed) {
      const earlier = owed.observation.episode;
      if (earlier < episode) this.#refuse(id, owed, staleEpisode(owed.kind, earlier, episode));
    }
  }

  /** Refuses what is under way and resolves when the thread has ended. */
  async close(): Promise<void> {
    this.#refuseAll({ kind: 'workerFailed', message: 'the model was closed' });
    await this.#supervisor.close();
  }

  #request<T extends ActionPrediction | TracePrediction>(
    kind: Kind,
    observation: Observation,
    timeoutMs: number,
    pack: (id: number) => Parcel,
  ): Promise<Answer<T>> {
    const refusal = this.#notNow(kind, observation);
    if (refusal) return Promise.resolve({ ok: false, refusal });
    const id = ++this.#lastId;
    const deadlineNs = this.#clock.now().nowNs + nsFromMs(timeoutMs);
    const { message, buffers } = pack(id);
    return new Promise((resolve) => {
      const settle = resolve as NonNullable<Owed['settle']>;
      const owed: Owed = { kind, observation, deadlineNs, settle, replied: new AbortController() };
      this.#owed.set(id, owed);
      void this.#watch(id, owed, timeoutMs);
      this.#supervisor.post(message, buffers);
    });
  }

  /** Why a request is refused before it is sent; null where it is sent. */
  #notNow(kind: Kind, { episode }: Observation): Refusal | null {
    const { state, because } = this.#supervisor.health;
    if (state !== 'ready') return { kind: 'workerFailed', message: because };
    if (episode < this.#episode) return staleEpisode(kind, episode, this.#episode);
    const isUnderWay = [...this.#owed.values()].some((owed) => owed.kind === kind && owed.settle);
    if (!isUnderWay) return null;
    return { kind: 'preempted', message: `one ${kind} request is under way already` };
  }

  /** First the deadline, which is the caller's; then the grace, after which the worker counts as hung. */
  async #watch(id: number, owed: Owed, timeoutMs: number): Promise<void> {
    const { signal } = owed.replied;
    const isOwedAt = async (nowNs: bigint): Promise<boolean> => {
      await this.#clock.sleepUntil(nowNs, signal);
      return !signal.aborted;
    };
    if (!(await isOwedAt(owed.deadlineNs))) return;
    this.#refuse(id, owed, missedDeadline(owed.kind, timeoutMs));
    // From now, not from the deadline: where this thread was blocked, the reply may be waiting to be heard.
    if (!(await isOwedAt(this.#clock.now().nowNs + nsFromMs(this.#graceMs)))) return;
    const silentMs = timeoutMs + this.#graceMs;
    const what = `asked for ${article(owed.kind)} it gave no reply for ${silentMs} ms`;
    this.#supervisor.giveUp(`it hangs: ${what}`);
  }

  #hear(reply: Reply): void {
    const owed = this.#owed.get(reply.id);
    this.#owed.delete(reply.id);
    if (!owed) return;
    owed.replied.abort();
    const { answer, timing } = reply.outcome;
    this.#timings[reply.kind] = timing;
    const { settle, deadlineNs, observation, kind } = owed;
    if (settle === null) {
      this.#dropped[observation.episode < this.#episode ? 'staleEpisode' : 'late'] += 1;
    } else if (this.#clock.now().nowNs > deadlineNs) {
      // This thread was blocked: the reply is heard before the timer of its deadline.
      this.#dropped.late += 1;
      settle({ ok: false, refusal: missedDeadline(kind, null) });
    } else settle(answer);
  }

  /** Answers the caller, and tells the worker that nobody waits. It still owes a reply, as a sign of life. */
  #refuse(id: number, owed: Owed, refusal: Refusal): void {
    if (!owed.settle) return;
    owed.settle({ ok: false, refusal });
    owed.settle = null;
    this.#supervisor.post({ kind: 'cancel', id });
  }

  /** Nothing will be replied any more. */
  #refuseAll(refusal: Refusal): void {
    for (const owed of this.#owed.values()) {
      owed.replied.abort();
      owed.settle?.({ ok: false, refusal });
    }
    this.#owed.clear();
  }
}

function missedDeadline(kind: Kind, timeoutMs: number | null): Refusal {
  const within = timeoutMs === null ? 'by its deadline' : `within ${timeoutMs} ms`;
  return { kind: 'deadline', message: `the model gave no ${kind} ${within}` };
}

function staleEpisode(kind: Kind, episode: number, now: number): Refusal {
  return {
    kind: 'staleEpisode',
    message: `${article(kind)} of episode ${episode} is of no use in episode ${now}`,
  };
}

function article(kind: Kind): string {
  return kind === 'action' ? 'an action' : 'a trace';
}
