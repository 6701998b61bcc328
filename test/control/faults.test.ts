/**
 * What happens when something fails while the arm moves, in real time under an injected clock: every fault halts or is
 * refused within its deadline, and says why.
 */
import { describe, expect, it } from '@jest/globals';
import { forward } from '../../src/arm/kinematics.js';
import { Aligner } from '../../src/control/align.js';
import { ControlLoop, type Tick } from '../../src/control/loop.js';
import { runWall, type WallResult } from '../../src/control/wall.js';
import * as vec3 from '../../src/math/vec3.js';
import { Guard } from '../../src/safety/guard.js';
import type { ActionPrediction, Answer, Observation, Reason, Vec3 } from '../../src/types.js';
import { HOME, prediction, testArm, testConfig } from '../support/controlRobot.js';
import { FakeClock } from '../support/fakeClock.js';
import { LaggingArm } from '../support/laggingArm.js';
import { ScriptedPolicy, towards } from '../support/scriptedPolicy.js';

const MS = 1_000_000n;
const S = 1000n * MS;
const START = forward(testArm, HOME).translation;
const FAR: Vec3 = vec3.add(START, [0.05, 0.12, -0.06]);
/** Braking from the speeds seen here takes well under this; the control period is 20 ms. */
const BRAKING = 200n * MS;

/** One wall-clock run under way, and what it said so far. */
class Scene {
  readonly config = testConfig();
  readonly robot = new LaggingArm(105_000_000_000n);
  readonly clock = new FakeClock((ns) => this.robot.step(ns));
  readonly aligner = new Aligner({
    config: this.config,
    arm: testArm,
    nowNs: () => this.clock.now().nowNs,
  });
  readonly guard = new Guard(this.config, testArm, null);
  readonly ticks: Tick[] = [];
  readonly refusals: Reason[] = [];
  readonly loop = new ControlLoop({
    config: this.config,
    arm: testArm,
    guard: this.guard,
    aligner: this.aligner,
    robot: this.robot,
    observer: {
      onTick: (tick) => this.ticks.push(tick),
      onRefusal: (reason) => this.refusals.push(reason),
    },
  });
  readonly policy: ScriptedPolicy;
  #ending: string | null = null;
  #run: Promise<WallResult> | null = null;

  constructor(policy = new ScriptedPolicy(towards(FAR))) {
    this.policy = policy;
  }

  /** Starts, and lets the arm move for 500 ms. */
  async moving(): Promise<this> {
    await this.begin();
    await this.clock.pass(500n * MS);
    expect(this.speed()).toBeGreaterThan(0.05);
    return this;
  }

  async begin(): Promise<this> {
    await this.robot.start(this.aligner);
    this.aligner.onInstruction('reach the point');
    this.#run = runWall({
      loop: this.loop,
      policy: this.policy,
      config: this.config,
      clock: this.clock,
      until: () => this.#ending,
    });
    await this.clock.pass(0n);
    return this;
  }

  async end(): Promise<WallResult> {
    this.#ending = 'the test is over';
    // 3 s to come to rest in, where readings do not say that it rests.
    await this.clock.pass(3n * S + 100n * MS);
    return this.#run!;
  }

  get last(): Tick {
    return this.ticks.at(-1)!;
  }

  /** rad/s over all joints, as last commanded. */
  speed(tick: Tick = this.last): number {
    const { command } = tick.verdict;
    if (command.kind !== 'joint') throw new Error('expected joint commands');
    return Math.hypot(...command.velocity);
  }

  codes(): readonly string[] {
    return this.refusals.map(({ code }) => code);
  }

  whyHalted(): readonly string[] {
    return this.last.verdict.reasons.map(({ message }) => message);
  }
}

describe('a policy that fails', () => {
  it('hangs: refused at its deadline, the arm at rest long before, and it is asked again', async () => {
    const scene = await new Scene().moving();
    scene.policy.answer = () => new Promise(() => undefined);
    await scene.clock.pass(600n * MS);
    // The last step and its settling are over: at rest, with nothing new.
    expect(scene.speed()).toBeLessThan(1e-6);
    await scene.clock.pass(800n * MS);
    expect(scene.codes()).toEqual(['deadline']);
    expect(scene.refusals[0]!.message).toBe('policy scripted gave no answer within 1000 ms');
    expect(scene.whyHalted()).toEqual([
      'Coming to rest: policy scripted gave no answer within 1000 ms.',
    ]);
    // The hung request counts as under way until its deadline only.
    const asked = scene.policy.asked.length;
    scene.policy.answer = towards(FAR);
    await scene.clock.pass(1200n * MS);
    expect(scene.policy.asked.length).toBeGreaterThan(asked + 1);
    const { translation } = forward(testArm, scene.robot.position);
    expect(vec3.distance(translation, FAR)).toBeLessThan(2e-3);
    await scene.end();
  });

  it('crashes: refused at once with what it said', async () => {
    const scene = await new Scene().moving();
    scene.policy.answer = () => Promise.reject(new Error('worker exited with code 1'));
    await scene.clock.pass(800n * MS);
    expect(new Set(scene.codes())).toEqual(new Set(['workerFailed']));
    expect(scene.refusals[0]!.message).toBe('policy scripted failed: worker exited with code 1');
    expect(scene.speed()).toBeLessThan(1e-6);
    await scene.end();
  });

  it('answers in prose: refused, counted once per answer, and the arm comes to rest', async () => {
    const scene = await new Scene().moving();
    scene.policy.answer = () =>
      Promise.resolve({
        ok: false,
        refusal: { kind: 'malformedAnswer', message: 'got "The robot should", expected 7 actions' },
      });
    await scene.clock.pass(1000n * MS);
    expect(scene.loop.counts.get('malformedAnswer')).toBe(5);
    expect(scene.speed()).toBeLessThan(1e-6);
    expect(scene.whyHalted()).toEqual([
      'Coming to rest: got "The robot should", expected 7 actions.',
    ]);
    await scene.end();
  });

  it('answers NaN: nothing of it is played', async () => {
    const scene = await new Scene().moving();
    scene.policy.answer = (observation) =>
      Promise.resolve({ ok: true, value: withStep(observation, [0.01, NaN, 0]) });
    await scene.clock.pass(800n * MS);
    expect(new Set(scene.codes())).toEqual(new Set(['nonFiniteAction']));
    expect(scene.speed()).toBeLessThan(1e-6);
    for (const { verdict } of scene.ticks)
      if (verdict.command.kind === 'joint')
        expect(verdict.command.position.every(Number.isFinite)).toBe(true);
    await scene.end();
  });

  it('is sure to a degree that is no number: the guard halts and latches', async () => {
    const scene = await new Scene().moving();
    scene.policy.answer = (observation) =>
      Promise.resolve({ ok: true, value: withStep(observation, [0.01, 0, 0], NaN) });
    await scene.clock.pass(400n * MS);
    expect(scene.last.verdict.outcome).toBe('halt');
    expect(scene.guard.latched?.code).toBe('predictionInvalid');
    await scene.end();
  });

  it('answers an earlier episode: dropped', async () => {
    const scene = await new Scene().moving();
    let reply: (answer: Answer<ActionPrediction>) => void = () => undefined;
    scene.policy.answer = () => new Promise((resolve) => (reply = resolve));
    await scene.clock.pass(300n * MS);
    const asked = scene.policy.asked.at(-1)!;
    scene.aligner.onInstruction('another task');
    await scene.clock.pass(100n * MS);
    reply({ ok: true, value: withStep(asked, [0.05, 0, 0]) });
    scene.policy.answer = () => new Promise(() => undefined);
    await scene.clock.pass(300n * MS);
    expect(scene.codes()).toEqual(['staleEpisode']);
    expect(scene.refusals[0]!.message).toBe('an action of episode 1 came in episode 2');
    expect(scene.policy.episodes).toEqual([1, 2]);
    expect(scene.speed()).toBeLessThan(1e-6);
    await scene.end();
  });

  it('answers another observation than it was asked about: refused', async () => {
    const scene = await new Scene().moving();
    scene.policy.answer = (observation) =>
      Promise.resolve({
        ok: true,
        value: withStep({ ...observation, stampNs: observation.stampNs - 7n }, [0.05, 0, 0]),
      });
    await scene.clock.pass(400n * MS);
    expect(new Set(scene.codes())).toEqual(new Set(['malformedAnswer']));
    await scene.end();
  });
});

describe('a robot that falls silent', () => {
  it('camera: no action after maxObservationAge, the arm comes to rest and names the camera', async () => {
    const scene = await new Scene().moving();
    scene.robot.silent.add('camera');
    // 0.6 s of patience, one policy period to notice, one to play and one to settle what was accepted last.
    await scene.clock.pass(600n * MS + 3n * 200n * MS + BRAKING);
    expect(scene.speed()).toBeLessThan(1e-6);
    expect(scene.codes()).toContain('cameraSilent');
    expect(scene.whyHalted()[0]).toMatch(
      /^Coming to rest: camera front: silent for \d\.\d+ s; at most 0\.6 s is accepted\.$/,
    );
    scene.robot.silent.clear();
    await scene.clock.pass(300n * MS);
    expect(scene.last.target.kind).toBe('joint');
    await scene.end();
  });

  it('joints: halted and latched within maxJointAge and one tick, at rest soon after', async () => {
    const scene = await new Scene().moving();
    scene.robot.silent.add('joints');
    const before = scene.ticks.length;
    await scene.clock.pass(100n * MS + 20n * MS);
    expect(scene.last.verdict.outcome).toBe('halt');
    expect(scene.guard.latched?.code).toBe('measurementStale');
    await scene.clock.pass(BRAKING);
    expect(scene.speed()).toBeLessThan(1e-6);
    expect(scene.ticks.length).toBeGreaterThan(before);
    // Nobody knows whether an arm rests that says nothing.
    expect((await scene.end()).atRest).toBe(false);
  });
});

describe('clocks that jump', () => {
  it('the ROS clock back by 5 s: halted at the next tick, readings forgotten, a new episode', async () => {
    const scene = await new Scene().moving();
    const { episode } = scene.aligner;
    scene.clock.jumpStamps(-5n * S);
    scene.robot.jump(-5n * S);
    await scene.clock.pass(20n * MS);
    expect(scene.last.verdict.outcome).toBe('halt');
    expect(scene.guard.latched?.code).toBe('stampBackwards');
    expect(scene.aligner.episode).toBeGreaterThan(episode);
    await scene.clock.pass(BRAKING);
    expect(scene.speed()).toBeLessThan(1e-6);
    expect(scene.codes()).toContain('clockJump');
    await scene.end();
  });

  it('the ROS clock forward by 5 s: what was played is dropped, the arm comes to rest', async () => {
    const scene = await new Scene().moving();
    scene.clock.jumpStamps(5n * S);
    await scene.clock.pass(20n * MS);
    expect(scene.last.target).toEqual({
      kind: 'rest',
      because: 'the clock of the stamps jumped by 5.000 s',
      gripper: null,
    });
    // The robot's stamps stay behind: everything seen is 5 s old now.
    await scene.clock.pass(1000n * MS);
    expect(scene.codes()).toContain('staleObservation');
    expect(scene.speed()).toBeLessThan(1e-6);
    await scene.end();
  });

  it('the steady clock back: halted and latched at that tick', async () => {
    const scene = await new Scene().moving();
    const { nowNs, stampNs } = scene.clock.now();
    const verdict = scene.loop.tick({ nowNs: nowNs - S, stampNs });
    expect(verdict.outcome).toBe('halt');
    expect(scene.guard.latched?.code).toBe('steadyClockBackwards');
    expect(scene.codes()).toContain('clockJump');
  });
});

describe('the loop itself', () => {
  it('falls silent: the watchdog takes its place within 1.5 times its limit, and the guard latches', async () => {
    const scene = await new Scene().moving();
    scene.clock.loseNextSleep();
    const before = scene.clock.now().nowNs;
    await scene.clock.pass(150n * MS + 20n * MS);
    expect(scene.guard.latched?.code).toBe('tickGap');
    expect(scene.codes()).toContain('tickGap');
    expect(scene.last.nowNs).toBeGreaterThan(before);
    // It goes on ticking in the loop's place, until the arm is at rest and beyond.
    await scene.clock.pass(1000n * MS);
    expect(scene.speed()).toBeLessThan(1e-6);
  });

  it('reports lateness of ticks, and how often it was asked', async () => {
    const scene = await new Scene().moving();
    const result = await scene.end();
    expect(result).toMatchObject({ ended: 'until', because: 'the test is over', missedTicks: 0 });
    expect(result.jitterMs.percentile(99)).toBe(0);
    expect(scene.policy.mostAtOnce).toBe(1);
    expect(scene.speed()).toBeLessThan(1e-6);
  });
});

function withStep(observation: Observation, translation: Vec3, confidence = 0.9): ActionPrediction {
  return prediction(
    observation,
    {
      kind: 'endEffectorDelta',
      stepPeriodNs: 200n * MS,
      frameId: 'base',
      reference: 'observedPose',
      composition: 'base',
      steps: [{ translation, rotation: [0, 0, 0], gripper: 1 }],
    },
    confidence,
  );
}
