/**
 * The gripper as ROS 2 sees it: node, GripperCommand action and parameters of a gripper action controller over a
 * position interface. Positions are one finger's travel, m. `max_effort` is not used, as by that controller: the
 * simulated fingers push with what they have.
 */
import type { RosMessage } from '../robot/messages/cdr.js';
import type { RosNode, ServedGoal } from '../robot/ros/ros.js';
import type { StepReading } from '../robot/sim/protocol.js';
import { fingers } from '../robot/sim/simRobot.js';
import { openingFromPosition } from '../robot/gripper.js';
import { GripperGoal, type GripperSettings } from './gripperGoal.js';
import { fingerJoints } from './messages.js';

/** m beyond the ends that a goal may name. */
const slack = 1e-3;
const feedbackEveryNs = 100_000_000n;

export class GripperController {
  readonly #settings: GripperSettings;
  #active: { readonly goal: ServedGoal; readonly motion: GripperGoal } | null = null;
  #reading: StepReading;
  #opening = 1;
  #nextFeedbackNs = 0n;

  constructor(node: RosNode, action: string, start: StepReading) {
    this.#reading = start;
    this.#settings = declareParameters(node);
    node.actionServer('control_msgs/action/GripperCommand', action, {
      accept: (goal) => refusalOf(positionOf(goal)),
      execute: (goal) => this.#begin(goal),
      cancel: (goal) => this.#cancel(goal),
    });
  }

  /** 0 closed … 1 open: what the servos are told. */
  get opening(): number {
    return this.#opening;
  }

  measured(reading: StepReading): void {
    this.#reading = reading;
    if (!this.#active) return;
    const { goal, motion } = this.#active;
    const [position, velocity] = [reading.fingers.position[0]!, reading.fingers.velocity[0]!];
    const state = motion.check(position, velocity, reading.stampNs);
    if (state !== 'moving') {
      this.#active = null;
      goal.succeed(this.#report(state));
    } else if (reading.stampNs >= this.#nextFeedbackNs) {
      this.#nextFeedbackNs = reading.stampNs + feedbackEveryNs;
      goal.feedback(this.#report(state));
    }
  }

  /** A new episode begins with an open gripper. */
  reset(start: StepReading): void {
    this.#reading = start;
    this.#active?.goal.abort(this.#report('moving'));
    this.#active = null;
    this.#opening = 1;
  }

  #begin(goal: ServedGoal): void {
    this.#active?.goal.abort(this.#report('moving'));
    const position = positionOf(goal.request);
    const motion = new GripperGoal(position, this.#reading.stampNs, this.#settings);
    this.#active = { goal, motion };
    this.#opening = openingFromPosition(position, fingers);
  }

  /** Stays where it is. */
  #cancel(goal: ServedGoal): void {
    if (this.#active?.goal.id !== goal.id) return;
    this.#opening = openingFromPosition(this.#reading.fingers.position[0]!, fingers);
    goal.canceled(this.#report('moving'));
    this.#active = null;
  }

  #report(state: 'moving' | 'reached' | 'stalled'): RosMessage {
    const { position, effort } = this.#reading.fingers;
    return {
      position: position[0]!,
      effort: effort[0]!,
      stalled: state === 'stalled',
      reached_goal: state === 'reached',
    };
  }
}

function positionOf(goal: RosMessage): number {
  return Number((goal['command'] as RosMessage)['position']);
}

function refusalOf(position: number): string | null {
  const fits = position >= fingers.closed - slack && position <= fingers.open + slack;
  return fits
    ? null
    : `gripper goal: got ${position} m, expected ${fingers.closed} (closed) … ${fingers.open} (open)`;
}

function declareParameters(node: RosNode): GripperSettings {
  const setting = (name: string, value: number, description: string): number =>
    Number(
      node.declareParameter({
        name,
        value,
        description,
        readOnly: true,
        range: { from: 0, to: 10 },
      }),
    );
  node.declareParameter({
    name: 'joint',
    value: fingerJoints[0],
    description: 'The joint that is commanded; the other finger follows.',
    readOnly: true,
  });
  const stallTimeout = setting('stall_timeout', 0.3, 's of standing still that count as a stall.');
  return {
    goalTolerance: setting('goal_tolerance', 0.002, 'm from the goal that count as reached.'),
    stallVelocity: setting('stall_velocity_threshold', 0.001, 'm/s below which it stands still.'),
    stallNs: BigInt(Math.round(stallTimeout * 1e9)),
  };
}
