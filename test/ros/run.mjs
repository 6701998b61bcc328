/**
 * `npm run test:ros [-- jest options]`: the tests that talk to a real ROS 2. Where there is none they are skipped, with
 * the reason, and that is no failure.
 */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';

const root = new URL('../../', import.meta.url);
const reason = missing();
if (reason) {
  console.log(`ROS 2 tests skipped: ${reason}`);
  process.exit(0);
}
const { status } = spawnSync(
  process.execPath,
  [
    ...['--experimental-vm-modules', '--no-warnings', 'node_modules/jest/bin/jest.js'],
    ...['--config', 'jest.ros.config.mjs', '--runInBand', ...process.argv.slice(2)],
  ],
  {
    cwd: root,
    stdio: 'inherit',
    // Apart from whatever else runs on this machine, unless told otherwise.
    env: {
      ...process.env,
      ROS_DOMAIN_ID: process.env.ROS_DOMAIN_ID ?? '77',
      ROS_AUTOMATIC_DISCOVERY_RANGE: process.env.ROS_AUTOMATIC_DISCOVERY_RANGE ?? 'LOCALHOST',
    },
  },
);
process.exit(status ?? 1);

function missing() {
  if (!process.env.ROS_DISTRO || !process.env.AMENT_PREFIX_PATH)
    return 'ROS 2 is not sourced (source /opt/ros/<distro>/setup.bash)';
  if (!existsSync(new URL('node_modules/rclnodejs/generated/generator.json', root)))
    return 'rclnodejs is not built (npm run ros:install)';
  const rclpy = spawnSync('python3', ['-c', 'import rclpy, rosidl_runtime_py'], {
    encoding: 'utf8',
  });
  if (rclpy.status !== 0) return `no rclpy: ${(rclpy.stderr ?? '').trim().split('\n').at(-1)}`;
  if (spawnSync('python3', ['-c', 'import magma_vla.msg']).status !== 0)
    return 'the interfaces of magma_vla are not sourced (colcon build, then source install/setup.bash)';
  return null;
}
