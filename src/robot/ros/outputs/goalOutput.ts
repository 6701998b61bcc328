/**
 * Commands as goals of a FollowJointTrajectory action: each replaces the one before, which the controller then aborts. A
 * refusal, an end of the newest goal other than success, or an answer slower than the lead while the arm moves, halts, and
 * nothing more goes out: the last goal ends at rest by itself, and a later one would start from where the arm is not. A
 * goal goes out when the one before has been answered: more of them only make a busy server later. The topic does the same
 * with less traffic: this is for controllers that offer the action alone.
 */
import type { Config } from '../../../config.js';
import { leadOf } from '../../../safety/jointOutput.js';
import { type GuardReason, reason } from '../../../safety/reasons.js';
import type { ArmCommand, Reason } from '../../../types.js';
import type { RosMessage } from '../../messages/cdr.js';
import type { RosActionClient, RosNode } from '../ros.js';
import { parameterFindings } from './layerCheck.js';
import {
  type CommandOutput,
  type Finding,
  type Now,
  type OutputOptions,
  refuse,
} from './output.js';
import { becomes } from './parameters.js';
import type { Readback } from './readback.js';
import { type CommandConfig, trajectoryMaker } from './wire.js';

type GoalCommand = Extract<CommandConfig, { type: 'followJointTrajectory' }>;

/** ms until an answer to a goal counts as missing. */
const ANSWER_MS = 1000;
/** ns between two goals of the same state at rest. */
const REPEAT_NS = 200_000_000n;
const CHECK_MS = 3000;

export class GoalOutput implements CommandOutput {
  readonly target: string;
  readonly #node: RosNode;
  readonly #config: Config;
  readonly #command: GoalCommand;
  readonly #client: RosActionClient;
  readonly #readbacks: readonly Readback[];
  readonly #now: () => Now;
  /** s */
  readonly #lead: number;
  readonly #trajectory: (command: ArmCommand) => RosMessage | null;
  /** Goals sent so far; how one ends counts for the newest only. */
  #sent = 0;
  /** What becomes of a goal of an earlier stream says nothing about this one. */
  #stream = 0;
  #last: { readonly position: readonly number[]; readonly nowNs: bigint } | null = null;
  #problem: GuardReason | null = null;
  /** Steady time at which the goal went out whose answer is missing; null: all are answered. */
  #askedNs: bigint | null = null;
  /** Whether the newest command moves the arm. */
  #isMoving = false;
  /** The newest command that waits for the answer to an earlier one. */
  #next: RosMessage | null = null;

  /** `readbacks` become this output's to dispose of. */
  constructor(
    { node, config, arm, now }: OutputOptions,
    command: GoalCommand,
    readbacks: readonly Readback[],
  ) {
    this.#node = node;
    this.#config = config;
    this.#command = command;
    this.#readbacks = readbacks;
    this.#now = now;
    this.#lead = leadOf(config);
    this.#trajectory = trajectoryMaker(config, arm, command.leadPeriods);
    this.#client = node.actionClient('control_msgs/action/FollowJointTrajectory', command.action);
    this.target = `action ${node.resolve(command.action)}`;
  }

  begin(nowNs: bigint): void {
    this.end();
    this.#last = null;
    this.#problem = null;
    this.#isMoving = false;
    for (const readback of this.#readbacks) readback.begin(nowNs);
  }

  end(): void {
    this.#stream++;
    this.#next = null;
  }

  send(command: ArmCommand, { nowNs }: Now): void {
    const trajectory = this.#trajectory(command);
    if (!trajectory || command.kind !== 'joint' || this.#rests(command, nowNs)) return;
    this.#isMoving = command.velocity.some((v) => v !== 0);
    this.#watchAnswer(nowNs);
    if (this.#problem) return;
    for (const readback of this.#readbacks) readback.sent(command, nowNs);
    this.#last = this.#isMoving ? null : { position: command.position, nowNs };
    this.#next = trajectory;
    this.#sendNext();
  }

  problem(nowNs: bigint): Reason | null {
    if (!this.#client.isReady()) return this.#gone();
    this.#watchAnswer(nowNs);
    if (this.#problem) return this.#problem;
    for (const readback of this.#readbacks) {
      const found = readback.problem(nowNs);
      if (found) return found;
    }
    return null;
  }

  async check(): Promise<readonly Finding[]> {
    const found = await Promise.all([
      this.#serverFindings(),
      parameterFindings(this.#node, this.#command, this.#config),
      ...this.#readbacks.map((readback) => readback.check()),
    ]);
    return found.flat();
  }

  dispose(): void {
    this.end();
    for (const readback of this.#readbacks) readback.dispose();
    this.#client.dispose();
  }

  async #serverFindings(): Promise<readonly Finding[]> {
    const isThere = await becomes(() => this.#client.isReady(), CHECK_MS);
    return isThere ? [] : [refuse(`${this.target}: no action server.`)];
  }

  /** Whether the arm has lately been told to rest there already. */
  #rests(
    { position, velocity }: { position: readonly number[]; velocity: readonly number[] },
    nowNs: bigint,
  ): boolean {
    const last = this.#last;
    if (!last || nowNs - last.nowNs >= REPEAT_NS) return false;
    return velocity.every((v) => v === 0) && position.every((q, i) => q === last.position[i]);
  }

  #gone(): GuardReason {
    return reason('outputGone', `The action server of ${this.target} is gone.`);
  }

  #refused(what: string): void {
    this.#problem ??= reason('commandRefused', `${this.target}: ${what}.`);
  }

  /**
   * What waits for an answer runs ahead of the arm, which brakes at the end of the lead: it would jump after what is sent
   * then.
   */
  #watchAnswer(nowNs: bigint): void {
    if (this.#askedNs === null || !this.#isMoving) return;
    if (Number(nowNs - this.#askedNs) / 1e9 > this.#lead)
      this.#refused(`no answer to a goal within the lead of ${this.#lead.toFixed(3)} s`);
  }

  #sendNext(): void {
    // For a server that is not there, a goal would wait, and be played when the arm is elsewhere.
    if (this.#next && !this.#client.isReady()) this.#problem ??= this.#gone();
    if (this.#problem) this.#next = null;
    if (this.#askedNs !== null || !this.#next) return;
    this.#askedNs = this.#now().nowNs;
    const trajectory = this.#next;
    this.#next = null;
    void this.#follow(trajectory, ++this.#sent);
  }

  /** Never rejects. */
  async #follow(trajectory: RosMessage, number: number): Promise<void> {
    const stream = this.#stream;
    const refused = (what: string): void => {
      if (stream === this.#stream) this.#refused(what);
    };
    const goal = await this.#client
      .send(goalMessage(trajectory), ANSWER_MS)
      .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
    if (goal === null) refused('the server refused a goal');
    else if (goal instanceof Error) refused(goal.message);
    this.#watchAnswer(this.#now().nowNs);
    this.#askedNs = null;
    this.#sendNext();
    if (goal === null || goal instanceof Error) return;
    const { status, result } = await goal.result;
    if (status === 'succeeded' || number !== this.#sent) return;
    const text = result['error_string'];
    const because = typeof text === 'string' && text !== '' ? text : 'no reason given';
    refused(`the newest goal ended as ${status} (${because})`);
  }
}

/** control_msgs/action/FollowJointTrajectory_Goal with the controller's own tolerances. */
function goalMessage(trajectory: RosMessage): RosMessage {
  return {
    trajectory,
    multi_dof_trajectory: {
      header: { stamp: { sec: 0, nanosec: 0 }, frame_id: '' },
      joint_names: [],
      points: [],
    },
    path_tolerance: [],
    component_path_tolerance: [],
    goal_tolerance: [],
    component_goal_tolerance: [],
    goal_time_tolerance: { sec: 0, nanosec: 0 },
  };
}
