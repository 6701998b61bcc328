/** The guided first hour on a real ROS 2, with the simulation in the arm's place and a person at a pseudo-terminal. */
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from '@jest/globals';
import { Child, root, spawnNode, stopAll } from './child.js';
import { Peer, type PeerSubscription } from './peer.js';

const trajectoryTopic = '/arm_controller/joint_trajectory';
const trajectoryType = 'trajectory_msgs/msg/JointTrajectory';
const program = join(root, 'dist', 'main.js');
const simTime = ['--ros-args', '-p', 'use_sim_time:=true'];

describe('check --robot', () => {
  let peer: Peer;
  let simulator: Child;
  let states: PeerSubscription;
  let folder: string;
  let robotYaml: string;

  /** A check whose questions are answered by the first rule that fits, else with y. */
  const atTerminal = (rules: readonly (readonly [string, string])[], ...more: string[]): Child =>
    new Child(
      'python3',
      [
        ...[join(root, 'test', 'ros', 'fixtures', 'terminal.py'), JSON.stringify(rules)],
        ...[process.execPath, program, 'check', '--robot', '--config', robotYaml],
        ...[...simTime, ...more],
      ],
      { cwd: folder },
    );
  const fastest = (): number =>
    Math.max(...states.messages.at(-1).velocity.slice(0, 7).map(Math.abs));

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'magma-vla-check-'));
    robotYaml = join(folder, 'robot.yaml');
    // Ages have room for a busy machine.
    const yaml = readFileSync(join(root, 'config', 'sim.yaml'), 'utf8')
      .replace('urdf: builtin_arm', `urdf: ${join(root, 'config', 'builtin_arm')}`)
      .replace('maxJointAge: 0.1', 'maxJointAge: 0.25\n  watchdog: 0.25')
      .concat(`blackBox: { folder: ${folder} }\n`);
    writeFileSync(robotYaml, yaml);
    simulator = spawnNode(['simulator', '--seed', '700000', '--family', 'pick']);
    peer = await Peer.start({ name: 'check_peer' });
    await peer.waitForPublisher('/joint_states', 30_000);
    states = await peer.subscribe('/joint_states', 'sensor_msgs/msg/JointState');
    await states.next(10_000);
  });
  afterAll(async () => {
    await peer.stop();
    await stopAll();
    rmSync(folder, { recursive: true });
  });
  afterEach(() => {
    expect(simulator.isRunning).toBe(true);
  });

  it('without a terminal and without --yes is refused before ROS 2 is opened', async () => {
    const check = spawnNode(['check', '--robot', '--config', robotYaml, ...simTime]);
    expect((await check.exited).code).toBe(1);
    expect(check.output).toMatch(/got no terminal, expected somebody who answers/);
  });

  it('with --yes is refused where time is not simulated', async () => {
    const check = spawnNode(['check', '--robot', '--yes', '--config', robotYaml]);
    expect((await check.exited).code).toBe(1);
    expect(check.output).toMatch(/--yes is for a simulation/);
    expect(check.output).not.toMatch(/active/);
  });

  it('passes on the simulated arm: every jog as asked for, the gripper follows', async () => {
    const check = spawnNode(
      [
        ...['check', '--robot', '--yes', '--json', '--config', robotYaml],
        ...['--model', join(root, 'models', 'nano'), '--out', join(folder, 'pictures'), ...simTime],
      ],
      {},
    );
    const { code } = await check.exited;
    const json = check.output.split('\n').find((line) => line.startsWith('{"command":"check"'))!;
    const result = JSON.parse(json) as {
      passed: boolean;
      findings: {
        step: string;
        what: string;
        outcome: string;
        values?: Record<string, number>;
      }[];
    };
    const failed = result.findings.filter(({ outcome }) => outcome === 'failed');
    expect(failed).toEqual([]);
    expect(code).toBe(0);
    const jogs = result.findings.filter(({ step }) => step === 'jog');
    expect(jogs.map(({ what }) => what)).toEqual(
      ['x', 'y', 'z', 'roll', 'pitch', 'yaw'].flatMap((axis) => [`+${axis}`, `-${axis}`]),
    );
    for (const { values } of jogs) {
      expect(Math.abs(values!['measured']! - values!['asked']!)).toBeLessThan(1e-3);
      expect(values!['lagMs']).toBeGreaterThan(20);
      expect(values!['lagMs']).toBeLessThan(300);
    }
    const grips = result.findings.filter(({ step }) => step === 'gripper');
    expect(grips.map(({ what }) => what)).toEqual(['close', 'open']);
    expect(existsSync(join(folder, 'pictures', 'primary.jpg'))).toBe(true);
  }, 150_000);

  it('goes no further where the person did not see the motion that was measured', async () => {
    const check = atTerminal([['Is that', 'n']]);
    expect((await check.exited).code).toBe(1);
    expect(check.output).toMatch(/\+x: asked 10.00 mm, .* measured 10\.\d\d mm/);
    expect(check.output).toMatch(/FAILED +\+x seen/);
    expect(check.output).not.toMatch(/Jog -x/);
    expect(check.output).toMatch(/the arm rests, after/);
  });

  it('moves nothing that is not agreed to', async () => {
    const commands = await peer.subscribe(trajectoryTopic, trajectoryType);
    const check = atTerminal([['Take up', '']]);
    expect((await check.exited).code).toBe(0);
    expect(check.output).toMatch(/skipped +taking up the arm: not agreed to/);
    expect(commands.messages).toHaveLength(0);
  });

  it('ended by Ctrl-C in mid-motion brings the arm to rest first', async () => {
    const check = atTerminal([['Jog \\+x', '^C']]);
    await check.waitForOutput(/Jog \+x.*Go\?/, 40_000);
    expect((await check.exited).code).toBe(1);
    expect(fastest()).toBeLessThan(0.01);
    expect(check.output).toMatch(/ended by: Ctrl-C/);
    expect(check.output).toMatch(/the arm rests, after/);
  });

  it('does not take up an arm that somebody else can command', async () => {
    await peer.advertise(trajectoryTopic, trajectoryType);
    const check = atTerminal([]);
    expect((await check.exited).code).toBe(1);
    expect(check.output).toMatch(/FAILED +other commanders: \/check_peer can command the arm/);
    expect(check.output).not.toMatch(/Take up the arm\?/);
  });
});
