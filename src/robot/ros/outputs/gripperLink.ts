/** How one gripper position gets to the gripper: as a goal of an action, or as a number on a topic. */
import type { Config } from '../../../config.js';
import type { RosMessage } from '../../messages/cdr.js';
import {
  qos,
  type RosActionClient,
  type RosNode,
  type RosPublisher,
  type SentGoal,
} from '../ros.js';
import { listenerFindings } from './layerCheck.js';
import { type Finding, refuse } from './output.js';
import { becomes } from './parameters.js';
import { floatsMessage } from './wire.js';

type GripperCommand = NonNullable<NonNullable<Config['gripper']>['command']>;
type ActionCommand = Exclude<GripperCommand, { type: 'forwardPosition' }>;

export interface GripperLink {
  /** Null where a position can go out; else why not. */
  missing(): string | null;
  /** Resolves when the gripper is done with it: null where it did what it could, else what came of it. */
  move(position: number): Promise<string | null>;
  /** Asks to end what is under way; its `move` resolves when it has ended. */
  interrupt(): void;
  /** Never rejects. */
  check(): Promise<readonly Finding[]>;
  dispose(): void;
}

interface Move {
  /** Null before the server has accepted it. */
  goal: SentGoal | null;
  isInterrupted: boolean;
}

const ANSWER_MS = 1000;
const CHECK_MS = 3000;

/** control_msgs/action/GripperCommand or ParallelGripperCommand. */
export class ActionGripper implements GripperLink {
  readonly #name: string;
  readonly #command: ActionCommand;
  readonly #joint: string;
  readonly #client: RosActionClient;
  #move: Move | null = null;

  constructor(node: RosNode, command: ActionCommand, joint: string) {
    this.#name = `action ${node.resolve(command.action)}`;
    this.#command = command;
    this.#joint = joint;
    const type = command.type === 'gripperCommand' ? 'GripperCommand' : 'ParallelGripperCommand';
    this.#client = node.actionClient(`control_msgs/action/${type}`, command.action);
  }

  missing(): string | null {
    return this.#client.isReady() ? null : `${this.#name} has no server`;
  }

  async move(position: number): Promise<string | null> {
    const move: Move = { goal: null, isInterrupted: false };
    this.#move = move;
    move.goal = await this.#client.send(this.#goalMessage(position), ANSWER_MS);
    if (!move.goal) return `${this.#name} refused position ${position.toFixed(4)}`;
    if (move.isInterrupted) this.#cancel(move.goal);
    const { status, result } = await move.goal.result;
    // A gripper that stalls holds an object: servers call it aborted or succeeded as they are configured.
    if (status === 'succeeded' || result['stalled'] === true || move.isInterrupted) return null;
    return `${this.#name} ended position ${position.toFixed(4)} as ${status}`;
  }

  interrupt(): void {
    if (!this.#move) return;
    this.#move.isInterrupted = true;
    if (this.#move.goal) this.#cancel(this.#move.goal);
  }

  async check(): Promise<readonly Finding[]> {
    const isThere = await becomes(() => this.#client.isReady(), CHECK_MS);
    return isThere ? [] : [refuse(`${this.#name}: no action server for the gripper.`)];
  }

  dispose(): void {
    this.#client.dispose();
  }

  /** Where the server is gone or has ended it, there is nothing to cancel. */
  #cancel(goal: SentGoal): void {
    goal.cancel().catch(() => undefined);
  }

  #goalMessage(position: number): RosMessage {
    const { type, maxEffort } = this.#command;
    if (type === 'gripperCommand') return { command: { position, max_effort: maxEffort } };
    return {
      command: {
        header: { stamp: { sec: 0, nanosec: 0 }, frame_id: '' },
        name: [this.#joint],
        position: [position],
        velocity: [],
        effort: maxEffort > 0 ? [maxEffort] : [],
      },
    };
  }
}

/** std_msgs/Float64MultiArray with one value. */
export class TopicGripper implements GripperLink {
  readonly #node: RosNode;
  readonly #publisher: RosPublisher;

  constructor(node: RosNode, topic: string) {
    this.#node = node;
    this.#publisher = node.publisher(floats, topic, qos.command);
  }

  missing(): string | null {
    return this.#publisher.subscriptions > 0
      ? null
      : `nothing subscribes to ${this.#publisher.topic}`;
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- what publishing throws becomes a rejection
  async move(position: number): Promise<string | null> {
    this.#publisher.publish(floatsMessage([position]));
    return null;
  }

  interrupt(): void {
    // A published position is done with at once.
  }

  check(): Promise<readonly Finding[]> {
    return listenerFindings(this.#node, this.#publisher, floats);
  }

  dispose(): void {
    this.#publisher.dispose();
  }
}

const floats = 'std_msgs/msg/Float64MultiArray';
