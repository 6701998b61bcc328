/** What both drivers do: take up the arm, tick until told to end, bring it to rest. Pace and arrivals are theirs. */
import type { ArmCommand, Reason } from '../types.js';
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

/** rad/s: what a resting arm may report of its joints. */
const RESTING = 0.05;

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

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

async function activate(
  { loop, pace, activationTicks }: SessionOptions,
  first: Instant,
): Promise<Reason | null> {
  for (let tick = 1, at = first; ; tick++, at = await pace()) {
    const refused = loop.activate(at);
    if (!refused || tick >= activationTicks) return refused;
  }
}

async function tickUntilEnd({ loop, desk, pace, until, maxTicks }: SessionOptions): Promise<Ended> {
  for (let ticks = 1; ; ticks++) {
    const at = await pace();
    await desk.serve(at);
    loop.tick(at);
    const because = until(at);
    if (because !== null) return { ended: 'until', because, ticks };
    if (ticks >= maxTicks)
      return { ended: 'maxTicks', because: `${maxTicks} control ticks are over`, ticks };
  }
}

/** A tick that throws, as where the robot does not take the command, does not end the braking: the next one is tried. */
async function comeToRest(
  { loop, pace, rest, restTicks }: SessionOptions,
  because: string,
): Promise<boolean> {
  let failure: { readonly error: unknown } | null = null;
  for (let tick = 0; tick < restTicks; tick++) {
    const at = await pace();
    try {
      loop.stop(because);
      const { command } = loop.tick(at);
      if (isAtRest(command) && (rest === 'commanded' || !reportsMotion(loop.last))) return true;
    } catch (error) {
      failure ??= { error };
    }
  }
  if (failure) throw failure.error;
  return false;
}

/** An arm that is not sent commands (dry run) may be moved by others, and is not waited for. */
function reportsMotion(tick: Tick | null): boolean {
  if (!tick?.sent) return false;
  const { joints } = tick.measured;
  return joints?.velocity?.some((speed) => !(Math.abs(speed) <= RESTING)) ?? false;
}

function isAtRest(command: ArmCommand): boolean {
  const speeds =
    command.kind === 'joint' ? command.velocity : [...command.linear, ...command.angular];
  return Math.hypot(...speeds) < 1e-6;
}
