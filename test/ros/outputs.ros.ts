/** Every output of a guarded command, received and decoded by rclpy; and what is read back of the layer below. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { stopAll } from './child.js';
import {
  type Fields,
  type Message,
  Peer,
  type PeerActionServer,
  type PeerSubscription,
} from './peer.js';
import { JOINTS, robotYaml, run, said, sentences, START, type Step } from './sender.js';

const cartesian = (output: 'twist' | 'pose', command: Fields): Fields => {
  const rest: Record<string, unknown> = robotYaml({
    output,
    command,
    endEffector: { topic: '/tool', frameId: 'base_link' },
  });
  delete rest['joints'];
  return rest;
};

const seconds = (duration: { sec: number; nanosec: number }): number =>
  duration.sec + duration.nanosec / 1e9;
let peer: Peer;
beforeAll(async () => {
  peer = await Peer.start();
  await peer.publishRate(
    '/joint_states',
    'sensor_msgs/msg/JointState',
    { name: JOINTS, position: START, velocity: START.map(() => 0) },
    100,
    { stamp: 'now' },
  );
  await peer.publishRate(
    '/tool',
    'geometry_msgs/msg/PoseStamped',
    {
      header: { frame_id: 'base_link' },
      pose: { position: { x: 0.4, y: 0, z: 0.3 }, orientation: { x: 0, y: 0, z: 0, w: 1 } },
    },
    100,
    { stamp: 'now' },
  );
});
/** A subscription of the peer's that ends with the test. */
const listen: Peer['subscribe'] = async (...asked) => {
  const heard = await peer.subscribe(...asked);
  listening.push(heard);
  return heard;
};
const listening: PeerSubscription[] = [];
afterEach(async () => {
  await stopAll();
  await Promise.all(listening.splice(0).map((heard) => heard.dispose()));
});
afterAll(() => peer.stop());

const delta = [0.6, 0, 0, 0, 0, 0, -0.6];
const move: Step = ['move', { delta, seconds: 1.5 }];

describe('a joint trajectory on a topic', () => {
  const command = { type: 'jointTrajectory', topic: '/arm/joint_trajectory', leadPeriods: 1.5 };

  test('arrives whole: the commanded state after 1.5 periods, then rest at the end of the braking path', async () => {
    const heard = await listen(command.topic, 'trajectory_msgs/msg/JointTrajectory');
    const child = run(robotYaml({ command }), [['heard'], ['check'], ['open'], ['blind'], move]);
    expect(sentences(await said(child, 'check'))).toEqual([
      'warn: command.controller is not named in robot.yaml: its parameters are not checked.',
    ]);
    const { ticks, problem } = await said(child, 'move');
    expect(problem).toBeNull();
    await heard.waitFor(({ points }) => points.length === 1 && points[0].positions[0] > 0.5, 5000);
    // The blind command, for no joint, is not among them.
    expect(heard.messages.length).toBeGreaterThan(ticks * 0.9);
    let fastest = 0;
    for (const { header, joint_names, points } of heard.messages) {
      expect([header.stamp.sec, header.stamp.nanosec]).toEqual([0, 0]);
      expect(joint_names).toEqual(JOINTS);
      expect(seconds(points[0].time_from_start)).toBeCloseTo(0.03, 9);
      const last = points.at(-1);
      expect([...last.velocities]).toEqual(JOINTS.map(() => 0));
      const [v, q]: [number, number] = [points[0].velocities[0], points[0].positions[0]];
      fastest = Math.max(fastest, Math.abs(v));
      const braking = seconds(last.time_from_start) - 0.03;
      if (braking > 2e-3) expect(last.positions[0]).toBeCloseTo(q + (v * braking) / 2, 6);
    }
    expect(fastest).toBeGreaterThan(0.5);
  });

  test('costs at most 0.2 ms of CPU to send', async () => {
    await listen(
      ...([command.topic, 'trajectory_msgs/msg/JointTrajectory', { depth: 1 }] as const),
      { keep: 'count' },
    );
    const bench: Step = ['bench', { delta, count: 2000 }];
    const child = run(robotYaml({ command }), [['heard'], ['check'], ['open'], bench]);
    const { moves, microseconds } = await said(child, 'bench');
    console.log(
      `JointTrajectory of 7 joints, 2 points: ${microseconds.toFixed(0)} µs of CPU to send`,
    );
    expect(moves).toBe(true);
    expect(microseconds).toBeLessThan(200);
  });

  test('is refused at the check where nobody listens, or only somebody of another type', async () => {
    const nobody = run(robotYaml({ command: { ...command, topic: '/nobody' } }), [['check']]);
    expect(sentences(await said(nobody, 'check'))[0]).toBe(
      'refuse: topic /nobody: nothing subscribes to the commands.',
    );
    await listen('/other', 'std_msgs/msg/String');
    const wrong = run(robotYaml({ command: { ...command, topic: '/other' } }), [['check']]);
    expect(sentences(await said(wrong, 'check'))[0]).toMatch(
      /^refuse: topic \/other: \/test_peer expects std_msgs\/msg\/String, not trajectory_msgs\/msg\/JointTrajectory\.$/,
    );
  });

  test('says so when its listener goes in mid-stream', async () => {
    const heard = await listen(command.topic, 'trajectory_msgs/msg/JointTrajectory');
    const endless: Step = ['move', { delta, period: 2, seconds: 30, untilProblem: true }];
    const child = run(robotYaml({ command }), [['heard'], ['check'], ['open'], endless]);
    await heard.waitFor(() => true, 20_000);
    listening.length = 0;
    await heard.dispose();
    expect((await said(child, 'move')).problem).toEqual({
      code: 'outputGone',
      message: 'Nothing subscribes to /arm/joint_trajectory any more.',
    });
  });

  test('goes nowhere while the gate is closed, and that is said once', async () => {
    const heard = await listen(command.topic, 'trajectory_msgs/msg/JointTrajectory');
    const child = run(robotYaml({ command }), [
      ...([['heard'], ['check'], ['close'], move, ['withheld'], ['problem']] as const),
    ]);
    expect(await said(child, 'withheld')).toBe((await said(child, 'move')).ticks);
    expect(await said(child, 'problem')).toBeNull();
    expect(child.output.match(/Commands are held back: the test closed it\./g)).toHaveLength(1);
    expect(heard.messages).toEqual([]);
  });
});

describe('numbers for a forwarding controller', () => {
  const joints = [...JOINTS].reverse();

  test('are positions in the order of command.joints', async () => {
    const command = { type: 'forwardPosition', topic: '/forward/commands', joints };
    const heard = await listen(command.topic, 'std_msgs/msg/Float64MultiArray');
    const child = run(robotYaml({ command }), [['heard'], ['check'], ['open'], move]);
    await said(child, 'move');
    const last = (await heard.waitFor(({ data }) => data[6] > 0.599, 5000)).data;
    [0.6, -0.3, 0, -2, 0, 1.8, 0.2]
      .reverse()
      .forEach((q, i) => expect(Math.abs(last[i] - q)).toBeLessThan(2e-3));
  });

  test('are velocities that end at zero', async () => {
    const command = {
      ...{ type: 'forwardVelocity', topic: '/forward/velocities', joints },
      ...{ timeout: 0.5, timeoutSetting: 'watchdog of the drives' },
    };
    const heard = await listen(command.topic, 'std_msgs/msg/Float64MultiArray');
    const child = run(robotYaml({ command }), [['heard'], ['check'], ['open'], move]);
    expect(sentences(await said(child, 'check')).at(-1)).toBe(
      'warn: Without commands the layer below stops within 0.5 s by watchdog of the drives: taken from robot.yaml, not read back.',
    );
    await said(child, 'move');
    const rows = heard.messages.map(({ data }) => [...data] as number[]);
    expect(Math.max(...rows.map((row) => row[6]!))).toBeGreaterThan(0.5);
    // 0.6 rad were travelled: the sum of what was commanded, a period each.
    const travelled = rows.reduce((sum, row) => sum + row[6]! * 0.02, 0);
    expect(travelled).toBeGreaterThan(0.5);
    expect(travelled).toBeLessThan(0.7);
    expect(rows.at(-1)).toEqual(JOINTS.map(() => 0));
  });
});

describe('commands for the tool', () => {
  const along: Step = ['move', { delta: [0.1, 0, 0], seconds: 0.6 }];
  const expiry = { timeout: 0.2, timeoutSetting: 'incoming_command_timeout of MoveIt Servo' };

  test('are twists in the command frame, stamped with the time of sending', async () => {
    const command = { type: 'servoTwist', topic: '/servo/delta_twist_cmds', ...expiry };
    const heard = await listen(command.topic, 'geometry_msgs/msg/TwistStamped');
    const child = run(cartesian('twist', command), [['heard'], ['check'], ['open'], along]);
    await said(child, 'move');
    const { header, twist } = await heard.waitFor((m) => m.twist.linear.x > 0.05, 5000);
    expect(header.frame_id).toBe('base_link');
    expect(Math.abs(seconds(header.stamp) - Date.now() / 1000)).toBeLessThan(5);
    expect([twist.linear.y, twist.angular.x]).toEqual([0, 0]);
    await heard.waitFor((m) => m.twist.linear.x === 0, 5000);
  });

  test.each(['servoPose', 'cartesianPose'])('are poses: %s', async (type) => {
    const topic = `/target/${type}`;
    const command = { type, topic, ...(type === 'servoPose' ? expiry : {}) };
    const heard = await listen(topic, 'geometry_msgs/msg/PoseStamped');
    const child = run(cartesian('pose', command), [
      ['heard'],
      ['check'],
      ['open'],
      ['blind'],
      along,
    ]);
    await said(child, 'move');
    const { header, pose } = await heard.waitFor((m) => m.pose.position.x > 0.4999, 5000);
    expect(header.frame_id).toBe('base_link');
    expect(pose.position.x).toBeCloseTo(0.5, 3);
    expect(pose.orientation.w).toBeCloseTo(1, 9);
  });

  test('halt where MoveIt Servo says that it has halted', async () => {
    const status = '/servo/status';
    await peer.publishRate(status, 'std_msgs/msg/Int8', { data: 4 }, 20);
    const command = { type: 'servoTwist', topic: '/servo/delta_twist_cmds', status, ...expiry };
    await listen(command.topic, 'geometry_msgs/msg/TwistStamped');
    const child = run(cartesian('twist', command), [['heard'], ['check'], ['open'], along]);
    expect((await said(child, 'move')).problem).toEqual({
      code: 'commandRefused',
      message: 'MoveIt Servo has halted: code 4, a collision is detected.',
    });
  });
});

describe('goals of FollowJointTrajectory', () => {
  const type = 'control_msgs/action/FollowJointTrajectory';
  const goals = (action: string): Fields =>
    robotYaml({
      command: { type: 'followJointTrajectory', action },
      control: { rateHz: 10, policyPeriod: 0.2 },
    });

  /** A new goal ends the one before as aborted, as joint_trajectory_controller's preempt_active_goal does. */
  function replaceAsTheyCome(server: PeerActionServer): () => void {
    let ended = 0;
    const timer = setInterval(() => {
      for (; ended < server.goals.length - 1; ended++)
        server.goals[ended]!.end('aborted', { error_code: -1, error_string: 'preempted' }).catch(
          () => undefined,
        );
    }, 5).unref();
    return () => clearInterval(timer);
  }

  test('carry the same trajectories; that each replaces the one before is no halt', async () => {
    const server = await peer.serveAction('/taking/follow', type);
    const stop = replaceAsTheyCome(server);
    const child = run(goals('/taking/follow'), [['heard'], ['check'], ['open'], move]);
    expect(sentences(await said(child, 'check'))).toHaveLength(1);
    const { problem, ticks } = await said(child, 'move');
    expect(problem).toBeNull();
    expect(ticks).toBeGreaterThan(8);
    await server.waitForGoal(8, 5000);
    stop();
    const { trajectory } = server.goals.at(-1)!.request;
    expect(trajectory.joint_names).toEqual(JOINTS);
    expect(trajectory.points.at(-1).positions[0]).toBeGreaterThan(0.5);
    await server.goals.at(-1)!.end('succeeded');
  });

  test('are a halt where the server refuses one', async () => {
    await peer.serveAction('/refusing/follow', type, { accept: false });
    const child = run(goals('/refusing/follow'), [['heard'], ['check'], ['open'], move]);
    expect((await said(child, 'move')).problem).toEqual({
      code: 'commandRefused',
      message: 'action /refusing/follow: the server refused a goal.',
    });
  });

  test('are a halt where the newest ends otherwise than well', async () => {
    const server = await peer.serveAction('/aborting/follow', type);
    const rest: Step = ['move', { delta: JOINTS.map(() => 0), seconds: 20, untilProblem: true }];
    const child = run(goals('/aborting/follow'), [['heard'], ['check'], ['open'], rest]);
    // At rest, goals come every 0.2 s: whichever is ended at once is still the newest.
    await (await server.waitForGoal(1, 20_000)).end('aborted', { error_string: 'path tolerance' });
    expect((await said(child, 'move')).problem).toEqual({
      code: 'commandRefused',
      message: 'action /aborting/follow: the newest goal ended as aborted (path tolerance).',
    });
    for (const goal of server.goals) await goal.end('aborted').catch(() => undefined);
  });
});

describe('the gripper', () => {
  const gripper = (command: Fields): Fields =>
    robotYaml({
      command: { type: 'jointTrajectory', topic: '/arm/joint_trajectory' },
      gripper: {
        ...{ topic: '/joint_states', joint: 'joint7', closed: 0, open: 0.04 },
        command: { maxEffort: 12, ...command },
      },
    });
  const still = JOINTS.map(() => 0);
  const want = (opening: number): Step => [
    'move',
    { delta: still, seconds: 0.5, gripper: opening },
  ];
  let arm: Awaited<ReturnType<Peer['subscribe']>>;
  beforeAll(async () => {
    arm = await peer.subscribe('/arm/joint_trajectory', 'trajectory_msgs/msg/JointTrajectory');
  });
  afterAll(() => arm.dispose());

  test('gets one goal at a time; one that is no longer wanted is cancelled for the newest', async () => {
    const action = '/gripper/gripper_cmd';
    const server = await peer.serveAction(action, 'control_msgs/action/GripperCommand');
    const command = { type: 'gripperCommand', action };
    const steps: Step[] = [['heard'], ['check'], ['open'], want(0), want(0), want(1), ['problem']];
    const child = run(gripper(command), steps);
    const first = await server.waitForGoal(1, 20_000);
    expect(first.request.command).toEqual({ position: 0, max_effort: 12 });
    while (!first.isCancelRequested) await new Promise((resolve) => setTimeout(resolve, 10));
    expect(server.goals).toHaveLength(1);
    await first.end('canceled');
    const second = await server.waitForGoal(2, 5000);
    expect(second.request.command).toEqual({ position: 0.04, max_effort: 12 });
    await second.end('aborted', { stalled: true });
    expect(await said(child, 'problem')).toBeNull();
    expect(server.goals).toHaveLength(2);
  });

  test('that ends without having stalled or arrived is told, and the goal is not repeated', async () => {
    const action = '/parallel/gripper_cmd';
    const server = await peer.serveAction(action, 'control_msgs/action/ParallelGripperCommand');
    const steps: Step[] = [['heard'], ['check'], ['open'], want(0.5), want(0.5), ['problem']];
    const child = run(gripper({ type: 'parallelGripperCommand', action }), steps);
    const goal = await server.waitForGoal(1, 20_000);
    const { name, position, effort } = goal.request.command;
    expect([[...name], [...position], [...effort]]).toEqual([['joint7'], [0.02], [12]]);
    await goal.end('aborted');
    expect(await said(child, 'problem')).toEqual({
      code: 'commandRefused',
      message: 'The gripper: action /parallel/gripper_cmd ended position 0.0200 as aborted.',
    });
    expect(server.goals).toHaveLength(1);
  });

  test('of a forwarding controller gets one number per change', async () => {
    const topic = '/gripper/commands';
    const heard = await listen(topic, 'std_msgs/msg/Float64MultiArray');
    const config = gripper({ type: 'forwardPosition', topic, closed: 0.8, open: 0 });
    const { maxEffort, ...command } = (config['gripper'] as { command: Fields }).command;
    expect(maxEffort).toBe(12);
    const given = { ...config, gripper: { ...(config['gripper'] as Fields), command } };
    const child = run(given, [['heard'], ['check'], ['open'], want(1), want(1), want(0)]);
    await said(child, 'move', 3);
    expect(heard.messages.map(({ data }) => [...data])).toEqual([[0], [0.8]]);
  });
});

describe('inputs', () => {
  test('are counted with rate, refusals and publishers that are not heard', async () => {
    const image = {
      ...{ header: { stamp: { sec: 5, nanosec: 0 }, frame_id: 'front' }, height: 2, width: 2 },
      ...{ encoding: 'rgb8', step: 6, data: Buffer.alloc(12) },
    };
    const bestEffort = { reliability: 'bestEffort' } as const;
    const cameras = {
      front: { topic: '/front', type: 'image', stampSource: 'receipt' },
      side: { topic: '/side', type: 'image', qos: { reliability: 'reliable' } },
      broken: { topic: '/broken', type: 'image' },
    };
    const type = 'sensor_msgs/msg/Image';
    const stops = [
      await peer.publishRate('/front', type, image, 30, { qos: bestEffort }),
      await peer.publishRate('/side', type, image, 30, { qos: bestEffort }),
      await peer.publishRate('/broken', type, { ...image, width: 9 }, 30, { qos: bestEffort }),
    ];
    const child = run(robotYaml({ cameras }), [
      ['heard'],
      ['wait', { seconds: 2 }],
      ['inputs'],
      ['received'],
    ]);
    const inputs: Message[] = await said(child, 'inputs');
    const [joints, front, side, broken] = inputs;
    expect(joints.hz).toBeGreaterThan(80);
    expect([front.refused, front.unheard, front.publishers]).toEqual([0, [], 1]);
    expect(front.hz).toBeGreaterThan(20);
    expect([side.count, side.unheard]).toEqual([
      0,
      ['/test_peer publishes best effort, reliable is asked for: set qos in robot.yaml'],
    ]);
    expect(broken.refused).toBe(broken.count);
    expect(broken.lastReceivedNs).toBeNull();
    expect(child.output.match(/^refused /gm)).toHaveLength(1);
    // Stamped at receipt, not in the year 1970.
    const { images } = await said(child, 'received');
    expect(Math.abs(images.front.stampNs / 1e9 - Date.now() / 1000)).toBeLessThan(5);
    await Promise.all(stops.map((stop) => stop()));
  });
});
