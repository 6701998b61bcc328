/**
 * What control does by itself where a policy does not get on: it notices an empty or lost grasp and the lack of progress,
 * and answers with a small scripted motion, a bounded number of times; then it gives up with a reason.
 *
 * The motion is an action like any other, played and guarded. Nothing here commands: this says what to play and what not
 * to. Stops, halts and new instructions end a recovery; what a stop latched begins none. What is not known (a gripper
 * that is silent, a tool whose pose is not known) begins none either. A person's hand may be the reason for all of it:
 * the arm rests a moment before it moves, moves slowly, and where something is in the gripper it lets nothing go and
 * pulls at nothing, but gives up.
 */
import type { Arm } from '../arm/kinematics.js';
import type { Config } from '../config.js';
import type { ActionPrediction, Pose, Reason } from '../types.js';
import { isUsablePose } from './accept.js';
import type { Measured } from './align.js';
import { intendedSpeed } from './chunkPath.js';
import { type Instant, nsFromSeconds, secondsFromNs } from './clock.js';
import { type GraspFault, GraspWatch } from './graspWatch.js';
import { ProgressWatch } from './progressWatch.js';
import { type RiseOptions, riseAction } from './riseAction.js';

export type RecoveryConfig = NonNullable<Config['recovery']>;
export type Fault = GraspFault | 'noProgress' | 'unsure';

/** Told once each time. */
export interface RecoveryEvent {
  readonly kind: 'started' | 'ended' | 'gaveUp';
  readonly fault: Fault;
  /** 1 … retries; of a `gaveUp`, how many there were. */
  readonly attempt: number;
  /** One sentence for the operator. */
  readonly message: string;
}

/** What the loop knows at a tick, before it plans. */
export interface RecoveryReading {
  readonly measured: Measured;
  /** Measured, 0 closed … 1 open, and when it came; null: never. */
  readonly gripper: { readonly opening: number; readonly receivedNs: bigint } | null;
  /** What the gripper was last told. */
  readonly told: number | null;
  /** The action under way; null at rest. */
  readonly playing: ActionPrediction | null;
  /** 0 … 1 of the configured speed that the guard leaves. */
  readonly pace: number;
  readonly episode: number;
  /** Whether anything is to be done at all: the way home, or a person's, is nothing to recover. */
  readonly isInstructed: boolean;
}

/** What the loop is to do now. */
export type RecoveryAct =
  | { readonly kind: 'rest'; readonly because: string }
  | { readonly kind: 'play'; readonly action: ActionPrediction };

/** The arm rests this long before a recovery moves it, s: who put a hand there sees that something is up. */
const PAUSE = 0.5;
const FAULT_WORDS: Readonly<Record<Fault, string>> = {
  emptyGrasp: 'the gripper closed on nothing',
  lostGrasp: 'what the gripper held is gone',
  noProgress: 'the arm gets nowhere',
  unsure: 'the policy is unsure',
};

const DONE = 'recovery done: the policy goes on with the next picture';
const UNREAD = 'recovery broken off: the gripper or the arm is not read any more';
const NOWHERE =
  'recovery without motion: no room above, or too little speed is allowed; the policy goes on with the next picture';

type State =
  | { readonly kind: 'watching' }
  | { readonly kind: 'pausing'; readonly fault: Fault; readonly sinceNs: bigint }
  | { readonly kind: 'moving'; readonly fault: Fault; readonly action: ActionPrediction }
  | { readonly kind: 'gaveUp'; readonly reason: Reason };

const WATCHING: State = { kind: 'watching' };

export class Recovery {
  readonly #config: Config;
  readonly #recovery: RecoveryConfig;
  readonly #arm: Arm | null;
  readonly #grasp: GraspWatch;
  readonly #progress: ProgressWatch;
  readonly #tell: (event: RecoveryEvent, at: Instant) => void;
  readonly #faults = new Map<Fault, number>();
  #state: State = WATCHING;
  #attempts = 0;
  #episode: number | null = null;
  #lastNs: bigint | null = null;
  /** Pictures from before this show the scene as it was before the motion; null: there was none. */
  #freshFromNs: bigint | null = null;
  /** m/s that the action under way asks for; null: no policy has moved the arm since a beginning, or a stop. */
  #intended: number | null = null;

  constructor(
    config: Config,
    recovery: RecoveryConfig,
    arm: Arm | null,
    tell: (event: RecoveryEvent, at: Instant) => void,
  ) {
    this.#config = config;
    this.#recovery = recovery;
    this.#arm = arm;
    this.#tell = tell;
    this.#grasp = new GraspWatch(recovery);
    this.#progress = new ProgressWatch(recovery.noProgress);
  }

  /** Why there will be no more motion in this episode; null: there may be. */
  gaveUp(episode: number): Reason | null {
    return this.#state.kind === 'gaveUp' && episode === this.#episode ? this.#state.reason : null;
  }

  /** What is being recovered from; null: nothing. */
  get recovering(): Reason | null {
    if (this.#state.kind !== 'pausing' && this.#state.kind !== 'moving') return null;
    return { code: 'recovering', message: `recovering: ${FAULT_WORDS[this.#state.fault]}` };
  }

  /** A policy's answer to an observation: why it is not to be played now; null: it is. */
  objection(observationStampNs: bigint, episode: number): Reason | null {
    if (episode !== this.#episode) return null;
    if (this.#state.kind === 'gaveUp') return this.#state.reason;
    const { recovering } = this;
    if (recovering) return recovering;
    if (this.#freshFromNs === null || observationStampNs >= this.#freshFromNs) return null;
    return {
      code: 'recovering',
      message: 'the picture is from before the recovery had ended',
    };
  }

  /** A policy's action is being played: how far it means to go. */
  played({ chunk }: ActionPrediction, from: Pose | null): void {
    this.#intended = (from && intendedSpeed(chunk, from, this.#arm)) ?? 0;
  }

  /** Stopped from outside: what was under way is over, and what was seen counts no more. Given up stays given up. */
  cancel(): void {
    if (this.#state.kind !== 'gaveUp') this.#state = WATCHING;
    this.#forget();
  }

  /**
   * The guard halts, and what was under way is over. Where it is because the policy is unsure, and for that alone, that is
   * a fault like others: a picture from elsewhere may help.
   */
  halted(reasons: readonly Reason[], at: Instant): void {
    const isUnsure = reasons.every(({ code }) => code === 'unsure' || code === 'lowConfidence');
    if (isUnsure && this.#state.kind === 'watching' && this.#intended !== null)
      this.#start('unsure', at);
    else this.cancel();
  }

  /** At every tick, before the plan: what to do instead of going on; null: nothing. */
  tick(reading: RecoveryReading, at: Instant): RecoveryAct | null {
    if (reading.episode !== this.#episode) this.#begin(reading.episode);
    const elapsed = this.#lastNs === null ? 0 : secondsFromNs(at.nowNs - this.#lastNs);
    this.#lastNs = at.nowNs;
    const hand = this.#handOf(reading, at);
    switch (this.#state.kind) {
      case 'gaveUp':
        return null;
      case 'watching':
        return this.#watch(reading, hand, elapsed, at);
      case 'pausing':
        return this.#move(this.#state, hand, reading, at);
      case 'moving':
        if (reading.playing === this.#state.action && hand) return null;
        return this.#end(this.#state, hand ? DONE : UNREAD, at);
    }
  }

  #begin(episode: number): void {
    this.#episode = episode;
    this.#attempts = 0;
    this.#faults.clear();
    this.#state = WATCHING;
    this.#freshFromNs = null;
    this.#forget();
  }

  #forget(): void {
    this.#intended = null;
    this.#grasp.reset();
    this.#progress.reset();
    this.#lastNs = null;
  }

  #watch(
    { playing, told, pace, isInstructed }: RecoveryReading,
    hand: Hand | null,
    elapsed: number,
    at: Instant,
  ): RecoveryAct | null {
    const intended = this.#intended;
    if (!hand || intended === null || !isInstructed) {
      this.#grasp.reset();
      this.#progress.reset();
      return null;
    }
    const { tool, opening } = hand;
    const height = tool.translation[2];
    const fault = this.#grasp.watch({ nowNs: at.nowNs, height, opening, told });
    // A policy that is silent has nothing to go on with: the arm rests.
    if (playing === null) return null;
    if (fault) return this.#start(fault, at);
    const isStuck = this.#progress.watch({ elapsed, tool, opening, told, intended, pace });
    return isStuck ? this.#start('noProgress', at) : null;
  }

  #start(fault: Fault, at: Instant): RecoveryAct {
    const holds = !isGraspFault(fault) && this.#grasp.holds;
    const { retries } = this.#recovery;
    this.#faults.set(fault, (this.#faults.get(fault) ?? 0) + 1);
    this.#forget();
    if (holds || this.#attempts >= retries)
      return this.#giveUp(fault, holds ? ' with something in the gripper, which is kept' : '', at);
    this.#attempts++;
    const message = `${FAULT_WORDS[fault]}; recovery ${this.#attempts} of ${retries}`;
    this.#state = { kind: 'pausing', fault, sinceNs: at.nowNs };
    this.#tell({ kind: 'started', fault, attempt: this.#attempts, message }, at);
    return { kind: 'rest', because: message };
  }

  #giveUp(fault: Fault, why: string, at: Instant): RecoveryAct {
    const counted = [...this.#faults].map(([name, n]) => `${name} ×${n}`).join(', ');
    const message = `gave up: ${counted} (${FAULT_WORDS[fault]}${why})`;
    this.#state = { kind: 'gaveUp', reason: { code: 'gaveUp', message } };
    this.#tell({ kind: 'gaveUp', fault, attempt: this.#attempts, message }, at);
    return { kind: 'rest', because: message };
  }

  #move(
    { fault, sinceNs }: Extract<State, { kind: 'pausing' }>,
    hand: Hand | null,
    { episode, pace }: RecoveryReading,
    at: Instant,
  ): RecoveryAct | null {
    if (at.nowNs - sinceNs < nsFromSeconds(PAUSE)) return null;
    if (!hand) return this.#end({ fault }, UNREAD, at);
    const gripper: RiseOptions['gripper'] = isGraspFault(fault) ? 'open' : 'keep';
    const { rise, speed } = this.#recovery;
    const action = riseAction(this.#config, {
      from: hand.tool,
      gripper,
      rise,
      speed,
      pace,
      episode,
      at,
    });
    if (!action) return this.#end({ fault }, NOWHERE, at);
    this.#state = { kind: 'moving', fault, action };
    return { kind: 'play', action };
  }

  #end({ fault }: { readonly fault: Fault }, message: string, at: Instant): RecoveryAct {
    this.#state = WATCHING;
    this.#forget();
    this.#freshFromNs = at.stampNs;
    this.#tell({ kind: 'ended', fault, attempt: this.#attempts, message }, at);
    return { kind: 'rest', because: message };
  }

  #handOf({ measured, gripper }: RecoveryReading, { nowNs }: Instant): Hand | null {
    const { maxJointAge, maxObservationAge } = this.#config.guard;
    const tool = measured.endEffector?.pose;
    const toolNs = measured.endEffectorReceivedNs;
    if (!tool || toolNs === null || nowNs - toolNs > nsFromSeconds(maxJointAge)) return null;
    if (!gripper || nowNs - gripper.receivedNs > nsFromSeconds(maxObservationAge)) return null;
    return isUsablePose(tool) && Number.isFinite(gripper.opening)
      ? { tool, opening: gripper.opening }
      : null;
  }
}

/** Nothing is in the gripper then. */
function isGraspFault(fault: Fault): fault is GraspFault {
  return fault === 'emptyGrasp' || fault === 'lostGrasp';
}

interface Hand {
  readonly tool: Pose;
  readonly opening: number;
}
