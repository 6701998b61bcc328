/**
 * Who has the arm: control (a session), a person (takeover), or nobody. Taking it up is refused with the reason; letting
 * it go is done when it rests, by its own readings.
 */
import { inArmOrder } from '../control/align.js';
import type { Clock, Instant } from '../control/clock.js';
import { homingAction } from '../control/homing.js';
import type { LoopObserver } from '../control/loop.js';
import type { SessionEnd } from '../control/session.js';
import type { Config } from '../config.js';
import { RosError } from '../errors.js';
import type { RosNode } from '../robot/ros/ros.js';
import type { GuardLog } from '../safety/guardLog.js';
import type { Equipment } from './equipment.js';
import { HaltWatch } from './haltWatch.js';
import { LiveSession } from './liveSession.js';
import { together } from './observers.js';
import { type Settings, withSettings } from './settings.js';
import { type Stops, withRemedy } from './stops.js';

/** How long taking up waits for inputs, how often it looks, and over what time an arm is watched for rest, ms. */
const PATIENCE_MS = 2000;
const LOOK_MS = 50;
const WATCHED_MS = 300;
/** rad: less change than this over WATCHED_MS is rest. */
const MOVED = 2e-3;

export interface ArmControlOptions {
  readonly node: Pick<RosNode, 'log'>;
  readonly clock: Clock;
  readonly now: () => Instant;
  readonly stops: Stops;
  readonly log: GuardLog;
}

export class ArmControl {
  readonly #options: ArmControlOptions;
  #session: LiveSession | null = null;
  #effective: Config | null = null;
  /** An earlier session that was given up and has not ended. */
  #ending = false;
  #isTakenOver = false;
  #isRestless = false;
  /** Why the arm must not be taken up; null: it may. */
  #barred: string | null = null;

  constructor(options: ArmControlOptions) {
    this.#options = options;
  }

  get session(): LiveSession | null {
    return this.#session;
  }

  get isTakenOver(): boolean {
    return this.#isTakenOver;
  }

  /** Let go without having been seen at rest. */
  get isRestless(): boolean {
    return this.#isRestless;
  }

  /** robot.yaml with the parameters of the session; null without one. */
  get effective(): Config | null {
    return this.#session && this.#effective;
  }

  get barred(): string | null {
    return this.#barred;
  }

  /** From now on nobody takes up the arm, also not who is about to. Null: lifted. */
  bar(because: string | null): void {
    this.#barred = because;
  }

  /** @throws RosError saying what stands in the way. */
  async takeUp(equipment: Equipment, settings: () => Settings): Promise<void> {
    if (this.#session || this.#ending)
      throw new RosError('control over the arm has not ended yet; try again');
    const config = withSettings(equipment.config, settings());
    await this.#checkReadiness(equipment, config);
    await this.#refuseWhereMoving(equipment, config);
    const { aligner, arm, robot, policy, recorder, observers, instructions } = equipment;
    const { clock, now, stops, log, node } = this.#options;
    aligner.beginEpisode(null, 'control takes up the arm');
    if (!config.dryRun) robot.open();
    this.#effective = config;
    try {
      this.#session = await LiveSession.begin({
        ...{ config, aligner, robot, stops, log },
        arm: arm?.arm ?? null,
        capsules: arm?.capsules ?? null,
        policy: policy.policy,
        clock: { now, sleepUntil: (nowNs, signal) => clock.sleepUntil(nowNs, signal) },
        until: () => this.#barred,
        traces: tracesOf(policy.traceCamera, settings().tracePeriod),
        observer: together(
          ...observers,
          instructions.observer,
          recorder.observer,
          new HaltWatch(node, recorder, instructions),
          tellRecoveries(node),
        ),
        speedScale: settings().speedScale,
        onFailure: (error) => this.#fail(error, equipment),
      });
    } catch (error) {
      robot.close();
      throw error;
    }
    // What was changed while this went on counts.
    this.#session.guard.setSpeedScale(settings().speedScale);
    this.#isTakenOver = false;
    this.#isRestless = false;
    node.log.info(
      config.dryRun
        ? 'DRY RUN: verdicts are computed and shown, nothing is sent'
        : `COMMANDS ARE SENT to ${robot.target ?? 'nowhere: robot.yaml names no command'}`,
    );
  }

  /** Brings the arm to rest and closes the outputs. @throws RosError where it is not seen to rest. */
  async letGo(equipment: Equipment | null, because: string): Promise<void> {
    const session = this.#session;
    equipment?.instructions.stop(because);
    if (!session) {
      if (this.#isRestless && !(await this.#rests(equipment))) throw new RosError(NOT_AT_REST);
      this.#isRestless = false;
      return;
    }
    let end: SessionEnd | null = null;
    try {
      end = await session.end(because);
    } finally {
      this.#options.stops.remember(session.guard.latched);
      this.#session = null;
      this.#isRestless = end?.atRest !== true;
      equipment?.robot.close(because);
    }
    if (this.#isRestless) throw new RosError(NOT_AT_REST);
  }

  /** A person gets the arm, whether or not it was seen to rest: nothing is sent any more. @throws RosError as letGo. */
  async takeOver(equipment: Equipment | null): Promise<void> {
    if (!this.#session && this.#isTakenOver) return;
    if (!this.#session) throw new RosError('nothing to take over: control has not got the arm');
    try {
      await this.letGo(equipment, 'A person takes over.');
    } finally {
      // letGo has closed the outputs, whatever else came of it.
      this.#isTakenOver = true;
    }
  }

  /** No person has it any more: the node is deactivated. */
  handBack(): void {
    this.#isTakenOver = false;
  }

  /** Control that does not end in time may end later: until then nobody takes up the arm. */
  abandon(because: string): void {
    const session = this.#session;
    this.#session = null;
    if (!session) return;
    this.#isRestless = true;
    this.#ending = true;
    const ended = (): void => void (this.#ending = false);
    session.end(because).then(ended, ended);
  }

  /** A slow way to the home pose, through the guard. @throws RosError saying why not. */
  sendHome(equipment: Equipment, speedScale: number): void {
    const { aligner, arm, config, instructions } = equipment;
    const { home } = config;
    const session = this.#session;
    if (!session) throw new RosError('control has not got the arm');
    if (!home || !arm)
      throw new RosError('home: got nothing, expected joint positions in robot.yaml');
    const objection = this.#options.stops.objection();
    if (objection) throw new RosError(withRemedy(objection, this.#options.stops.latched));
    const { joints } = aligner.measured();
    const from = joints && inArmOrder(arm.arm, joints);
    if (!from) throw new RosError('the joints of the arm are not known');
    instructions.stop('The arm goes home.');
    aligner.beginEpisode(null, 'the arm goes home');
    const at = this.#options.now();
    const action = homingAction(this.#effective ?? config, arm.arm, {
      from,
      to: arm.arm.jointNames.map((name, i) => home[name] ?? from[i]!),
      gripper: aligner.gripper ?? 1,
      stampNs: at.stampNs,
      episode: aligner.episode,
      speedScale: speedScale * config.guard.speedScale,
    });
    if (!action)
      throw new RosError('the home pose is too far away for one slow motion at this speed scale');
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

  /** Inputs that have only just been subscribed to get a moment to arrive. */
  async #checkReadiness(equipment: Equipment, { dryRun }: Config): Promise<void> {
    const { log } = this.#options.node;
    for (let waited = 0; waited < PATIENCE_MS && this.#barred === null; waited += LOOK_MS) {
      if (this.obstacle(equipment) === null) break;
      await this.#later(LOOK_MS);
    }
    this.#refuseWhereObstructed(equipment);
    for (const { severity, sentence } of await equipment.robot.check()) {
      if (severity === 'refuse' && !dryRun) throw new RosError(sentence);
      log.warn(sentence);
    }
    const disagreement = equipment.tf();
    if (disagreement !== null) log.warn(disagreement);
    this.#refuseWhereObstructed(equipment);
  }

  /** What stands in the way of motion that can be known at once; null: nothing. */
  obstacle(equipment: Equipment | null): string | null {
    const { stops } = this.#options;
    const objection = stops.objection() ?? equipment?.aligner.missing() ?? null;
    return objection && withRemedy(objection, stops.latched);
  }

  /** @throws RosError */
  #refuseWhereObstructed(equipment: Equipment): void {
    const obstacle = this.#barred ?? this.obstacle(equipment);
    if (obstacle !== null) throw new RosError(obstacle);
  }

  /** The guard sees speeds that are reported. An arm that reports none is watched. */
  async #refuseWhereMoving(equipment: Equipment, config: Config): Promise<void> {
    if (config.dryRun || equipment.aligner.measured().joints?.velocity) return;
    if (!(await this.#rests(equipment)))
      throw new RosError('the arm moves, by its own readings: it is taken up at rest only');
    this.#refuseWhereObstructed(equipment);
  }

  #fail(error: Error, equipment: Equipment): void {
    const { node, stops } = this.#options;
    const message = `Control failed: ${error.message}.`;
    node.log.error(message);
    stops.stop({ code: 'controlFailed', message });
    equipment.robot.close(error.message);
    void equipment.recorder.dump(message);
    this.abandon('control failed');
  }

  /** Whether an arm that nobody controls stands still by fresh readings. */
  async #rests(equipment: Equipment | null): Promise<boolean> {
    const before = this.#positions(equipment);
    await this.#later(WATCHED_MS);
    const after = this.#positions(equipment);
    if (!before || after?.values.length !== before.values.length) return false;
    // A reading that is looked at twice has not changed either.
    if (after.stampNs <= before.stampNs) return false;
    return after.values.every((q, i) => Math.abs(q - before.values[i]!) <= MOVED);
  }

  #positions(equipment: Equipment | null) {
    if (!equipment || equipment.aligner.missing()) return null;
    const { joints, endEffector } = equipment.aligner.measured();
    if (joints) return { values: joints.position, stampNs: joints.stampNs };
    return endEffector && { values: endEffector.pose.translation, stampNs: endEffector.stampNs };
  }

  #later(ms: number): Promise<void> {
    const { clock } = this.#options;
    return clock.sleepUntil(clock.now().nowNs + BigInt(ms) * 1_000_000n);
  }
}

/** An operator hears of everything that control does of its own accord, once. */
function tellRecoveries({ log }: ArmControlOptions['node']): LoopObserver {
  return {
    onRecovery: ({ kind, message }) => {
      if (kind === 'gaveUp') log.warn(message);
      else log.info(message);
    },
  };
}

const NOT_AT_REST = 'it is not certain that the arm rests: its readings do not say so';

function tracesOf(camera: string | null, period: number) {
  return camera !== null && period > 0
    ? { period, lockstepLatency: 0, what: () => ({ camera, marks: [] }) }
    : null;
}
