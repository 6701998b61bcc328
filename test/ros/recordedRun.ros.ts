/** Recorded actions as the live policy: what an expert did in one process is repeated by the node over ROS 2. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Child, root, spawnNode, stopAll } from './child.js';
import { scratch } from './live.js';
import { Peer } from './peer.js';

const action = '/magma_vla/execute_instruction';
const actionType = 'magma_vla/action/ExecuteInstruction';
const SUCCEEDED = 0;

describe('policy recorded', () => {
  const folder = scratch();
  let peer: Peer;
  let node: Child;

  beforeAll(async () => {
    const record = spawnNode([
      ...['simulate', '--policy', 'expert', '--seed', '7', '--episodes', '1', '--families', 'pick'],
      ...['--record', '--out', folder, '--quiet'],
    ]);
    expect((await record.exited).code).toBe(0);
    const yaml = readFileSync(join(root, 'config', 'sim.yaml'), 'utf8')
      .replace('urdf: builtin_arm', `urdf: ${join(root, 'config', 'builtin_arm')}`)
      // Ages have room for a busy machine.
      .replace('maxJointAge: 0.1', 'maxJointAge: 0.25\n  watchdog: 0.25')
      .concat(`blackBox: { folder: ${folder} }\n`);
    writeFileSync(join(folder, 'robot.yaml'), yaml);
    spawnNode(['simulator', '--seed', '700000', '--family', 'pick']);
    peer = await Peer.start({ name: 'recorded_peer' });
    await peer.waitForPublisher('/joint_states', 30_000);
    const parameters = {
      ...{ config_file: join(folder, 'robot.yaml'), policy: 'recorded' },
      ...{ bag: join(folder, 'episodes.mcap'), use_sim_time: 'true' },
      ...{ autostart: 'true', dry_run: 'false' },
    };
    node = spawnNode([
      ...['run', '--ros-args'],
      ...Object.entries(parameters).flatMap(([name, value]) => ['-p', `${name}:=${value}`]),
    ]);
    await node.waitForOutput(/activate: now active/, 30_000);
  }, 120_000);
  afterAll(async () => {
    await peer.stop();
    await stopAll();
  });

  it('repeats the task of the recording in the same scene, open loop', async () => {
    expect(node.output).toMatch(/recorded actions of episode 0 of .*: \d+ steps/);
    const goal = await peer.sendGoal(action, actionType, {
      instruction: 'as recorded',
      time_limit: { sec: 15, nanosec: 0 },
    });
    const { result } = await goal.result;
    expect(result.outcome).toBe(SUCCEEDED);
  });

  it('then says that the recording is over', async () => {
    const status = await peer.subscribe('/magma_vla/status', 'magma_vla/msg/Status');
    const goal = await peer.sendGoal(action, actionType, {
      instruction: 'once more',
      time_limit: { sec: 8, nanosec: 0 },
    });
    await goal.result;
    const texts = status.messages.flatMap(({ messages }) => messages as string[]).join('\n');
    expect(texts).toMatch(/the recording is over/);
  });
});
