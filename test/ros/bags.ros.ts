/** `ros2 bag` on both sides: recordings of simulation and node, read by replay, and played back into the node. */
import { existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Child, root, spawnNode } from './child.js';
import {
  clearScratch,
  closeAll,
  Live,
  NODE,
  scratch,
  simulated,
  simulationFile,
  sleep,
} from './live.js';
import type { Message } from './peer.js';

const folder = scratch();
const chunkType = 'magma_vla/msg/ActionChunk';
const chunkTopic = `${NODE}/action_chunk`;

/** What is recorded while simulation and node run. */
const live = {
  plain: ['-a'],
  /** Log times are simulated, too: what `ros2 bag play --clock` needs. */
  simTime: ['-a', '--use-sim-time', '--storage-preset-profile', 'zstd_fast'],
  withoutPictures: ['--topics', '/joint_states', chunkTopic],
} as const;
/** Written from `plain` by `ros2 bag convert`: compression keeps up with a busy machine there. */
const converted = { zstdMessages: 'message', zstdFile: 'file' } as const;
type Recording = keyof typeof live | keyof typeof converted;
const bag = (name: Recording): string => join(folder, name);

const record = (name: keyof typeof live): Child =>
  new Child('ros2', ['bag', 'record', '-s', 'mcap', '-o', bag(name), ...live[name]]);

async function convert(name: keyof typeof converted): Promise<void> {
  const options = {
    ...{ uri: bag(name), storage_id: 'mcap', all_topics: true },
    ...{ compression_mode: converted[name], compression_format: 'zstd' },
    ...{ compression_queue_size: 0, compression_threads: 1 },
  };
  const file = join(folder, `${name}.yaml`);
  writeFileSync(file, stringify({ output_bags: [options] }));
  const child = new Child('ros2', ['bag', 'convert', '-i', bag('plain'), 'mcap', '-o', file]);
  const { code } = await child.exited;
  if (code !== 0) throw new Error(`ros2 bag convert: ${String(code)}\n${child.output}`);
}

/** The last line of a command of ours, as JSON, and its exit code. */
async function command(args: readonly string[]): Promise<{ code: number | null; json: Message }> {
  const child = spawnNode(args);
  const { code } = await child.exited;
  const line = child.output.trimEnd().split('\n').at(-1)!;
  if (!line.startsWith('{')) throw new Error(`${args.join(' ')}:\n${child.output.slice(-3000)}`);
  return { code, json: JSON.parse(line) };
}
const parity = (name: Recording, config: string) =>
  command([
    ...['replay', bag(name), '--config', config, '--model', join(root, 'models/nano')],
    ...['--parity', '--json'],
  ]);

describe('recordings of simulation and node', () => {
  const config = simulationFile();
  let published = 0;

  beforeAll(async () => {
    spawnNode(['simulator', '--config', config, '--seed', '7', '--family', 'pick']);
    const driven = await Live.configured(config, { use_sim_time: 'true' });
    const { operator } = driven;
    const chunks = await operator.subscribe(chunkTopic, chunkType);
    await operator.advertise(`${NODE}/instruction`, 'std_msgs/msg/String');
    const recorders = (Object.keys(live) as (keyof typeof live)[]).map(record);
    await Promise.all(
      recorders.map((one) =>
        one.waitForOutput(/Subscribed to topic '\/magma_vla\/action_chunk'/, 40_000),
      ),
    );
    await sleep(2000);
    await driven.activate();
    await sleep(1000);
    for (const instruction of ['pick the red block', 'put the blue block on the teal pad']) {
      const goal = await operator.sendGoal(
        `${NODE}/execute_instruction`,
        'magma_vla/action/ExecuteInstruction',
        { instruction, time_limit: { sec: 4, nanosec: 0 } },
      );
      if (!goal.accepted) throw new Error(`the goal was refused:\n${driven.node.output}`);
      await goal.result;
      // A machine that stands still for a moment stops the arm: that is recorded like anything else.
      if ((await driven.status.next(3000)).latched !== '') await driven.rearm();
    }
    const said = { data: 'pick the green block' };
    await operator.publish(`${NODE}/instruction`, 'std_msgs/msg/String', said);
    await sleep(4000);
    await operator.publish(`${NODE}/instruction`, 'std_msgs/msg/String', { data: '' });
    await sleep(1000);
    published = chunks.messages.length;
    const exits = await Promise.all(recorders.map((one) => one.stop('SIGINT', 20_000)));
    expect(exits.map(({ code }) => code)).toEqual(recorders.map(() => 0));
    await closeAll();
    if (published < 20) throw new Error(`${published} predictions:\n${driven.node.output}`);
    for (const name of ['zstdMessages', 'zstdFile'] as const) await convert(name);
  }, 240_000);
  afterAll(clearScratch, 30_000);

  it('are there, compressed as they were asked to be', () => {
    for (const name of [...Object.keys(live), ...Object.keys(converted)] as Recording[])
      expect(existsSync(join(bag(name), 'metadata.yaml'))).toBe(true);
    expect(existsSync(join(bag('zstdFile'), 'zstdFile_0.mcap.zstd'))).toBe(true);
  });

  const whole = ['plain', 'simTime', 'zstdMessages', 'zstdFile'] as const;
  it.each(whole)(
    'are what the node saw and answered, to the last bit: %s',
    async (name) => {
      const { code, json } = await parity(name, config);
      expect(json).toMatchObject({
        observationDiffers: 0,
        answerDiffers: 0,
        inputsNotRecorded: 0,
        notHashed: 0,
        warnings: [],
      });
      // None is lost, and all but what was under way when recording began or ended has its inputs in the bag.
      expect(json.predictions).toBe(published);
      expect(Number(json.equal) + Number(json.inputsMissing)).toBe(published);
      expect(json.inputsMissing).toBeLessThanOrEqual(2);
      expect(json.missing).toHaveLength(json.inputsMissing);
      expect(json.asked).toBe(json.equal);
      expect(code).toBe(0);
    },
    120_000,
  );

  it('say which inputs they lack, counted and listed', async () => {
    const { code, json } = await parity('withoutPictures', config);
    expect(json).toMatchObject({
      predictions: published,
      equal: 0,
      observationDiffers: 0,
      inputsMissing: published,
    });
    expect(json.missingInputs['front']).toBe(published);
    expect(json.missing).toHaveLength(10);
    expect(json.missing[0].what).toMatch(/^front of \d+ ns/);
    expect(code).toBe(1);
  }, 120_000);

  it('run through replay as any bag, with the instruction that was published', async () => {
    const replayed = simulationFile({ instruction: { topic: `${NODE}/instruction` } });
    const { code, json } = await command([
      ...['replay', bag('simTime'), '--config', replayed, '--model', join(root, 'models/nano')],
      ...['--traces', '0', '--json', '--quiet'],
    ]);
    expect(code).toBe(0);
    expect(json.command).toBe('replay');
    expect(json.messages.read.instructions).toBe(2);
    expect(json.predictions).toBeGreaterThan(10);
    // The bag gives no reason to refuse anything but the answer that was due when the second instruction came. What the
    // small model garbles now and then, and is refused, is its own.
    const { staleEpisode = 0, malformedAnswer = 0, ...refused } = json.refusals;
    expect(refused).toEqual({});
    expect(staleEpisode).toBeLessThanOrEqual(1);
    expect(malformedAnswer).toBeLessThanOrEqual(0.1 * json.predictions);
    expect(json.warnings).toEqual([]);
  }, 120_000);

  it('play with --clock into a node in a dry run, which predicts, and survives the loop', async () => {
    // Log times are what the recorder had heard of /clock: a little behind the stamps.
    const guard = { ...simulated()['guard'], maxJointAge: 1, maxFutureStamp: 0.5, watchdog: 0.5 };
    const driven = await Live.configured(simulationFile({ dryRun: true, guard }), {
      use_sim_time: 'true',
      dry_run: 'true',
    });
    const { operator } = driven;
    const chunks = await operator.subscribe(chunkTopic, chunkType);
    const commands = await operator.subscribe(
      '/arm_controller/joint_trajectory',
      'trajectory_msgs/msg/JointTrajectory',
    );
    const player = new Child('ros2', [
      ...['bag', 'play', bag('simTime'), '--clock', '250', '--loop', '--disable-keyboard-controls'],
      ...['--topics', '/joint_states', '/front/image_raw', '/tf', '/tf_static'],
    ]);
    while (!(await operator.changeState(NODE, 'activate'))) await sleep(500);
    // What was said before is begun again only after an empty text.
    const instruct = async () => {
      for (const data of ['', 'pick the red block'])
        await operator.publish(`${NODE}/instruction`, 'std_msgs/msg/String', { data });
    };
    await instruct();
    const first = await chunks.next(10_000);
    expect(first.header.stamp.sec).toBeLessThan(1000);
    // The bag begins again: time jumps back, which nobody may take for the next moment. What else an operator would
    // have to look at in the recorded run (an effort, a pause of the machine) is re-armed.
    const jumped = /\/clock jumped back by \d+\.\d+ s/;
    const isJump = async (): Promise<boolean> => {
      const { latched } = await driven.status.next(5000);
      if (latched !== '' && !jumped.test(latched)) await driven.ask('rearm');
      return jumped.test(latched);
    };
    const deadline = performance.now() + 60_000;
    while (!(await isJump())) if (performance.now() > deadline) throw new Error(driven.node.output);
    chunks.clear();
    await sleep(1000);
    expect((await driven.status.next(5000)).latched).toMatch(jumped);
    expect(chunks.messages).toEqual([]);
    while (chunks.messages.length === 0) {
      if ((await driven.ask('rearm')) === null) await instruct();
      await sleep(1000);
    }
    expect(player.isRunning).toBe(true);
    expect(commands.messages).toEqual([]);
  }, 150_000);
});
