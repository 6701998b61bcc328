/** What a run decides, into its recording: predictions, refusals, verdicts, commands. */
import type { DeskObserver } from '../control/desk.js';
import type { LoopObserver } from '../control/loop.js';
import type { Config } from '../config.js';
import { recordedActionFromDelta } from '../robot/messages/messages.js';
import { hashedFrom } from '../robot/messages/observationHash.js';
import type { Recorder } from '../robot/replay/recorder.js';

type Observer = Required<Pick<DeskObserver, 'onAction' | 'onTrace'>> &
  Required<Pick<LoopObserver, 'onTick'>>;

/** A recorder, or a black box. */
export type Decisions = Pick<Recorder, 'action' | 'traces' | 'verdict' | 'refusal' | 'command'>;

export function decisionsInto(recorder: Decisions): Observer {
  return {
    onAction: (answer, { observation }) => {
      if (answer.ok) recorder.action(answer.value, hashedFrom(observation));
      else recorder.refusal(answer.refusal);
    },
    onTrace: (answer, observation) => {
      if (answer.ok)
        recorder.traces(answer.value, observation.images[answer.value.camera]?.frameId ?? '');
      else recorder.refusal(answer.refusal);
    },
    onTick: ({ verdict }) => {
      recorder.verdict(verdict);
      recorder.command(verdict.command);
    },
  };
}

/** As decisionsInto, and what was played becomes the recorded action of its observation, where robot.yaml has a topic. */
export function demonstrationInto(recorder: Recorder, { recordedAction }: Config): Observer {
  const decisions = decisionsInto(recorder);
  return {
    ...decisions,
    onAction: (answer, request, notPlayed, at) => {
      decisions.onAction(answer, request, notPlayed, at);
      if (!recordedAction || !answer.ok || notPlayed) return;
      const { chunk } = answer.value;
      if (chunk.kind === 'endEffectorDelta' && chunk.composition === recordedAction.composition)
        recorder.recordedAction(recordedActionFromDelta(chunk.steps[0]!));
    },
  };
}
