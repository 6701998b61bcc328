/** When a policy is asked in real time: as pictures come, one request at a time, at the pace that robot.yaml wants. */
import { describe, expect, it } from '@jest/globals';
import type { Config } from '../../src/config.js';
import { forward } from '../../src/arm/kinematics.js';
import { Aligner } from '../../src/control/align.js';
import type { Instant } from '../../src/control/clock.js';
import { ControlLoop, type Tick } from '../../src/control/loop.js';
import { runWall, type WallResult } from '../../src/control/wall.js';
import * as vec3 from '../../src/math/vec3.js';
import { Guard } from '../../src/safety/guard.js';
import { HOME, JOINTS, testArm, testConfig, testImage } from '../support/controlRobot.js';
import { FakeClock } from '../support/fakeClock.js';
import { LaggingArm } from '../support/laggingArm.js';
import { ScriptedPolicy, towards } from '../support/scriptedPolicy.js';

const MS = 1_000_000n;
const FAR = vec3.add(forward(testArm, HOME).translation, [0.05, 0.12, -0.06]);

/** A wall-clock run whose ticks are 20 ms apart, with pictures that come when the test says. Times: ms since its start. */
class Scene {
  readonly config: Config;
  readonly robot = new LaggingArm(105_000_000_000n);
  readonly clock = new FakeClock((ns) => this.robot.step(ns));
  readonly policy: ScriptedPolicy;
  readonly aligner: Aligner;
  readonly loop: ControlLoop;
  readonly #start = this.clock.now();
  /** When the policy was asked, and the stamp of what it was asked about. */
  readonly asked: { readonly at: number; readonly stamp: number }[] = [];
  /** When answers came to be played, and the stamps of what they answer. */
  readonly played: { readonly at: number; readonly stamp: number }[] = [];
  readonly commanded: number[] = [];
  #ending: string | null = null;
  #run: Promise<WallResult> | null = null;

  /** `thinkingMs`: what the policy takes for an answer. */
  constructor({ config = testConfig(), thinkingMs = 5n } = {}) {
    this.config = config;
    this.robot.silent.add('camera');
    this.policy = new ScriptedPolicy(async (observation) => {
      await this.clock.sleepUntil(this.clock.now().nowNs + thinkingMs * MS);
      return towards(FAR)(observation);
    });
    this.aligner = new Aligner({ config, arm: testArm, nowNs: () => this.clock.now().nowNs });
    this.loop = new ControlLoop({
      config,
      arm: testArm,
      guard: new Guard(config, testArm, null),
      aligner: this.aligner,
      robot: this.robot,
      observer: { onTick: (tick) => this.#tick(tick) },
    });
  }

  /** Control has ticked at 20 (activation) and 40 ms when this resolves. */
  async begin(): Promise<this> {
    await this.robot.start(this.aligner);
    this.aligner.onInstruction('reach the point');
    this.#run = runWall({
      ...{ loop: this.loop, policy: this.policy, config: this.config, clock: this.clock },
      until: () => this.#ending,
      observer: {
        onRequest: ({ stampNs }, at) => {
          this.asked.push({ at: this.#ms(at), stamp: this.#stamp(stampNs) });
        },
        onAction: (_answer, { observation }, notPlayed, at) => {
          expect(notPlayed).toBeNull();
          this.played.push({ at: this.#ms(at), stamp: this.#stamp(observation.stampNs) });
        },
      },
    });
    await this.until(40);
    return this;
  }

  async until(ms: number): Promise<void> {
    const untilNs = this.#start.nowNs + BigInt(ms) * MS;
    await this.clock.pass(untilNs - this.clock.now().nowNs);
  }

  /** A picture that was seen at `stamp` comes at `at`. */
  async picture(at: number, stamp = at, camera = 'front'): Promise<void> {
    await this.until(at);
    this.aligner.onImage(camera, testImage(this.#start.stampNs + BigInt(stamp) * MS));
  }

  /** What the arm reports, of a stamp. */
  joints(stamp: number): void {
    const stampNs = this.#start.stampNs + BigInt(stamp) * MS;
    this.aligner.onJoints({
      ...{ stampNs, names: JOINTS, position: this.robot.position },
      ...{ velocity: null, effort: null },
    });
  }

  /** Ends the session at the next tick, and gives the arm its time to come to rest. */
  async end(): Promise<WallResult> {
    this.#ending = 'the test is over';
    await this.clock.pass(3200n * MS);
    return this.#run!;
  }

  get run(): Promise<WallResult> {
    return this.#run!;
  }

  #tick(tick: Tick): void {
    if (tick.prediction) this.commanded.push(this.#ms(tick));
  }

  #ms({ nowNs }: Instant): number {
    return Number(nowNs - this.#start.nowNs) / 1e6;
  }

  #stamp(stampNs: bigint): number {
    return Number(stampNs - this.#start.stampNs) / 1e6;
  }
}

describe('a picture', () => {
  it('is asked about when it comes, and its answer is played at the next tick', async () => {
    const scene = await new Scene().begin();
    // Seen at 43 ms, there at 47 ms; 5 ms to think. Asked about at a tick, it would be played at 80 ms.
    await scene.picture(47, 43);
    await scene.until(200);
    expect(scene.asked).toEqual([{ at: 47, stamp: 43 }]);
    expect(scene.played).toEqual([{ at: 60, stamp: 43 }]);
    expect(scene.commanded[0]).toBe(60);
    await scene.end();
  });

  it('that is there when the arm is taken up is asked about then, not a tick later', async () => {
    const scene = new Scene();
    await scene.picture(0);
    await scene.begin();
    expect(scene.asked).toEqual([{ at: 20, stamp: 0 }]);
    expect(scene.played).toEqual([{ at: 40, stamp: 0 }]);
    // 0.9 periods after the first one came, not after it was asked about.
    await scene.picture(181);
    expect(scene.asked.at(-1)).toEqual({ at: 181, stamp: 181 });
    await scene.end();
  });

  it('of before an instruction makes way for the next one, so that no action is cut short', async () => {
    const scene = new Scene();
    await scene.begin();
    scene.aligner.onInstruction('');
    for (const ms of [50, 250, 450]) await scene.picture(ms);
    await scene.until(530);
    scene.aligner.onInstruction('reach the other point');
    await scene.picture(650);
    await scene.picture(850);
    await scene.until(900);
    expect(scene.asked).toEqual([650, 850].map((ms) => ({ at: ms, stamp: ms })));
    await scene.end();
  });

  it('of before an instruction is asked about where no other comes within a period', async () => {
    const scene = new Scene();
    await scene.begin();
    scene.aligner.onInstruction('');
    await scene.picture(450);
    await scene.until(530);
    scene.aligner.onInstruction('reach the other point');
    await scene.until(760);
    // 1.1 periods after it came.
    expect(scene.asked).toEqual([{ at: 680, stamp: 450 }]);
    await scene.end();
  });

  it('that comes too soon after the last request is asked about at the first tick that is due', async () => {
    const scene = await new Scene().begin();
    await scene.picture(47);
    // Not due before 47 + 0.9 · 200 ms; the next one would come at 347 ms, later than 1.1 periods after the request.
    await scene.picture(197);
    await scene.until(300);
    expect(scene.asked).toEqual([
      { at: 47, stamp: 47 },
      { at: 240, stamp: 197 },
    ]);
    await scene.end();
  });

  it('that had to wait does not make the next ones late', async () => {
    const scene = await new Scene().begin();
    await scene.picture(47);
    // Too soon, and then 38 ms late: a period from then on would be over at 440 ms, after the next one has come.
    await scene.picture(222);
    scene.policy.answer = towards(FAR);
    await scene.picture(402);
    await scene.picture(602);
    await scene.until(700);
    expect(scene.asked).toEqual(
      [47, 240, 402, 602].map((at, n) => ({ at, stamp: n === 1 ? 222 : at })),
    );
    await scene.end();
  });

  it('that waits makes way for one that comes by the time the period is over', async () => {
    const scene = await new Scene().begin();
    for (let n = 0; n <= 36; n++) await scene.picture(50 + Math.round((n * 100) / 3));
    expect(scene.asked.slice(0, 6)).toEqual(
      [50, 250, 450, 650, 850, 1050].map((ms) => ({ at: ms, stamp: ms })),
    );
    await scene.end();
  });

  it('that was to come and does not leaves the one that waits to a tick, a tenth late', async () => {
    const scene = await new Scene().begin();
    for (const at of [50, 90, 130, 170, 210]) await scene.picture(at);
    await scene.until(320);
    // Due at 230 ms; waited for the one of 250 ms until 50 + 1.1 · 200 ms.
    expect(scene.asked).toEqual([
      { at: 50, stamp: 50 },
      { at: 280, stamp: 210 },
    ]);
    await scene.end();
  });

  it('is asked about when every camera that the model needs has sent a new one', async () => {
    const cameras = Object.fromEntries(
      ['front', 'wrist'].map((name) => [
        name,
        { topic: `/${name}`, type: 'image', modelKey: name },
      ]),
    );
    const scene = await new Scene({ config: testConfig({ cameras }) }).begin();
    await scene.picture(43);
    await scene.picture(51, 44, 'wrist');
    await scene.picture(243);
    await scene.picture(252, 244, 'wrist');
    await scene.until(300);
    expect(scene.asked).toEqual([
      { at: 51, stamp: 43 },
      { at: 252, stamp: 243 },
    ]);
    const [, second] = scene.policy.asked;
    expect(second!.images['wrist']!.stampNs - second!.images['front']!.stampNs).toBe(MS);
    await scene.end();
  });

  it('is asked about when the arm has reported up to its stamp, so that the nearest report is in', async () => {
    const scene = await new Scene().begin();
    scene.robot.silent.add('joints');
    scene.joints(42);
    await scene.picture(46, 45);
    await scene.until(52);
    expect(scene.asked).toEqual([]);
    scene.joints(47);
    expect(scene.asked).toEqual([{ at: 52, stamp: 45 }]);
    const { joints, stampNs } = scene.policy.asked[0]!;
    expect(joints!.stampNs - stampNs).toBe(2n * MS);
    await scene.end();
  });
});

describe('requests', () => {
  it('that were late are followed by the next half a period sooner, not more', async () => {
    const scene = await new Scene().begin();
    for (const at of [47, 140, 340]) await scene.picture(at);
    await scene.until(400);
    // The one of 233 ms does not come: the one of 140 ms is asked about at 280 ms, and its period counts from 180 ms.
    expect(scene.asked).toEqual([
      { at: 47, stamp: 47 },
      { at: 280, stamp: 140 },
      { at: 360, stamp: 340 },
    ]);
    await scene.end();
  });

  it('are not more than the policy is made for where the camera is a little faster', async () => {
    const scene = await new Scene().begin();
    for (let n = 0; n <= 60; n++) await scene.picture(50 + Math.round((n * 400) / 3));
    // 8 s at 180 ms and more.
    expect(scene.asked.length).toBeGreaterThan(33);
    expect(scene.asked.length).toBeLessThanOrEqual(45);
    const spacings = scene.asked.slice(1).map(({ at }, n) => at - scene.asked[n]!.at);
    // What was late is made up for once, by half a period at most.
    expect(Math.min(...spacings)).toBeGreaterThanOrEqual(80);
    for (let n = 3; n < scene.asked.length; n++)
      expect(scene.asked[n]!.at - scene.asked[n - 3]!.at).toBeGreaterThanOrEqual(3 * 180 - 100);
    await scene.end();
  });

  it('are not more where a second camera is slow', async () => {
    const cameras = Object.fromEntries(
      ['front', 'wrist'].map((name) => [
        name,
        { topic: `/${name}`, type: 'image', modelKey: name },
      ]),
    );
    const scene = await new Scene({ config: testConfig({ cameras }) }).begin();
    for (let n = 0; n <= 60; n++) {
      if (n % 15 === 0) await scene.picture(45 + n * 33, 45 + n * 33, 'wrist');
      await scene.picture(50 + n * 33);
    }
    const times = scene.asked.map(({ at }) => at);
    // 2 s; the first one was late, the second makes up for it.
    expect(times.length).toBeGreaterThan(8);
    for (let n = 3; n < times.length; n++)
      expect(times[n]! - times[n - 1]!).toBeGreaterThanOrEqual(180);
    await scene.end();
  });

  it('do not storm where pictures do: one at a time, none sooner than nine tenths of a period', async () => {
    const scene = await new Scene({ thinkingMs: 30n }).begin();
    for (let at = 41; at <= 1241; at++) await scene.picture(at);
    // 1200 ms at 180 ms each, the first at once.
    expect(scene.asked.map(({ at }) => at)).toEqual([41, 221, 401, 581, 761, 941, 1121]);
    expect(scene.policy.mostAtOnce).toBe(1);
    await scene.end();
  });

  it('wait for the answer that is under way, however many pictures come', async () => {
    const scene = await new Scene({ thinkingMs: 500n }).begin();
    for (let at = 45; at <= 600; at += 5) await scene.picture(at);
    // The answer is there at 545 ms, and taken at the tick at 560 ms.
    expect(scene.asked).toEqual([
      { at: 45, stamp: 45 },
      { at: 560, stamp: 555 },
    ]);
    expect(scene.policy.mostAtOnce).toBe(1);
    await scene.end();
  });

  it('are made of the first picture after an instruction, not before', async () => {
    const scene = new Scene();
    await scene.begin();
    scene.aligner.onInstruction('');
    await scene.picture(47);
    await scene.until(60);
    expect(scene.asked).toEqual([]);
    scene.aligner.onInstruction('something else');
    await scene.picture(63);
    expect(scene.asked).toEqual([{ at: 63, stamp: 63 }]);
    expect(scene.policy.asked[0]).toMatchObject({ instruction: 'something else' });
    // Told of the episode before it is asked about it.
    expect(scene.policy.episodes.at(-1)).toBe(scene.policy.asked[0]!.episode);
    await scene.end();
  });

  it('end with the session: pictures that come while the arm comes to rest are not asked about', async () => {
    const scene = await new Scene().begin();
    await scene.picture(47);
    await scene.until(100);
    const ended = scene.end();
    await scene.picture(247);
    await scene.picture(447);
    await ended;
    expect(scene.asked).toHaveLength(1);
  });

  it('that go wrong between ticks end the session at the next one, not the reading', async () => {
    const scene = await new Scene().begin();
    const failed = expect(scene.run).rejects.toThrow('no such episode');
    scene.policy.reset = () => {
      throw new Error('no such episode');
    };
    scene.aligner.onInstruction('something else');
    await scene.picture(47);
    await scene.until(1000);
    await failed;
    expect(scene.asked).toEqual([]);
  });
});
