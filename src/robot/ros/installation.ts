/** Whether rclnodejs can be loaded here, before it is: where it cannot, its import compiles itself anew, for minutes. */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { RosError, messageOf } from '../../errors.js';

import type { RclAddon } from './library.js';

const install = 'install it where ROS 2 is sourced: npm run ros:install';

/**
 * @returns the name of the sourced ROS 2 distribution.
 * @throws RosError that says what to source.
 */
export function sourcedDistro(env: Readonly<Record<string, string | undefined>>): string {
  const distro = env['ROS_DISTRO'];
  if (distro && env['AMENT_PREFIX_PATH']) return distro;
  const missing = distro ? 'AMENT_PREFIX_PATH' : 'ROS_DISTRO';
  throw new RosError(
    `ROS 2: got no ${missing} in the environment, expected a sourced ROS 2: ` +
      'source /opt/ros/<distro>/setup.bash, and the workspace this package was built in',
  );
}

/**
 * Loads the compiled part, which the library will then find loaded.
 *
 * @param entry path of the library's main file; null where it is not installed.
 * @throws RosError that says how to install it.
 */
export function loadAddon(entry: string | null, distro: string): RclAddon {
  if (entry === null) throw new RosError(`rclnodejs: got no such package; ${install}`);
  const root = dirname(dirname(entry));
  const file = [
    join(root, 'prebuilds', `linux-${process.arch}`, prebuiltName(distro)),
    join(root, 'build', 'Release', 'rclnodejs.node'),
  ].find(existsSync);
  if (!file || !existsSync(join(root, 'generated', 'generator.json')))
    throw new RosError(
      `rclnodejs: got the package as it was downloaded, expected it built for ROS 2 ${distro}; ${install}`,
    );
  try {
    return createRequire(entry)(file) as RclAddon;
  } catch (error) {
    throw new RosError(
      `rclnodejs: got ${messageOf(error)}, expected a build for this ROS 2 and Node.js; ${install}`,
    );
  }
}

/** The package carries binaries for some Ubuntu releases. */
function prebuiltName(distro: string): string {
  const codename = existsSync('/etc/os-release')
    ? (/^VERSION_CODENAME=(\w+)/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1] ?? '')
    : '';
  return `${distro}-${codename}-${process.arch}-node-rclnodejs.node`;
}
