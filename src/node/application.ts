/**
 * The ROS 2 node: what its lifecycle transitions, services and actions do. A transition is answered when it is true:
 * configured means that the model has answered, active that the guard has taken up the arm, inactive that the arm rests.
 */
import type { Config } from '../config.js';
import type { Instant } from '../control/clock.js';
import { homingAction } from '../control/homing.js';
import type { SessionEnd } from '../control/session.js';
import { RosError } from '../errors.js';
import { inArmOrder } from '../control/align.js';
import { GuardLog } from '../safety/guardLog.js';
import type { Reason } from '../types.js';
import type { LifecycleHandlers, LifecycleState, RosNode, Transition } from '../robot/ros/ros.js';
import { RosTime } from '../robot/ros/rosTime.js';
import { type Equipment, equip } from './equipment.js';
import { InstructionServer } from './instructionServer.js';
import { LiveSession } from './liveSession.js';
import { type ControlObserver, together } from './observers.js';
import { offerOperator } from './operator.js';
import type { ApplicationPorts } from './ports.js';
import { declareSettings, readSettings, type Settings, withSettings } from './settings.js';
import { Stops } from './stops.js';

/** s. A model of several gigabytes takes minutes to load. */
const DEADLINES: Readonly<Record<Transition, number>> = {
  configure: 1800,
  activate: 15,
  deactivate: 15,
  cleanup: 30,
  shutdown: 30,
};

/** How long activation waits for inputs, and how often it looks, ms. */
const PATIENCE_MS = 2000;
const LOOK_MS = 50;

/** Holds that pass by themselves: what latches ends a task anyway. */
const OUTSIDE: ReadonlySet<string> = new Set(['notEnabled', 'clockSilent']);

export class Application implements LifecycleHandlers {
  readonly deadlines = DEADLINES;
  readonly stops = new Stops();
  readonly time: RosTime;
  readonly #node: RosNode;
  readonly #ports: ApplicationPorts;
  readonly #state: () => LifecycleState;
  readonly #log: GuardLog;
  #equipment: Equipment | null = null;
  #session: LiveSession | null = null;
  #effective: Config | null = null;
  #ending = false;
  #isTakenOver = false;
  /** What an operator asked for and is still being done. */
  #busy: { readonly what: string; readonly done: Promise<void> } | null = null;
  /** Why the arm must not be taken up any more; null: it may. */
  #giveUp: string | null = null;

  constructor(node: RosNode, ports: ApplicationPorts, state: () => LifecycleState) {
    this.#node = node;
    this.#ports = ports;
    this.#state = state;
    this.#log = new GuardLog((line, weight) => node.log[weight](line));
    declareSettings(node, state);
    node.onParameterChanged((changes) => {
      const scale = changes.get('speed_scale');
      if (scale !== undefined) this.#session?.guard.setSpeedScale(Number(scale));
    });
    this.time = new RosTime({
      node,
      useSimTime: node.parameter('use_sim_time') === true,
      steadyNowNs: () => ports.clock.now().nowNs,
      systemNowNs: () => ports.clock.now().stampNs,
      onJump: (because) => this.#flush(because),
    });
    this.stops.watch(() => this.time.problem());
    offerOperator(node, this);
  }

  /** Both clocks: steady, and ROS time. */
  now(): Instant {
    return { nowNs: this.#ports.clock.now().nowNs, stampNs: this.time.nowNs() };
  }

  get settings(): Settings {
    return readSettings(this.#node);
  }

  get equipment(): Equipment | null {
    return this.#equipment;
  }

  get session(): LiveSession | null {
    return this.#session;
  }

  get isTakenOver(): boolean {
    return this.#isTakenOver;
  }

  /** robot.yaml with the parameters of the latest activation. */
  get effective(): Config | null {
    return this.#effective ?? this.#equipment?.config ?? null;
  }

  /** What stands in the way of motion that can be known at once; null: nothing. */
  obstacle(): string | null {
    const objection = this.stops.objection() ?? this.#equipment?.aligner.missing() ?? null;
    return objection && withRemedy(objection, this.stops.latched);
  }

  // ── Lifecycle ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async configure(): Promise<void> {
    await this.#dispose();
    const { settings } = this;
    this.#equipment = await equip({
      ...{ node: this.#node, ports: this.#ports, settings, stops: this.stops },
      now: () => this.now(),
      instructions: (config, aligner) =>
        new InstructionServer(this.#node, {
          refusal: () => this.#refusal(),
          begin: (instruction) => {
            aligner.beginEpisode(instruction, `new instruction: ${instruction}`);
            return aligner.episode;
          },
          end: (because) => {
            aligner.beginEpisode(null, because);
            this.#session?.loop.stop(because);
          },
          latched: () => this.stops.latched,
          isActive: () => this.#session !== null,
          tick: () => this.#session?.loop.last ?? null,
          now: () => this.now(),
          config,
        }),
    });
  }

  async activate(): Promise<void> {
    await this.#exclusive('activate', () => this.#takeUp());
  }

  async deactivate(): Promise<void> {
    const because = 'The node was deactivated.';
    await this.#noMore(because);
    await this.#letGo(because);
    this.#isTakenOver = false;
  }

  async cleanup(): Promise<void> {
    await this.#dispose();
  }

  async shutdown(): Promise<void> {
    try {
      await this.deactivate();
    } finally {
      await this.#dispose();
    }
  }

  /** A transition downwards failed: nothing may leave the node any more. */
  async onError(error: Error): Promise<void> {
    this.stops.stop({ code: 'controlFailed', message: error.message });
    this.#equipment?.robot.close(error.message);
    this.#abandon('the node failed');
    this.#isTakenOver = false;
    await this.#dispose();
  }

  // ── Operator ──────────────────────────────────────────────────────────────────────────────────────────────────────

  stop(because: string): void {
    this.stops.stop({ code: 'operatorStop', message: because });
    this.#node.log.warn(because);
  }

  rearm(): Promise<string | null> {
    return this.#asked('rearm', () => {
      const refused = this.#session?.guard.rearm(this.now().nowNs) ?? null;
      if (refused) throw new RosError(refused.message);
      this.stops.forget();
      this.#equipment?.robot.acknowledge();
      this.#equipment?.instructions.stop('An operator re-armed; tasks begin anew.');
      return Promise.resolve();
    });
  }

  takeOver(): Promise<string | null> {
    return this.#asked('takeover', async () => {
      if (!this.#session && !this.#isTakenOver)
        throw new RosError(`nothing to take over: the node is ${this.#state()}`);
      await this.#letGo('A person takes over.');
      this.#isTakenOver = true;
    });
  }

  resume(): Promise<string | null> {
    return this.#asked('resume', async () => {
      if (!this.#isTakenOver) return;
      await this.#takeUp();
      this.#isTakenOver = false;
    });
  }

  goHome(): Promise<string | null> {
    return this.#asked('go home', () => {
      this.#sendHome();
      return Promise.resolve();
    });
  }

  // ── The arm ───────────────────────────────────────────────────────────────────────────────────────────────────────

  /** @throws RosError saying what stands in the way. */
  async #takeUp(): Promise<void> {
    const equipment = this.#equipment;
    if (!equipment) throw new RosError('the node is not configured');
    if (this.#session || this.#ending)
      throw new RosError('control over the arm has not ended yet; try again');
    const { settings } = this;
    const config = withSettings(equipment.config, settings);
    if (config.guard.watchdog <= 1 / config.control.rateHz)
      throw new RosError(
        `control_rate: got ${config.control.rateHz} Hz, expected a period below the watchdog of ${config.guard.watchdog} s`,
      );
    await this.#checkReadiness(equipment, config);
    const { aligner, arm, robot, policy, recorder, observers, instructions } = equipment;
    aligner.beginEpisode(null, 'control takes up the arm');
    if (!config.dryRun) robot.open();
    this.#effective = config;
    try {
      this.#session = await LiveSession.begin({
        ...{ config, aligner, robot, stops: this.stops, log: this.#log },
        arm: arm?.arm ?? null,
        capsules: arm?.capsules ?? null,
        policy: policy.policy,
        clock: {
          now: () => this.now(),
          sleepUntil: (nowNs, signal) => this.#ports.clock.sleepUntil(nowNs, signal),
        },
        until: () => this.#giveUp,
        traces: tracesOf(policy.traceCamera, settings.tracePeriod),
        observer: together(
          ...observers,
          instructions.observer,
          recorder.observer,
          this.#haltWatch(equipment),
        ),
        speedScale: settings.speedScale,
        onFailure: (error) => this.#failed(error),
      });
    } catch (error) {
      robot.close();
      throw error;
    }
  }

  /** Inputs that have only just been subscribed to get a moment to arrive. */
  async #checkReadiness(equipment: Equipment, { dryRun }: Config): Promise<void> {
    const { robot } = equipment;
    for (
      let waited = 0;
      this.obstacle() !== null && this.#giveUp === null && waited < PATIENCE_MS;
      waited += LOOK_MS
    )
      await this.#later(LOOK_MS);
    this.#refuseWhereObstructed();
    for (const { severity, sentence } of await robot.check()) {
      if (severity === 'refuse' && !dryRun) throw new RosError(sentence);
      this.#node.log.warn(sentence);
    }
    const disagreement = equipment.tf();
    if (disagreement !== null) this.#node.log.warn(disagreement);
    this.#refuseWhereObstructed();
  }

  /** @throws RosError */
  #refuseWhereObstructed(): void {
    const obstacle = this.#giveUp ?? this.obstacle();
    if (obstacle !== null) throw new RosError(obstacle);
  }

  #later(ms: number): Promise<void> {
    const { clock } = this.#ports;
    return clock.sleepUntil(clock.now().nowNs + BigInt(ms) * 1_000_000n);
  }

  /** Brings the arm to rest and closes the outputs. @throws RosError where it did not come to rest. */
  async #letGo(because: string): Promise<void> {
    const session = this.#session;
    this.#equipment?.instructions.stop(because);
    if (!session) return;
    let end: SessionEnd;
    try {
      end = await session.end(because);
    } finally {
      this.stops.remember(session.guard.latched);
      this.#session = null;
      this.#equipment?.robot.close(because);
    }
    if (!end.atRest)
      throw new RosError('it is not certain that the arm rests: its readings do not say so');
  }

  /** Control that does not end in time may end later: until then nobody takes up the arm. */
  #abandon(because: string): void {
    const session = this.#session;
    this.#session = null;
    if (!session) return;
    this.#ending = true;
    const ended = (): void => void (this.#ending = false);
    session.end(because).then(ended, ended);
  }

  #sendHome(): void {
    const session = this.#session;
    const equipment = this.#equipment;
    const home = equipment?.config.home;
    if (!session || !equipment) throw new RosError(`the node is ${this.#state()}, expected active`);
    const { aligner, arm, config } = equipment;
    if (!home || !arm)
      throw new RosError('home: got nothing, expected joint positions in robot.yaml');
    if (this.stops.latched) throw new RosError(withRemedy(this.stops.latched, this.stops.latched));
    const { joints } = aligner.measured();
    const from = joints && inArmOrder(arm.arm, joints);
    if (!from) throw new RosError('the joints of the arm are not known');
    equipment.instructions.stop('The arm goes home.');
    aligner.beginEpisode(null, 'the arm goes home');
    const at = this.now();
    const action = homingAction(this.#effective ?? config, arm.arm, {
      from,
      to: arm.arm.jointNames.map((name, i) => home[name] ?? from[i]!),
      gripper: aligner.gripper ?? 1,
      stampNs: at.stampNs,
      episode: aligner.episode,
    });
    if (!action) throw new RosError('the home pose is too far away for one slow motion');
    const observation = {
      stampNs: at.stampNs,
      episode: aligner.episode,
      instruction: '',
      ...{ images: {}, joints, endEffector: null, gripper: null },
    };
    const refused = session.loop.deliver(
      { ok: true, value: action },
      { observation, requestedNs: at.nowNs },
      at,
    );
    if (refused) throw new RosError(refused.message);
  }

  /** Why no instruction is accepted now. */
  #refusal(): string | null {
    if (this.#isTakenOver) return 'a person has taken over; call ~/set_takeover with false first';
    if (!this.#session) return `the node is ${this.#state()}; activate it first`;
    const { latched } = this.stops;
    return latched && withRemedy(latched, latched);
  }

  #failed(error: Error): void {
    this.#node.log.error(`control failed: ${error.message}`);
    this.stops.stop({ code: 'controlFailed', message: `Control failed: ${error.message}.` });
    this.#equipment?.robot.close(error.message);
    this.#abandon('control failed');
  }

  /** The ROS clock jumped: what was read before it means nothing. */
  #flush(because: string): void {
    if (this.#session) this.stops.stop({ code: 'clockJump', message: `${because}.` });
    this.#session?.loop.stop(because);
    this.#equipment?.robot.forget(because);
    this.#equipment?.aligner.forgetReadings(because);
    this.#equipment?.forgetTransforms();
  }

  /**
   * At every halt: the seconds before it are written down; and where something around the arm stopped it, the task has
   * ended. What comes back (consent, a clock, an operator's word) begins no motion by itself: a new instruction does.
   */
  #haltWatch({ recorder, instructions }: Equipment): ControlObserver {
    let wasHalted = false;
    return {
      onTick: ({ verdict }) => {
        const isHalted = verdict.outcome === 'halt';
        if (isHalted && !wasHalted) {
          this.#node.log.warn(`halt: ${verdict.reasons.map(({ message }) => message).join(' ')}`);
          void this.#writeDown(recorder, verdict.reasons);
        }
        wasHalted = isHalted;
        const outside = verdict.reasons.find(({ code }) => OUTSIDE.has(code));
        if (isHalted && outside && instructions.instruction !== null)
          instructions.stop(outside.message);
      },
    };
  }

  async #writeDown(recorder: Equipment['recorder'], reasons: readonly Reason[]): Promise<void> {
    const because = reasons.map(({ code, message }) => `${code}: ${message}`).join(' ');
    const path = await recorder.dump(because);
    if (path !== null) this.#node.log.warn(`the seconds before the halt are in ${path}`);
  }

  async #dispose(): Promise<void> {
    const equipment = this.#equipment;
    this.#equipment = null;
    this.#effective = null;
    await equipment?.dispose();
  }

  // ── One thing at a time ───────────────────────────────────────────────────────────────────────────────────────────

  async #exclusive(what: string, act: () => Promise<void>): Promise<void> {
    if (this.#busy) throw new RosError(`${what}: ${this.#busy.what} is still under way`);
    const done = act();
    this.#busy = { what, done };
    try {
      await done;
    } finally {
      this.#busy = null;
    }
  }

  /** What an operator asked for is given up or done: nothing takes up the arm behind a transition's back. */
  async #noMore(because: string): Promise<void> {
    this.#giveUp = because;
    try {
      await this.#busy?.done;
    } catch {
      // Whoever asked for it is told.
    } finally {
      this.#giveUp = null;
    }
  }

  /** As a service answers: null where it was done, else why not. */
  async #asked(what: string, act: () => Promise<void>): Promise<string | null> {
    try {
      await this.#exclusive(what, act);
      return null;
    } catch (error) {
      return error instanceof Error ? error.message : String(error);
    }
  }
}

function withRemedy({ message }: Reason, latched: Reason | null): string {
  return latched ? `stopped: ${message} Call ~/rearm when it is safe.` : message;
}

function tracesOf(camera: string | null, period: number) {
  return camera !== null && period > 0
    ? { period, lockstepLatency: 0, what: () => ({ camera, marks: [] }) }
    : null;
}
