/** Asks the layer below whether it will take the stream: who listens, and what its parameters say. */
import { messageOf } from '../../../errors.js';
import type { Config } from '../../../config.js';
import { deaf } from '../qosMatch.js';
import { qos, type RosNode, type RosPublisher } from '../ros.js';
import {
  cartesianFindings,
  forwardFindings,
  servoUnitFindings,
  timeoutFindings,
  timeoutParameter,
  trajectoryFindings,
} from './controllerRules.js';
import { type Finding, refuse, warn } from './output.js';
import { becomes, readParameters, type RemoteParameters } from './parameters.js';
import { type CommandConfig, configuredJoints } from './wire.js';

const TIMEOUT_MS = 3000;

/** Findings on who subscribes to the commands. Waits for discovery. */
export async function listenerFindings(
  node: RosNode,
  publisher: RosPublisher,
  type: string,
): Promise<readonly Finding[]> {
  if (await becomes(() => publisher.subscriptions > 0, TIMEOUT_MS)) return rivals(node, publisher);
  const why = node
    .subscriptionsOf(publisher.topic)
    .map((subscription) => deaf(subscription, type, qos.command))
    .filter((sentence) => sentence !== null);
  return [
    refuse(
      why.length > 0
        ? `topic ${publisher.topic}: ${why.join('; ')}.`
        : `topic ${publisher.topic}: nothing subscribes to the commands.`,
    ),
  ];
}

/** Two that command one arm overwrite one another. */
function rivals(node: RosNode, { topic }: RosPublisher): readonly Finding[] {
  const others = node.publishersOf(topic).filter((publisher) => publisher.node !== node.fullName);
  return others.map(({ node: other }) =>
    warn(`topic ${topic}: ${other} publishes commands there too; the arm follows whoever is last.`),
  );
}

/** Findings on the parameters of the controller, and of whoever promises to stop without commands. */
export async function parameterFindings(
  node: RosNode,
  command: CommandConfig,
  config: Config,
): Promise<readonly Finding[]> {
  const found: Finding[] = [];
  if ('controller' in command && command.controller !== undefined) {
    const name = node.resolve(command.controller);
    const read = await readOrFinding(node, name);
    found.push(
      ...('finding' in read ? [read.finding] : rules(name, read.parameters, command, config)),
    );
  } else if (!command.type.startsWith('servo')) {
    found.push(
      warn('command.controller is not named in robot.yaml: its parameters are not checked.'),
    );
  }
  if ('timeoutSetting' in command) found.push(...(await expiryFindings(node, command)));
  return found;
}

function rules(
  controller: string,
  parameters: RemoteParameters,
  command: CommandConfig,
  config: Config,
): readonly Finding[] {
  switch (command.type) {
    case 'jointTrajectory':
    case 'followJointTrajectory': {
      const { trackingError } = config.guard;
      return trajectoryFindings(controller, parameters, configuredJoints(config), trackingError);
    }
    case 'forwardPosition':
      return forwardFindings(controller, parameters, command.joints, 'position');
    case 'forwardVelocity':
      return forwardFindings(controller, parameters, command.joints, 'velocity');
    case 'cartesianPose': {
      const frameId = config.endEffector?.frameId ?? config.baseFrame;
      return cartesianFindings(controller, parameters, frameId);
    }
    case 'servoTwist':
    case 'servoPose':
      return [];
  }
}

async function expiryFindings(
  node: RosNode,
  command: Extract<CommandConfig, { timeoutSetting: string }>,
): Promise<readonly Finding[]> {
  const { timeout, timeoutSetting } = command;
  const setting = timeoutParameter(timeoutSetting);
  if (!setting)
    return [
      warn(
        `Without commands the layer below stops within ${timeout} s by ${timeoutSetting}: taken from robot.yaml, not read back.`,
      ),
    ];
  const read = await readOrFinding(node, setting.node);
  if ('finding' in read) return [read.finding];
  const units = command.type === 'servoTwist' ? servoUnitFindings(setting, read.parameters) : [];
  return [...timeoutFindings(setting, read.parameters, timeout), ...units];
}

async function readOrFinding(
  node: RosNode,
  remote: string,
): Promise<{ readonly parameters: RemoteParameters } | { readonly finding: Finding }> {
  try {
    return { parameters: await readParameters(node, remote, TIMEOUT_MS) };
  } catch (error) {
    const why = messageOf(error);
    return { finding: refuse(`${remote}: its parameters cannot be read (${why}).`) };
  }
}
