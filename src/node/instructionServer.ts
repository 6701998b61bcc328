/**
 * Who tells the node what to do: goals of ExecuteInstruction and texts on `~/instruction`. One at a time; a newer one
 * ends the one before it. What runs ends by the judge's verdict, its time limit, a cancel, a stop, deactivation, or where
 * control gives up (control/recovery.ts), and always with a reason. What has ended or was refused begins again only where somebody says so anew, never because a
 * publisher repeats itself. The arm itself is the application's: this asks for a beginning and for an end.
 *
 * Times count on the steady clock: a stopped `/clock` does not make a goal immortal.
 */
import { messageOf } from '../errors.js';
import type { Config } from '../config.js';
import { type Instant, nsFromSeconds } from '../control/clock.js';
import type { Tick } from '../control/loop.js';
import { isAtRest, Settled } from '../control/session.js';
import { durationFromMessage } from '../robot/messages/messages.js';
import type { Disposable, RosMessage, RosNode, ServedGoal } from '../robot/ros/ros.js';
import { qos } from '../robot/ros/ros.js';
import type { Reason } from '../types.js';
import { every } from './every.js';
import { type Ending, feedbackOf, type GoalOutcome, resultOf } from './goalMessages.js';
import type { ControlObserver } from './observers.js';
import { Tally } from './tally.js';

export interface InstructionPort {
  /** Null where an instruction may begin now, else why not. */
  refusal(): string | null;
  /** A new episode with this instruction, also where it is the same text as before. @returns its number. */
  begin(instruction: string): number;
  /** Nothing is to be done any more; the arm comes to rest. */
  end(because: string): void;
  /** A stop that only an operator's word ends. */
  latched(): Reason | null;
  /** Why control does nothing about this instruction any more; null where it does. */
  gaveUp(): Reason | null;
  isActive(): boolean;
  /** The latest control tick; null where control does not run. */
  tick(): Tick | null;
  /** Where control does not run: whether it ended without the arm having been seen at rest. */
  restless(): boolean;
  now(): Instant;
  readonly config: Pick<Config, 'outcome' | 'timeLimit'>;
}

const ACTION = 'magma_vla/action/ExecuteInstruction';
const STRING = 'std_msgs/msg/String';
/** Characters; what a model reads in one sentence is far below. */
const MAX_INSTRUCTION = 1000;
/** Of a judge's verdict, in a result. */
const MAX_VERDICT = 300;
/** How often what runs is looked at, ms, and told of, s. */
const CHECK_MS = 50;
const FEEDBACK_PERIOD = 0.2;
/** How long an answer waits for the arm to rest, s; then it says that nobody knows. */
const REST_TIMEOUT = 5;

const RESTED: Ending = {
  outcome: 'preempted',
  code: 'rest',
  message: 'an empty text on ~/instruction asked for rest',
};

/** Decided, but not answered before the arm rests. */
type Decided = Ending & { readonly sinceNs: bigint; readonly settled: Settled };

/** What runs. `ending`: null while nothing is decided. */
interface Running {
  readonly instruction: string;
  /** Null: from `~/instruction`; nobody waits for a result. */
  readonly goal: ServedGoal | null;
  readonly beganNs: bigint;
  /** Null: none. */
  readonly limitNs: bigint | null;
  feedbackNs: bigint;
  ending: Decided | null;
}

export class InstructionServer {
  readonly #node: RosNode;
  readonly #port: InstructionPort;
  readonly #tally = new Tally();
  readonly #disposables: readonly Disposable[];
  #running: Running | null = null;
  /**
   * What `~/instruction` said last, taken or refused; null: nothing, or rest. Publishers repeat themselves, and a repeat
   * is nobody's word that motion may begin: not after an end, a stop, a re-arming, a takeover or a new activation.
   */
  #standing: string | null = null;
  #repeatTold = false;

  constructor(node: RosNode, port: InstructionPort) {
    this.#node = node;
    this.#port = port;
    const { outcome } = port.config;
    this.#disposables = [
      node.actionServer(ACTION, '~/execute_instruction', {
        accept: (request) => this.#refuse(request),
        execute: (goal) => this.#execute(goal),
        cancel: (goal) => this.#cancel(goal),
      }),
      node.subscribe(STRING, '~/instruction', qos.state, (m) => this.#hear(String(m['data']))),
      // Volatile: a verdict that was latched before this node came is not heard; one that is repeated is.
      ...(outcome
        ? [node.subscribe(STRING, outcome.topic, qos.state, (m) => this.#judge(String(m['data'])))]
        : []),
      every(
        CHECK_MS,
        () => this.check(),
        (error) => node.log.error(`instructions: ${messageOf(error)}`),
      ),
    ];
  }

  /** To be told what control does. */
  get observer(): ControlObserver {
    return this.#tally.observer;
  }

  /** What is being done; null: nothing. */
  get instruction(): string | null {
    return this.#running?.ending ? null : (this.#running?.instruction ?? null);
  }

  /**
   * The application ends what runs: deactivation, takeover, the way home. Answered at once; what was decided before
   * goes on waiting for the arm to rest. What was said stays said: a publisher that repeats it begins nothing.
   */
  stop(because: string): void {
    this.#finish({ outcome: 'stopped', code: 'deactivated', message: because });
  }

  dispose(): void {
    this.stop('the node is being cleaned up');
    // Nobody looks any more after this.
    const running = this.#running;
    const decided = running?.ending;
    if (running && decided)
      this.#answer(running, this.#rests(decided.settled) ? decided : notAtRest(decided));
    this.#disposables.forEach((disposable) => disposable.dispose());
  }

  // ── Beginnings ────────────────────────────────────────────────────────────────────────────────────────────────────

  #refuse(request: RosMessage): string | null {
    const text = String(request['instruction']).trim();
    return (
      refuseText(text) ??
      refuseLimit(request['time_limit']) ??
      (this.#running?.ending?.outcome === 'canceled'
        ? 'the goal before it is being canceled; the arm comes to rest'
        : this.#port.refusal())
    );
  }

  #execute(goal: ServedGoal): void {
    const instruction = String(goal.request['instruction']).trim();
    const asked = durationFromMessage(goal.request['time_limit']);
    const limitNs = asked > 0n ? asked : nsFromSeconds(this.#port.config.timeLimit);
    const refused = this.#begin(instruction, goal, limitNs);
    if (refused !== null) goal.abort(resultOf(refused, 0n, new Tally()));
  }

  #hear(raw: string): void {
    const text = raw.trim();
    if (text === '') {
      this.#standing = null;
      this.#repeatTold = false;
      // Also where nothing is being done: the arm may be on its way home.
      if (this.instruction !== null) this.#finish(RESTED);
      else this.#port.end('~/instruction: empty, rest');
      return;
    }
    if (text === this.#standing) {
      if (text !== this.instruction) this.#tellRepeat(text);
      return;
    }
    this.#standing = text;
    this.#repeatTold = false;
    if (text === this.instruction) return;
    const isCanceling = this.#running?.ending?.outcome === 'canceled';
    const refused =
      refuseText(text) ?? (isCanceling ? 'a goal is being canceled' : this.#port.refusal());
    if (refused === null) this.#begin(text, null, null);
    else this.#node.log.warn(`~/instruction: refused: ${refused}`);
  }

  /** What has ended or was refused is not begun by a publisher that goes on saying it. */
  #tellRepeat(text: string): void {
    if (this.#repeatTold) return;
    this.#repeatTold = true;
    this.#node.log.info(
      `~/instruction repeats "${text.slice(0, MAX_INSTRUCTION)}", which has ended or was refused: ` +
        'publish an empty text, then this one, to have it begin',
    );
  }

  /** What runs is ended by what comes. Returns why nothing began, where it did not. */
  #begin(instruction: string, goal: ServedGoal | null, limitNs: bigint | null): Ending | null {
    this.#settle(preemptedBy(instruction));
    let episode: number;
    try {
      episode = this.#port.begin(instruction);
    } catch (error) {
      const message = messageOf(error);
      this.#node.log.error(`"${instruction}" could not begin: ${message}`);
      return { outcome: 'stopped', code: 'notBegun', message };
    }
    this.#tally.begin(episode);
    const { nowNs } = this.#port.now();
    const began = { instruction, goal, beganNs: nowNs, limitNs };
    this.#running = { ...began, feedbackNs: nowNs, ending: null };
    this.#node.log.info(`episode ${episode}: "${instruction}"`);
    return null;
  }

  // ── What goes on ──────────────────────────────────────────────────────────────────────────────────────────────────

  /** Looks at what runs. By its own timer; a test calls it at its own times. */
  check(): void {
    const running = this.#running;
    if (!running) return;
    const { nowNs } = this.#port.now();
    const stopped = this.#stopped();
    const gaveUp = this.#port.gaveUp();
    if (running.ending) {
      const { sinceNs, settled } = running.ending;
      const waited = nowNs - sinceNs >= nsFromSeconds(REST_TIMEOUT);
      if (this.#rests(settled)) this.#answer(running, running.ending);
      else if (waited) this.#answer(running, notAtRest(running.ending));
    } else if (stopped) {
      this.#finish(stopped);
    } else if (gaveUp) {
      this.#endAtRest('failed', gaveUp.code, gaveUp.message);
    } else if (running.limitNs !== null && nowNs - running.beganNs >= running.limitNs) {
      this.#endAtRest(
        'timeLimit',
        'timeLimit',
        `not judged done within ${seconds(running.limitNs)}`,
      );
    }
    this.#feedBack(nowNs);
  }

  /** A verdict counts from the beginning of a goal on; one that came before it is of another. */
  #judge(verdict: string): void {
    const running = this.#running;
    if (!running?.goal || verdict === 'running') return;
    if (verdict === 'success') this.#endAtRest('succeeded', 'success', 'judged done');
    else {
      const why = verdict.trim().slice(0, MAX_VERDICT) || 'without a reason';
      this.#endAtRest('failed', 'judgedFailed', `judged failed: ${why}`);
    }
  }

  #cancel(goal: ServedGoal): void {
    const running = this.#running;
    if (running?.goal?.id !== goal.id) return;
    // A verdict or limit that came first stands; the client hears of it when the arm rests.
    if (!running.ending) this.#endAtRest('canceled', 'canceled', 'canceled by the client');
  }

  #stopped(): Ending | null {
    const latched = this.#port.latched();
    if (latched) return { outcome: 'stopped', ...latched };
    if (this.#port.isActive()) return null;
    return { outcome: 'stopped', code: 'deactivated', message: 'the node is not active any more' };
  }

  /** As commanded and as reported; without control, as it was seen when control ended. */
  #rests(settled: Settled): boolean {
    const tick = this.#port.tick();
    if (!tick) return !this.#port.restless();
    if (isAtRest(tick.verdict.command)) return settled.holds(this.#port.now(), tick);
    settled.moves();
    return false;
  }

  #feedBack(nowNs: bigint): void {
    const running = this.#running;
    if (!running?.goal || nowNs < running.feedbackNs) return;
    running.feedbackNs += nsFromSeconds(FEEDBACK_PERIOD);
    if (running.feedbackNs <= nowNs) running.feedbackNs = nowNs + nsFromSeconds(FEEDBACK_PERIOD);
    const { beganNs, limitNs } = running;
    const times = { elapsedNs: nowNs - beganNs, limitNs: limitNs ?? 0n };
    running.goal.feedback(feedbackOf(times, this.#port.tick(), this.#tally));
  }

  // ── Endings ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** Decided now, answered when the arm rests. */
  #endAtRest(outcome: GoalOutcome, code: string, message: string): void {
    const running = this.#running;
    if (!running || running.ending) return;
    running.ending = {
      ...{ outcome, code, message },
      sinceNs: this.#port.now().nowNs,
      settled: new Settled(),
    };
    this.#port.end(message);
  }

  /** Ended and answered now; the arm comes to rest after it. What is decided stays so, and is answered at rest. */
  #finish(ending: Ending): void {
    const running = this.#running;
    if (!running || running.ending) return;
    this.#port.end(ending.message);
    this.#answer(running, ending);
  }

  /** Answers what runs, for a newer one; with what was decided of it before, if it was. */
  #settle(ending: Ending): void {
    if (this.#running) this.#answer(this.#running, this.#running.ending ?? ending);
  }

  #answer(running: Running, ending: Ending): void {
    const { goal, instruction } = running;
    this.#running = null;
    this.#node.log.info(`"${instruction}": ${ending.message}`);
    if (!goal) return;
    const decidedNs = running.ending?.sinceNs ?? this.#port.now().nowNs;
    const result = resultOf(ending, decidedNs - running.beganNs, this.#tally);
    if (ending.outcome === 'canceled') goal.canceled(result);
    else if (ending.outcome === 'succeeded') goal.succeed(result);
    else goal.abort(result);
  }
}

function preemptedBy(instruction: string): Ending {
  return { outcome: 'preempted', code: 'preempted', message: `a newer one came: "${instruction}"` };
}

/** Who waits for the end may reach into the workspace after it: without proof of rest nothing has ended well. */
function notAtRest({ message }: Ending): Ending {
  return {
    outcome: 'stopped',
    code: 'notAtRest',
    message: `${message}; that the arm rests is not certain`,
  };
}

function refuseText(text: string): string | null {
  if (text === '') return 'the instruction is empty';
  if (text.length > MAX_INSTRUCTION)
    return `the instruction has ${text.length} characters, at most ${MAX_INSTRUCTION} are accepted`;
  return null;
}

function refuseLimit(duration: unknown): string | null {
  const limitNs = durationFromMessage(duration);
  return limitNs >= 0n ? null : `time_limit: got ${seconds(limitNs)}, expected 0 or more`;
}

function seconds(ns: bigint): string {
  return `${(Number(ns) / 1e9).toFixed(1)} s`;
}
