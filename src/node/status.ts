/** `~/status`: what the node does and why, ten times a second and at every change, whatever its lifecycle state. */
import {
  messageFromStatus,
  type NodeStatus,
  stateFromVerdict,
} from '../robot/messages/statusMessages.js';
import type { StatusOutcome } from '../robot/messages/statusMessages.js';
import { type Disposable, qos, type RosLifecycle, type RosNode } from '../robot/ros/ros.js';
import type { Reason } from '../types.js';
import type { Application } from './application.js';
import { every } from './every.js';

const PERIOD_MS = 20;
/** At rest in what it says, the status is repeated every so many looks. */
const REPEAT = 5;

export class StatusPublisher implements Disposable {
  readonly #timer: Disposable;
  #told = '';
  #looks = 0;

  constructor(node: RosNode, application: Application, lifecycle: RosLifecycle) {
    const publisher = node.publisher('magma_vla/msg/Status', '~/status', qos.state);
    const look = (): void => {
      const { status, outcome } = statusOf(application, lifecycle);
      const told = JSON.stringify([status, outcome.outcome, outcome.reasons.map((r) => r.code)]);
      if (told === this.#told && ++this.#looks < REPEAT) return;
      this.#told = told;
      this.#looks = 0;
      publisher.publish(messageFromStatus(outcome, status, application.now().stampNs));
    };
    this.#timer = every(PERIOD_MS, look, (error) => node.log.error(`status: ${String(error)}`));
  }

  dispose(): void {
    this.#timer.dispose();
  }
}

/** Without a control tick nothing was let through: that reads as a halt, with what stands in the way of motion. */
export function statusOf(
  application: Application,
  lifecycle: Pick<RosLifecycle, 'state'>,
): { readonly status: NodeStatus; readonly outcome: StatusOutcome } {
  const { session, stops, settings, equipment } = application;
  const { latched } = stops;
  const holds = stops.holds();
  const tick = session?.loop.last ?? null;
  const status: NodeStatus = {
    state: stateOf(application, lifecycle),
    dryRun: application.isDryRun,
    enabled: !holds.some(({ code }) => code === 'notEnabled'),
    latched: latched?.message ?? '',
    instruction: equipment?.instructions.instruction ?? '',
    episode: equipment?.aligner.episode ?? 0,
    speedScale: settings.speedScale,
  };
  if (tick) {
    const { verdict } = tick;
    // A stop is latched at once; the tick that hears of it may be a period away.
    if (!latched || verdict.reasons.some(({ code }) => code === latched.code))
      return { status, outcome: withRecovery(verdict, session!.loop.recovering) };
    return { status, outcome: { outcome: 'halt', reasons: [latched, ...verdict.reasons] } };
  }
  const message = `${standing(status.state)}: nothing is sent.`;
  const reasons = [
    ...(latched ? [latched] : []),
    ...holds.filter(({ code }) => code !== latched?.code),
    { code: 'notActive', message },
  ];
  return { status, outcome: { outcome: 'halt', reasons } };
}

function stateOf(application: Application, { state }: Pick<RosLifecycle, 'state'>): string {
  if (application.isTakenOver) return 'takeover';
  const { session, stops } = application;
  const tick = session?.loop.last;
  if (tick && !stops.latched && session.loop.recovering) return 'recovering';
  if (!session && state === 'active') return stops.latched ? 'latched' : 'failed';
  if (!session || !tick) return stops.latched ? 'latched' : state;
  return stateFromVerdict(tick.verdict, stops.latched);
}

/** What control does of its own accord is told beside what the guard says of it. */
function withRecovery(
  { outcome, reasons }: StatusOutcome,
  recovering: Reason | null,
): StatusOutcome {
  return { outcome, reasons: recovering ? [recovering, ...reasons] : reasons };
}

function standing(state: string): string {
  if (state === 'takeover') return 'A person has taken over (~/set_takeover with false ends that)';
  if (state === 'latched') return 'Stopped until ~/rearm';
  if (state === 'failed') return 'Control has ended; deactivate and activate the node';
  return `The node is ${state}`;
}
