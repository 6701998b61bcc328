import { describe, expect, it } from '@jest/globals';
import { parseConfig } from '../../../src/config.js';
import { GoalOutput } from '../../../src/robot/ros/outputs/goalOutput.js';
import type { RosNode, SentGoal } from '../../../src/robot/ros/ros.js';
import type { ArmCommand } from '../../../src/types.js';
import { jointConfig, planarArm } from '../../safety/robots.js';

const MS = 1_000_000n;
const { arm } = planarArm(2);
const limits = { lower: -2, upper: 2, velocity: 1, acceleration: 2, jerk: 20 };
/** At 50 Hz, the lead of 2 periods is 40 ms. */
const config = parseConfig(
  JSON.stringify({
    ...jointConfig(arm, limits),
    command: { type: 'followJointTrajectory', action: '/follow', leadPeriods: 2 },
  }),
  'test',
);

/** A server that answers when the test says so, and a clock that the test turns. */
function bench() {
  const asked: { readonly position: number; readonly answer: (goal: SentGoal | null) => void }[] =
    [];
  const clock = { ms: 0n };
  let isReady = true;
  const client = {
    isReady: () => isReady,
    send: (goal: { trajectory: { points: { positions: number[] }[] } }) =>
      new Promise<SentGoal | null>((answer) => {
        asked.push({ position: goal.trajectory.points[0]!.positions[0]!, answer });
      }),
    dispose: () => undefined,
  };
  const node = { resolve: (name: string) => name, actionClient: () => client };
  const now = () => ({ nowNs: clock.ms * MS, stampNs: 0n });
  if (config.command?.type !== 'followJointTrajectory') throw new Error('another command');
  const options = { node: node as unknown as RosNode, config, arm, now };
  const output = new GoalOutput(options, config.command, []);
  output.begin(0n);
  return {
    asked,
    output,
    send: (ms: bigint, position: number, velocity: number): void => {
      clock.ms = ms;
      const command = { kind: 'joint', names: ['j1', 'j2'], nowNs: ms * MS, gripper: null };
      output.send(
        { ...command, position: [position, 0], velocity: [velocity, 0] } as unknown as ArmCommand,
        now(),
      );
    },
    /** The server takes the newest goal, or refuses it. */
    answer: async (ms: bigint, takes: 'takes' | 'refuses' = 'takes'): Promise<void> => {
      clock.ms = ms;
      const goal: SentGoal = {
        id: String(asked.length),
        result: new Promise(() => undefined),
        cancel: () => Promise.resolve(),
      };
      asked.at(-1)!.answer(takes === 'takes' ? goal : null);
      await new Promise(setImmediate);
    },
    problem: (ms: bigint) => output.problem(ms * MS),
    serve: (ready: boolean): void => {
      isReady = ready;
    },
  };
}

const late = {
  code: 'commandRefused',
  message: 'action /follow: no answer to a goal within the lead of 0.040 s.',
};

describe('goals to a server that answers slowly', () => {
  it('wait for the answer, the newest alone, while the lead lasts', async () => {
    const { asked, send, answer, problem } = bench();
    send(0n, 0.1, 0.5);
    send(20n, 0.11, 0.5);
    send(40n, 0.12, 0.5);
    expect(problem(40n)).toBeNull();
    expect(asked.map(({ position }) => position)).toEqual([0.1]);
    await answer(40n);
    // It counts from when it was sent, not from when its command was made.
    expect(problem(75n)).toBeNull();
    expect(asked.map(({ position }) => position)).toEqual([0.1, 0.12]);
  });

  it('are refused after the lead while the arm moves, and nothing more is sent until it begins anew', async () => {
    const { asked, output, send, answer, problem } = bench();
    send(0n, 0.1, 0.5);
    send(20n, 0.11, 0.5);
    expect(problem(40n)).toBeNull();
    expect(problem(41n)).toEqual(late);
    await answer(50n);
    send(60n, 0.12, 0.4);
    expect([asked.length, problem(60n)]).toEqual([1, late]);
    output.begin(100n * MS);
    expect(problem(100n)).toBeNull();
    send(100n, 0.1, 0);
    expect(asked.map(({ position }) => position)).toEqual([0.1, 0.1]);
  });

  it('are refused where the answer itself shows it, between two ticks', async () => {
    const { asked, send, answer, problem } = bench();
    send(0n, 0.1, 0.5);
    send(40n, 0.12, 0.5);
    await answer(55n);
    expect([asked.length, problem(60n)]).toEqual([1, late]);
  });

  it('may wait while the arm rests, until it is to move', () => {
    const { send, problem } = bench();
    send(0n, 0.1, 0);
    send(300n, 0.1, 0);
    expect(problem(500n)).toBeNull();
    send(520n, 0.101, 0.05);
    expect(problem(520n)).toEqual(late);
  });

  it('are not waited for by a new stream on behalf of an old one that is still unanswered', async () => {
    const { asked, output, send, answer, problem } = bench();
    send(0n, 0.1, 0.5);
    expect(problem(50n)).toEqual(late);
    output.begin(100n * MS);
    send(100n, 0.2, 0);
    expect(problem(500n)).toBeNull();
    send(520n, 0.201, 0.05);
    expect(problem(520n)).toEqual(late);
    await answer(600n);
    expect(asked).toHaveLength(1);
  });
});

describe('after a refusal', () => {
  it('nothing that waited is sent', async () => {
    const { asked, send, answer, problem } = bench();
    send(0n, 0.1, 0.5);
    send(20n, 0.11, 0.5);
    await answer(25n, 'refuses');
    expect([asked.length, problem(25n)?.message]).toEqual([
      1,
      'action /follow: the server refused a goal.',
    ]);
    send(40n, 0.12, 0.4);
    expect(asked).toHaveLength(1);
  });

  it('or where the server is gone, nothing waits for its return', () => {
    const { asked, send, problem, serve } = bench();
    serve(false);
    send(0n, 0.1, 0.5);
    serve(true);
    send(20n, 0.11, 0.5);
    expect([asked, problem(20n)]).toEqual([
      [],
      { code: 'outputGone', message: 'The action server of action /follow is gone.' },
    ]);
  });
});
