import { describe, expect, it } from '@jest/globals';
import { forward } from '../../src/arm/kinematics.js';
import type { Config } from '../../src/config.js';
import { Aligner } from '../../src/control/align.js';
import type { Instant } from '../../src/control/clock.js';
import type { DeskObserver, TraceSchedule } from '../../src/control/desk.js';
import { lockstepInstant, runLockstep, type LockstepResult } from '../../src/control/lockstep.js';
import { ControlLoop, type Tick } from '../../src/control/loop.js';
import * as vec3 from '../../src/math/vec3.js';
import { Guard } from '../../src/safety/guard.js';
import type { Reason, Vec3 } from '../../src/types.js';
import { HOME, testArm, testConfig } from '../support/controlRobot.js';
import { FakeClock } from '../support/fakeClock.js';
import { LaggingArm } from '../support/laggingArm.js';
import { ScriptedPolicy, towards } from '../support/scriptedPolicy.js';

const MS = 1_000_000n;
const START = forward(testArm, HOME).translation;
const GOAL: Vec3 = vec3.add(START, [0.05, 0.12, -0.06]);

interface Run {
  readonly result: LockstepResult;
  readonly ticks: Tick[];
  readonly refusals: Reason[];
  readonly robot: LaggingArm;
  readonly policy: ScriptedPolicy;
  readonly loop: ControlLoop;
}

async function run({
  config = testConfig(),
  policy = new ScriptedPolicy(towards(GOAL)),
  maxTicks = 150,
  until = () => null,
  traces,
  observer,
  clock = new FakeClock(),
}: {
  config?: Config;
  policy?: ScriptedPolicy;
  maxTicks?: number;
  until?: (at: Instant, robot: LaggingArm, loop: ControlLoop) => string | null;
  traces?: TraceSchedule;
  observer?: DeskObserver;
  clock?: FakeClock;
} = {}): Promise<Run> {
  const robot = new LaggingArm();
  const aligner = new Aligner({
    config,
    arm: testArm,
    nowNs: () => lockstepInstant(robot).nowNs,
  });
  const ticks: Tick[] = [];
  const refusals: Reason[] = [];
  const loop = new ControlLoop({
    config,
    arm: testArm,
    guard: new Guard(config, testArm, null),
    aligner,
    robot,
    observer: {
      onTick: (tick) => ticks.push(tick),
      onRefusal: (reason) => refusals.push(reason),
    },
  });
  await robot.start(aligner);
  aligner.onInstruction('reach the point');
  const result = await runLockstep({
    robot,
    loop,
    policy,
    config,
    clock,
    until: (at) => until(at, robot, loop),
    maxTicks,
    ...(traces && { traces }),
    ...(observer && { observer }),
  });
  await robot.stop();
  return { result, ticks, refusals, robot, policy, loop };
}

/** All that happened, as text: equal exactly where two runs were the same to the last bit. */
function transcript({ ticks }: Run): string {
  return JSON.stringify(ticks, (_key, value: unknown) =>
    typeof value === 'bigint' ? `${value.toString()}n` : value,
  );
}

describe('a lock-step run', () => {
  it('moves the tool to where the policy wants it, closes the gripper and rests there', async () => {
    const { robot, result, loop } = await run();
    const at = forward(testArm, robot.position).translation;
    expect(vec3.distance(at, GOAL)).toBeLessThan(2e-3);
    expect(robot.opening).toBe(0);
    // The run is over: a next one tells the gripper anew.
    expect(loop.gripper).toBeNull();
    expect(result).toMatchObject({ ended: 'maxTicks', ticks: 150 });
    const last = robot.commands.at(-1)!;
    expect(last.kind === 'joint' && Math.hypot(...last.velocity)).toBeLessThan(1e-6);
  });

  it('is the same to the last bit when repeated', async () => {
    expect(transcript(await run())).toBe(transcript(await run()));
  });

  it('is the same whatever real time its answers take', async () => {
    const slow = new ScriptedPolicy(async (observation) => {
      await new Promise((resolve) => setTimeout(resolve, 3));
      return towards(GOAL)(observation);
    });
    expect(transcript(await run({ policy: slow, maxTicks: 60 }))).toBe(
      transcript(await run({ maxTicks: 60 })),
    );
  });

  it('takes answers at the first tick at or after observation stamp + latency', async () => {
    const delays: bigint[] = [];
    await run({
      observer: {
        onAction: (_answer, { observation }, notPlayed, at) => {
          expect(notPlayed).toBeNull();
          delays.push(at.stampNs - observation.stampNs);
        },
      },
    });
    // 3 s at nine tenths of 0.2 s each.
    expect(delays.length).toBe(17);
    // Latency 40 ms; images every 40 ms, ticks every 20 ms: a request's image may be 20 ms old, never less than its due.
    expect(new Set(delays)).toEqual(new Set([40n * MS]));
  });

  it('asks once per policy period, up to a tenth early, and never while an answer is under way', async () => {
    const config = testConfig();
    const slow = {
      ...config,
      control: { ...config.control, lockstepLatency: 1 },
      guard: { ...config.guard, maxObservationAge: 2 },
    };
    const fast = await run();
    expect(fast.policy.asked.length).toBe(17);
    const { policy, ticks } = await run({ config: slow });
    // 3 s at 1 s each, the first after the first tick.
    expect(policy.asked.length).toBe(3);
    expect(policy.mostAtOnce).toBe(1);
    expect(ticks.some(({ target }) => target.kind === 'joint')).toBe(true);
  });

  it('asks for traces at their own pace and takes them at their own latency', async () => {
    const traced: bigint[] = [];
    const { policy } = await run({
      traces: {
        period: 1,
        lockstepLatency: 0.3,
        what: () => ({ camera: 'front', marks: [{ id: 1, at: { x: 3, y: 4 } }] }),
      },
      observer: {
        onTrace: (answer, observation, at) => {
          expect(answer.ok).toBe(true);
          traced.push(at.stampNs - observation.stampNs);
        },
      },
    });
    expect(policy.tracesAsked).toHaveLength(3);
    expect(policy.tracesAsked[0]!.marks).toEqual([{ id: 1, at: { x: 3, y: 4 } }]);
    expect(traced.length).toBe(3);
    expect(traced.every((delay) => delay >= 300n * MS && delay <= 320n * MS)).toBe(true);
  });

  it('ends where its condition says, and brings the arm to rest first', async () => {
    const { result, robot, ticks } = await run({
      until: (_at, { position }) =>
        vec3.distance(forward(testArm, position).translation, START) > 0.03 ? 'far enough' : null,
    });
    expect(result).toMatchObject({ ended: 'until', because: 'far enough' });
    expect(ticks.length).toBeGreaterThan(result.ticks);
    const last = robot.commands.at(-1)!;
    expect(last.kind === 'joint' && Math.hypot(...last.velocity)).toBeLessThan(1e-6);
  });

  it('says why it could not begin', async () => {
    const config = testConfig();
    const robot = new LaggingArm();
    robot.silent.add('joints');
    const aligner = new Aligner({ config, arm: testArm, nowNs: () => robot.stampNs });
    const guard = new Guard(config, testArm, null);
    const loop = new ControlLoop({ config, arm: testArm, guard, aligner, robot });
    await robot.start(aligner);
    const result = await runLockstep({
      robot,
      loop,
      policy: new ScriptedPolicy(towards(GOAL)),
      config,
      clock: new FakeClock(),
      until: () => null,
      maxTicks: 10,
    });
    expect(result.ended).toBe('notActivated');
    expect(result.because).toMatch(/joint/i);
    expect(robot.commands).toEqual([]);
  });

  it('sends nothing in a dry run', async () => {
    const { robot, ticks } = await run({ config: testConfig({ dryRun: true }) });
    expect(robot.commands).toEqual([]);
    expect(ticks.length).toBeGreaterThan(100);
    expect(ticks.every(({ sent }) => !sent)).toBe(true);
    expect(robot.position).toEqual(HOME);
  });
});

describe('commands of a closed loop, through inverse kinematics and the guard', () => {
  const cases = [
    { name: '0.2 periods', latency: 0.04 },
    { name: '1 period', latency: 0.2 },
    { name: '5 periods', latency: 1 },
  ];
  for (const { name, latency } of cases) {
    it(`neither joint position nor velocity jumps: K = 1 at ${name}`, async () => {
      const config = testConfig();
      const { robot } = await run({
        config: {
          ...config,
          control: { ...config.control, lockstepLatency: latency },
          guard: { ...config.guard, maxObservationAge: 2 },
        },
        maxTicks: 300,
      });
      const joints = robot.commands.map((command) => {
        if (command.kind !== 'joint') throw new Error('expected joint commands');
        return command.position;
      });
      const dt = 0.02;
      let [fastest, hardest] = [0, 0];
      for (let n = 2; n < joints.length; n++)
        for (let i = 0; i < HOME.length; i++) {
          const [a, b, c] = [joints[n - 2]![i]!, joints[n - 1]![i]!, joints[n]![i]!];
          fastest = Math.max(fastest, Math.abs(c - b) / dt);
          hardest = Math.max(hardest, Math.abs(c - 2 * b + a) / dt ** 2);
        }
      expect(fastest).toBeGreaterThan(0.05);
      expect(fastest).toBeLessThan(3);
      // The limit of every joint is 40 rad/s²; a jump of 0.1 rad/s in one tick would be 5 rad/s² alone.
      expect(hardest).toBeLessThan(40);
      const at = forward(testArm, robot.position).translation;
      expect(vec3.distance(at, GOAL)).toBeLessThan(latency > 0.1 ? 0.05 : 2e-3);
    });
  }
});
