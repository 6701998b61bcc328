/**
 * The lifecycle of a managed node (design.ros2.org/articles/node_lifecycle.html) with transitions that take
 * time. Knows nothing of the client library: the state machine that others see is handed in.
 */

import { messageOf } from '../../errors.js';
import type {
  LifecycleHandlers,
  LifecycleState,
  RosLifecycle,
  RosLogger,
  Transition,
} from './ros.js';

/** The state machine behind `~/get_state` and `~/transition_event`. Both calls publish the change. */
export interface StateMachine {
  /** To configuring, activating, deactivating, cleaningup or shuttingdown. @throws where it is not allowed. */
  begin(transition: Transition): void;
  /** Out of a transition; `error` leads to errorprocessing, which is ended by a second call. */
  end(outcome: 'success' | 'failure' | 'error'): void;
}

const targets: Readonly<
  Record<LifecycleState, Readonly<Partial<Record<Transition, LifecycleState>>>>
> = {
  unconfigured: { configure: 'inactive', shutdown: 'finalized' },
  inactive: { activate: 'active', cleanup: 'unconfigured', shutdown: 'finalized' },
  active: { deactivate: 'inactive', shutdown: 'finalized' },
  finalized: {},
};

/** lifecycle_msgs/msg/Transition: shutdown has one number per state it starts from. */
const numbers: Readonly<Record<number, { transition: Transition; from?: LifecycleState }>> = {
  1: { transition: 'configure' },
  2: { transition: 'cleanup' },
  3: { transition: 'activate' },
  4: { transition: 'deactivate' },
  5: { transition: 'shutdown', from: 'unconfigured' },
  6: { transition: 'shutdown', from: 'inactive' },
  7: { transition: 'shutdown', from: 'active' },
};

/** What a lifecycle_msgs/srv/ChangeState request asks for; a label outweighs the number. Null: nothing that is known. */
export function transitionFrom(
  asked: { readonly id: number; readonly label: string },
  state: LifecycleState,
): Transition | null {
  if (asked.label !== '')
    return Object.values(numbers).find((n) => n.transition === asked.label)?.transition ?? null;
  const numbered = numbers[asked.id];
  if (!numbered || (numbered.from !== undefined && numbered.from !== state)) return null;
  return numbered.transition;
}

export class Lifecycle implements RosLifecycle {
  private readonly machine: StateMachine;
  private readonly handlers: LifecycleHandlers;
  private readonly log: Pick<RosLogger, 'info' | 'error'>;
  private primary: LifecycleState = 'unconfigured';
  private running: Transition | null = null;
  /** A handler that ran out of time and has not ended. */
  private late: Transition | null = null;
  private readonly told: (() => void)[] = [];

  constructor(
    machine: StateMachine,
    handlers: LifecycleHandlers,
    log: Pick<RosLogger, 'info' | 'error'>,
  ) {
    this.machine = machine;
    this.handlers = handlers;
    this.log = log;
  }

  /** The state before the transition while one is under way. */
  get state(): LifecycleState {
    return this.primary;
  }

  async request(transition: Transition): Promise<string | null> {
    const reason = this.refusalOf(transition) ?? (await this.carryOut(transition));
    if (reason === null) this.log.info(`${transition}: now ${this.primary}`);
    else this.log.error(`${transition}: ${reason}; now ${this.primary}`);
    // Later, so that a remote client has its answer before the process goes.
    if (this.primary === 'finalized') for (const told of this.told.splice(0)) setImmediate(told);
    return reason;
  }

  onFinalized(told: () => void): void {
    this.told.push(told);
  }

  private refusalOf(transition: Transition): string | null {
    const allowed = Object.keys(targets[this.primary]);
    if (this.running) return `${this.running} is under way`;
    if (!allowed.includes(transition))
      return `not possible when ${this.primary} (possible: ${allowed.join(', ') || 'nothing'})`;
    if (this.late && transition !== 'shutdown')
      return `${this.late} ran out of time and has not ended yet`;
    return null;
  }

  private async carryOut(transition: Transition): Promise<string | null> {
    this.running = transition;
    try {
      this.machine.begin(transition);
      const failure = await this.attempt(transition);
      if (failure === null) {
        this.conclude('success', targets[this.primary][transition]!);
        return null;
      }
      await this.fail(transition, failure);
      return failure.message;
    } catch (error) {
      return `the client library refused: ${messageOf(error)}`;
    } finally {
      this.running = null;
    }
  }

  /** Upwards: back to where it was. Downwards: through error processing, where nothing may be left moving. */
  private async fail(transition: Transition, failure: Error): Promise<void> {
    if (transition === 'configure' || transition === 'activate') {
      this.conclude('failure', this.primary);
      return;
    }
    if (transition !== 'shutdown') this.machine.end('error');
    const second = await this.within('error processing', this.handlers.deadlines.shutdown, () =>
      this.handlers.onError(failure),
    );
    if (second) this.log.error(`error processing: ${second.message}`);
    if (second || transition === 'shutdown') this.conclude('failure', 'finalized');
    else this.conclude('success', 'unconfigured');
  }

  private conclude(outcome: 'success' | 'failure', state: LifecycleState): void {
    this.primary = state;
    this.machine.end(outcome);
  }

  private async attempt(transition: Transition): Promise<Error | null> {
    const from = this.primary;
    return this.within(
      transition,
      this.handlers.deadlines[transition],
      () =>
        transition === 'shutdown' ? this.handlers.shutdown(from) : this.handlers[transition](),
      (ended) => {
        this.late = transition;
        void ended.then((failure) => this.afterLate(transition, failure));
      },
    );
  }

  /** Null where `work` resolved in time, else why not. What comes later is left to `onLate`. Never rejects. */
  private async within(
    what: string,
    seconds: number,
    work: () => Promise<void>,
    onLate?: (ended: Promise<Error | null>) => void,
  ): Promise<Error | null> {
    const ended = Promise.resolve()
      .then(work)
      .then(() => null)
      .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
    let timer: NodeJS.Timeout | undefined;
    const deadline = new Promise<'late'>((resolve) => {
      timer = setTimeout(() => resolve('late'), seconds * 1000);
    });
    const first = await Promise.race([ended, deadline]);
    clearTimeout(timer);
    if (first !== 'late') return first;
    onLate?.(ended);
    return new Error(`${what} took longer than ${seconds} s`);
  }

  /** A transition that was reported as failed may still come true afterwards: then it is undone. */
  private async afterLate(transition: Transition, failure: Error | null): Promise<void> {
    const undo =
      failure !== null
        ? null
        : transition === 'configure'
          ? () => this.handlers.cleanup()
          : transition === 'activate'
            ? () => this.handlers.deactivate()
            : null;
    if (undo) {
      const undone = await this.within(
        `undoing ${transition}`,
        this.handlers.deadlines.deactivate,
        undo,
      );
      if (undone) {
        this.log.error(undone.message);
        await this.within('error processing', this.handlers.deadlines.shutdown, () =>
          this.handlers.onError(undone),
        );
      }
    }
    this.late = null;
    this.log.info(`${transition}: ended late${undo ? ' and was undone' : ''}`);
  }
}
