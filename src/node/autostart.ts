/** Configure and activate by the path that anybody else takes, again and again until the robot is there. */
import type { RosLifecycle, RosNode } from '../robot/ros/ros.js';

const RETRY_MS = 1000;

/** Resolves when the node is active, when it cannot be configured, or when `signal` is aborted. */
export async function autostart(
  node: RosNode,
  lifecycle: RosLifecycle,
  /** Why it is too early to ask; null: it is not. */
  obstacle: () => string | null,
  signal: AbortSignal,
): Promise<void> {
  const refused = await lifecycle.request('configure');
  if (refused !== null) {
    node.log.error(`not configured: ${refused}`);
    return;
  }
  let told = '';
  while (!signal.aborted && lifecycle.state === 'inactive') {
    const because = obstacle() ?? (await lifecycle.request('activate'));
    if (because === null) return;
    if (because !== told) node.log.warn(`not active yet: ${because}`);
    told = because;
    await later(RETRY_MS, signal);
  }
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
