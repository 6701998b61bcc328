/**
 * Commands as goals of a FollowJointTrajectory action: each replaces the one before, which the controller then aborts. A
 * refusal, or an end of the newest goal other than success, halts. A goal goes out when the one before has been answered:
 * more of them only make a busy server later. The topic does the same with less traffic: this is for controllers that
 * offer the action alone.
 */
import type { Config } from '../../../config.js';
import { reason } from '../../../safety/reasons.js';
import type { ArmCommand, Reason } from '../../../types.js';
import type { RosMessage } from '../../messages/cdr.js';
import type { RosActionClient, RosNode } from '../ros.js';
import { parameterFindings } from './layerCheck.js';
import { type CommandOutput, type Finding, type Now, refuse } from './output.js';
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
  readonly #trajectory: (command: ArmCommand) => RosMessage | null;
  /** Goals sent so far; how one ends counts for the newest only. */
  #sent = 0;
  /** What becomes of a goal of an earlier stream says nothing about this one. */
  #stream = 0;
  #last: { readonly position: readonly number[]; readonly nowNs: bigint } | null = null;
  #problem: Reason | null = null;
  #isUnanswered = false;
  /** The newest command that waits for the answer to an earlier one. */
  #next: RosMessage | null = null;

  constructor(node: RosNode, config: Config, command: GoalCommand, readbacks: readonly Readback[]) {
    this.#node = node;
    this.#config = config;
    this.#command = command;
    this.#readbacks = readbacks;
    this.#trajectory = trajectoryMaker(config, command.leadPeriods);
    this.#client = node.actionClient('control_msgs/action/FollowJointTrajectory', command.action);
    this.target = `action ${node.resolve(command.action)}`;
  }

  begin(nowNs: bigint): void {
    this.end();
    this.#last = null;
    this.#problem = null;
    for (const readback of this.#readbacks) readback.begin(nowNs);
  }

  end(): void {
    this.#stream++;
    this.#next = null;
  }

  send(command: ArmCommand, { nowNs }: Now): void {
    const trajectory = this.#trajectory(command);
    if (!trajectory || command.kind !== 'joint' || this.#rests(command, nowNs)) return;
    for (const readback of this.#readbacks) readback.sent(command, nowNs);
    const isMoving = command.velocity.some((v) => v !== 0);
    this.#last = isMoving ? null : { position: command.position, nowNs };
    this.#next = trajectory;
    this.#sendNext();
  }

  problem(nowNs: bigint): Reason | null {
    if (!this.#client.isReady())
      return reason('outputGone', `The action server of ${this.target} is gone.`);
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

  #sendNext(): void {
    if (this.#isUnanswered || !this.#next) return;
    this.#isUnanswered = true;
    const trajectory = this.#next;
    this.#next = null;
    void this.#follow(trajectory, ++this.#sent);
  }

  /** Never rejects. */
  async #follow(trajectory: RosMessage, number: number): Promise<void> {
    const stream = this.#stream;
    const refused = (what: string): void => {
      if (stream !== this.#stream) return;
      this.#problem ??= reason('commandRefused', `${this.target}: ${what}.`);
    };
    const goal = await this.#client
      .send(goalMessage(trajectory), ANSWER_MS)
      .catch((error: unknown) => (error instanceof Error ? error : new Error(String(error))));
    this.#isUnanswered = false;
    this.#sendNext();
    if (goal === null) refused('the server refused a goal');
    else if (goal instanceof Error) refused(goal.message);
    else {
      const { status, result } = await goal.result;
      if (status === 'succeeded' || number !== this.#sent) return;
      const text = result['error_string'];
      const because = typeof text === 'string' && text !== '' ? text : 'no reason given';
      refused(`the newest goal ended as ${status} (${because})`);
    }
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
