/**
 * The fast loop: what the arm is told at every control tick. Takes the two clocks as arguments, owns no timer, and never
 * waits for a policy: answers are delivered to it when they come.
 */
import { messageOf } from '../errors.js';
import { solveIk } from '../arm/inverse.js';
import { type Arm, forward } from '../arm/kinematics.js';
import type { Config } from '../config.js';
import type { Robot } from '../robot/robot.js';
import type { Guard, GuardReason } from '../safety/guard.js';
import type {
  ActionPrediction,
  Answer,
  ArmTarget,
  Observation,
  Reason,
  Verdict,
} from '../types.js';
import { type Aligner, inArmOrder, type Measured } from './align.js';
import { type Instant, secondsFromNs } from './clock.js';
import { jointsFromCommand, poseFromCommand } from './commanded.js';
import { advance, jointsAtRest, poseAtRest } from './motion.js';
import { type Commanded, Player } from './play.js';
import { Recovery, type RecoveryAct, type RecoveryEvent } from './recovery.js';

/** How far the arm may stay from a target before the target counts as out of reach, m and rad. */
const REACH = { translation: 5e-3, rotation: 5e-2 };

/** Steady and ROS clock may drift apart by this much between two ticks, s; more is a jump of the ROS clock. */
const CLOCK_JUMP = 0.5;

/** What a scripted action was made of, beside its stamp. */
const NOTHING_SEEN = {
  instruction: '',
  ...{ images: {}, joints: null, endEffector: null, gripper: null },
} as const;

const OBSERVER_FAILED = 'observerFailed';

/** One tick, as it was: for recording, reports and displays. */
export interface Tick extends Instant {
  readonly target: ArmTarget;
  readonly verdict: Verdict;
  /** The action being played; null at rest. */
  readonly prediction: ActionPrediction | null;
  readonly measured: Measured;
  /** Whether the command went to the robot: not in a dry run. */
  readonly sent: boolean;
}

/** A request for an action, kept until its answer comes. */
export interface ActionRequest {
  readonly observation: Observation;
  /** Steady clock. */
  readonly requestedNs: bigint;
}

export interface LoopObserver {
  onTick?(tick: Tick): void;
  /** An answer that is not played, or a jump of the clock: counted, and told once per event. */
  onRefusal?(reason: Reason, at: Instant): void;
  /** Each step of a recovery, once. */
  onRecovery?(event: RecoveryEvent, at: Instant): void;
}

export interface LoopOptions {
  readonly config: Config;
  readonly arm: Arm | null;
  readonly guard: Guard;
  readonly aligner: Aligner;
  readonly robot: Robot;
  readonly observer?: LoopObserver;
  /** Asked at every tick: why the arm must not move now, from outside control. */
  readonly holds?: () => readonly GuardReason[];
  /** `off`, also where nothing is given: what goes wrong is the policy's to mend. A dry run moves nothing to recover by. */
  readonly recovery?: 'asConfigured' | 'off';
}

export class ControlLoop {
  readonly #config: Config;
  readonly #arm: Arm | null;
  readonly #guard: Guard;
  readonly #robot: Robot;
  readonly #observer: LoopObserver;
  readonly #holds: () => readonly GuardReason[];
  readonly #player: Player;
  readonly #recovery: Recovery | null;
  readonly #counts = new Map<string, number>();
  readonly aligner: Aligner;
  #episode: number;
  #last: Tick | null = null;

  constructor(options: LoopOptions) {
    const { config, arm, guard, aligner, robot, observer = {}, holds = () => [] } = options;
    this.#config = config;
    this.#arm = arm;
    this.#guard = guard;
    this.aligner = aligner;
    this.#robot = robot;
    this.#observer = observer;
    this.#holds = holds;
    this.#player = new Player(config, arm?.jointNames ?? []);
    this.#episode = aligner.episode;
    const isRecovering = options.recovery === 'asConfigured' && !config.dryRun;
    this.#recovery =
      config.recovery && isRecovering
        ? new Recovery(config, config.recovery, arm, (event, at) =>
            this.tell(at, () => this.#observer.onRecovery?.(event, at)),
          )
        : null;
  }

  /** Answers not played, targets out of reach and clock jumps, by code. The guard counts its own. */
  get counts(): ReadonlyMap<string, number> {
    return this.#counts;
  }

  /** The latest tick; null before the first. */
  get last(): Tick | null {
    return this.#last;
  }

  /** 0 closed, 1 open: what the gripper was last told. Null before the first, and from a halt or the end of what was done on until the next. */
  get gripper(): number | null {
    return this.#player.gripper;
  }

  /** Why nothing is done about this instruction any more; null where that is not so. */
  get gaveUp(): Reason | null {
    return this.#recovery?.gaveUp(this.aligner.episode) ?? null;
  }

  /** What is being recovered from; null: nothing. */
  get recovering(): Reason | null {
    return this.#recovery?.recovering ?? null;
  }

  /** Takes up the arm where it stands, whatever was commanded or timed before. Returns why not, where it cannot. */
  activate(at: Instant): Reason | null {
    const measured = this.aligner.measured();
    const refused = this.#guard.activate(at.nowNs, { stampNs: at.stampNs, ...measured });
    if (!refused) this.#last = null;
    this.#recovery?.cancel();
    return refused;
  }

  deactivate(at: Instant): void {
    this.stop('control is not active');
    this.#guard.deactivate(at.nowNs);
  }

  /** Once per control period: observe, plan, reach, guard, send. */
  tick(at: Instant): Verdict {
    const measured = this.#observe(at);
    this.#recover(measured, at);
    const planned = this.#player.target(at.nowNs);
    const target = this.#reach(planned, measured, at);
    const { prediction } = this.#player;
    const holds = this.#holds();
    const verdict = this.#guard.guard({ ...at, ...measured, target, prediction, holds });
    if (verdict.outcome === 'halt') this.#recovery?.halted(verdict.reasons, at);
    const sent = this.#send(verdict);
    this.#last = { ...at, target, verdict, prediction, measured, sent };
    const tick = this.#last;
    this.tell(at, () => this.#observer.onTick?.(tick));
    return verdict;
  }

  /** Hands in a policy's answer. Returns why it is not played, where it is not. */
  deliver(answer: Answer<ActionPrediction>, request: ActionRequest, at: Instant): Reason | null {
    this.#followEpisode();
    const { observation } = request;
    const refused =
      this.#refuse(answer, request, at) ??
      this.#recovery?.objection(observation.stampNs, observation.episode) ??
      null;
    const reason =
      refused ??
      (answer.ok ? this.#player.play(answer.value, observation, at, this.#commanded(at)) : null);
    if (reason) this.refuse(reason, at);
    else if (answer.ok) this.#recovery?.played(answer.value, observation.endEffector?.pose ?? null);
    return reason;
  }

  /** Counts and reports why there is nothing new to play; what is being played goes on to its end. */
  refuse(reason: Reason, at: Instant): void {
    this.#player.explainRest(reason.message);
    this.#counts.set(reason.code, (this.#counts.get(reason.code) ?? 0) + 1);
    this.tell(at, () => this.#observer.onRefusal?.(reason, at));
  }

  /**
   * Tells an observer. One that throws does not stop the arm's control: it is counted as `observerFailed`, and the first
   * time reported.
   */
  tell(at: Instant, observer: () => void): void {
    try {
      observer();
    } catch (error) {
      const before = this.#counts.get(OBSERVER_FAILED) ?? 0;
      this.#counts.set(OBSERVER_FAILED, before + 1);
      if (before > 0) return;
      const message = `what watches control failed: ${messageOf(error)}`;
      this.tell(at, () => this.#observer.onRefusal?.({ code: OBSERVER_FAILED, message }, at));
    }
  }

  /** Drops what is being played, a recovery too: from the next tick the guard brings the arm to rest. */
  stop(because: string): void {
    this.#player.reset(because);
    this.#robot.drop?.();
    this.#recovery?.cancel();
  }

  /** What a recovery does instead of what was being played. */
  #recover(measured: Measured, at: Instant): void {
    const act = this.#recovery?.tick(
      {
        measured,
        gripper: this.aligner.gripperReceived,
        told: this.#player.gripper,
        playing: this.#player.prediction,
        pace: this.#guard.speedScale,
        episode: this.aligner.episode,
        isInstructed: this.aligner.instruction !== null,
      },
      at,
    );
    if (act) this.#act(act, at);
  }

  #act(act: RecoveryAct, at: Instant): void {
    if (act.kind === 'rest') {
      this.#player.stop(act.because);
      return;
    }
    const { observationStampNs: stampNs, episode } = act.action;
    const observation = { ...{ stampNs, episode }, ...NOTHING_SEEN };
    const refused = this.#player.play(act.action, observation, at, this.#commanded(at));
    if (refused) this.refuse(refused, at);
  }

  /** What the arm says of itself now. A new episode or a jump of the clock ends what was being played. */
  #observe(at: Instant): Measured {
    this.#watchClocks(at);
    this.#followEpisode();
    return this.aligner.measured();
  }

  #followEpisode(): void {
    if (this.aligner.episode === this.#episode) return;
    this.#episode = this.aligner.episode;
    this.#player.reset(this.aligner.episodeBecause);
    this.#robot.drop?.();
  }

  #watchClocks(at: Instant): void {
    if (!this.#last) return;
    const [steady, ros] = [at.nowNs - this.#last.nowNs, at.stampNs - this.#last.stampNs];
    const jump = secondsFromNs(ros - steady);
    if (steady >= 0n && Math.abs(jump) <= CLOCK_JUMP) return;
    const because =
      steady < 0n
        ? `the steady clock ran back by ${secondsFromNs(-steady).toFixed(3)} s`
        : `the clock of the stamps jumped by ${jump.toFixed(3)} s`;
    this.refuse({ code: 'clockJump', message: because }, at);
    this.stop(because);
    if (ros < 0n) this.aligner.forgetReadings(because);
  }

  /** The target in the kind the robot is driven with: poses become joints by inverse kinematics. */
  #reach(target: ArmTarget, measured: Measured, at: Instant): ArmTarget {
    const arm = this.#arm;
    const wantsJoints = this.#config.output === 'joint';
    if (!arm || target.kind === 'rest') return target;
    if (target.kind === 'joint') {
      if (wantsJoints) return target;
      const pose = forward(arm, target.position);
      return { kind: 'pose', pose, frameId: this.#config.baseFrame, gripper: target.gripper };
    }
    if (!wantsJoints) return target;
    const seed = this.#jointsNow(arm, measured);
    if (!seed) return this.#rest('jointsMissing', 'the joints of the arm are not known', at);
    const { taskWeights } = this.#config.description!;
    const solved = solveIk(arm, seed, target.pose, { taskWeights });
    const { position, translationError, rotationError, weightedError } = solved;
    // A rotation that the arm gives up does not put a target out of its reach.
    const rotation = Math.min(rotationError, weightedError);
    if (translationError <= REACH.translation && rotation <= REACH.rotation)
      return { kind: 'joint', position, gripper: target.gripper };
    return this.#rest(
      'outOfReach',
      `the target is out of the arm's reach by ${translationError.toFixed(3)} m and ${rotationError.toFixed(3)} rad`,
      at,
    );
  }

  #rest(code: string, because: string, at: Instant): ArmTarget {
    this.refuse({ code, message: because }, at);
    this.#player.stop(because);
    return { kind: 'rest', because, gripper: null };
  }

  /** As last commanded, else as measured: where inverse kinematics starts from. */
  #jointsNow(arm: Arm, { joints }: Measured): readonly number[] | null {
    const commanded = this.#last && jointsFromCommand(this.#last.verdict.command, arm);
    return commanded?.position ?? (joints && inArmOrder(arm, joints));
  }

  #send(verdict: Verdict): boolean {
    this.#player.confirm(verdict);
    if (this.#config.dryRun) return false;
    if (verdict.outcome === 'halt') this.#robot.hold?.();
    this.#robot.send(verdict.command);
    return true;
  }

  #refuse(
    answer: Answer<ActionPrediction>,
    { observation, requestedNs }: ActionRequest,
    at: Instant,
  ): Reason | null {
    if (!answer.ok) return { code: answer.refusal.kind, message: answer.refusal.message };
    const tookMs = secondsFromNs(at.nowNs - requestedNs) * 1e3;
    const { actionDeadlineMs } = this.#config.control;
    if (tookMs > actionDeadlineMs)
      return {
        code: 'deadline',
        message: `an action came ${tookMs.toFixed(0)} ms after its request; at most ${actionDeadlineMs} ms is accepted`,
      };
    if (answer.value.episode !== this.aligner.episode)
      return {
        code: 'staleEpisode',
        message: `an action of episode ${answer.value.episode} came in episode ${this.aligner.episode}`,
      };
    if (answer.value.observationStampNs !== observation.stampNs)
      return {
        code: 'malformedAnswer',
        message: `an action answers the observation stamped ${answer.value.observationStampNs.toString()}; asked was ${observation.stampNs.toString()}`,
      };
    return null;
  }

  /** The state of motion that a new chunk goes on from: as commanded; what commands do not say, as measured. */
  #commanded(at: Instant): Commanded {
    const { endEffector, joints: reading } = this.aligner.measured();
    const position = this.#arm && reading && inArmOrder(this.#arm, reading);
    const measured = position && jointsAtRest(position);
    if (!this.#last)
      return {
        pose: endEffector && poseAtRest(endEffector.pose),
        joints: measured,
        passed: false,
      };
    const { verdict, target } = this.#last;
    const { command } = verdict;
    const since = secondsFromNs(at.nowNs - command.nowNs);
    const pose = poseFromCommand(command, this.#arm, endEffector);
    const joints = jointsFromCommand(command, this.#arm);
    return {
      pose: pose && advance(pose, since),
      joints: joints ? advance(joints, since) : measured,
      passed: verdict.outcome === 'pass' && target.kind !== 'rest',
    };
  }
}
