/** One stretch of control over the arm, from taking it up at rest to letting it go at rest. */
import type { Clock } from '../control/clock.js';
import type { DeskObserver, TraceSchedule } from '../control/desk.js';
import { ControlLoop, type LoopObserver } from '../control/loop.js';
import type { Aligner } from '../control/align.js';
import type { Policy } from '../control/policy.js';
import type { SessionEnd } from '../control/session.js';
import { runWall } from '../control/wall.js';
import type { Config } from '../config.js';
import { RosError } from '../errors.js';
import { Guard } from '../safety/guard.js';
import type { GuardLog } from '../safety/guardLog.js';
import type { ArmCapsules } from '../arm/clearance.js';
import type { Arm } from '../arm/kinematics.js';
import type { Robot } from '../robot/robot.js';
import type { Stops } from './stops.js';

export interface LiveSessionOptions {
  readonly config: Config;
  readonly arm: Arm | null;
  readonly capsules: ArmCapsules | null;
  readonly aligner: Aligner;
  readonly robot: Robot;
  readonly policy: Policy;
  readonly clock: Clock;
  readonly stops: Stops;
  readonly log: GuardLog;
  readonly traces: TraceSchedule | null;
  readonly observer: DeskObserver & LoopObserver;
  /** 0 … 1 */
  readonly speedScale: number;
  /** Why control is to end, or not to begin any more; null: it goes on. */
  readonly until: () => string | null;
  /** Control ended without having been asked to: the arm was braked as far as it still took commands. */
  readonly onFailure: (error: Error) => void;
}

export class LiveSession {
  readonly guard: Guard;
  readonly loop: ControlLoop;
  readonly #running: Promise<SessionEnd>;
  #ending: string | null = null;

  /**
   * Resolves when the guard has taken up the arm.
   * @throws RosError saying why it has not: readings that are missing or stale, an arm that moves.
   */
  static async begin(options: LiveSessionOptions): Promise<LiveSession> {
    let activated!: () => void;
    const taken = new Promise<null>((resolve) => (activated = () => resolve(null)));
    const session = new LiveSession(options, activated);
    const ended = await Promise.race([taken, session.#running]);
    if (ended === null) {
      session.#report(options.onFailure);
      return session;
    }
    throw new RosError(`The arm was not taken up: ${ended.because}`);
  }

  private constructor(options: LiveSessionOptions, onActivated: () => void) {
    const { config, arm, capsules, aligner, robot, policy, clock, stops, log, traces, observer } =
      options;
    this.guard = new Guard(config, arm, capsules, log.onFirst);
    log.opened(this.guard);
    const { guard } = this;
    guard.setSpeedScale(options.speedScale);
    this.loop = new ControlLoop({
      ...{ config, arm, guard, aligner, robot, observer },
      holds: () => stops.holds(),
      recovery: 'asConfigured',
    });
    this.#running = runWall({
      ...{ loop: this.loop, policy, config, clock, observer, onActivated },
      ...(traces ? { traces } : {}),
      until: () => {
        stops.remember(guard.latched);
        return this.#ending ?? options.until();
      },
    });
  }

  /** Brings the arm to rest and lets it go. May be called more than once. */
  async end(because: string): Promise<SessionEnd> {
    this.#ending ??= because;
    return this.#running;
  }

  #report(onFailure: (error: Error) => void): void {
    this.#running.then(
      () => undefined,
      (error: unknown) => onFailure(error instanceof Error ? error : new Error(String(error))),
    );
  }
}
