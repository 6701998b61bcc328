/** What an operator may ask of the node at any time, whatever its lifecycle state: services that answer with the reason. */
import type { Disposable, RosMessage, RosNode } from '../robot/ros/ros.js';

export interface OperatorPort {
  /** Latches at once. */
  stop(because: string): void;
  /** Each resolves with null, or with why not. */
  rearm(): Promise<string | null>;
  takeOver(): Promise<string | null>;
  resume(): Promise<string | null>;
  goHome(): Promise<string | null>;
}

const TRIGGER = 'std_srvs/srv/Trigger';
const MESSAGES = {
  stop: 'The arm is stopped until ~/rearm.',
  rearm: 'Re-armed.',
  takeOver: 'The arm is at rest and let go; ~/set_takeover false takes it up again.',
  resume: 'The arm is taken up where it stands.',
  home: 'On the way to the home pose.',
} as const;

export function offerOperator(node: RosNode, port: OperatorPort): Disposable {
  const services = [
    node.service(TRIGGER, '~/stop', () => {
      port.stop('An operator asked for a stop (~/stop).');
      return { success: true, message: MESSAGES.stop };
    }),
    node.service(TRIGGER, '~/rearm', async () => answer(await port.rearm(), MESSAGES.rearm)),
    node.service('std_srvs/srv/SetBool', '~/set_takeover', async ({ data }) =>
      data === true
        ? answer(await port.takeOver(), MESSAGES.takeOver)
        : answer(await port.resume(), MESSAGES.resume),
    ),
    node.service(TRIGGER, '~/go_home', async () => answer(await port.goHome(), MESSAGES.home)),
  ];
  return { dispose: () => services.forEach((service) => service.dispose()) };
}

function answer(refused: string | null, done: string): RosMessage {
  return { success: refused === null, message: refused ?? done };
}
