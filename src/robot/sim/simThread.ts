/** The main thread's end of the simulation's worker: requests are answered in order. */
import { existsSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import type { SimReply, SimRequest } from './protocol.js';
import type { SimWorkerData } from './simWorker.js';

export class SimThread {
  readonly #worker: Worker;
  readonly #waiting: { resolve: (reply: SimReply) => void; reject: (error: Error) => void }[] = [];
  #ended: Error | null = null;

  constructor(workerData: SimWorkerData) {
    this.#worker = new Worker(builtWorker(), { workerData });
    this.#worker.on('message', (reply: SimReply) => this.#settle(reply));
    this.#worker.on('error', (error) => this.#fail(error));
    this.#worker.on('exit', (code) =>
      this.#fail(new Error(`the simulation's worker ended with ${code}`)),
    );
  }

  /** @throws Error where the worker cannot do it, or has ended. */
  async ask<K extends SimRequest['kind']>(
    request: Extract<SimRequest, { kind: K }>,
  ): Promise<Extract<SimReply, { kind: (typeof answeredBy)[K] }>> {
    if (this.#ended) throw this.#ended;
    const reply = await new Promise<SimReply>((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      this.#worker.postMessage(request);
    });
    const expected = answeredBy[request.kind];
    if (reply.kind !== expected) throw new Error(`${request.kind}: got ${reply.kind}`);
    return reply as Extract<SimReply, { kind: (typeof answeredBy)[K] }>;
  }

  async stop(): Promise<void> {
    this.#worker.removeAllListeners('exit');
    await this.#worker.terminate();
    this.#fail(new Error('the simulation was stopped'));
  }

  #settle(reply: SimReply): void {
    const waiting = this.#waiting.shift();
    if (reply.kind === 'failed') waiting?.reject(new Error(`simulation: ${reply.message}`));
    else waiting?.resolve(reply);
  }

  #fail(error: Error): void {
    this.#ended ??= error;
    for (const { reject } of this.#waiting.splice(0)) reject(error);
  }
}

const answeredBy = {
  reset: 'reset',
  advance: 'advanced',
  step: 'stepped',
  picture: 'picture',
} as const satisfies Record<SimRequest['kind'], SimReply['kind']>;

/** The built worker: beside this file, or, where this file runs from the sources, in dist. */
function builtWorker(): URL {
  const beside = new URL('./simWorker.js', import.meta.url);
  const built = new URL('../../../dist/robot/sim/simWorker.js', import.meta.url);
  return existsSync(beside) ? beside : built;
}
