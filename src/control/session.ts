/** What both drivers do: take up the arm, tick until told to end, bring it to rest. Pace and arrivals are theirs. */
import { messageOf } from '../errors.js';
import type { ArmCommand, Reason } from '../types.js';
import type { Measured } from './align.js';
import type { Instant } from './clock.js';
import type { PolicyDesk } from './desk.js';
import type { ControlLoop, Tick } from './loop.js';

/** Resolves at the next control tick. */
export type Pace = () => Promise<Instant>;

export interface SessionOptions {
  readonly loop: ControlLoop;
  readonly desk: PolicyDesk;
  readonly pace: Pace;
  /** Asked after every tick; a sentence ends the session, null lets it go on. */
  readonly until: (at: Instant) => string | null;
  readonly maxTicks: number;
  /** Ticks to wait for the readings without which the guard does not take up the arm. */
  readonly activationTicks: number;
  /** Ticks to come to rest in. */
  readonly restTicks: number;
  /** What counts as rest: as commanded, or also as the arm reports its velocities. */
  readonly rest: 'commanded' | 'measured';
  /** The guard has taken up the arm. */
  readonly onActivated?: () => void;
}

export interface SessionEnd {
  readonly ended: 'until' | 'maxTicks' | 'notActivated';
  readonly because: string;
  /** Control ticks from activation to the end, the coming to rest not counted. */
  readonly ticks: number;
  /** Whether the arm was at rest, in the sense asked for, when control let go of it. */
  readonly atRest: boolean;
}

/**
 * Whatever ends it, the arm is brought to rest first, as far as it still takes commands.
 * @throws what control, policy desk, pace or `until` threw, after that.
 */
export async function runSession(options: SessionOptions): Promise<SessionEnd> {
  const { loop, pace } = options;
  let last = await pace();
  const paced = { ...options, pace: async () => (last = await pace()) };
  const refused = await activate(paced, last);
  if (refused) return { ended: 'notActivated', because: refused.message, ticks: 0, atRest: true };
  options.onActivated?.();
  const outcome = await settled(tickUntilEnd(paced));
  const because = outcome.ok ? outcome.end.because : `control failed: ${messageOf(outcome.error)}`;
  let atRest = false;
  try {
    atRest = await comeToRest(paced, because);
  } catch (error) {
    // What ended the session says more than what then stood in the way of coming to rest.
    if (outcome.ok) throw error;
  } finally {
    loop.deactivate(last);
  }
  if (!outcome.ok) throw outcome.error;
  return { ...outcome.end, atRest };
}

type Ended = Omit<SessionEnd, 'atRest'>;
type Outcome =
  { readonly ok: true; readonly end: Ended } | { readonly ok: false; readonly error: unknown };

async function settled(session: Promise<Ended>): Promise<Outcome> {
  try {
    return { ok: true, end: await session };
  } catch (error) {
    return { ok: false, error };
  }
}

/** Given up when told to end: an arm must not be taken up for somebody who has stopped waiting. */
async function activate(
  { loop, pace, until, activationTicks }: SessionOptions,
  first: Instant,
): Promise<Reason | null> {
  for (let tick = 1, at = first; ; tick++, at = await pace()) {
    const because = tick > 1 ? until(at) : null;
    if (because !== null) return { code: 'notActive', message: because };
    const refused = loop.activate(at);
    if (!refused || tick >= activationTicks) return refused;
  }
}

async function tickUntilEnd({ loop, desk, pace, until, maxTicks }: SessionOptions): Promise<Ended> {
  const leave = desk.attend();
  try {
    for (let ticks = 1; ; ticks++) {
      const at = await pace();
      await desk.serve(at);
      loop.tick(at);
      const because = until(at);
      if (because !== null) return { ended: 'until', because, ticks };
      if (ticks >= maxTicks)
        return { ended: 'maxTicks', because: `${maxTicks} control ticks are over`, ticks };
    }
  } finally {
    leave();
  }
}

/**
 * A tick that throws, as where the robot does not take the command, does not end the braking: the next one is tried.
 * Returns whether the arm rests, as asked for.
 */
async function comeToRest(
  { loop, pace, rest, restTicks }: SessionOptions,
  because: string,
): Promise<boolean> {
  let failure: { readonly error: unknown } | null = null;
  const settled = new Settled();
  for (let tick = 0; tick < restTicks; tick++) {
    const at = await pace();
    try {
      loop.stop(because);
      const { command } = loop.tick(at);
      if (!isAtRest(command)) settled.moves();
      else if (rest === 'commanded' || settled.holds(at, loop.last)) return true;
    } catch (error) {
      failure ??= { error };
    }
  }
  if (failure) throw failure.error;
  return false;
}

export function isAtRest(command: ArmCommand): boolean {
  const speeds =
    command.kind === 'joint' ? command.velocity : [...command.linear, ...command.angular];
  return Math.hypot(...speeds) < 1e-6;
}

/**
 * Whether the arm itself rests: it was commanded to, and what it reports has not changed, for a while. A command is
 * played a little later than it is given, positions tell more than velocities, and silence tells nothing.
 */
export class Settled {
  #since: { readonly nowNs: bigint; readonly report: Report } | null = null;

  moves(): void {
    this.#since = null;
  }

  holds({ nowNs }: Instant, tick: Tick | null): boolean {
    // An arm that is not sent commands (dry run) may be moved by others, and is not waited for.
    if (tick && !tick.sent) return true;
    const report = tick && reported(tick.measured, nowNs);
    const since = this.#since;
    if (!report || !since || differ(report.values, since.report.values)) {
      this.#since = report && { nowNs, report };
      return false;
    }
    // A reading that is looked at twice has not changed either: a later one must say the same.
    const isLater = report.stampNs > since.report.stampNs;
    return isLater && report.receivedNs - since.nowNs >= SETTLED_NS;
  }
}

/** Less change than MOVED, rad or m, over SETTLED_NS is rest; a report older than FRESH_NS says nothing. */
const SETTLED_NS = 150_000_000n;
const MOVED = 2e-3;
const FRESH_NS = 500_000_000n;

interface Report {
  readonly values: readonly number[];
  readonly stampNs: bigint;
  readonly receivedNs: bigint;
}

/** Positions of the joints, else of the tool; null where nothing fresh is known. */
function reported(measured: Measured, nowNs: bigint): Report | null {
  const { joints, jointsReceivedNs, endEffector, endEffectorReceivedNs } = measured;
  const of = (values: readonly number[], stampNs: bigint, receivedNs: bigint): Report | null =>
    nowNs - receivedNs <= FRESH_NS ? { values, stampNs, receivedNs } : null;
  if (joints && jointsReceivedNs !== null)
    return of(joints.position, joints.stampNs, jointsReceivedNs);
  if (endEffector && endEffectorReceivedNs !== null)
    return of(endEffector.pose.translation, endEffector.stampNs, endEffectorReceivedNs);
  return null;
}

function differ(values: readonly number[], before: readonly number[]): boolean {
  return (
    values.length !== before.length || values.some((q, i) => !(Math.abs(q - before[i]!) <= MOVED))
  );
}
