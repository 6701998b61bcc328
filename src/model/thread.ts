/** One run of the inference worker: from its start to its end, which is told exactly once. */
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { FromWorker, ModelSettings, ToWorker } from './protocol.js';

export interface ThreadListener {
  onMessage(message: FromWorker): void;
  /** The thread has ended of itself; not called after `end`. */
  onEnd(because: string): void;
}

/** The built worker: beside this file, or, where this file runs from the sources, in dist. */
export function builtWorker(): URL {
  const beside = new URL('./worker.js', import.meta.url);
  return existsSync(beside) ? beside : new URL('../../dist/model/worker.js', import.meta.url);
}

export class Thread {
  readonly #worker: Worker;
  readonly #exited: Promise<void>;
  #listener: ThreadListener | null;

  constructor(script: URL, settings: ModelSettings, listener: ThreadListener) {
    this.#listener = listener;
    this.#worker = new Worker(script, { workerData: settings, name: 'inference' });
    this.#worker.on('message', (message: FromWorker) => this.#listener?.onMessage(message));
    this.#worker.on('error', (error: Partial<Error>) => {
      this.#ended(`it crashed: ${error.message ?? 'it threw something that is no error'}`);
    });
    this.#exited = new Promise((resolve) => {
      this.#worker.on('exit', (code) => {
        this.#ended(`it ended with code ${code}`);
        resolve();
      });
    });
  }

  /** `buffers` are handed over: they are empty on this side afterwards. */
  post(message: ToWorker, buffers: readonly ArrayBuffer[] = []): void {
    this.#worker.postMessage(message, [...buffers]);
  }

  /** Ends the thread now, also one that hangs, and resolves when it is gone. What it still says is not heard. */
  async end(): Promise<void> {
    this.#listener = null;
    await this.#worker.terminate();
    await this.#exited;
  }

  /** Asks it to end of itself, `whenOverdue` resolving ends the patience. */
  async close(whenOverdue: Promise<unknown>): Promise<void> {
    this.#listener = null;
    this.post({ kind: 'close' });
    await Promise.race([this.#exited, whenOverdue]);
    await this.end();
  }

  #ended(because: string): void {
    const listener = this.#listener;
    this.#listener = null;
    listener?.onEnd(because);
  }
}
