/**
 * `magma-vla check --robot`: the guided first hour with an arm, for somebody who stands beside it with the emergency stop
 * in hand. It looks before it drives, asks before every motion, and drives through the same application, control loop,
 * guard and outputs as the node: only the policy is another one, which answers with what was agreed to.
 */
import { readConfig, type Config } from '../config.js';
import { secondsFromNs } from '../control/clock.js';
import { JogPolicy } from '../control/jogPolicy.js';
import { RosError } from '../errors.js';
import { Application } from '../node/application.js';
import type { Equipment } from '../node/equipment.js';
import type { ApplicationPorts } from '../node/ports.js';
import { openRos } from '../robot/ros/rclnodejs.js';
import type { RosLifecycle, RosNode } from '../robot/ros/ros.js';
import { compareWithTf } from '../robot/ros/tfListener.js';
import { describeArm, readArm } from './arm.js';
import { type Dialogue, CheckEnded } from './checkDialogue.js';
import { armFindings, checkFiles, sentenceOfError } from './checkFiles.js';
import { inputFindings } from './checkInputs.js';
import { degrees } from './checkMeasure.js';
import { CheckBroken, type Driven, holdStill, jogAll, moveGripper, pause } from './checkMotion.js';
import { CheckReport, type CheckFinding, type CheckResult } from './checkResult.js';
import { Witness } from './checkWitness.js';
import { realClock } from './clock.js';
import { flightRecorder } from './flightRecorder.js';

export interface CheckRobotOptions {
  /** Null: `-p config_file:=…` of the ROS arguments names it. */
  readonly config: string | null;
  /** A model folder to hold robot.yaml to; null: none. */
  readonly model: string | null;
  /** Where thumbnails go. */
  readonly folder: string;
  /** Everything from `--ros-args` on. */
  readonly args: readonly string[];
  /** `simulation`: nobody is asked, so time must be simulated. */
  readonly where: 'robot' | 'simulation';
  readonly dialogue: Dialogue;
  /** Aborted where the person, or the system, ends the check: the arm comes to rest first. */
  readonly signal: AbortSignal;
}

/** What the check drives at: share of the guard's velocities. More is refused. */
const SPEED_SCALE = 0.2;
/** s for discovery, rates and tf. */
const LISTEN = 4;
const steps = ['files', 'inputs', 'controllers', 'kinematics', 'hold', 'jog', 'gripper'] as const;
/** tf and forward kinematics may differ by this, m and rad: what a URDF rounds in print. */
const AGREE = { translation: 1e-3, rotation: (0.2 * Math.PI) / 180 };

/** Files only: nothing of ROS 2 is needed. */
export function checkOnlyFiles(
  config: string,
  model: string | null,
  say: (line: string) => void,
): CheckResult {
  const report = new CheckReport(say);
  report.addAll(checkFiles(config, model).findings);
  return report.result();
}

/** The arm rests, or is not driven, when this resolves. @throws RosError where ROS 2 is not there. */
export async function checkRobot(options: CheckRobotOptions): Promise<CheckResult> {
  const { dialogue } = options;
  const report = new CheckReport((line) => dialogue.say(line));
  const ros = await openRos(rosArguments(options));
  try {
    const stage = openStage(ros.lifecycleNode.bind(ros), options, report);
    ros.spin();
    try {
      await runSteps(stage, options);
    } catch (error) {
      report.add(endFinding(error));
    } finally {
      await bringToRest(stage);
      report.skipRest(steps);
    }
  } finally {
    await ros.shutdown();
  }
  return report.result();
}

/** Slow and live unless the arguments say otherwise; a dry run that they ask for is kept. */
function rosArguments({ config, args }: CheckRobotOptions): readonly string[] {
  const parameter = (name: string, value: string): string[] => ['-p', `${name}:=${value}`];
  return [
    '--ros-args',
    ...parameter('dry_run', 'false'),
    ...parameter('speed_scale', String(SPEED_SCALE)),
    ...(config === null ? [] : parameter('config_file', JSON.stringify(config))),
    ...args,
  ];
}

interface Stage extends Omit<Driven, 'equipment'> {
  readonly node: RosNode;
  readonly lifecycle: RosLifecycle;
}

function openStage(
  lifecycleNode: Awaited<ReturnType<typeof openRos>>['lifecycleNode'],
  { dialogue, signal }: CheckRobotOptions,
  report: CheckReport,
): Stage {
  let application!: Application;
  let seen: Witness | null = null;
  let jog: JogPolicy | null = null;
  const ports: ApplicationPorts = {
    clock: realClock,
    readConfig,
    describeArm: (config, urdf) =>
      urdf ? describeArm(config, urdf.text, urdf.where) : readArm(config),
    openPolicy: (_folder, { baseFrame }) => {
      jog = new JogPolicy(baseFrame);
      const facts = { policy: 'jog: one agreed motion at a time' };
      return Promise.resolve({ policy: jog, traceCamera: null, facts, dropped: () => ({}) });
    },
    flightRecorder: (config, now, say) =>
      (seen = new Witness(flightRecorder(config, now, say), now)),
  };
  const { node, lifecycle } = lifecycleNode(
    { name: 'magma_vla_check' },
    (created, state) => (application = new Application(created, ports, state)),
  );
  const made = <T>(value: T | null): T => {
    if (value === null) throw new RosError('the check is not configured');
    return value;
  };
  return {
    ...{ application, node, lifecycle, dialogue, report, signal, clock: realClock },
    get witness() {
      return made(seen);
    },
    get jog() {
      return made(jog);
    },
  };
}

/** @throws CheckEnded, CheckBroken where the rest is not done. */
async function runSteps(stage: Stage, options: CheckRobotOptions): Promise<void> {
  const { application, dialogue, report, lifecycle } = stage;
  const { settings } = application;
  if (options.where === 'simulation' && stage.node.parameter('use_sim_time') !== true)
    throw new CheckBroken(
      '--yes is for a simulation: it needs -p use_sim_time:=true, and a /clock. Beside a real arm a person answers.',
    );
  if (settings.speedScale > SPEED_SCALE)
    throw new CheckBroken(
      `speed_scale: got ${settings.speedScale}, expected at most ${SPEED_SCALE} for a check`,
    );

  dialogue.say('1. Files.');
  const files = checkFiles(settings.configFile, options.model);
  if (!report.addAll(files.findings) || !files.config)
    throw new CheckBroken('robot.yaml has to be right before a robot is looked at');

  dialogue.say(`2. Inputs: what the robot reports. Nothing is sent. ${LISTEN} s of listening.`);
  const refused = await lifecycle.request('configure');
  if (refused !== null) throw new CheckBroken(refused);
  const equipment = application.equipment!;
  if (files.config.description?.urdf === undefined)
    report.addAll(armFindings(equipment.config, equipment.arm));
  await pause(stage, LISTEN);
  const { folder } = options;
  const { witness, node } = stage;
  const inputs = await inputFindings({
    ...{ equipment, witness, folder, now: () => application.now() },
    resolve: (topic) => node.resolve(topic),
  });
  const heard = report.addAll(inputs);

  dialogue.say('3. Controllers: who listens to commands, and who else gives them.');
  const accepted = report.addAll(await controllerFindings(equipment, node));

  dialogue.say('4. Kinematics: where tf says the tool is, against the URDF of the guard.');
  const agrees = report.addAll(await kinematicsFindings(stage, equipment));
  if (!heard || !accepted || !agrees)
    throw new CheckBroken('the arm is not driven before what failed above is right');

  await drive({ ...stage, equipment });
}

// ── 3. Controllers, 4. Kinematics ───────────────────────────────────────────────────────────────────────────────────

async function controllerFindings(
  { robot, config }: Equipment,
  node: RosNode,
): Promise<readonly CheckFinding[]> {
  const step = 'controllers';
  const what = robot.target ?? 'command';
  const found = (await robot.check()).map(({ severity, sentence }): CheckFinding => ({
    ...{ step, what, sentence },
    outcome: severity === 'refuse' ? 'failed' : 'note',
  }));
  if (found.length === 0)
    found.push({ step, what, outcome: 'ok', sentence: 'is listened to, with fitting settings.' });
  return [...found, ...rivalFindings(config, node)];
}

/** Two that command one arm fight over it. Publishers of this node are not counted. */
function rivalFindings({ command }: Config, node: RosNode): readonly CheckFinding[] {
  if (!command || !('topic' in command)) return [];
  const topic = node.resolve(command.topic);
  const others = node
    .publishersOf(topic)
    .map((endpoint) => endpoint.node)
    .filter((name) => name !== node.fullName);
  const shared = { step: 'controllers', what: 'other commanders' };
  return others.length === 0
    ? [{ ...shared, outcome: 'ok', sentence: `nobody else publishes on ${topic}.` }]
    : [
        {
          ...shared,
          outcome: 'failed',
          sentence: `${others.join(', ')} can command the arm on ${topic} too: end it first.`,
        },
      ];
}

async function kinematicsFindings(
  stage: Stage,
  { arm, aligner, transforms }: Equipment,
): Promise<readonly CheckFinding[]> {
  const shared = { step: 'kinematics', what: 'tf against URDF' };
  if (!arm)
    return [{ ...shared, outcome: 'skipped', sentence: 'robot.yaml describes no kinematics.' }];
  let problem = 'no joints have been reported';
  const endNs = realClock.now().nowNs + 2_000_000_000n;
  while (realClock.now().nowNs < endNs) {
    const { joints } = aligner.measured();
    const compared = joints && compareWithTf(transforms.buffer, arm.arm, joints);
    if (compared?.ok) {
      const { translation, rotation } = compared;
      const agrees = translation <= AGREE.translation && rotation <= AGREE.rotation;
      const { baseLink, tipLink } = arm.arm;
      return [
        {
          ...shared,
          outcome: agrees ? 'ok' : 'failed',
          sentence: `${tipLink} in ${baseLink} is ${(1e3 * translation).toFixed(3)} mm and ${degrees(rotation)} apart${agrees ? '' : ': another URDF, tipLink or joint order than robot_state_publisher has'}`,
          values: { mm: 1e3 * translation, deg: (180 / Math.PI) * rotation },
        },
      ];
    }
    if (compared) ({ problem } = compared);
    await pause(stage, 0.05);
  }
  return [{ ...shared, outcome: 'skipped', sentence: `could not be compared: ${problem}` }];
}

// ── 5. The arm ──────────────────────────────────────────────────────────────────────────────────────────────────────

async function drive(driven: Driven & Stage): Promise<void> {
  const { application, dialogue, equipment, lifecycle, node, report } = driven;
  const { config } = equipment;
  const skip = (sentence: string): void => {
    report.add({ step: 'hold', what: 'taking up the arm', outcome: 'skipped', sentence });
  };
  const isDry = config.dryRun || application.settings.dryRun;
  if (!config.command) {
    skip('robot.yaml names no command.');
    return;
  }
  if (isDry) {
    skip(
      `${config.dryRun ? 'dryRun is true in robot.yaml' : 'dry_run:=true was given'}: nothing is sent. Make it false when the steps above are right, and run this again.`,
    );
    return;
  }
  const speed = application.settings.speedScale * config.guard.speedScale;
  dialogue.say('5. The arm is taken up where it is, and held.');
  dialogue.say(
    `  From here on the arm is driven, at ${(100 * speed).toFixed(0)} % of the guard's velocities. Nobody within its reach; the`,
  );
  dialogue.say(
    `  emergency stop in hand. Ctrl-C brings it to rest; so does: ros2 service call ${node.resolve('~/stop')} std_srvs/srv/Trigger`,
  );
  if (!(await dialogue.agree('  Take up the arm?'))) {
    skip('not agreed to');
    return;
  }
  const before = equipment.aligner.measured().endEffector;
  if (!before) throw new CheckBroken("the tool's pose is not known");
  const refused = await lifecycle.request('activate');
  if (refused !== null) throw new CheckBroken(refused);
  await holdStill(driven, before.pose);

  dialogue.say(
    `6. Jog: there and back along each axis of ${config.baseFrame}. Look whether the tool moves as the question says.`,
  );
  await jogAll(driven);

  dialogue.say('7. Gripper.');
  await moveGripper(driven);
}

/** Also where nothing has been taken up. Never rejects. */
async function bringToRest({ application, lifecycle, report, dialogue }: Stage): Promise<void> {
  const wasDriven = application.session !== null;
  if (wasDriven) dialogue.say('The arm is brought to rest and let go.');
  const started = realClock.now().nowNs;
  const refused = await lifecycle.request('shutdown').catch(sentenceOfError);
  const took = secondsFromNs(realClock.now().nowNs - started);
  if (!wasDriven && refused === null) return;
  report.add({
    step: 'end',
    what: 'letting go',
    outcome: refused === null ? 'ok' : 'failed',
    sentence: refused ?? `the arm rests, after ${took.toFixed(1)} s`,
  });
}

function endFinding(error: unknown): CheckFinding {
  const sentence = sentenceOfError(error);
  const ended = error instanceof CheckEnded;
  return { step: 'end', what: ended ? 'ended by' : 'stopped', outcome: 'failed', sentence };
}
