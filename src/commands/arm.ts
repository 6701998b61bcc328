/** What control and guard need of a robot.yaml: kinematics and clearance, from its URDF. */
import { readFileSync } from 'node:fs';
import { capsulesFromUrdf, withoutPairs, type ArmCapsules } from '../arm/clearance.js';
import { withCollisionShapes } from '../arm/collisionShapes.js';
import { armFromUrdf, type Arm } from '../arm/kinematics.js';
import { parseUrdf } from '../arm/urdf.js';
import type { Config } from '../config.js';
import { ConfigError } from '../errors.js';

export interface ArmDescription {
  readonly urdf: string;
  readonly arm: Arm;
  readonly capsules: ArmCapsules;
}

/** Null for a robot without a description: the Cartesian guard applies. @throws ConfigError */
export function readArm(config: Config): ArmDescription | null {
  if (!config.description) return null;
  const { urdf: path } = config.description;
  if (path === undefined)
    throw new ConfigError(
      'robot.yaml: description.urdf',
      'nothing',
      'a file: only the node reads the topic robot_description (from a running robot: ros2 param get --hide-type /robot_state_publisher robot_description > arm.urdf)',
    );
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError('description.urdf', (error as Error).message, 'a readable URDF');
  }
  return describeArm(config, text, path);
}

/** `where` the URDF's text is from. @throws ConfigError */
export function describeArm(config: Config, text: string, path: string): ArmDescription {
  const { baseLink, tipLink, collision = {}, ignoredPairs = [] } = config.description!;
  const urdf = withCollisionShapes(parseUrdf(text, path), collision);
  const arm = armFromUrdf(urdf, { baseLink, tipLink });
  const capsules = withoutPairs(capsulesFromUrdf(urdf, arm), ignoredPairs);
  // Whoever commands joints relies on the distances between links and to the table: none may be unknown.
  if (config.output === 'joint' && capsules.uncovered.length > 0)
    throw new ConfigError(
      'description.urdf',
      `no shape, or only a mesh, for ${capsules.uncovered.join(', ')}`,
      'a primitive collision shape for every link of an arm whose joints are commanded (here or in description.collision)',
    );
  return { urdf: text, arm, capsules };
}
