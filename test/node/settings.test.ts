import { describe, expect, it } from '@jest/globals';
import {
  readSettings,
  refuseState,
  refuseValue,
  withRate,
  withSettings,
} from '../../src/node/settings.js';
import type { RosNode } from '../../src/robot/ros/ros.js';
import { testConfig } from '../support/controlRobot.js';

const settings = {
  configFile: '',
  model: '',
  provider: 'auto',
  threads: 1,
  statistics: '',
  allowMismatch: false,
  shadowModel: '',
  policy: 'model',
  bag: '',
  bagEpisode: 0,
  autostart: false,
  dryRun: false,
  speedScale: 1,
  controlRate: 0,
  policyRate: 0,
  tracePeriod: 1,
};

describe('parameters', () => {
  it('that a configured node has read are refused until it is cleaned up', () => {
    expect(refuseState('model', 'inactive')).toMatch(/the node is inactive: clean it up, set it/);
    expect(refuseState('model', 'unconfigured')).toBeNull();
  });

  it('that change how an active arm is driven are refused while it is active', () => {
    for (const name of ['dry_run', 'policy_rate', 'trace_period']) {
      expect(refuseState(name, 'active')).toMatch(/deactivate it first/);
      expect(refuseState(name, 'inactive')).toBeNull();
    }
    expect(refuseState('speed_scale', 'active')).toBeNull();
  });

  it('out of range say what was got and expected', () => {
    expect(refuseValue('provider', 'tpu')).toBe(
      'provider: got tpu, expected auto, cuda, webgpu, cpu',
    );
    expect(refuseValue('policy', 'recordd')).toBe(
      'policy: got recordd, expected model or recorded',
    );
    expect(refuseValue('policy', 'recorded')).toBeNull();
    expect(refuseValue('control_rate', 3)).toMatch(/got 3 Hz/);
    expect(refuseValue('control_rate', Number.NaN)).toMatch(/got NaN Hz/);
    expect(refuseValue('control_rate', 0)).toBeNull();
  });

  it('of threads are read as the model takes them, and not while it is open', () => {
    const given: Readonly<Record<string, unknown>> = { threads: 6 };
    const node = { parameter: (name: string) => given[name] } as unknown as RosNode;
    expect(readSettings(node).threads).toBe(6);
    expect(refuseState('threads', 'inactive')).toMatch(/clean it up, set it/);
  });

  it('of a dry run: where either the parameter or robot.yaml says so', () => {
    const config = { ...testConfig(), dryRun: false };
    expect(withSettings(config, settings).dryRun).toBe(false);
    expect(withSettings(config, { ...settings, dryRun: true }).dryRun).toBe(true);
    expect(withSettings({ ...config, dryRun: true }, settings).dryRun).toBe(true);
  });

  it("rates of 0 are robot.yaml's", () => {
    const config = testConfig();
    expect(withSettings(config, settings).control).toEqual(config.control);
    const { rateHz } = withRate(config, { ...settings, controlRate: 100 }).control;
    const { policyPeriod } = withSettings(config, { ...settings, policyRate: 10 }).control;
    expect([rateHz, policyPeriod]).toEqual([100, 0.1]);
  });

  it('of a control rate slower than the watchdog are refused', () => {
    expect(() => withRate(testConfig(), { ...settings, controlRate: 5 })).toThrow(
      /control_rate: got 5 Hz, expected a period below the watchdog/,
    );
  });
});
