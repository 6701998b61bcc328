/**
 * Worker processes: a parent that forks copies of this program and asks them for numbered pieces of work, and their end of it.
 * Data only, structured-clone; a child ends when its parent does.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { InputError, messageOf } from '../errors.js';
import type { Doer } from './shareOut.js';

type Request =
  | { readonly kind: 'open'; readonly job: unknown }
  | { readonly kind: 'do'; readonly index: number }
  | { readonly kind: 'close' };

type Reply =
  | { readonly kind: 'opened'; readonly facts: unknown }
  | { readonly kind: 'done'; readonly result: unknown }
  | { readonly kind: 'failed'; readonly message: string; readonly isInput: boolean };

/** A child process at work on one job. */
export class WorkProcess<Facts, Result> implements Doer<Result> {
  readonly facts: Facts;
  readonly #child: ChildProcess;
  readonly #exchange: Exchange;

  /** `program`: the script to fork with the argument `work`. @throws what the child cannot open */
  static async open<Facts, Result>(
    program: string,
    job: unknown,
  ): Promise<WorkProcess<Facts, Result>> {
    // What a child prints is for people: its parent's stdout is for the result.
    const child = fork(program, ['work'], {
      serialization: 'advanced',
      stdio: ['ignore', 2, 2, 'ipc'],
    });
    const exchange = new Exchange(child);
    try {
      const reply = await exchange.ask({ kind: 'open', job });
      return new WorkProcess(child, exchange, (reply as { facts: Facts }).facts);
    } catch (error) {
      child.kill();
      throw error;
    }
  }

  private constructor(child: ChildProcess, exchange: Exchange, facts: Facts) {
    this.#child = child;
    this.#exchange = exchange;
    this.facts = facts;
  }

  async do(index: number): Promise<Result> {
    const reply = await this.#exchange.ask({ kind: 'do', index });
    return (reply as { result: Result }).result;
  }

  /** Resolves when the child has ended. */
  async close(): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
    const ended = new Promise<void>((resolve) => this.#child.once('exit', () => resolve()));
    this.#exchange.tell({ kind: 'close' });
    await ended;
  }
}

/** One question at a time; a child that ends owes no answer. */
class Exchange {
  readonly #child: ChildProcess;
  #waiting: { resolve: (reply: Reply) => void; reject: (error: Error) => void } | null = null;
  #ended: Error | null = null;

  constructor(child: ChildProcess) {
    this.#child = child;
    child.on('message', (reply: Reply) => {
      const waiting = this.#waiting;
      this.#waiting = null;
      if (reply.kind !== 'failed') waiting?.resolve(reply);
      else waiting?.reject(reply.isInput ? new Refused(reply.message) : new Error(reply.message));
    });
    child.on('error', (error) => this.#end(error));
    child.on('exit', (code, signal) =>
      this.#end(new Error(`a worker process ended (${signal ?? code ?? 'unknown'})`)),
    );
  }

  ask(request: Request): Promise<Reply> {
    return new Promise((resolve, reject) => {
      if (this.#ended) reject(this.#ended);
      this.#waiting = { resolve, reject };
      this.tell(request);
    });
  }

  tell(request: Request): void {
    if (this.#child.connected) this.#child.send(request);
  }

  #end(error: Error): void {
    this.#ended ??= error;
    this.#waiting?.reject(error);
    this.#waiting = null;
  }
}

/** An InputError of a child, in its own words. */
class Refused extends InputError {
  constructor(message: string) {
    super('a worker process', message, 'what its parent could open');
    this.message = message;
  }
}

/** What a child does for one job. */
export interface Workshop {
  readonly facts: unknown;
  do(index: number): Promise<unknown>;
  close(): Promise<void>;
}

/** The channel to the parent: `process`, in a forked child. */
export type ParentChannel = Pick<NodeJS.Process, 'on' | 'send' | 'disconnect'>;

/** The child's end: opens the workshop it is told to, works, and resolves when it is told to close or left alone. */
export async function serveWork(
  parent: ParentChannel,
  open: (job: unknown) => Promise<Workshop>,
): Promise<void> {
  if (!parent.send) throw new InputError('work', 'no parent', 'to be started by simulate --jobs');
  let workshop: Workshop | null = null;
  const answer = async (request: Request): Promise<Reply> => {
    if (request.kind === 'open') {
      workshop = await open(request.job);
      return { kind: 'opened', facts: workshop.facts };
    }
    const index = (request as { index: number }).index;
    return { kind: 'done', result: await workshop!.do(index) };
  };
  await new Promise<void>((resolve) => {
    parent.on('disconnect', resolve);
    parent.on('message', (message: unknown) => {
      const request = message as Request;
      if (request.kind === 'close') {
        resolve();
        return;
      }
      void answer(request)
        .catch((error: unknown): Reply => ({
          kind: 'failed',
          message: messageOf(error),
          isInput: error instanceof InputError,
        }))
        .then((reply) => parent.send?.(reply));
    });
  });
  await (workshop as Workshop | null)?.close();
  if (process.connected) parent.disconnect();
}
