/**
 * Keeps an inference worker alive: starts it, waits until it is ready, and starts another where it crashes or hangs,
 * each time after a longer wait and not for ever.
 */
import { ModelError } from '../errors.js';
import type { FromWorker, LoadProgress, ModelFacts, ModelSettings, ToWorker } from './protocol.js';
import { Thread } from './thread.js';

/** Steady time, handed in: nothing here reads a global clock. */
export interface SteadyClock {
  now(): { readonly nowNs: bigint };
  /** Resolves at this time, at once where it has passed, and early where `signal` is aborted. */
  sleepUntil(nowNs: bigint, signal?: AbortSignal): Promise<void>;
}

/** What the worker is up to; `because` is one sentence. `failed` and `closed` are final. */
export interface Health {
  readonly state: 'starting' | 'ready' | 'restarting' | 'failed' | 'closed';
  /** Since the model was opened. */
  readonly restarts: number;
  readonly because: string;
}

export interface RestartRule {
  /** Restarts in a row, without an answer between them. */
  readonly max: number;
  /** Before the first of a row; twice as long before each that follows. */
  readonly backOffMs: number;
}

export type Reply = Extract<FromWorker, { readonly id: number }>;

export interface SupervisorOptions {
  readonly settings: ModelSettings;
  readonly worker: URL;
  readonly clock: SteadyClock;
  readonly restarts: RestartRule;
  /** A start without a sign of progress for so long is given up. */
  readonly startTimeoutMs: number;
  readonly onReply: (reply: Reply) => void;
  /** The worker is gone: what it was asked will not be answered. */
  readonly onDown: (because: string) => void;
  readonly onProgress: (progress: LoadProgress) => void;
  readonly onHealth: (health: Health) => void;
}

export class Supervisor {
  readonly #options: SupervisorOptions;
  readonly #closed = new AbortController();
  #thread: Thread | null = null;
  /** Resolves when every thread that was given up is gone. */
  #gone: Promise<void> = Promise.resolve();
  #facts: ModelFacts | null = null;
  #health: Health = { state: 'starting', restarts: 0, because: 'the model is being loaded' };
  #failuresInARow = 0;
  #heardNs = 0n;
  #starting = new AbortController();
  #opened: { resolve: (facts: ModelFacts) => void; reject: (error: ModelError) => void } | null =
    null;

  constructor(options: SupervisorOptions) {
    this.#options = options;
  }

  get health(): Health {
    return this.#health;
  }

  /** Null before the first time the worker was ready. */
  get facts(): ModelFacts | null {
    return this.#facts;
  }

  /** Starts the worker and resolves when it is ready. The first start is not repeated. @throws ModelError. */
  open(): Promise<ModelFacts> {
    return new Promise((resolve, reject) => {
      this.#opened = { resolve, reject };
      this.#start();
    });
  }

  /** `buffers` are handed over: they are empty on this side afterwards. */
  post(message: ToWorker, buffers: readonly ArrayBuffer[] = []): void {
    this.#thread?.post(message, buffers);
  }

  /** Gives the thread up, also one that hangs, and starts another. */
  giveUp(because: string): void {
    this.#down(because);
  }

  /** Ends the thread: of itself within a second, else by force. */
  async close(): Promise<void> {
    this.#closed.abort();
    this.#starting.abort();
    if (this.#health.state !== 'closed') this.#setHealth('closed', 'the model was closed');
    const thread = this.#thread;
    this.#thread = null;
    if (thread) {
      const answered = new AbortController();
      await thread.close(this.#sleep(1000, answered.signal));
      answered.abort();
    }
    await this.#gone;
  }

  #start(): void {
    this.#heardNs = this.#options.clock.now().nowNs;
    this.#starting = new AbortController();
    this.#thread = new Thread(this.#options.worker, this.#options.settings, {
      onMessage: (message) => this.#hear(message),
      onEnd: (because) => this.#down(because),
    });
    void this.#watchStart(this.#starting.signal);
  }

  #hear(message: FromWorker): void {
    this.#heardNs = this.#options.clock.now().nowNs;
    switch (message.kind) {
      case 'progress':
        this.#options.onProgress(message.progress);
        break;
      case 'ready':
        this.#starting.abort();
        this.#facts = message.facts;
        this.#setHealth('ready', `model ${message.facts.name} is loaded and warmed up`);
        this.#opened?.resolve(message.facts);
        this.#opened = null;
        break;
      case 'unusable':
        this.#fail(new ModelError(message.where, message.got, message.expected));
        break;
      case 'action':
      case 'trace':
        this.#failuresInARow = 0;
        this.#options.onReply(message);
        break;
    }
  }

  /** The thread ended, or is given up. */
  #down(because: string): void {
    if (this.#closed.signal.aborted || this.#health.state === 'failed') return;
    if (this.#opened) {
      this.#fail(new ModelError('model worker', because, 'a worker that starts'));
      return;
    }
    const { max, backOffMs } = this.#options.restarts;
    if (this.#failuresInARow >= max) {
      this.#fail(
        new ModelError('model worker', `${because}, after ${max} restarts in a row`, 'answers'),
      );
      return;
    }
    const waitMs = backOffMs * 2 ** this.#failuresInARow;
    this.#failuresInARow += 1;
    this.#drop();
    const which = `restart ${this.#failuresInARow} of at most ${max} in a row, in ${waitMs} ms`;
    this.#setHealth('restarting', `the model worker is down: ${because}; ${which}`);
    this.#options.onDown(`the model worker is down: ${because}`);
    void this.#restartAfter(waitMs);
  }

  /** For good. */
  #fail(error: ModelError): void {
    this.#drop();
    this.#setHealth('failed', error.message);
    this.#options.onDown(error.message);
    this.#opened?.reject(error);
    this.#opened = null;
  }

  #drop(): void {
    this.#starting.abort();
    const thread = this.#thread;
    this.#thread = null;
    if (thread) this.#gone = Promise.all([this.#gone, thread.end()]).then(() => undefined);
  }

  /** Two models are never in memory at a time. */
  async #restartAfter(waitMs: number): Promise<void> {
    await Promise.all([this.#gone, this.#sleep(waitMs, this.#closed.signal)]);
    if (this.#closed.signal.aborted) return;
    this.#setHealth('restarting', 'the model is being loaded again', this.#health.restarts + 1);
    this.#start();
  }

  async #watchStart(signal: AbortSignal): Promise<void> {
    const { clock, startTimeoutMs } = this.#options;
    const timeoutNs = nsFromMs(startTimeoutMs);
    while (clock.now().nowNs - this.#heardNs < timeoutNs) {
      await clock.sleepUntil(this.#heardNs + timeoutNs, signal);
      if (signal.aborted) return;
    }
    this.#down(`no sign of progress for ${startTimeoutMs} ms while it started`);
  }

  #sleep(ms: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.#options;
    return clock.sleepUntil(clock.now().nowNs + nsFromMs(ms), signal);
  }

  #setHealth(state: Health['state'], because: string, restarts = this.#health.restarts): void {
    this.#health = { state, restarts, because };
    this.#options.onHealth(this.#health);
  }
}

/** ms → ns, to the nearest. */
export function nsFromMs(ms: number): bigint {
  return BigInt(Math.round(ms * 1e6));
}
