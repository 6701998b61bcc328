/** All that a configured node holds: robot, policy, inputs and outputs. Made in one go, and undone in reverse order. */
import { Aligner } from '../control/align.js';
import type { Instant } from '../control/clock.js';
import type { Config } from '../config.js';
import { ConfigError, messageOf } from '../errors.js';
import { RosRobot } from '../robot/ros/rosRobot.js';
import type { RosNode } from '../robot/ros/ros.js';
import { tee } from '../robot/tee.js';
import { TfListener } from '../robot/ros/tfListener.js';
import { publishDecisions } from './decisions.js';
import { Enable } from './enable.js';
import type { InstructionServer } from './instructionServer.js';
import type { ControlObserver } from './observers.js';
import type { ApplicationPorts, ArmModel, FlightRecorder, OpenedPolicy } from './ports.js';
import { Monitor } from './monitor.js';
import { robotDescription } from './robotDescription.js';
import { type Settings, withRate } from './settings.js';
import { Shadow } from './shadow.js';
import { asGuardReason, type Stops } from './stops.js';

/** How long configure waits for a latched URDF, ms. */
const DESCRIPTION_TIMEOUT = 10_000;

export interface Equipment {
  readonly config: Config;
  readonly arm: ArmModel | null;
  readonly aligner: Aligner;
  readonly robot: RosRobot;
  readonly policy: OpenedPolicy;
  readonly shadow: Shadow | null;
  readonly instructions: InstructionServer;
  readonly recorder: FlightRecorder;
  readonly monitor: Monitor;
  readonly transforms: TfListener;
  readonly observers: readonly ControlObserver[];
  /** What tf says against forward kinematics, as a sentence; null where they agree or tf says nothing. */
  tf(): string | null;
  forgetTransforms(): void;
  dispose(): Promise<void>;
}

export interface EquipOptions {
  readonly node: RosNode;
  readonly ports: ApplicationPorts;
  readonly settings: Settings;
  readonly stops: Stops;
  readonly now: () => Instant;
  readonly instructions: (config: Config, aligner: Aligner) => InstructionServer;
}

/** What fails leaves nothing behind. @throws ConfigError, ModelError, MismatchError, RosError */
export async function equip(options: EquipOptions): Promise<Equipment> {
  const undo: (() => unknown)[] = [];
  try {
    return await build(options, undo);
  } catch (error) {
    await undoAll(undo);
    throw error;
  }
}

async function build(options: EquipOptions, undo: (() => unknown)[]): Promise<Equipment> {
  const { node, ports, settings, stops, now } = options;
  const say = (line: string): void => node.log[line.startsWith('warning:') ? 'warn' : 'info'](line);
  if (settings.configFile === '')
    throw new ConfigError('config_file', 'nothing', 'the robot.yaml of this robot');
  const config = withRate(ports.readConfig(settings.configFile), settings);

  // 1. Who decides, and for which arm: what does not fit is found before anything is subscribed.
  const arm = await readArm(node, ports, config);
  const policy = await ports.openPolicy(settings.model, config, settings, say, arm);
  undo.push(() => policy.policy.close());
  const shadow = await openShadow(options, config, arm);
  if (shadow) undo.push(() => shadow.close());

  // 2. What the robot reports.
  const aligner = new Aligner({ config, arm: arm?.arm ?? null, nowNs: () => now().nowNs });
  const recorder = ports.flightRecorder(config, now, (line) => node.log.warn(line));
  undo.push(() => recorder.close());
  const robot = new RosRobot({
    ...{ node, config, now, arm: arm?.arm ?? null },
    onRefused: (topic, error) => node.log.warn(`${topic}: ${error.message}`),
  });
  undo.push(() => robot.stop());
  await robot.start(tee(aligner, recorder));
  const transforms = new TfListener(node);
  undo.push(() => transforms.dispose());

  // 3. What stops it, what is said of it, and who may tell it what to do.
  undo.push(stops.watch(() => objectionOf(robot)));
  if (config.enable) {
    const enable = new Enable(node, config.enable, () => now().nowNs);
    undo.push(() => enable.dispose());
    undo.push(stops.watch(() => enable.objection()));
  }
  const decisions = publishDecisions({ node, config, arm: arm?.arm ?? null });
  undo.push(() => decisions.dispose());
  const instructions = options.instructions(config, aligner);
  undo.push(() => instructions.dispose());

  const monitor = new Monitor();

  return {
    ...{ config, arm, aligner, robot, policy, shadow, instructions, recorder, monitor, transforms },
    observers: [decisions, monitor.observer, ...(shadow ? [shadow] : [])],
    tf: () => (arm ? transforms.disagreement(arm.arm, aligner.measured().joints) : null),
    forgetTransforms: () => transforms.clear(),
    dispose: () => undoAll(undo),
  };
}

async function readArm(
  node: RosNode,
  ports: ApplicationPorts,
  config: Config,
): Promise<ArmModel | null> {
  if (!config.description) return null;
  if (config.description.urdf !== undefined) return ports.describeArm(config, null);
  const text = await robotDescription(node, DESCRIPTION_TIMEOUT);
  return ports.describeArm(config, { text, where: node.resolve('robot_description') });
}

/** A shadow that cannot be opened is no reason not to work: it is told. */
async function openShadow(
  { node, ports, settings, now }: EquipOptions,
  config: Config,
  arm: ArmModel | null,
): Promise<Shadow | null> {
  if (settings.shadowModel === '') return null;
  try {
    const ofModel = { ...settings, policy: 'model' };
    const told = (line: string): void => node.log.info(`shadow: ${line}`);
    const opened = await ports.openPolicy(settings.shadowModel, config, ofModel, told, arm);
    return new Shadow({ node, policy: opened.policy, arm: arm?.arm ?? null, now });
  } catch (error) {
    node.log.warn(`no shadow: ${messageOf(error)}`);
    return null;
  }
}

function objectionOf(robot: RosRobot): ReturnType<typeof asGuardReason> | null {
  const problem = robot.problem();
  return problem && asGuardReason(problem);
}

/** Everything is tried; the first error is thrown after that. */
async function undoAll(undo: (() => unknown)[]): Promise<void> {
  let failure: { readonly error: unknown } | null = null;
  for (const step of undo.splice(0).reverse()) {
    try {
      await step();
    } catch (error) {
      failure ??= { error };
    }
  }
  if (failure) throw failure.error;
}
