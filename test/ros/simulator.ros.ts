/** The built-in simulation as a ROS 2 node, seen by another client library. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { type Child, spawnNode, stopAll } from './child.js';
import { Peer, type Message, type PeerSubscription } from './peer.js';

const joints = [1, 2, 3, 4, 5, 6, 7].map((i) => `joint${i}`);
const trajectoryTopic = '/arm_controller/joint_trajectory';
const trajectoryType = 'trajectory_msgs/msg/JointTrajectory';
const follow = '/arm_controller/follow_joint_trajectory';
const followType = 'control_msgs/action/FollowJointTrajectory';
const resetType = 'magma_vla/srv/ResetScene';

const ns = (stamp: Message): bigint => BigInt(stamp.sec) * 1_000_000_000n + BigInt(stamp.nanosec);
const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const zeros = joints.map(() => 0);

const point = (seconds: number, positions: readonly number[], velocities = zeros) => ({
  positions,
  velocities,
  time_from_start: { sec: Math.floor(seconds), nanosec: Math.round((seconds % 1) * 1e9) },
});
const trajectory = (points: object[], names = joints) => ({ joint_names: names, points });

describe('the simulator', () => {
  let peer: Peer;
  let simulator: Child;
  let states: PeerSubscription;

  /** The latest joint state: arm positions and velocities. */
  const arm = (): { position: number[]; velocity: number[] } => {
    const message = states.messages.at(-1);
    return { position: message.position.slice(0, 7), velocity: message.velocity.slice(0, 7) };
  };
  const fastest = (): number => Math.max(...arm().velocity.map(Math.abs));
  const reset = (seed: number, family: string): Promise<Message> =>
    peer.call('/simulator/reset', resetType, { seed, family });
  const goal = (points: object[], names = joints) =>
    peer.sendGoal(follow, followType, { trajectory: trajectory(points, names) });

  beforeAll(async () => {
    simulator = spawnNode(['simulator', '--seed', '700000', '--family', 'pick']);
    peer = await Peer.start({ name: 'simulator_peer' });
    await peer.waitForPublisher('/joint_states', 30_000);
    states = await peer.subscribe('/joint_states', 'sensor_msgs/msg/JointState');
    await states.next(10_000);
    await peer.advertise(trajectoryTopic, trajectoryType);
    await peer.waitForSubscriber(trajectoryTopic, 10_000);
  });
  afterAll(async () => {
    await peer.stop();
    await stopAll();
  });

  it('ticks at 250 Hz and more, and sends nothing before the clock of its stamp', async () => {
    const clock = await peer.subscribe('/clock', 'rosgraph_msgs/msg/Clock', {
      reliability: 'bestEffort',
      depth: 1000,
    });
    await clock.next(5000);
    clock.clear();
    states.clear();
    const began = performance.now();
    await sleep(3000);
    const rate = clock.messages.length / ((performance.now() - began) / 1e3);
    const joint = states.messages.map((m, i) => [ns(m.header.stamp), states.sentNs[i]!] as const);
    const ticked = new Map(clock.messages.map((m, i) => [ns(m.clock), clock.sentNs[i]!]));
    await clock.dispose();
    expect(rate).toBeGreaterThan(250);
    const both = joint.filter(([stamp]) => ticked.has(stamp));
    expect(both.length).toBeGreaterThan(100);
    for (const [stamp, sent] of both) expect(sent).toBeGreaterThan(ticked.get(stamp)!);
  });

  it('reports nine joints every 10 ms of its time, none left out', async () => {
    states.clear();
    await sleep(1000);
    const stamps = states.messages.map((message) => ns(message.header.stamp));
    expect(stamps.length).toBeGreaterThan(50);
    stamps.slice(1).forEach((stamp, i) => expect(stamp - stamps[i]!).toBe(10_000_000n));
    const { name, position, velocity, effort } = states.messages[0];
    expect(name).toEqual([...joints, 'left_finger_joint', 'right_finger_joint']);
    for (const column of [position, velocity, effort]) expect(column).toHaveLength(9);
  });

  it('photographs at 5 Hz, with the intrinsics of its camera', async () => {
    const images = await peer.subscribe('/front/image_raw', 'sensor_msgs/msg/Image', {
      reliability: 'bestEffort',
    });
    const infos = await peer.subscribe('/front/camera_info', 'sensor_msgs/msg/CameraInfo', {
      reliability: 'bestEffort',
    });
    await images.waitFor(() => images.messages.length >= 4, 10_000);
    const stamps = images.messages.map((message) => ns(message.header.stamp));
    stamps.slice(1).forEach((stamp, i) => expect(stamp - stamps[i]!).toBe(200_000_000n));
    const image = images.messages[3];
    expect([image.height, image.width, image.encoding, image.step]).toEqual([
      128,
      128,
      'rgb8',
      384,
    ]);
    expect(image.data).toHaveLength(128 * 384);
    expect(new Set(image.data).size).toBeGreaterThan(50);
    expect(image.header.frame_id).toBe('front_optical');
    const info = await infos.waitFor((m) => ns(m.header.stamp) === stamps[3], 2000);
    // 32° of view over 128 pixels: f = 64 / tan 16°; the axis goes through the corner between the middle four pixels.
    const f = 64 / Math.tan((16 * Math.PI) / 180);
    [f, 0, 63.5, 0, f, 63.5, 0, 0, 1].forEach((k, i) => expect(info.k[i]).toBeCloseTo(k, 9));
    await images.dispose();
    await infos.dispose();
  });

  it('links every frame of its URDF, which it publishes for late comers too', async () => {
    const latched = { durability: 'transientLocal', depth: 1 } as const;
    const description = await peer.subscribe('/robot_description', 'std_msgs/msg/String', latched);
    const fixed = await peer.subscribe('/tf_static', 'tf2_msgs/msg/TFMessage', latched);
    const moving = await peer.subscribe('/tf', 'tf2_msgs/msg/TFMessage');
    const { data } = await description.waitFor(() => true, 5000);
    const urdf = readFileSync('config/builtin_arm.urdf', 'utf8');
    expect(data).toBe(urdf);
    const messages = [await fixed.waitFor(() => true, 5000), await moving.next(5000)];
    const children = messages.flatMap(({ transforms }) =>
      transforms.map((t: Message) => t.child_frame_id as string),
    );
    const links = [...urdf.matchAll(/<link name="(\w+)"/g)].map((match) => match[1]!);
    expect([...children, 'base_link'].sort()).toEqual([...links, 'front_optical'].sort());
    await moving.dispose();
  });

  it('is configured as a joint_trajectory_controller that joins from the desired state', async () => {
    const value = (name: string) => peer.getParameter('/arm_controller', name);
    expect(await value('joints')).toEqual(joints);
    expect(await value('command_interfaces')).toEqual(['position', 'velocity']);
    expect(await value('allow_nonzero_velocity_at_trajectory_end')).toBe(false);
    expect(await value('interpolate_from_desired_state')).toBe(true);
    expect(await peer.setParameter('/arm_controller', 'joints', ['a'])).not.toBeNull();
  });

  it('follows a trajectory with its joints in any order, tells how it goes, and succeeds at rest', async () => {
    const start = arm().position;
    const target = start.map((q, i) => (i === 0 ? q + 0.3 : q));
    const sent = await goal([point(1, [...target].reverse())], [...joints].reverse());
    expect(sent.accepted).toBe(true);
    const { status, result } = await sent.result;
    expect([status, result.error_code]).toEqual(['succeeded', 0]);
    expect(sent.feedback.length).toBeGreaterThan(5);
    expect(sent.feedback[0].joint_names).toEqual(joints);
    await states.next(5000);
    await states.next(5000);
    expect(fastest()).toBeLessThan(0.02);
    arm().position.forEach((q, i) => expect(q).toBeCloseTo(target[i]!, 2));
  });

  it('publishes what it follows and how far off it is', async () => {
    const type = 'control_msgs/msg/JointTrajectoryControllerState';
    const state = await peer.subscribe('/arm_controller/controller_state', type);
    const message = await state.next(5000);
    expect(message.joint_names).toEqual(joints);
    const { reference, feedback, error, output } = message;
    for (let i = 0; i < 7; i++) {
      const off = reference.positions[i] - feedback.positions[i];
      expect(error.positions[i]).toBeCloseTo(off, 12);
    }
    expect(output.positions).toEqual(reference.positions);
    await state.dispose();
  });

  it('ends a goal by a newer one and by a cancel, after which the arm rests', async () => {
    const start = arm().position;
    const away = start.map((q, i) => (i === 3 ? q - 0.5 : q));
    const [first, second] = [await goal([point(4, away)]), await goal([point(3, away)])];
    const ended = await first.result;
    expect([ended.status, ended.result.error_code]).toEqual(['aborted', -1]);
    await sleep(800);
    expect(fastest()).toBeGreaterThan(0.05);
    expect(await second.cancel()).toBe(1);
    expect((await second.result).status).toBe('canceled');
    await sleep(500);
    expect(fastest()).toBeLessThan(0.01);
  });

  it('plays a stream of braking trajectories, and is at rest where the last one ends when it stops', async () => {
    const start = arm().position;
    const [period, speed, deceleration] = [0.02, 0.4, 20];
    const at = (q: number) => start.map((p, i) => (i === 0 ? p + q : p));
    const moving = [speed, 0, 0, 0, 0, 0, 0];
    const braking = speed / deceleration;
    const stream = (k: number) => {
      const q = speed * (k + 1.5) * period;
      return trajectory([
        point(1.5 * period, at(q), moving),
        point(1.5 * period + braking, at(q + (speed * braking) / 2)),
      ]);
    };
    states.clear();
    // Each a period after the one before, however late that was: a stream that lags behind, but never hurries.
    for (let k = 0; k < 50; k++) {
      await peer.publish(trajectoryTopic, trajectoryType, stream(k));
      await sleep(period * 1e3);
    }
    await sleep(500);
    expect(fastest()).toBeLessThan(0.01);
    // 49 periods and the lead of 1.5, then the braking path.
    const way = speed * 50.5 * period + (speed * braking) / 2;
    expect(arm().position[0]! - start[0]!).toBeCloseTo(way, 2);
    const top = Math.max(...states.messages.map((m: Message) => Math.abs(m.velocity[0])));
    // In time its peak is 4/3 of the speed (test/simulator); on a busy machine messages bunch up, and it hurries a little.
    expect(top).toBeLessThan(4 * speed);
  });

  it('refuses what the controller refuses, says why, and goes on', async () => {
    const { position } = arm();
    const moving = [0.1, 0, 0, 0, 0, 0, 0];
    expect((await goal([point(1, position, moving)])).accepted).toBe(false);
    await simulator.waitForOutput(/the last point moves: joint1/, 5000);
    const wrong: [object, RegExp][] = [
      [trajectory([]), /no points/],
      [trajectory([point(1, position)], []), /got joints \(none\)/],
      [trajectory([point(1, [NaN, ...position.slice(1)])]), /NaN among the positions/],
      [trajectory([point(1, position), point(1, position)]), /expected later than point 0/],
      [
        { ...trajectory([point(0.1, position)]), header: { stamp: { sec: 1, nanosec: 0 } } },
        /in the past/,
      ],
    ];
    for (const [message, why] of wrong) {
      await peer.publish(trajectoryTopic, trajectoryType, message as Record<string, unknown>);
      await simulator.waitForOutput(why, 5000);
    }
    expect(fastest()).toBeLessThan(0.01);
    const sent = await goal([point(0.5, position)]);
    expect((await sent.result).status).toBe('succeeded');
  });

  it('closes and opens its gripper, and refuses openings it does not have', async () => {
    const grip = (position: number) =>
      peer.sendGoal('/gripper_controller/gripper_cmd', 'control_msgs/action/GripperCommand', {
        command: { position, max_effort: 0 },
      });
    const closed = await (await grip(0)).result;
    expect(closed.status).toBe('succeeded');
    expect(closed.result.position).toBeLessThan(0.003);
    const open = await (await grip(0.04)).result;
    expect([open.status, open.result.reached_goal]).toEqual(['succeeded', true]);
    expect((await grip(0.2)).accepted).toBe(false);
    expect((await grip(NaN)).accepted).toBe(false);
  });

  it('begins an episode from its seed: same scene, arm at its start, time goes on, goals are over', async () => {
    const outcome = await peer.subscribe('/simulator/outcome', 'std_msgs/msg/String', {
      durability: 'transientLocal',
      depth: 1,
    });
    expect((await outcome.waitFor(() => true, 5000)).data).toBe('running');
    const first = await reset(700_001, 'put');
    expect(first).toMatchObject({ success: true, message: '' });
    expect(first.instruction).toMatch(/^put the \w+ block on the \w+ pad$/);
    await states.next(5000);
    const start = arm().position;
    const sent = await goal([
      point(
        5,
        start.map((q) => q + 0.2),
      ),
    ]);
    await sleep(500);
    const before = ns(states.messages.at(-1).header.stamp);
    const again = await reset(700_001, 'put');
    expect(again.instruction).toBe(first.instruction);
    expect((await sent.result).status).toBe('aborted');
    const after = await states.next(5000);
    const passed = ns(after.header.stamp) - before;
    expect(passed).toBeGreaterThan(0n);
    expect(passed).toBeLessThan(500_000_000n);
    arm().position.forEach((q, i) => expect(q).toBeCloseTo(start[i]!, 3));
    await sleep(300);
    expect(fastest()).toBeLessThan(0.01);
    expect((await reset(1, 'juggle')).message).toMatch(
      /family: got juggle, expected pick, put, push/,
    );
    await outcome.dispose();
  });

  it('runs at the factor it is told, also while it runs, and stands still at 0', async () => {
    const set = (factor: number) => peer.setParameter('/simulator', 'real_time_factor', factor);
    const pace = async (): Promise<number> => {
      await sleep(200);
      const [from, began] = [ns(states.messages.at(-1).header.stamp), performance.now()];
      await sleep(1500);
      const passed = Number(ns(states.messages.at(-1).header.stamp) - from) / 1e6;
      return passed / (performance.now() - began);
    };
    expect(await pace()).toBeCloseTo(1, 0);
    expect(await set(0.25)).toBeNull();
    expect(await pace()).toBeCloseTo(0.25, 1);
    expect(await set(0)).toBeNull();
    expect(await pace()).toBe(0);
    expect(await set(1)).toBeNull();
    expect(await pace()).toBeGreaterThan(0.5);
    expect(await set(-1)).not.toBeNull();
    expect(await set(11)).not.toBeNull();
  });

  it('ends at SIGINT, with exit code 0', async () => {
    expect(await simulator.stop('SIGINT')).toEqual({ code: 0, signal: null });
    expect(simulator.output).toMatch(/SIGINT: the simulation ends/);
  });
});

describe('a simulator in a namespace', () => {
  afterAll(stopAll);

  it('keeps its three nodes apart, whatever name it is given', async () => {
    const peer = await Peer.start({ name: 'namespace_peer' });
    spawnNode(['simulator', '--ros-args', '-r', '__ns:=/left', '-r', '__node:=table']);
    try {
      for (const name of ['table', 'arm_controller', 'gripper_controller'])
        await peer.waitForNode(`/left/${name}`, 30_000);
      const { success } = await peer.call('/left/table/reset', resetType, { seed: 1, family: '' });
      expect(success).toBe(true);
    } finally {
      await peer.stop();
    }
  });

  it('does not start with settings it cannot keep', async () => {
    const wrong = spawnNode(['simulator', '--ros-args', '-p', 'family:=juggle']);
    expect((await wrong.exited).code).toBe(1);
    expect(wrong.output).toMatch(/family: got juggle/);
  });
});
