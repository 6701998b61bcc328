/**
 * ROS time: the system's, or in simulation and with bags what `/clock` says.
 *
 * Why not the client library's: it subscribes to `/clock` reliably, which does not match the best-effort publishers of
 * simulators and `ros2 bag play`, and nothing says when the clock has stopped.
 */
import { reason, type GuardReason } from '../../safety/reasons.js';
import type { RosMessage } from '../messages/cdr.js';
import { qos, type Disposable, type RosNode } from './ros.js';

/** Steady ns without any advance after which the clock counts as silent. */
const SILENT_NS = 200_000_000n;
/** ns that the clock may run ahead of what its rate so far explains. */
const JUMP_NS = 500_000_000n;
/** Steady ns over which the rate is averaged. */
const RATE_WINDOW_NS = 1_000_000_000;
/** A clock faster than this is taken for one that jumps. */
const MAX_RATE = 100;

/**
 * What a `/clock` topic tells. Pure: steady time is handed in.
 *
 * The rate (stamp time per steady time: 0.3 for a slow simulation, 5 for a bag played fast) is learnt from what arrives,
 * so that a fast clock is not mistaken for one that jumps.
 */
export class SimClock {
  private latest: { readonly stampNs: bigint; readonly steadyNs: bigint } | null = null;
  private jump: { readonly message: string; readonly steadyNs: bigint } | null = null;
  private rate = 1;

  /** The latest stamp; 0 before the first, as ROS has it. */
  get stampNs(): bigint {
    return this.latest?.stampNs ?? 0n;
  }

  /** @returns what happened where time jumped, else null. */
  tick(stampNs: bigint, steadyNs: bigint): string | null {
    const before = this.latest;
    // A paused simulator repeats its stamp: heard, but no advance.
    if (before?.stampNs === stampNs) return null;
    this.latest = { stampNs, steadyNs };
    if (!before) return null;
    const advance = stampNs - before.stampNs;
    const elapsed = Number(steadyNs - before.steadyNs);
    const explained = BigInt(Math.round(elapsed * Math.max(1, this.rate)));
    this.learnRate(Number(advance), elapsed);
    const message =
      advance < 0n
        ? `/clock jumped back by ${seconds(-advance)} s`
        : advance > explained + JUMP_NS
          ? `/clock jumped ahead by ${seconds(advance)} s within ${seconds(BigInt(elapsed))} s`
          : null;
    if (message !== null) this.jump = { message, steadyNs };
    return message;
  }

  /** Null while the clock ticks; a jump is reported as long as silence would have taken to show. */
  problem(steadyNs: bigint): GuardReason | null {
    if (!this.latest) return reason('clockSilent', 'Nothing has arrived on /clock yet.');
    const age = steadyNs - this.latest.steadyNs;
    if (age > SILENT_NS)
      return reason('clockSilent', `/clock has not advanced for ${seconds(age)} s.`);
    if (this.jump && steadyNs - this.jump.steadyNs <= SILENT_NS)
      return reason('clockJump', `${this.jump.message}.`);
    return null;
  }

  private learnRate(advanceNs: number, elapsedNs: number): void {
    if (advanceNs < 0 || elapsedNs <= 0) return;
    const now = Math.min(MAX_RATE, advanceNs / elapsedNs);
    this.rate += (1 - Math.exp(-elapsedNs / RATE_WINDOW_NS)) * (now - this.rate);
  }
}

export interface RosTimeOptions {
  readonly node: Pick<RosNode, 'subscribe'>;
  readonly useSimTime: boolean;
  readonly steadyNowNs: () => bigint;
  /** The system clock, since 1970. */
  readonly systemNowNs: () => bigint;
  /** Time jumped: what was remembered with older stamps no longer means anything. */
  readonly onJump: (because: string) => void;
}

export class RosTime implements Disposable {
  private readonly options: RosTimeOptions;
  private readonly clock: SimClock | null;
  private readonly subscription: Disposable | null;

  constructor(options: RosTimeOptions) {
    this.options = options;
    this.clock = options.useSimTime ? new SimClock() : null;
    this.subscription = this.clock && this.listen(this.clock);
  }

  nowNs(): bigint {
    return this.clock ? this.clock.stampNs : this.options.systemNowNs();
  }

  /** Why ROS time cannot be trusted now; null where it can. */
  problem(): GuardReason | null {
    return this.clock?.problem(this.options.steadyNowNs()) ?? null;
  }

  dispose(): void {
    this.subscription?.dispose();
  }

  private listen(clock: SimClock): Disposable {
    const { node, steadyNowNs, onJump } = this.options;
    return node.subscribe('rosgraph_msgs/msg/Clock', '/clock', qos.clock, (message) => {
      const { sec, nanosec } = message['clock'] as RosMessage as { sec: number; nanosec: number };
      const jump = clock.tick(BigInt(sec) * 1_000_000_000n + BigInt(nanosec), steadyNowNs());
      if (jump !== null) onJump(jump);
    });
  }
}

const seconds = (ns: bigint): string => (Number(ns) / 1e9).toFixed(2);
