import { mkdirSync, mkdtempSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from '@jest/globals';
import { Containment } from '../../../src/robot/ros/contained.js';
import { loadAddon, sourcedDistro } from '../../../src/robot/ros/installation.js';

test('an environment without ROS 2 is told what to source', () => {
  expect(() => sourcedDistro({})).toThrow(
    /got no ROS_DISTRO .* source \/opt\/ros\/<distro>\/setup\.bash/,
  );
  expect(() => sourcedDistro({ ROS_DISTRO: 'jazzy' })).toThrow(/got no AMENT_PREFIX_PATH/);
  expect(() => sourcedDistro({ ROS_DISTRO: 'jazzy', AMENT_PREFIX_PATH: '' })).toThrow(
    /AMENT_PREFIX_PATH/,
  );
  expect(sourcedDistro({ ROS_DISTRO: 'jazzy', AMENT_PREFIX_PATH: '/opt/ros/jazzy' })).toBe('jazzy');
});

test('a library that is absent, not built, or built for something else says how to install it', () => {
  expect(() => loadAddon(null, 'jazzy')).toThrow(/got no such package; .*npm run ros:install/);
  const root = mkdtempSync(join(tmpdir(), 'rclnodejs-'));
  const entry = join(root, 'dist', 'index.js');
  expect(() => loadAddon(entry, 'jazzy')).toThrow(
    /expected it built for ROS 2 jazzy; .*ros:install/,
  );
  for (const folder of ['dist', 'generated', 'build/Release'])
    mkdirSync(join(root, folder), { recursive: true });
  writeFileSync(join(root, 'build/Release/rclnodejs.node'), 'no program');
  expect(() => loadAddon(entry, 'jazzy')).toThrow(/expected it built/);
  writeFileSync(join(root, 'generated/generator.json'), '{}');
  expect(() => loadAddon(entry, 'jazzy')).toThrow(/expected a build for this ROS 2 and Node\.js/);
});

test('what a callback throws is logged once per callback and counted', async () => {
  const said: string[] = [];
  const containment = new Containment({ error: (text) => said.push(text) });
  const broken = containment.wrap('subscription /x', (text: string) => {
    throw new Error(text);
  });
  const late = containment.wrap('timer', () => Promise.reject(new Error('later')));
  for (const text of ['first', 'second']) {
    broken(text);
    late();
  }
  await new Promise(setImmediate);
  expect([...containment.failures]).toEqual([
    ['subscription /x', 2],
    ['timer', 2],
  ]);
  expect(said).toEqual([
    'subscription /x failed: first (further failures are only counted)',
    'timer failed: later (further failures are only counted)',
  ]);
});

test('a logger that fails lets nothing out', () => {
  const containment = new Containment({
    error: () => {
      throw new Error('shut down');
    },
  });
  containment.run('x', () => {
    throw new Error('y');
  });
  expect(containment.failures.get('x')).toBe(1);
});
