/** Configure and activate by the path that anybody else takes, again and again until the robot is there. */
import type { RosLifecycle, RosNode } from '../robot/ros/ros.js';
import { NO_DESCRIPTION } from './robotDescription.js';

const RETRY_MS = 1000;

/** Resolves when the node is active, when it cannot be configured, or when `signal` is aborted. */
export async function autostart(
  node: RosNode,
  lifecycle: RosLifecycle,
  /** Why it is too early to ask; null: it is not. */
  obstacle: () => string | null,
  signal: AbortSignal,
): Promise<void> {
  if (!(await configured(node, lifecycle, signal))) return;
  let told = '';
  while (!signal.aborted && lifecycle.state === 'inactive') {
    const because = obstacle() ?? (await lifecycle.request('activate'));
    if (because === null) return;
    if (because !== told) node.log.warn(`not active yet: ${because}`);
    told = because;
    await later(RETRY_MS, signal);
  }
}

/** Waits for a robot that is started later; what only a person can correct is told. */
async function configured(
  node: RosNode,
  lifecycle: RosLifecycle,
  signal: AbortSignal,
): Promise<boolean> {
  while (!signal.aborted) {
    const refused = await lifecycle.request('configure');
    if (refused === null) return true;
    if (!refused.startsWith(NO_DESCRIPTION)) {
      node.log.error(
        `it stays unconfigured; correct that, then: ros2 lifecycle set ${node.fullName} configure`,
      );
      return false;
    }
    node.log.warn('waiting for robot_description: is robot_state_publisher running?');
    await later(RETRY_MS, signal);
  }
  return false;
}

function later(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', done);
      resolve();
    };
    const timer = setTimeout(done, ms);
    signal.addEventListener('abort', done);
  });
}
