import { existsSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import { readConfig } from '../../../src/config.js';
import { Bag } from '../../../src/robot/replay/bag.js';
import { RecordedActions } from '../../../src/robot/replay/recordedPolicy.js';
import { ReplayRobot } from '../../../src/robot/replay/replayRobot.js';
import { eventLog } from './bags.js';

const sample = '../shared/data/bridge_v2_sample.mcap';
const present = existsSync(sample);
if (!present) console.info(`skipped: ${sample} is not here; generated bags cover the same code`);

(present ? describe : describe.skip)('the BridgeData sample', () => {
  it('replays with config/bridge.yaml: 15 episodes of 10 steps at 5 Hz', async () => {
    const bag = await Bag.open(sample);
    const robot = new ReplayRobot(bag, readConfig('config/bridge.yaml'));
    const { events, listener } = eventLog(() => robot.stampNs);
    await robot.start(listener);
    while (!robot.ended) await robot.advance(20_000_000n);
    await bag.close();
    expect(bag.warnings).toEqual([]);
    expect(robot.absentTopics).toEqual([]);
    expect(robot.refused.size).toBe(0);
    const count = (name: string): number => events.filter((e) => e.name === name).length;
    expect(count('reset')).toBe(15);
    expect(count('instruction')).toBe(15);
    expect(count('endEffector')).toBe(150);
    expect(count('gripper')).toBe(150);
    expect(count('image')).toBe(450);
    expect(events.slice(0, 4).map((e) => e.name)).toEqual([
      'reset',
      'instruction',
      'endEffector',
      'gripper',
    ]);
  });

  it('has an action for every observation, within the limits of config/bridge.yaml', async () => {
    const config = readConfig('config/bridge.yaml');
    const bag = await Bag.open(sample);
    const actions = new RecordedActions(bag, config);
    let found = 0;
    for (let step = 0n; step < 290n; step++) {
      const stampNs = bag.startNs + step * 200_000_000n;
      const action = await actions.at(stampNs);
      if (!action) continue;
      expect(action.stampNs).toBe(stampNs);
      expect(Math.hypot(...action.values.slice(0, 3))).toBeLessThan(
        config.guard.maxStepTranslation,
      );
      expect(Math.hypot(...action.values.slice(3, 6))).toBeLessThan(config.guard.maxStepRotation);
      found += 1;
    }
    await bag.close();
    expect(found).toBe(150);
  });
});
