/**
 * Where control asks a policy and takes its answers: at most one action and one trace under way, each with its deadline.
 * When it asks, and when an answer counts as having come, is the driver's matter (`arrival`): in real time as soon as there
 * is a new picture and as soon as the answer is there; in lock-step at ticks, and at a fixed latency. Answers are taken at
 * ticks in either: what moves the arm does so there.
 */
import { messageOf } from '../errors.js';
import type { Config } from '../config.js';
import type { ActionPrediction, Answer, Observation, Reason, TracePrediction } from '../types.js';
import { type Clock, type Instant, nsFromSeconds, secondsFromNs } from './clock.js';
import type { ActionRequest, ControlLoop } from './loop.js';
import type { Policy, TraceRequest } from './policy.js';
import { Rhythm } from './rhythm.js';
import { Samples } from './samples.js';

export interface DeskObserver {
  onRequest?(observation: Observation, at: Instant): void;
  /** `notPlayed`: why the answer moves nothing; null where it is being played. */
  onAction?(
    answer: Answer<ActionPrediction>,
    request: ActionRequest,
    notPlayed: Reason | null,
    at: Instant,
  ): void;
  onTrace?(answer: Answer<TracePrediction>, observation: Observation, at: Instant): void;
}

export interface TraceSchedule {
  /** s between requests. */
  readonly period: number;
  /** s from observation to answer in lock-step. */
  readonly lockstepLatency: number;
  readonly what: (observation: Observation) => TraceRequest;
}

/** A request under way. */
export interface Pending<T> {
  readonly request: ActionRequest;
  /** Resolves always: with a refusal where the policy rejects or misses its deadline. */
  readonly answer: Promise<Answer<T>>;
  /** The answer once it is there in real time. */
  arrived: Answer<T> | null;
}

/** When a driver asks, how it lets answers arrive, and how long it waits for them in real time. */
export interface Arrival {
  /** `whenSeen`: pictures are asked about as they come, too. */
  readonly asks: 'atTicks' | 'whenSeen';
  readonly actionTimeoutMs: number;
  readonly traceTimeoutMs: number;
  /** The answer where it has come by `at`, else null. `latency`: of a lock-step run, s. */
  take<T>(pending: Pending<T>, latency: number, at: Instant): Promise<Answer<T> | null>;
  /** Called before a request is made at a tick, with what is still under way. */
  beforeRequest?(other: Pending<unknown> | null): Promise<void>;
}

export interface DeskOptions {
  readonly config: Config;
  readonly loop: ControlLoop;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly arrival: Arrival;
  readonly traces?: TraceSchedule | undefined;
  readonly observer?: DeskObserver | undefined;
}

export class PolicyDesk {
  readonly #options: DeskOptions;
  readonly #rhythm: Rhythm;
  #action: Pending<ActionPrediction> | null = null;
  #trace: Pending<TracePrediction> | null = null;
  #nextComplaintNs: bigint | null = null;
  #askedStampNs: bigint | null = null;
  #nextTraceNs: bigint | null = null;
  #failure: { readonly error: unknown } | null = null;
  #episode: number;
  /** Real time from request to answer, ms: of answers that are predictions. */
  readonly actionLatencyMs = new Samples();
  readonly traceLatencyMs = new Samples();

  constructor(options: DeskOptions) {
    this.#options = options;
    this.#rhythm = new Rhythm(options.config.control.policyPeriod);
    this.#episode = options.loop.aligner.episode;
    // An episode may have begun since this policy was last asked: what it still owes to an earlier one is of no use.
    options.policy.reset(this.#episode);
  }

  /**
   * Takes what has come, asks for what is due, and takes what came at once.
   * @throws what a policy threw that is not an answer's matter, now or since the last tick.
   */
  async serve(at: Instant): Promise<void> {
    if (this.#failure) throw this.#failure.error;
    this.#followEpisode();
    await this.#takeAction(at);
    await this.#takeTrace(at);
    await this.#askAction(at);
    await this.#askTrace(at);
    await this.#takeAction(at);
  }

  /**
   * Where the driver asks when a picture is seen: does so from now on, until what this returns is called. What has been
   * seen already is asked about at once.
   */
  attend(): () => void {
    const { arrival, clock, loop } = this.#options;
    if (arrival.asks === 'atTicks') return () => undefined;
    this.#see(clock.now());
    return loop.aligner.watch(() => this.#see(clock.now()));
  }

  /** Resolves when nothing is under way any more; answers that come meanwhile are dropped. */
  async settle(): Promise<void> {
    await this.#action?.answer;
    await this.#trace?.answer;
  }

  #followEpisode(): void {
    const { loop, policy } = this.#options;
    if (loop.aligner.episode === this.#episode) return;
    this.#episode = loop.aligner.episode;
    this.#askedStampNs = null;
    this.#rhythm.begin();
    policy.reset(this.#episode);
  }

  async #takeAction(at: Instant): Promise<void> {
    const { arrival, config, loop, observer, policy } = this.#options;
    if (!this.#action) return;
    const { request } = this.#action;
    const answer = await arrival.take(this.#action, config.control.lockstepLatency, at);
    if (!answer) return;
    this.#action = null;
    const notPlayed = loop.deliver(answer, request, at);
    if (answer.ok && notPlayed) policy.notPlayed?.(notPlayed.message, answer.value.episode);
    loop.tell(at, () => observer?.onAction?.(answer, request, notPlayed, at));
  }

  async #takeTrace(at: Instant): Promise<void> {
    const { arrival, traces, loop, observer } = this.#options;
    if (!this.#trace || !traces) return;
    const { observation } = this.#trace.request;
    const answer = await arrival.take(this.#trace, traces.lockstepLatency, at);
    if (!answer) return;
    this.#trace = null;
    const late = observation.episode !== loop.aligner.episode;
    const told = late ? staleTrace(observation.episode) : answer;
    loop.tell(at, () => observer?.onTrace?.(told, observation, at));
  }

  /** Called within a reading of the robot's, which must not hear of what goes wrong here: the next tick does. */
  #see(at: Instant): void {
    try {
      const { newSinceNs } = this.#options.loop.aligner;
      if (newSinceNs !== null) this.#rhythm.see(newSinceNs);
      this.#followEpisode();
      if (this.#action || !this.#rhythm.isDue(at.nowNs)) return;
      const observed = this.#options.loop.aligner.observe();
      if (observed.ok && this.#isNew(observed.observation))
        this.#requestAction(observed.observation, at);
    } catch (error) {
      this.#failure ??= { error };
    }
  }

  /** Where the observation is not complete, or is the one that was asked about last, each tick tries again. */
  async #askAction(at: Instant): Promise<void> {
    const { arrival, loop } = this.#options;
    if (this.#action || !this.#rhythm.isDue(at.nowNs)) return;
    const observed = loop.aligner.observe();
    if (!observed.ok) {
      this.#complain(observed.reason, at);
      return;
    }
    const { observation } = observed;
    if (!this.#isNew(observation) || this.#rhythm.isAboutToSee(at.nowNs)) return;
    // Only where there is something to wait for: a picture may come meanwhile, and is asked about then.
    if (arrival.beforeRequest) await arrival.beforeRequest(this.#trace);
    this.#requestAction(observation, at);
  }

  #isNew({ stampNs }: Observation): boolean {
    return stampNs !== this.#askedStampNs;
  }

  #requestAction(observation: Observation, at: Instant): void {
    const { arrival, loop, observer, policy } = this.#options;
    this.#rhythm.ask(at.nowNs);
    this.#askedStampNs = observation.stampNs;
    loop.tell(at, () => observer?.onRequest?.(observation, at));
    this.#action = this.#ask(
      { observation, requestedNs: at.nowNs },
      (timeoutMs) => policy.requestAction(observation, timeoutMs),
      arrival.actionTimeoutMs,
      this.actionLatencyMs,
    );
  }

  /** Once per policy period. */
  #complain(reason: Reason, at: Instant): void {
    const { config, loop } = this.#options;
    if (!isDue(this.#nextComplaintNs, at)) return;
    this.#nextComplaintNs = following(this.#nextComplaintNs, at, config.control.policyPeriod);
    loop.refuse(reason, at);
  }

  async #askTrace(at: Instant): Promise<void> {
    const { arrival, loop, policy, traces } = this.#options;
    if (!traces || !policy.requestTrace) return;
    if (this.#trace || !isDue(this.#nextTraceNs, at)) return;
    this.#nextTraceNs = following(this.#nextTraceNs, at, traces.period);
    const observed = loop.aligner.observe();
    if (!observed.ok) return;
    const { observation } = observed;
    await arrival.beforeRequest?.(this.#action);
    this.#trace = this.#ask(
      { observation, requestedNs: at.nowNs },
      (timeoutMs) => policy.requestTrace!(observation, traces.what(observation), timeoutMs),
      arrival.traceTimeoutMs,
      this.traceLatencyMs,
    );
  }

  #ask<T>(
    request: ActionRequest,
    ask: (timeoutMs: number) => Promise<Answer<T>>,
    timeoutMs: number,
    latencyMs: Samples,
  ): Pending<T> {
    const { clock, policy } = this.#options;
    const startedNs = clock.now().nowNs;
    const answer = answered(policy.name, () => ask(timeoutMs), clock, timeoutMs);
    const pending: Pending<T> = { request, answer, arrived: null };
    void answer.then((value) => {
      pending.arrived = value;
      if (value.ok) latencyMs.add(secondsFromNs(clock.now().nowNs - startedNs) * 1e3);
    });
    return pending;
  }
}

/** The policy's answer, or a refusal where it rejects, throws, or is silent for `timeoutMs` of real time. */
async function answered<T>(
  who: string,
  ask: () => Promise<Answer<T>>,
  clock: Clock,
  timeoutMs: number,
): Promise<Answer<T>> {
  const abort = new AbortController();
  const untilNs = clock.now().nowNs + nsFromSeconds(timeoutMs / 1e3);
  const silence = clock.sleepUntil(untilNs, abort.signal).then((): Answer<T> => {
    const message = `policy ${who} gave no answer within ${timeoutMs} ms`;
    return { ok: false, refusal: { kind: 'deadline', message } };
  });
  try {
    return await Promise.race([ask(), silence]);
  } catch (error) {
    const message = `policy ${who} failed: ${messageOf(error)}`;
    return { ok: false, refusal: { kind: 'workerFailed', message } };
  } finally {
    abort.abort();
  }
}

function isDue(nextNs: bigint | null, { nowNs }: Instant): boolean {
  return nextNs === null || nowNs >= nextNs;
}

/** One period after the last due time, so that the rate holds; after a gap, from now on, so that nothing bunches up. */
function following(dueNs: bigint | null, { nowNs }: Instant, period: number): bigint {
  const next = (dueNs ?? nowNs) + nsFromSeconds(period);
  return next > nowNs ? next : nowNs + nsFromSeconds(period);
}

function staleTrace(episode: number): Answer<TracePrediction> {
  return {
    ok: false,
    refusal: {
      kind: 'staleEpisode',
      message: `a trace of the earlier episode ${episode} came late`,
    },
  };
}
