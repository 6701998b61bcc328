/** How control and policy have been doing: heard as an observer, read by diagnostics. Bounded memory. */
import { secondsFromNs } from '../control/clock.js';
import type { Tick } from '../control/loop.js';
import type { Reason, Verdict } from '../types.js';
import type { ControlObserver } from './observers.js';
import { percentileOf, SlidingWindow } from './slidingWindow.js';

/** s that figures are about. */
const SPAN = 60;
/** A pause this long, s, is one between two sessions, not a late tick: within one, the guard latches long before. */
const PAUSE = 2;

export interface Percentiles {
  readonly count: number;
  /** ms; null without values. */
  readonly p50: number | null;
  readonly p99: number | null;
  readonly max: number | null;
}

export interface MonitorFacts {
  /** Of the latest tick; null before the first. */
  readonly outcome: Verdict['outcome'] | null;
  readonly reasons: readonly Reason[];
  /** From one tick to the next, ms, of the last minute (8192 ticks at most). */
  readonly tickIntervalMs: Percentiles;
  /** From request to answer, as control took it, ms, of the last minute; answers that are predictions. */
  readonly actionLatencyMs: Percentiles;
  /** How often each reason of a limit began, and of a halt; since the node was configured. */
  readonly limits: ReadonlyMap<string, number>;
  readonly halts: ReadonlyMap<string, number>;
  /** The reasons of the latest halt, also when it is over. */
  readonly lastHalt: readonly Reason[];
  readonly actions: number;
  /** Answers and observations that led to nothing, by code. */
  readonly refusals: ReadonlyMap<string, number>;
  readonly lastRefusal: Reason | null;
  /** Recoveries that began, by what from; `gaveUp` beside them. */
  readonly recoveries: ReadonlyMap<string, number>;
  readonly traces: number;
  /** Trace requests without a prediction, by kind: preempted, deadline … */
  readonly tracesDropped: ReadonlyMap<string, number>;
}

export class Monitor {
  readonly #intervals = new SlidingWindow(SPAN, 8192);
  readonly #latencies = new SlidingWindow(SPAN, 4096);
  readonly #limits = new Map<string, number>();
  readonly #halts = new Map<string, number>();
  readonly #refusals = new Map<string, number>();
  readonly #tracesDropped = new Map<string, number>();
  readonly #recoveries = new Map<string, number>();
  #last: Tick | null = null;
  #lastHalt: readonly Reason[] = [];
  #lastRefusal: Reason | null = null;
  #actions = 0;
  #traces = 0;

  readonly observer: ControlObserver = {
    onTick: (tick) => this.#tick(tick),
    onRefusal: (reason) => {
      count(this.#refusals, reason.code);
      this.#lastRefusal = reason;
    },
    onRecovery: ({ kind, fault }) => {
      if (kind === 'started') count(this.#recoveries, fault);
      if (kind === 'gaveUp') count(this.#recoveries, kind);
    },
    onAction: (answer, { requestedNs }, _notPlayed, { nowNs }) => {
      if (!answer.ok) return;
      this.#actions++;
      this.#latencies.add(nowNs, secondsFromNs(nowNs - requestedNs) * 1e3);
    },
    onTrace: (answer) => {
      if (answer.ok) this.#traces++;
      else count(this.#tracesDropped, answer.refusal.kind);
    },
  };

  facts(nowNs: bigint): MonitorFacts {
    const { verdict } = this.#last ?? { verdict: null };
    return {
      outcome: verdict?.outcome ?? null,
      reasons: verdict?.reasons ?? [],
      tickIntervalMs: percentiles(this.#intervals.sorted(nowNs)),
      actionLatencyMs: percentiles(this.#latencies.sorted(nowNs)),
      limits: this.#limits,
      halts: this.#halts,
      lastHalt: this.#lastHalt,
      actions: this.#actions,
      refusals: this.#refusals,
      lastRefusal: this.#lastRefusal,
      recoveries: this.#recoveries,
      traces: this.#traces,
      tracesDropped: this.#tracesDropped,
    };
  }

  #tick(tick: Tick): void {
    const before = this.#last;
    this.#last = tick;
    const { verdict, nowNs } = tick;
    const interval = before ? secondsFromNs(nowNs - before.nowNs) : Infinity;
    if (interval < PAUSE) this.#intervals.add(nowNs, interval * 1e3);
    if (verdict.outcome === 'pass') return;
    const counts = verdict.outcome === 'halt' ? this.#halts : this.#limits;
    const known = before?.verdict.outcome === verdict.outcome ? before.verdict.reasons : [];
    for (const { code } of verdict.reasons)
      if (!known.some((reason) => reason.code === code)) count(counts, code);
    if (verdict.outcome === 'halt') this.#lastHalt = verdict.reasons;
  }
}

function count(counts: Map<string, number>, code: string): void {
  counts.set(code, (counts.get(code) ?? 0) + 1);
}

function percentiles(sorted: Float64Array): Percentiles {
  return {
    count: sorted.length,
    p50: percentileOf(sorted, 50),
    p99: percentileOf(sorted, 99),
    max: percentileOf(sorted, 100),
  };
}
