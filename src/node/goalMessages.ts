/** Result and feedback of action/ExecuteInstruction.action. */
import type { Tick } from '../control/loop.js';
import { messageFromStamp } from '../robot/messages/messages.js';
import { messageFromTraces } from '../robot/messages/outputMessages.js';
import type { RosMessage } from '../robot/ros/ros.js';
import type { TracePrediction } from '../types.js';
import type { Tally } from './tally.js';

/** Constants of the action, in its order. */
const outcomes = ['succeeded', 'failed', 'timeLimit', 'canceled', 'preempted', 'stopped'] as const;
export type GoalOutcome = (typeof outcomes)[number];

/** Constants of Status.msg, in its order. */
const verdicts = ['pass', 'limited', 'halt'] as const;

/** How something ended, and why, in one sentence. */
export interface Ending {
  readonly outcome: GoalOutcome;
  readonly code: string;
  readonly message: string;
}

export function resultOf(ending: Ending, elapsedNs: bigint, tally: Tally): RosMessage {
  return {
    outcome: outcomes.indexOf(ending.outcome),
    code: ending.code,
    message: ending.message,
    elapsed: messageFromStamp(elapsedNs),
    actions: tally.actions,
    refusals: tally.refusals,
    mean_confidence: tally.meanConfidence,
  };
}

/** `tick`: the latest of control; null before the first. */
export function feedbackOf(
  times: { readonly elapsedNs: bigint; readonly limitNs: bigint },
  tick: Tick | null,
  tally: Tally,
): RosMessage {
  const { prediction, frameId } = tally.traces ?? { prediction: NO_TRACES, frameId: '' };
  return {
    elapsed: messageFromStamp(times.elapsedNs),
    time_limit: messageFromStamp(times.limitNs),
    outcome: tick ? verdicts.indexOf(tick.verdict.outcome) : verdicts.indexOf('halt'),
    message: tick ? whyNot(tick) : 'control has not begun yet',
    actions: tally.actions,
    confidence: tally.confidence,
    traces: messageFromTraces(prediction, frameId),
  };
}

/** Why the arm is limited, holds or halts; empty otherwise. */
function whyNot({ verdict, target }: Tick): string {
  const reasons = verdict.reasons.map(({ message }) => message).join(' ');
  return target.kind === 'rest' && verdict.outcome !== 'halt' ? target.because : reasons;
}

const NO_TRACES: TracePrediction = {
  observationStampNs: 0n,
  episode: 0,
  camera: '',
  stepPeriodNs: 0n,
  marks: [],
  traces: [],
  confidence: NaN,
  timing: { decodeMs: 0, preprocessMs: 0, visionMs: 0, generateMs: 0, totalMs: 0 },
};
