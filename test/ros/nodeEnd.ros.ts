/** How the node ends, and what the arm does then: asked to, killed, or frozen. And what is left to read afterwards. */
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { spawnNode } from './child.js';
import type { Message, PeerGoal } from './peer.js';
import { farthest, MOVING, OUTCOME, pause, REST, restsWithin, Stage } from './stage.js';

let stage: Stage;
beforeAll(async () => {
  stage = await Stage.open();
}, 120_000);
afterEach(async () => {
  if (stage.node.isRunning) await stage.stopNode();
});
afterAll(() => stage.close());

/** An active node whose arm moves fast. */
async function moving(): Promise<PeerGoal> {
  await stage.startNode();
  const text = await stage.scene(700_001);
  stage.forget();
  const goal = await stage.goal(text);
  await stage.moving(0.8);
  return goal;
}

const lastCommand = (): Message => stage.commands.messages.at(-1);

describe.each(['SIGINT', 'SIGTERM'] as const)('%s in mid-motion', (signal) => {
  test('the arm rests before the process ends, with code 0', async () => {
    const goal = await moving();
    const asked = Date.now();
    stage.node.kill(signal);
    expect(await stage.node.exited).toEqual({ code: 0, signal: null });
    // Logged when the arm is at rest and let go of; the process ends after that.
    const rested = await stage.logged(/shutdown: now finalized/);
    expect(rested).toBeLessThan(BigInt(Date.now()) * 1_000_000n);
    expect(await stage.speedFrom(rested)).toBeLessThan(REST);
    const stopped = stage.restAfter(asked);
    expect(stopped.fastest).toBeGreaterThan(MOVING);
    expect(stopped.seconds).toBeLessThan(0.6);
    expect(await goal.result).toMatchObject({ result: { outcome: OUTCOME.stopped } });

    const { points } = lastCommand();
    expect([...points.at(-1).velocities]).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(points).toHaveLength(1);
    expect(farthest(points[0].positions, stage.arm)).toBeLessThan(0.02);
    await pause(500);
    expect(await stage.peer.nodes()).not.toContain('/magma_vla');
  }, 120_000);
});

test('SIGKILL in mid-motion: the arm brakes by itself where the last trajectory ends', async () => {
  for (let time = 0; time < 3; time++) {
    await moving();
    const killed = Date.now();
    stage.node.kill('SIGKILL');
    expect(await stage.node.exited).toEqual({ code: null, signal: 'SIGKILL' });
    await pause(1000);
    const stopped = stage.restAfter(killed);
    expect(stopped.fastest).toBeGreaterThan(MOVING);
    expect(stopped.seconds).toBeLessThan(restsWithin(stopped.fastest, 0));
    const last = lastCommand().points.at(-1);
    expect([...last.velocities]).toEqual([0, 0, 0, 0, 0, 0, 0]);
    expect(farthest(last.positions, stage.arm)).toBeLessThan(0.02);
    expect((await stage.watch(500)).fastest).toBeLessThan(REST);
  }
}, 180_000);

test('a node that is frozen in mid-motion and wakes up again has stopped, until ~/rearm', async () => {
  const goal = await moving();
  const frozen = Date.now();
  stage.node.kill('SIGSTOP');
  await pause(1500);
  const stopped = stage.restAfter(frozen);
  expect(stopped.fastest).toBeGreaterThan(MOVING);
  expect(stopped.seconds).toBeLessThan(restsWithin(stopped.fastest, 0));
  const at = stage.arm;
  stage.node.kill('SIGCONT');
  expect(await goal.result).toMatchObject({ result: { outcome: OUTCOME.stopped } });
  expect((await stage.watch(1500)).fastest).toBeLessThan(REST);
  expect(farthest(stage.arm, at)).toBeLessThan(0.005);
  expect(stage.status.messages.at(-1)).toMatchObject({ state: 'latched' });
  expect(await stage.trigger('rearm')).toMatchObject({ success: true });
  expect((await stage.watch(1000)).fastest).toBeLessThan(REST);
  const next = await stage.goal(await stage.scene(700_001));
  await stage.moving();
  await next.cancel();
}, 120_000);

test('the simulation gone in mid-motion: the node latches, answers, and ends when asked', async () => {
  const goal = await moving();
  await stage.stopSimulator();
  const { status, result } = await goal.result;
  expect([status, result.outcome]).toEqual(['aborted', OUTCOME.stopped]);
  await stage.status.waitFor((s) => s.state === 'latched' && s.outcome === 2, 5000);
  expect((await stage.goal('pick the red block')).accepted).toBe(false);
  stage.node.kill('SIGINT');
  // It is not known whether the arm rests, and that is what the exit code says.
  expect(await stage.node.exited).toEqual({ code: 1, signal: null });
  await stage.startSimulator();
}, 120_000);

test('a halt leaves a black box that replay reads', async () => {
  const goal = await moving();
  await pause(2000);
  const before = existsSync(stage.blackBox) ? readdirSync(stage.blackBox) : [];
  await stage.trigger('stop');
  await goal.result;
  const told = await stage.node.waitForOutput(/ (\/\S+\.mcap)/, 20_000);
  const file = told[1]!;
  expect(file.startsWith(join(stage.blackBox, 'blackBox_'))).toBe(true);
  expect(readdirSync(stage.blackBox).length).toBe(before.length + 1);
  await stage.stopNode();

  // The model answers what it answered then, from what the file holds.
  const flags = ['--config', stage.configFile, '--parity', '--json'];
  const replay = spawnNode(['replay', file, ...flags]);
  expect(await replay.exited).toEqual({ code: 0, signal: null });
  const report: Message = JSON.parse(replay.output.trim().split('\n').at(-1)!);
  expect(report).toMatchObject({ answerDiffers: 0, inputsMissing: 0, observationDiffers: 0 });
  expect(report.predictions).toBeGreaterThan(5);
  expect(report.equal).toBe(report.predictions);
}, 180_000);
