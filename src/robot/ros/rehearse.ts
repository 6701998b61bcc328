import type { RclActionClass, RclLibrary } from './library.js';

/**
 * Loads what goals are made of, and makes each once. The library does so at first use: at the first goal that would be
 * while the arm is under control, and stopped the control loop for 50 to 100 ms (its watchdog waits 100).
 */
export function rehearse(rcl: RclLibrary, type: string): void {
  const action = rcl.require(type) as RclActionClass;
  const { SendGoalService, GetResultService, CancelGoal, FeedbackMessage, GoalStatusArray } =
    action.impl;
  const services = [SendGoalService, GetResultService, CancelGoal];
  const messages = [
    ...services.flatMap(({ Request, Response }) => [Request, Response]),
    ...[action.Goal, action.Result, action.Feedback, FeedbackMessage, GoalStatusArray],
  ];
  for (const Message of messages) {
    const message = new Message();
    message.serialize();
    message.toPlainObject(true);
  }
  for (const shared of ['GoalInfo', 'GoalStatus']) rcl.require(`action_msgs/msg/${shared}`);
}
