import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { seededRandom } from '../../../src/math/random.js';
import { demonstrate } from '../../../src/robot/sim/demonstrate.js';
import { expertAction } from '../../../src/robot/sim/expert.js';
import { maxStep } from '../../../src/robot/sim/expertMoves.js';
import { instructionFor, taskFor } from '../../../src/robot/sim/instructions.js';
import { judge } from '../../../src/robot/sim/judge.js';
import { isHolding, tasksIn, type SceneState, type Task } from '../../../src/robot/sim/tasks.js';
import { World } from '../../../src/robot/sim/world.js';

const scene: SceneState = {
  tcp: [0.45, 0, 0.2],
  tcpYaw: 0.1,
  gripperWidth: 0.08,
  blocks: {
    red: { position: [0.5, 0.1, 0.02], yaw: 0.2 },
    blue: { position: [0.4, -0.1, 0.02], yaw: -0.3 },
  },
  pads: { purple: [0.55, -0.1, 0.001], teal: [0.38, 0.12, 0.001] },
};
const tasks = tasksIn(['red', 'blue'], ['purple', 'teal']);

describe('Instructions', () => {
  it('name their task, and only theirs', () => {
    for (const task of tasks) expect(taskFor(instructionFor(task))).toEqual(task);
    for (const text of [
      '',
      'pick the block',
      'pick the red block now',
      'put the red block on the red pad',
    ]) {
      expect(taskFor(text)).toBeNull();
    }
  });
});

describe('Judging', () => {
  const pick: Task = { family: 'pick', block: 'red' };
  const lifted = (colour: 'red' | 'blue'): SceneState => ({
    ...scene,
    tcp: [0.5, 0.1, 0.15],
    gripperWidth: 0.04,
    blocks: { ...scene.blocks, [colour]: { position: [0.5, 0.1, 0.15], yaw: 0 } },
  });

  it('calls a lifted block success, another lifted block the wrong object, and a scene at rest neither', () => {
    expect(judge(pick, scene, lifted('red'))).toBe('success');
    expect(judge(pick, scene, lifted('blue'))).toBe('wrongObject');
    expect(judge(pick, scene, scene)).toBe('running');
  });

  it('wants a put block on its pad, released, and the hand away', () => {
    const put: Task = { family: 'put', block: 'red', pad: 'purple' };
    const placed: SceneState = {
      ...scene,
      tcp: [0.55, -0.1, 0.1],
      blocks: { ...scene.blocks, red: { position: [0.55, -0.09, 0.021], yaw: 0 } },
    };
    expect(judge(put, scene, placed)).toBe('success');
    expect(judge(put, scene, { ...placed, gripperWidth: 0.04 })).toBe('running');
    expect(judge(put, scene, { ...placed, tcp: [0.55, -0.1, 0.03] })).toBe('running');
    expect(judge({ ...put, pad: 'teal' }, scene, placed)).toBe('running');
  });

  it('counts a push to the side it was asked for, 7 cm of it', () => {
    const moved = (dy: number): SceneState => ({
      ...scene,
      blocks: { ...scene.blocks, red: { position: [0.5, 0.1 + dy, 0.02], yaw: 0 } },
    });
    const right: Task = { family: 'push', block: 'red', side: 'right' };
    expect(judge(right, scene, moved(0.071))).toBe('success');
    expect(judge(right, scene, moved(0.069))).toBe('running');
    expect(judge(right, scene, moved(-0.071))).toBe('running');
    expect(judge({ ...right, side: 'left' }, scene, moved(-0.071))).toBe('success');
  });

  it('holds a block only between closed fingers', () => {
    expect(isHolding(lifted('red'), 'red')).toBe(true);
    expect(isHolding({ ...lifted('red'), gripperWidth: 0.08 }, 'red')).toBe(false);
    expect(isHolding({ ...lifted('red'), gripperWidth: 0.001 }, 'red')).toBe(false);
  });
});

describe('The scripted expert', () => {
  it('never steps further than its limits, from any state', () => {
    const random = seededRandom(8);
    for (let i = 0; i < 3000; i++) {
      const state: SceneState = {
        ...scene,
        tcp: [random.between(0.28, 0.68), random.between(-0.32, 0.32), random.between(0, 0.4)],
        tcpYaw: random.between(-1.2, 1.2),
        gripperWidth: random.between(0, 0.08),
      };
      for (const task of tasks) {
        const { translation, rotation, gripper } = expertAction(state, task);
        expect(Math.hypot(...translation)).toBeLessThanOrEqual(maxStep.translation + 1e-12);
        expect(Math.abs(rotation[2])).toBeLessThanOrEqual(maxStep.rotation + 1e-12);
        expect([0, 1]).toContain(gripper);
      }
    }
  });

  it('approaches from above: far from the block it does not go down', () => {
    const low: SceneState = { ...scene, tcp: [0.45, 0, 0.05] };
    expect(expertAction(low, { family: 'pick', block: 'red' }).translation[2]).toBeGreaterThan(0);
  });

  describe('in the simulation', () => {
    let world: World;
    beforeAll(async () => {
      world = await World.create({
        urdf: readFileSync('config/builtin_arm.urdf', 'utf8'),
        camera: { height: 32, width: 32 },
      });
    });
    afterAll(() => world.close());

    it('demonstrates the same frames for the same seed, each labelled for all fifteen instructions', () => {
      const first = [...demonstrate(world, 21)];
      const second = [...demonstrate(world, 21)];
      expect(second).toEqual(first);
      expect(first.length).toBeGreaterThan(5);
      for (const { labels } of first)
        expect(new Set(labels.map(({ instruction }) => instruction)).size).toBe(15);
    });

    it('says which way each block lies, where the turns of an open hand end', () => {
      let turns = 0;
      for (const { state, labels, yaws } of demonstrate(world, 21)) {
        expect(yaws).toHaveLength(3);
        for (const { name, yaw } of yaws) {
          const { action } = labels.find(
            ({ instruction }) => instruction === `pick the ${name} block`,
          )!;
          const turn = action[5]!;
          // A closed hand has the block already; further than this it turns in several steps.
          if (state[4]! < 0.9 || Math.abs(turn) > 0.24) continue;
          expect(Math.cos(4 * (state[3]! + turn - yaw))).toBeCloseTo(1, 6);
          turns++;
        }
      }
      expect(turns).toBeGreaterThan(5);
    });

    it('gives eight future places of every point in an undisturbed episode, and none in a disturbed one', () => {
      const episodes = [1, 2, 3, 4, 5, 6].map((seed) => [...demonstrate(world, seed)]);
      const motions = episodes.map((frames) => frames.map(({ motion }) => motion));
      expect(motions.some((all) => all.every((motion) => motion === null))).toBe(true);
      const clean = motions.find((all) => all.every((motion) => motion !== null))!;
      for (const motion of clean) for (const { at } of motion) expect(at).toHaveLength(9);
    });
  });
});
