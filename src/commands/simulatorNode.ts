/** `magma-vla simulator`: the built-in simulation as its own ROS 2 node, until SIGINT or SIGTERM. */
import { readConfig } from '../config.js';
import { openRos } from '../robot/ros/rclnodejs.js';
import { openSimulator, type SimulatorDefaults } from '../simulator/openSimulator.js';
import { realClock } from './clock.js';

export interface SimulatorNodeOptions {
  readonly config: string;
  readonly defaults: SimulatorDefaults;
  /** `--ros-args …` */
  readonly args: readonly string[];
}

/** Resolves when it was asked to end. @throws ConfigError, RosError, and Error where the simulation's thread fails. */
export async function runSimulator({
  config,
  defaults,
  args,
}: SimulatorNodeOptions): Promise<void> {
  const robot = readConfig(config);
  const ros = await openRos(nameOnly(args, 'simulator'));
  try {
    const opened = await openSimulator({ ros, config: robot, clock: realClock, defaults });
    const ending = new AbortController();
    for (const signal of ['SIGINT', 'SIGTERM'] as const)
      // Ctrl-C under ros2 launch may come twice: from the terminal and from launch.
      process.on(signal, () => {
        if (ending.signal.aborted) return;
        opened.node.log.info(`${signal}: the simulation ends`);
        ending.abort();
      });
    ros.spin();
    try {
      await opened.simulator.run(ending.signal);
    } finally {
      await opened.close();
    }
  } finally {
    await ros.shutdown();
  }
}

/**
 * `-r __node:=…` names one node of this process, not each of them: `ros2 launch` gives it without saying which.
 * Everything else is left as it is.
 */
export function nameOnly(args: readonly string[], node: string): readonly string[] {
  return args.map((text) => (/^__(node|name):=/.test(text) ? `${node}:${text}` : text));
}
