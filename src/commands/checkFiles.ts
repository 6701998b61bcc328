/** What robot.yaml, URDF and model.json say of one another, without a robot. */
import { resolve } from 'node:path';
import { forward, type Arm } from '../arm/kinematics.js';
import { readConfig, type Config } from '../config.js';
import { InputError, messageOf } from '../errors.js';
import { checkContract, sentenceOf } from '../model/check.js';
import { readContract } from '../model/contract.js';
import type { ArmModel } from '../node/ports.js';
import { Guard } from '../safety/guard.js';
import type { Vec3 } from '../types.js';
import { readArm } from './arm.js';
import type { CheckFinding, CheckOutcome } from './checkResult.js';

export interface CheckedFiles {
  readonly findings: readonly CheckFinding[];
  /** Null where robot.yaml cannot be read. */
  readonly config: Config | null;
}

const finding = (what: string, outcome: CheckOutcome, sentence: string): CheckFinding => ({
  step: 'files',
  what,
  outcome,
  sentence,
});

/** `model`: a folder; null where none was named. Never throws for what the files say. */
export function checkFiles(path: string, model: string | null): CheckedFiles {
  let config: Config;
  try {
    config = readConfig(path);
  } catch (error) {
    return { findings: [finding('robot.yaml', 'failed', sentenceOfError(error))], config: null };
  }
  return {
    config,
    findings: [
      finding('robot.yaml', 'ok', `${path}: ${outline(config)}`),
      ...commandFindings(config),
      ...descriptionFindings(config),
      ...modelFindings(model, config),
    ],
  };
}

function outline({ robot, joints, cameras, gripper, output }: Config): string {
  const parts = [
    joints ? `${Object.keys(joints.limits).length} joints` : 'no joints',
    `cameras ${Object.keys(cameras).join(', ') || 'none'}`,
    gripper ? 'a gripper' : 'no gripper',
    `${output} output`,
  ];
  return `robot ${robot}, ${parts.join(', ')}`;
}

function commandFindings({ command, dryRun, gripper }: Config): readonly CheckFinding[] {
  const found: CheckFinding[] = [];
  if (!command)
    found.push(finding('command', 'note', 'robot.yaml names no command: the arm is only watched.'));
  if (dryRun)
    found.push(
      finding(
        'dryRun',
        'note',
        'true in robot.yaml: nothing is sent to the arm until it is false.',
      ),
    );
  if (gripper && !gripper.command)
    found.push(
      finding('gripper', 'note', 'robot.yaml names no gripper.command: the gripper is not moved.'),
    );
  return found;
}

function descriptionFindings(config: Config): readonly CheckFinding[] {
  if (!config.description)
    return config.output === 'joint'
      ? [finding('URDF', 'failed', 'robot.yaml has no description, which joint output needs.')]
      : [finding('URDF', 'note', 'robot.yaml has no description: the Cartesian guard applies.')];
  if (config.description.urdf === undefined)
    return [
      finding('URDF', 'note', 'comes from the topic robot_description: looked at with --robot.'),
    ];
  try {
    return armFindings(config, readArm(config));
  } catch (error) {
    return [finding('URDF', 'failed', sentenceOfError(error))];
  }
}

/** robot.yaml against the arm that its URDF describes. */
export function armFindings(config: Config, model: ArmModel | null): readonly CheckFinding[] {
  if (!model) return [];
  const { arm, capsules } = model;
  const found = [
    finding(
      'URDF',
      'ok',
      `${arm.jointNames.length} joints from ${arm.baseLink} to ${arm.tipLink}: ${arm.jointNames.join(', ')}`,
    ),
    ...limitFindings(config, arm),
    ...homeFindings(config, arm),
  ];
  try {
    new Guard(config, arm, capsules);
    found.push(finding('guard', 'ok', 'accepts this robot.yaml with this arm.'));
  } catch (error) {
    found.push(finding('guard', 'failed', sentenceOfError(error)));
  }
  return found;
}

/** Limits beyond the URDF's do no harm, the tighter one holds; but somebody may believe them. */
function limitFindings({ joints }: Config, arm: Arm): readonly CheckFinding[] {
  const looser = arm.jointNames.flatMap((name, i) => {
    const limits = joints?.limits[name];
    if (!limits) return [];
    return [
      ...(limits.lower < arm.lower[i]! - 1e-6
        ? [`${name}.lower ${limits.lower} (${arm.lower[i]!})`]
        : []),
      ...(limits.upper > arm.upper[i]! + 1e-6
        ? [`${name}.upper ${limits.upper} (${arm.upper[i]!})`]
        : []),
      ...(limits.velocity > arm.velocity[i]! + 1e-6
        ? [`${name}.velocity ${limits.velocity} (${arm.velocity[i]!})`]
        : []),
      ...((limits.effort ?? 0) > arm.effort[i]! + 1e-6
        ? [`${name}.effort ${limits.effort!} (${arm.effort[i]!})`]
        : []),
    ];
  });
  if (!joints) return [];
  return looser.length === 0
    ? [finding('joint limits', 'ok', "within the URDF's.")]
    : [
        finding(
          'joint limits',
          'note',
          `robot.yaml allows more than the URDF (in brackets), whose limits hold: ${looser.join(', ')}.`,
        ),
      ];
}

function homeFindings({ home, joints, guard }: Config, arm: Arm): readonly CheckFinding[] {
  if (!home) return [];
  const unknown = Object.keys(home).filter((name) => !arm.jointNames.includes(name));
  const missing = arm.jointNames.filter((name) => home[name] === undefined);
  const outside = arm.jointNames.filter((name, i) => {
    const limits = joints?.limits[name];
    const lower = Math.max(limits?.lower ?? -Infinity, arm.lower[i]!);
    const upper = Math.min(limits?.upper ?? Infinity, arm.upper[i]!);
    const q = home[name];
    return q !== undefined && !(q >= lower && q <= upper);
  });
  if (unknown.length > 0)
    return [finding('home', 'failed', `names ${unknown.join(', ')}: no joints of the arm.`)];
  if (outside.length > 0)
    return [finding('home', 'failed', `is outside the limits of ${outside.join(', ')}.`)];
  if (missing.length > 0)
    return [finding('home', 'note', `leaves ${missing.join(', ')} where they are.`)];
  const tool = forward(
    arm,
    arm.jointNames.map((name) => home[name]!),
  ).translation;
  const where = `the tool at ${inMetres(tool)}`;
  return isInside(tool, guard.workspace)
    ? [finding('home', 'ok', `within the joint limits, ${where}, inside guard.workspace.`)]
    : [finding('home', 'failed', `${where} is outside guard.workspace.`)];
}

function modelFindings(model: string | null, config: Config): readonly CheckFinding[] {
  if (model === null)
    return [finding('model', 'skipped', 'none was named (--model): no contract to hold it to.')];
  const folder = resolve(model);
  try {
    const contract = readContract(folder);
    const mismatches = checkContract(contract, config);
    if (mismatches.length === 0)
      return [finding('model', 'ok', `${contract.name} was trained for robot ${config.robot}.`)];
    return mismatches.map((mismatch) =>
      finding(
        'model',
        'failed',
        `${sentenceOf(mismatch)}${mismatch.severity === 'untrained' ? ' (allow_mismatch lets it drive all the same)' : ''}`,
      ),
    );
  } catch (error) {
    return [finding('model', 'failed', sentenceOfError(error))];
  }
}

export function isInside(point: Vec3, { min, max }: Config['guard']['workspace']): boolean {
  return point.every((value, axis) => value >= min[axis]! && value <= max[axis]!);
}

export function inMetres(point: Vec3): string {
  return `(${point.map((value) => value.toFixed(3)).join(', ')}) m`;
}

export function sentenceOfError(error: unknown): string {
  if (error instanceof InputError) return error.message;
  return messageOf(error);
}
