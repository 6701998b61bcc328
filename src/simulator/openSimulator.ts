/** robot.yaml + ROS 2 → the running parts of the simulator: three nodes, one physics thread. */
import { readFileSync } from 'node:fs';
import { armFromUrdf } from '../arm/kinematics.js';
import { parseUrdf } from '../arm/urdf.js';
import type { Config } from '../config.js';
import { ConfigError } from '../errors.js';
import type { Ros, RosNode } from '../robot/ros/ros.js';
import { SteppedSim } from '../robot/sim/steppedSim.js';
import { instructionFor } from '../robot/sim/instructions.js';
import { ArmController } from './armController.js';
import { GripperController } from './gripperController.js';
import { Publications } from './publications.js';
import { episodeFrom, Simulator, type SteadyClock } from './simulator.js';

/** Defaults of the node's parameters; what `--ros-args -p …` says takes precedence. */
export interface SimulatorDefaults {
  readonly seed: number;
  /** pick, put, push; empty: chosen by the seed. */
  readonly family: string;
  readonly factor: number;
}

export interface OpenOptions {
  readonly ros: Ros;
  readonly config: Config;
  readonly clock: SteadyClock;
  readonly defaults: SimulatorDefaults;
}

/** What the model was trained with. */
const cameraSize = { height: 128, width: 128 } as const;

export interface OpenedSimulator {
  readonly node: RosNode;
  readonly simulator: Simulator;
  close(): Promise<void>;
}

/** @throws ConfigError where robot.yaml is not of a robot that this can simulate. */
export async function openSimulator(options: OpenOptions): Promise<OpenedSimulator> {
  const { ros, config, clock } = options;
  const names = namesFrom(config);
  const { text, urdf, joints } = readSimulatedArm(config);
  const node = ros.node({ name: 'simulator' });
  const settings = declareParameters(node, options);
  const sim = new SteppedSim({
    urdf: text,
    cameraSize,
    cameraPeriodNs: BigInt(Math.round(1e9 / settings.cameraRate)),
  });
  try {
    const scene = await sim.reset(settings.seed, settings.family);
    const arm = new ArmController({
      node: ros.node({ name: names.arm.node }),
      joints,
      topic: names.arm.topic,
      action: names.arm.action,
      start: scene.reading,
    });
    const gripperNode = ros.node({ name: names.gripper.node });
    const gripper = new GripperController(gripperNode, names.gripper.action, scene.reading);
    const publications = new Publications({
      node,
      joints,
      topics: names,
      description: { text, urdf },
    });
    const { factor } = settings;
    const simulator = new Simulator({
      ...{ node, sim, arm, gripper, publications, clock, factor, scene },
    });
    node.log.info(
      `scene of seed ${settings.seed}: ask the node to "${instructionFor(scene.task)}"`,
    );
    return { node, simulator, close: () => sim.stop() };
  } catch (error) {
    await sim.stop();
    throw error;
  }
}

/** The names of robot.yaml, from the other side. */
function namesFrom(config: Config) {
  const { joints, cameras, command, gripper, outcome } = config;
  const [camera] = Object.values(cameras);
  if (!joints) throw new ConfigError('joints', 'nothing', 'the simulated joints');
  if (camera?.type !== 'image')
    throw new ConfigError('cameras', 'no image', 'the simulated camera, of type image');
  if (command?.type !== 'jointTrajectory' && command?.type !== 'followJointTrajectory')
    throw new ConfigError(
      'command.type',
      command?.type ?? 'nothing',
      'jointTrajectory or followJointTrajectory: the simulated controller takes nothing else',
    );
  if (gripper?.command?.type !== 'gripperCommand')
    throw new ConfigError(
      'gripper.command.type',
      gripper?.command?.type ?? 'nothing',
      'gripperCommand: the simulated controller takes nothing else',
    );
  const { action } = gripper.command;
  return {
    jointStates: joints.topic,
    image: camera.topic,
    outcome: outcome?.topic ?? '~/outcome',
    arm: {
      node: command.controller ?? 'arm_controller',
      topic: command.type === 'jointTrajectory' ? command.topic : '~/joint_trajectory',
      action: command.type === 'jointTrajectory' ? '~/follow_joint_trajectory' : command.action,
    },
    gripper: { node: action.split('/').at(-2) ?? 'gripper_controller', action },
  };
}

function readSimulatedArm(config: Config) {
  const path = config.description?.urdf;
  if (path === undefined)
    throw new ConfigError('description.urdf', 'nothing', 'the URDF of the simulated arm');
  const text = readFileSync(path, 'utf8');
  const urdf = parseUrdf(text, path);
  const { baseLink, tipLink } = config.description!;
  return { text, urdf, joints: armFromUrdf(urdf, { baseLink, tipLink }).jointNames };
}

function declareParameters(node: RosNode, { config, defaults }: OpenOptions) {
  const seed = node.declareParameter({
    name: 'seed',
    value: defaults.seed,
    description: 'Of the first scene and task; ~/reset gives the others.',
    readOnly: true,
    range: { from: 0, to: 0xffff_ffff },
    integer: true,
  });
  const family = node.declareParameter({
    name: 'family',
    value: defaults.family,
    description: 'Of the first task: pick, put or push; empty: chosen by the seed.',
    readOnly: true,
  });
  const factor = node.declareParameter({
    name: 'real_time_factor',
    value: defaults.factor,
    description: 'Simulated seconds per real second; 0 pauses. May be changed at any time.',
    range: { from: 0, to: 10 },
  });
  const cameraRate = node.declareParameter({
    name: 'camera_rate',
    value: 1 / config.control.policyPeriod,
    description: 'Pictures per simulated second.',
    readOnly: true,
    range: { from: 0.1, to: 60 },
  });
  const episode = episodeFrom(Number(seed), String(family));
  if (typeof episode === 'string') throw new ConfigError(node.name, episode, 'a seed and a family');
  return { ...episode, factor: Number(factor), cameraRate: Number(cameraRate) };
}
