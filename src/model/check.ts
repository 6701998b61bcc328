/** Does a model's contract fit the robot it is asked to drive? */
import type { Config } from '../config.js';
import type { Contract } from './contract.js';
import { imagesOf } from './promptPieces.js';

/** One way in which a model does not fit a robot. */
export interface Mismatch {
  /** untrained: it runs, but nobody taught it this robot. impossible: an input it needs is not there. */
  readonly severity: 'untrained' | 'impossible';
  readonly where: string;
  readonly got: string;
  readonly expected: string;
}

/** One operator sentence. */
export function sentenceOf({ where, got, expected }: Mismatch): string {
  return `${where}: got ${got}, expected ${expected}`;
}

/** Everything that does not fit, most basic first; empty: the model was made for this robot. */
export function checkContract(contract: Contract, config: Config): Mismatch[] {
  return [
    ...robotMismatches(contract, config),
    ...cameraMismatches(contract, config),
    ...stateMismatches(contract, config),
    ...timeMismatches(contract, config),
  ];
}

function robotMismatches(contract: Contract, config: Config): Mismatch[] {
  const trained = contract.robots.find(({ robot }) => robot === config.robot);
  if (!trained) {
    const known = contract.robots.map(({ robot, statistics }) => `${robot} (${statistics})`);
    return [
      {
        severity: 'untrained',
        where: `model ${contract.name}, robot`,
        got: config.robot,
        expected: `a robot it is trained for: ${known.join(', ') || 'none listed'}`,
      },
    ];
  }
  if (trained.baseFrame === config.baseFrame) return [];
  return [
    {
      severity: 'untrained',
      where: `model ${contract.name}, base frame of ${config.robot}`,
      got: config.baseFrame,
      expected: trained.baseFrame,
    },
  ];
}

function cameraMismatches(contract: Contract, config: Config): Mismatch[] {
  const { action, trace } = contract.prompts;
  const images = [...imagesOf(action), ...(trace ? imagesOf(trace) : [])];
  const keys = images.map(({ image }) => image);
  return [...new Set(keys)].flatMap((key) => {
    const cameras = Object.entries(config.cameras).filter(([, camera]) => camera.modelKey === key);
    if (cameras.length === 1) return [];
    const names = cameras.map(([name]) => name).join(', ');
    const where = `model ${contract.name}, picture "${key}"`;
    const expected = `one camera with modelKey: ${key}`;
    return [{ severity: 'impossible', where, got: names || 'no camera', expected } as const];
  });
}

function stateMismatches(contract: Contract, config: Config): Mismatch[] {
  const names: string[] = contract.state.map(({ name }) => name);
  const mismatches: Mismatch[] = [];
  if (names.some((name) => name !== 'gripper') && !config.description && !config.endEffector) {
    mismatches.push({
      severity: 'impossible',
      where: `model ${contract.name}, robot state ${names.join(', ')}`,
      got: 'neither description nor endEffector',
      expected: 'one of them, to know the pose of the tool centre point',
    });
  }
  if (config.gripper) return mismatches;
  mismatches.push({
    severity: names.includes('gripper') ? 'impossible' : 'untrained',
    where: `model ${contract.name}, gripper`,
    got: 'a robot without one',
    expected: `a gripper to ${names.includes('gripper') ? 'read and ' : ''}move`,
  });
  return mismatches;
}

function timeMismatches(contract: Contract, config: Config): Mismatch[] {
  const { chunk, period } = contract.answers.action;
  const { policyPeriod } = config.control;
  const fits = chunk === 1 ? near(policyPeriod, period) : policyPeriod <= chunk * period + 1e-9;
  if (fits) return [];
  return [
    {
      severity: 'untrained',
      where: `model ${contract.name}, control.policyPeriod`,
      got: `${policyPeriod} s`,
      expected: chunk === 1 ? `${period} s` : `at most ${chunk} steps of ${period} s`,
    },
  ];
}

function near(a: number, b: number): boolean {
  return Math.abs(a - b) < 1e-9;
}
