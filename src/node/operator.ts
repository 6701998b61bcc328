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
  const told = (asked: string, refused: string | null, done: keyof typeof MESSAGES): RosMessage => {
    if (refused === null) node.log.info(`${asked}: ${MESSAGES[done]}`);
    else node.log.warn(`${asked}: refused: ${refused}`);
    return answer(refused, MESSAGES[done]);
  };
  const services = [
    node.service(TRIGGER, '~/stop', () => {
      port.stop('An operator asked for a stop (~/stop).');
      return { success: true, message: MESSAGES.stop };
    }),
    node.service(TRIGGER, '~/rearm', async () => told('~/rearm', await port.rearm(), 'rearm')),
    node.service('std_srvs/srv/SetBool', '~/set_takeover', async ({ data }) =>
      data === true
        ? told('~/set_takeover', await port.takeOver(), 'takeOver')
        : told('~/set_takeover', await port.resume(), 'resume'),
    ),
    node.service(TRIGGER, '~/go_home', async () => told('~/go_home', await port.goHome(), 'home')),
  ];
  return { dispose: () => services.forEach((service) => service.dispose()) };
}

function answer(refused: string | null, done: string): RosMessage {
  return { success: refused === null, message: refused ?? done };
}
