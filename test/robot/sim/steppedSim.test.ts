import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from '@jest/globals';
import { SteppedSim } from '../../../src/robot/sim/steppedSim.js';
import { SimRobot } from '../../../src/robot/sim/simRobot.js';
import { home } from '../../../src/robot/sim/world.js';

const urdf = readFileSync('config/builtin_arm.urdf', 'utf8');
const options = {
  urdf,
  jointNames: home.map((_, i) => `joint${i + 1}`),
  camera: 'front',
  cameraSize: { height: 16, width: 16 },
  cameraPeriodNs: 50_000_000n,
};

describe('the simulation, step by step', () => {
  const sim = new SteppedSim(options);
  afterAll(() => sim.stop());

  it('begins an episode as the simulated robot does from the same seed, and time stands still', async () => {
    const robot = new SimRobot(options);
    const task = await robot.reset({
      ...{ seed: 700_003, family: 'put' },
      ...{ scenery: 'core', language: 'canonical' },
    });
    await robot.stop();
    const first = await sim.reset(700_003, 'put');
    expect(first.task).toEqual(task);
    const again = await sim.reset(700_003, 'put');
    expect(again).toEqual(first);
  });

  it('takes one step of 2.5 ms per command, follows it, and takes a picture when one is due', async () => {
    const { reading } = await sim.reset(1, null);
    const { position } = reading.joints;
    const hold = { position, velocity: position.map(() => 0), gripper: 0 };
    const first = await sim.step(Array.from({ length: 20 }, () => hold));
    expect(first.readings.map(({ stampNs }) => stampNs - reading.stampNs)).toEqual(
      Array.from({ length: 20 }, (_, i) => BigInt(i + 1) * 2_500_000n),
    );
    expect(first.image?.stampNs).toBe(reading.stampNs + 2_500_000n);
    expect(first.outcome).toBe('running');
    // The fingers close; the arm stays.
    expect(first.readings.at(-1)!.fingers.position[0]).toBeLessThan(0.039);
    first.readings
      .at(-1)!
      .joints.position.forEach((q, i) => expect(q).toBeCloseTo(position[i]!, 3));
    const images = [];
    for (let i = 0; i < 60; i++) images.push((await sim.step([hold])).image?.stampNs ?? null);
    // Due at 50 ms (while the first was on its way: taken a step later), 100, 150 and 200 ms.
    expect(images.filter((stamp) => stamp !== null)).toHaveLength(4);
  });

  it('reports the effort that moves the arm, not that of a setpoint which has just moved on', async () => {
    const { reading } = await sim.reset(1, null);
    const { position } = reading.joints;
    // Joint 7 from rest at 100 rad/s² for 10 ms: about 0.11 kg·m² of armature and hand, so some 11 N·m and the damping.
    const commands = [0, 1, 2, 3].map((k) => {
      const t = k * 0.0025;
      const last = (value: number) => (q: number, i: number) => (i === 6 ? q + value : q);
      return {
        position: position.map(last(50 * t * t)),
        velocity: position.map(() => 0).map(last(100 * t)),
        gripper: null,
      };
    });
    const { readings } = await sim.step(commands);
    const efforts = readings.map(({ joints }) => Math.abs(joints.effort[6]!));
    expect(Math.max(...efforts)).toBeGreaterThan(4);
    expect(Math.max(...efforts)).toBeLessThan(30);
  });

  it('says so when it was stopped', async () => {
    const ended = new SteppedSim(options);
    const { reading } = await ended.reset(2, null);
    // Ten seconds of simulated time: surely under way when the stop comes.
    const still = { ...reading.joints, gripper: null };
    const asked = ended.step(Array.from({ length: 4000 }, () => still));
    await ended.stop();
    await expect(asked).rejects.toThrow('stopped');
    await expect(ended.reset(3, null)).rejects.toThrow('stopped');
  });
});
