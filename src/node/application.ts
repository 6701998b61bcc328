/**
 * The ROS 2 node: what its lifecycle transitions, services and actions do. A transition is answered when it is true:
 * configured means that the model has answered, active that the guard has taken up the arm, inactive that the arm rests.
 */
import type { Config } from '../config.js';
import type { Aligner } from '../control/align.js';
import type { Instant } from '../control/clock.js';
import { RosError, messageOf } from '../errors.js';
import { GuardLog } from '../safety/guardLog.js';
import type { LifecycleHandlers, LifecycleState, RosNode, Transition } from '../robot/ros/ros.js';
import { RosTime } from '../robot/ros/rosTime.js';
import { ArmControl } from './armControl.js';
import { type Equipment, equip } from './equipment.js';
import { type InstructionPort, InstructionServer } from './instructionServer.js';
import type { LiveSession } from './liveSession.js';
import { offerOperator } from './operator.js';
import type { ApplicationPorts } from './ports.js';
import { declareSettings, readSettings, refuseState, type Settings } from './settings.js';
import { Stops, withRemedy } from './stops.js';

/** s. A model of several gigabytes takes minutes to load. */
const DEADLINES: Readonly<Record<Transition, number>> = {
  configure: 1800,
  activate: 20,
  deactivate: 20,
  cleanup: 30,
  shutdown: 30,
};

export class Application implements LifecycleHandlers {
  readonly deadlines = DEADLINES;
  readonly stops = new Stops();
  readonly time: RosTime;
  readonly #node: RosNode;
  readonly #ports: ApplicationPorts;
  readonly #state: () => LifecycleState;
  readonly #control: ArmControl;
  #equipment: Equipment | null = null;
  #isConfiguring = false;
  /** What an operator or a transition asked for and is still being done. */
  #busy: { readonly what: string; readonly done: Promise<void> } | null = null;

  constructor(node: RosNode, ports: ApplicationPorts, state: () => LifecycleState) {
    this.#node = node;
    this.#ports = ports;
    this.#state = state;
    this.#control = new ArmControl({
      ...{ node, clock: ports.clock, stops: this.stops },
      now: () => this.now(),
      log: new GuardLog((line, weight) => node.log[weight](line)),
    });
    declareSettings(node, state);
    node.onParameterChange((changes) => this.#refuseChange([...changes.keys()]));
    node.onParameterChanged((changes) => {
      const scale = changes.get('speed_scale');
      if (scale !== undefined) this.session?.guard.setSpeedScale(Number(scale));
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
    return this.#control.session;
  }

  get isTakenOver(): boolean {
    return this.#control.isTakenOver;
  }

  /** robot.yaml with the parameters of the running session; without one, as configured. */
  get effective(): Config | null {
    return this.#control.effective ?? this.#equipment?.config ?? null;
  }

  /** Whether nothing is sent: now, or by the next activation. */
  get isDryRun(): boolean {
    const { effective } = this.#control;
    return effective?.dryRun ?? (this.settings.dryRun || (this.#equipment?.config.dryRun ?? false));
  }

  /** What stands in the way of motion that can be known at once; null: nothing. */
  obstacle(): string | null {
    return this.#control.obstacle(this.#equipment);
  }

  // ── Lifecycle ─────────────────────────────────────────────────────────────────────────────────────────────────────

  async configure(): Promise<void> {
    await this.#dispose();
    this.#isConfiguring = true;
    try {
      this.#equipment = await equip({
        ...{ node: this.#node, ports: this.#ports, settings: this.settings, stops: this.stops },
        now: () => this.now(),
        instructions: (config, aligner) =>
          new InstructionServer(this.#node, { ...this.#port(aligner), config }),
      });
    } finally {
      this.#isConfiguring = false;
    }
    this.#control.bar(null);
  }

  async activate(): Promise<void> {
    await this.#exclusive('activate', () => this.#takeUp());
  }

  /** Nothing takes up the arm behind its back: what is under way is given up or done first. */
  async deactivate(): Promise<void> {
    await this.#end('The node was deactivated.');
    this.#control.bar(null);
  }

  async cleanup(): Promise<void> {
    await this.#end('The node is being cleaned up.');
    await this.#dispose();
  }

  async shutdown(): Promise<void> {
    try {
      await this.#end('The node shuts down.');
    } finally {
      await this.#dispose();
    }
  }

  /** A transition downwards failed: nothing may leave the node any more. */
  async onError(error: Error): Promise<void> {
    this.#control.bar('the node failed');
    this.stops.stop({ code: 'controlFailed', message: error.message });
    this.#equipment?.robot.close(error.message);
    this.#control.abandon('the node failed');
    this.#control.handBack();
    await this.#dispose();
  }

  // ── Operator ──────────────────────────────────────────────────────────────────────────────────────────────────────

  stop(because: string): void {
    this.stops.stop({ code: 'operatorStop', message: because });
    this.#node.log.warn(because);
  }

  rearm(): Promise<string | null> {
    return this.#asked('rearm', () => {
      const { session } = this;
      if (!session && this.#state() === 'active' && !this.isTakenOver)
        throw new RosError('control has ended; deactivate the node, re-arm, and activate it');
      if (session && this.stops.latched && !session.guard.latched)
        throw new RosError('the stop is only just being carried out; try again');
      const because = 'An operator re-armed; tasks begin anew.';
      const refused = session?.guard.rearm(this.now().nowNs) ?? null;
      if (refused) throw new RosError(refused.message);
      session?.loop.stop(because);
      this.stops.forget();
      this.#equipment?.robot.acknowledge();
      this.#equipment?.instructions.stop(because);
      return Promise.resolve();
    });
  }

  takeOver(): Promise<string | null> {
    return this.#asked('takeover', () => {
      this.#expectActive();
      return this.#control.takeOver(this.#equipment);
    });
  }

  resume(): Promise<string | null> {
    return this.#asked('resume', async () => {
      this.#expectActive();
      if (this.#control.isTakenOver) await this.#takeUp();
      else if (!this.session)
        throw new RosError('control has ended; deactivate and activate the node');
    });
  }

  goHome(): Promise<string | null> {
    return this.#asked('go home', () => {
      this.#expectActive();
      this.#control.sendHome(this.#equipment!, this.settings.speedScale);
      return Promise.resolve();
    });
  }

  // ── Parts ─────────────────────────────────────────────────────────────────────────────────────────────────────────

  async #takeUp(): Promise<void> {
    if (!this.#equipment) throw new RosError('the node is not configured');
    await this.#control.takeUp(this.#equipment, () => this.settings);
  }

  #expectActive(): void {
    if (this.#state() !== 'active' || !this.#equipment)
      throw new RosError(`the node is ${this.#state()}, expected active`);
  }

  #port(aligner: Aligner): Omit<InstructionPort, 'config'> {
    return {
      begin: (instruction) => {
        aligner.beginEpisode(instruction, `new instruction: ${instruction}`);
        return aligner.episode;
      },
      end: (because) => {
        aligner.beginEpisode(null, because);
        this.session?.loop.stop(because);
      },
      refusal: () => this.#refusal(),
      latched: () => this.stops.latched,
      gaveUp: () => this.session?.loop.gaveUp ?? null,
      isActive: () => this.session !== null,
      restless: () => this.#control.isRestless,
      tick: () => this.session?.loop.last ?? null,
      now: () => this.now(),
    };
  }

  /** Why no instruction is accepted now. */
  #refusal(): string | null {
    if (this.isTakenOver) return 'a person has taken over; call ~/set_takeover with false first';
    const { latched } = this.stops;
    if (!this.session)
      return this.#state() === 'active'
        ? 'control has ended; deactivate and activate the node'
        : `the node is ${this.#state()}; activate it first`;
    const objection = this.stops.objection();
    return objection && withRemedy(objection, latched);
  }

  /** What is being read must not change meanwhile. */
  #refuseChange(names: readonly string[]): string | null {
    const as = this.#isConfiguring ? 'inactive' : this.#busy ? 'active' : null;
    if (as === null || !names.some((name) => refuseState(name, as) !== null)) return null;
    return `${this.#isConfiguring ? 'configure' : this.#busy!.what} is under way; try again`;
  }

  /** The ROS clock jumped: what was read before it means nothing. */
  #flush(because: string): void {
    if (this.session) this.stops.stop({ code: 'clockJump', message: `${because}.` });
    this.session?.loop.stop(because);
    this.#equipment?.robot.forget(because);
    this.#equipment?.aligner.forgetReadings(because);
    this.#equipment?.forgetTransforms();
  }

  /** The arm is let go, and stays barred. @throws RosError where it is not seen to rest. */
  async #end(because: string): Promise<void> {
    this.#control.bar(because);
    try {
      await this.#busy?.done;
    } catch {
      // Whoever asked for it is told.
    }
    await this.#control.letGo(this.#equipment, because);
    this.#control.handBack();
  }

  async #dispose(): Promise<void> {
    const equipment = this.#equipment;
    this.#equipment = null;
    await equipment?.dispose();
  }

  // ── One thing at a time ───────────────────────────────────────────────────────────────────────────────────────────

  async #exclusive(what: string, act: () => Promise<void>): Promise<void> {
    const { barred } = this.#control;
    if (barred !== null) throw new RosError(`${what}: ${barred}`);
    if (this.#busy) throw new RosError(`${what}: ${this.#busy.what} is still under way`);
    const done = act();
    this.#busy = { what, done };
    try {
      await done;
    } finally {
      this.#busy = null;
    }
  }

  /** As a service answers: null where it was done, else why not. */
  async #asked(what: string, act: () => Promise<void>): Promise<string | null> {
    try {
      await this.#exclusive(what, act);
      return null;
    } catch (error) {
      return messageOf(error);
    }
  }
}
