/**
 * What the node costs and how fast it is: figures of this machine, now, one JSON line at the end. Bounds are generous:
 * they find what is broken, not what is a little slow. Large pictures need a DDS receive buffer of 4 MB
 * (net.core.rmem_max, and for Cyclone DDS SocketReceiveBufferSize).
 */
import { readFileSync } from 'node:fs';
import { afterAll, afterEach, describe, expect, it } from '@jest/globals';
import { Child, spawnNode } from './child.js';
import {
  clearScratch,
  closeAll,
  Live,
  robotFile,
  simulated,
  simulationFile,
  sleep,
} from './live.js';
import { Peer, type Message } from './peer.js';

const figures: Record<string, unknown> = {};
const fixture = (name: string, ...args: readonly (string | number)[]): Child =>
  new Child(process.execPath, [`test/ros/fixtures/${name}.mjs`, ...args.map(String)]);
const told = async (child: Child, key: string, ms: number): Promise<Message> =>
  JSON.parse((await child.waitForOutput(new RegExp(`^${key} (.*)$`, 'm'), ms))[1]!);

/** s of CPU time that a process has used. Fields 14 and 15 of proc_pid_stat(5), in ticks of 10 ms. */
function cpuSeconds(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.split(' ');
  return (Number(fields[11]) + Number(fields[12])) / 100;
}

/** Percent of a core over `seconds`. */
async function cpuPercent(pid: number, seconds: number): Promise<number> {
  const [before, began] = [cpuSeconds(pid), performance.now()];
  await sleep(seconds * 1000);
  return ((cpuSeconds(pid) - before) / (performance.now() - began)) * 1e5;
}

const withCamera = (topic: string): string =>
  robotFile({ cameras: { ...simulated()['cameras'], side: { topic, type: 'image' } } });
const received = async (live: Live, topic: string): Promise<number> =>
  Number((await live.diagnosed(`input ${topic}`)).values['received']);

afterEach(closeAll, 30_000);
afterAll(async () => {
  await clearScratch();
  process.stdout.write(`${JSON.stringify({ command: 'speed', ...figures })}\n`);
});

describe('pictures', () => {
  it('of 1080p at 30 Hz all arrive', async () => {
    const live = await Live.configured(withCamera('/side/image_raw'));
    const camera = fixture('camera', '/side/image_raw', 1920, 1080, 30, 300);
    await camera.waitForOutput(/^ready/m, 20_000);
    const node = cpuPercent(live.node.pid, 9);
    const perSecond: number[] = [];
    let before = await received(live, '/side/image_raw');
    while (perSecond.length < 8) {
      const count = await received(live, '/side/image_raw');
      perSecond.push(count - before);
      before = count;
    }
    const sent = await told(camera, 'done', 30_000);
    await sleep(1500);
    const count = await received(live, '/side/image_raw');
    figures['hd'] = { received: count, perSecond, nodeCpuPercent: await node, publisher: sent };
    expect(count).toBe(sent.published);
  }, 90_000);

  it('of 640 × 480 at 30 Hz cost little of a core', async () => {
    const live = await Live.configured(withCamera('/side/image_raw'));
    const idle = await cpuPercent(live.node.pid, 5);
    const camera = fixture('camera', '/side/image_raw', 640, 480, 30, 360);
    await camera.waitForOutput(/^ready/m, 20_000);
    await sleep(1000);
    const busy = await cpuPercent(live.node.pid, 8);
    const sent = await told(camera, 'done', 30_000);
    await sleep(1500);
    const count = await received(live, '/side/image_raw');
    figures['vga'] = {
      idlePercent: idle,
      cameraPercent: busy - idle,
      goal: 15,
      received: count,
      publisher: sent,
    };
    expect(count).toBe(360);
    expect(busy - idle).toBeLessThan(40);
  }, 90_000);
});

describe('commands', () => {
  it('cost a fraction of a millisecond each', async () => {
    const peer = await Peer.start({ name: 'controller' });
    const type = 'trajectory_msgs/msg/JointTrajectory';
    const commands = await peer.subscribe('/commands', type, { depth: 1000 }, { keep: 'count' });
    const cost = await told(fixture('trajectoryCost', '/commands', 1000, 200), 'done', 60_000);
    await sleep(500);
    figures['trajectory'] = { ...cost, goal: 0.2, received: commands.messages.length };
    await peer.stop();
    expect(commands.messages.length).toBe(1250);
    expect(cost.msPerMessage).toBeLessThan(1);
  }, 90_000);
});

describe('the simulation', () => {
  it('ticks at 250 Hz, and what it shows becomes a command soon', async () => {
    const config = simulationFile();
    spawnNode(['simulator', '--config', config, '--seed', '7']);
    const live = await Live.configured(config, { use_sim_time: 'true' });
    await live.activate();
    const clock = await live.operator.subscribe(
      '/clock',
      'rosgraph_msgs/msg/Clock',
      { reliability: 'bestEffort', depth: 1000 },
      { keep: 'count' },
    );
    await clock.next(5000);
    clock.clear();
    await sleep(4000);
    const clockHz = clock.messages.length / 4;
    await clock.dispose();
    const run = spawnNode(['evaluate', '--episodes', '3', '--seed', '7', '--json']);
    await run.exited;
    const line = run.output.trimEnd().split('\n').at(-1)!;
    if (!line.startsWith('{')) throw new Error(run.output);
    const result = JSON.parse(line);
    figures['simulation'] = {
      clockHz,
      pictureToCommandMs: result.pictureToCommandMs,
      success: `${result.success.successes}/${result.success.episodes}`,
    };
    expect(clockHz).toBeGreaterThanOrEqual(250);
    expect(result.pictureToCommandMs.count).toBeGreaterThan(20);
    expect(result.pictureToCommandMs.p50).toBeLessThan(500);
  }, 150_000);
});
