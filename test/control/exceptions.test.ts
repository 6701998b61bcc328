/** What throws while the arm moves: the arm is brought to rest before the error is handed on. */
import { describe, expect, it } from '@jest/globals';
import { forward } from '../../src/arm/kinematics.js';
import { Aligner } from '../../src/control/align.js';
import type { DeskObserver } from '../../src/control/desk.js';
import { runLockstep, type LockstepResult } from '../../src/control/lockstep.js';
import { ControlLoop, type LoopObserver } from '../../src/control/loop.js';
import * as vec3 from '../../src/math/vec3.js';
import { Guard } from '../../src/safety/guard.js';
import type { ArmCommand, Reason } from '../../src/types.js';
import { HOME, testArm, testConfig } from '../support/controlRobot.js';
import { FakeClock } from '../support/fakeClock.js';
import { LaggingArm } from '../support/laggingArm.js';
import { ScriptedPolicy, towards } from '../support/scriptedPolicy.js';

const S = 1_000_000_000n;
const FAR = vec3.add(forward(testArm, HOME).translation, [0.05, 0.12, -0.06]);

/** Half a second of motion, then `fail` is asked to throw wherever it is put. */
class Scene {
  readonly config = testConfig();
  readonly robot = new LaggingArm();
  readonly startNs = this.robot.stampNs;
  readonly aligner = new Aligner({
    config: this.config,
    arm: testArm,
    nowNs: () => this.robot.stampNs,
  });
  readonly guard = new Guard(this.config, testArm, null);
  readonly policy = new ScriptedPolicy(towards(FAR));
  readonly refusals: Reason[] = [];
  observer: DeskObserver & LoopObserver = { onRefusal: (reason) => this.refusals.push(reason) };
  until: () => string | null = () => null;
  loop: ControlLoop | null = null;

  get isMoving(): boolean {
    return this.robot.stampNs - this.startNs > S / 2n;
  }

  failsWhenMoving(): void {
    if (this.isMoving) throw new Error('disk full');
  }

  async run(): Promise<LockstepResult> {
    const { config, aligner, guard, robot, observer } = this;
    this.loop = new ControlLoop({ config, arm: testArm, guard, aligner, robot, observer });
    await robot.start(aligner);
    aligner.onInstruction('reach the point');
    return runLockstep({
      ...{ robot, loop: this.loop, policy: this.policy, config, clock: new FakeClock(), observer },
      until: () => this.until(),
      maxTicks: 100,
    });
  }

  speedOf(command: ArmCommand): number {
    return command.kind === 'joint' ? Math.hypot(...command.velocity) : Infinity;
  }

  /** It moved before, its last command is at rest, and nothing is left for the arm to follow. */
  expectBroughtToRest(): void {
    const speeds = this.robot.commands.map((command) => this.speedOf(command));
    expect(Math.max(...speeds)).toBeGreaterThan(0.05);
    expect(speeds.at(-1)).toBeLessThan(1e-6);
    const { nowNs } = this.robot.commands.at(-1)!;
    const { stampNs } = this.robot;
    const verdict = this.guard.guard({
      ...{ nowNs, stampNs, ...this.aligner.measured(), prediction: null },
      target: { kind: 'rest', because: 'looking', gripper: null },
    });
    expect(verdict.reasons.map(({ code }) => code)).toEqual(['notActive']);
  }
}

describe('an arm in motion comes to rest before an error is handed on, when it is thrown', () => {
  it('by what decides when to end', async () => {
    const scene = new Scene();
    scene.until = () => {
      scene.failsWhenMoving();
      return null;
    };
    await expect(scene.run()).rejects.toThrow('disk full');
    scene.expectBroughtToRest();
  });

  it('by taking an answer: what control asks for its episode', async () => {
    const scene = new Scene();
    scene.policy.reset = () => {
      if (scene.isMoving) throw new Error('disk full');
    };
    scene.until = () => {
      if (scene.isMoving && scene.aligner.episode < 2)
        scene.aligner.onInstruction('something else');
      return null;
    };
    await expect(scene.run()).rejects.toThrow('disk full');
    scene.expectBroughtToRest();
  });

  it('by a robot that does not take three commands', async () => {
    const scene = new Scene();
    const send = scene.robot.send.bind(scene.robot);
    let lost = 0;
    scene.robot.send = (command) => {
      if (scene.isMoving && lost++ < 3) throw new Error('not connected');
      send(command);
    };
    await expect(scene.run()).rejects.toThrow('not connected');
    expect(lost).toBeGreaterThan(3);
    scene.expectBroughtToRest();
  });

  it('by time that no longer passes: the error itself arrives', async () => {
    const scene = new Scene();
    const advance = scene.robot.advance.bind(scene.robot);
    scene.robot.advance = async (ns) => {
      scene.failsWhenMoving();
      await advance(ns);
    };
    await expect(scene.run()).rejects.toThrow('disk full');
  });
});

describe('an observer that throws', () => {
  it.each(['onTick', 'onRequest', 'onAction', 'onRefusal'] as const)(
    'in %s does not stop control: it is counted, and told once',
    async (where) => {
      const scene = new Scene();
      scene.observer = {
        onRefusal: (reason) => scene.refusals.push(reason),
        [where]: () => {
          scene.failsWhenMoving();
        },
      };
      const result = await scene.run();
      expect(result).toMatchObject({ ended: 'maxTicks', ticks: 100 });
      scene.expectBroughtToRest();
      const counted = scene.loop!.counts.get('observerFailed') ?? 0;
      const told = scene.refusals.filter(({ code }) => code === 'observerFailed');
      // Nothing is refused in this run, so the last of them is never called.
      expect(counted > 0).toBe(where !== 'onRefusal');
      expect(told).toHaveLength(where === 'onRefusal' ? 0 : 1);
      for (const { message } of told)
        expect(message).toBe('what watches control failed: disk full');
    },
  );

  it('of refusals as well, where a policy refuses', async () => {
    const scene = new Scene();
    scene.policy.answer = () => Promise.reject(new Error('no model'));
    scene.observer = {
      onRefusal: () => {
        throw new Error('disk full');
      },
    };
    expect((await scene.run()).ticks).toBe(100);
    // Each refusal, and the one attempt to tell that telling failed.
    const { counts } = scene.loop!;
    expect(counts.get('observerFailed')).toBe(counts.get('workerFailed')! + 1);
  });
});
