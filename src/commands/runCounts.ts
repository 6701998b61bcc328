/** What happened in a run, counted: predictions and their hash, refusals by kind, halts by code. */
import { createHash } from 'node:crypto';
import type { Tick } from '../control/loop.js';
import type { ActionPrediction, Answer, TracePrediction } from '../types.js';

export type Counts = Readonly<Record<string, number>>;

export class RunCounts {
  readonly #hash = createHash('sha256');
  readonly #refusals: Record<string, number> = {};
  readonly #halts: Record<string, number> = {};
  /** Codes of the halt that goes on; a halt of many ticks is one. */
  #halting = '';
  #predictions = 0;
  #traces = 0;

  get predictions(): number {
    return this.#predictions;
  }

  get traces(): number {
    return this.#traces;
  }

  /** Refused answers by kind; those to trace requests as `trace kind`. */
  get refusals(): Counts {
    return this.#refusals;
  }

  /** Halts by code: each time the guard began to halt for it, however long that lasted. */
  get halts(): Counts {
    return this.#halts;
  }

  addAction(answer: Answer<ActionPrediction>): void {
    this.#hash.update(answerLine(actionFields(answer)));
    if (!answer.ok) {
      count(this.#refusals, answer.refusal.kind);
      return;
    }
    this.#predictions++;
  }

  addTrace(answer: Answer<TracePrediction>): void {
    this.#hash.update(answerLine(traceFields(answer)));
    if (!answer.ok) {
      count(this.#refusals, `trace ${answer.refusal.kind}`);
      return;
    }
    this.#traces++;
  }

  addTick({ verdict }: Tick): void {
    const halting =
      verdict.outcome === 'halt' ? verdict.reasons.map(({ code }) => code).join(' ') : '';
    if (halting !== '' && halting !== this.#halting)
      for (const { code } of verdict.reasons)
        if (!this.#halting.split(' ').includes(code)) count(this.#halts, code);
    this.#halting = halting;
  }

  /** Another guard takes over: its first halt is a new one. */
  newGuard(): void {
    this.#halting = '';
  }

  /**
   * SHA-256 over every answer in order, with the observation it answers: actions, marks and traces, and which were
   * refused as what. Equal hashes are equal runs. Ends the counting.
   */
  predictionsSha256(): string {
    return this.#hash.digest('hex');
  }
}

/** What of an answer is hashed: a prediction's stamp and episode first. */
export function actionFields(answer: Answer<ActionPrediction>): readonly unknown[] {
  return answer.ok
    ? [answer.value.observationStampNs, answer.value.episode, answer.value.chunk]
    : ['refused', answer.refusal.kind];
}

export function traceFields(answer: Answer<TracePrediction>): readonly unknown[] {
  return answer.ok
    ? [
        ...[answer.value.observationStampNs, answer.value.episode, answer.value.camera],
        ...[answer.value.marks, answer.value.traces],
      ]
    : ['refused trace', answer.refusal.kind];
}

export function answerLine(fields: readonly unknown[]): string {
  return `${JSON.stringify(fields, stringified)}\n`;
}

function count(counts: Record<string, number>, key: string): void {
  counts[key] = (counts[key] ?? 0) + 1;
}

function stringified(_key: string, value: unknown): unknown {
  return typeof value === 'bigint' ? value.toString() : value;
}
