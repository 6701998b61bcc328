/** The URDF that robot_state_publisher (or the simulation) has published for good. */
import { RosError } from '../errors.js';
import { qos, type RosNode } from '../robot/ros/ros.js';

/** How the error begins where nothing was published. */
export const NO_DESCRIPTION = 'robot_description';

/** A URDF of a real arm has tens of kilobytes. */
const MAX_LENGTH = 10_000_000;

/** @throws RosError where none comes within `timeoutMs`. */
export async function robotDescription(node: RosNode, timeoutMs: number): Promise<string> {
  const topic = node.resolve('robot_description');
  let timer: NodeJS.Timeout | undefined;
  let heard!: (text: string) => void;
  const description = new Promise<string>((resolve) => (heard = resolve));
  const subscription = node.subscribe('std_msgs/msg/String', topic, qos.latched, ({ data }) => {
    if (typeof data === 'string' && data.length > 0 && data.length <= MAX_LENGTH) heard(data);
  });
  const silence = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () =>
        reject(
          new RosError(
            `${NO_DESCRIPTION}: got nothing on ${topic} within ${timeoutMs / 1e3} s, expected a URDF (or description.urdf in robot.yaml)`,
          ),
        ),
      timeoutMs,
    );
  });
  try {
    return await Promise.race([description, silence]);
  } finally {
    clearTimeout(timer);
    subscription.dispose();
  }
}
