/**
 * robot.yaml → Config: parsed once at the door, frozen, unknown keys refused. One file per robot, read alike by the
 * live node, replay and the built-in simulation. Angles rad, lengths m, times s unless the key says otherwise.
 */
import { readFileSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { parse as parseYaml } from 'yaml';
import { z } from 'zod';
import { ConfigError, gotAt } from './errors.js';

const positive = z.number().positive();
const weight = z.number().min(0).max(1);
const vec3 = z.tuple([z.number(), z.number(), z.number()]);

const jointLimits = z
  .strictObject({
    lower: z.number(),
    upper: z.number(),
    velocity: positive,
    acceleration: positive,
    jerk: positive,
    /** N·m; checked where the robot reports effort. */
    effort: positive.optional(),
  })
  .refine((limits) => limits.lower < limits.upper, {
    message: 'lower must be below upper',
    path: ['lower'],
  });

/** When a reading was taken: as its header says (default), or when it was received, for drivers without usable stamps. */
const stampSource = z.enum(['header', 'receipt']).optional();
/** Overrides of the live subscription's quality of service. */
const inputQos = z
  .strictObject({
    reliability: z.enum(['reliable', 'best_effort']).optional(),
    durability: z.enum(['volatile', 'transient_local']).optional(),
    depth: z.number().int().positive().optional(),
  })
  .optional();

/** All points within `radius` of the segment from `from` to `to`, in the link's frame, m. */
const capsule = z.strictObject({ from: vec3, to: vec3, radius: positive });

const camera = z.strictObject({
  topic: z.string(),
  type: z.enum(['image', 'compressed']),
  stampSource,
  qos: inputQos,
  /** Key of the model contract this camera feeds; absent: recorded and shown, not fed to the model. */
  modelKey: z.string().optional(),
});

const guard = z.strictObject({
  /** Cartesian limits of the tool centre point. With joint output only the velocities apply: joints have their own. */
  linearVelocity: positive,
  linearAcceleration: positive,
  linearJerk: positive,
  angularVelocity: positive,
  angularAcceleration: positive,
  angularJerk: positive,
  /** Axis-aligned box in the base frame that the tool centre point must stay in. */
  workspace: z
    .strictObject({ min: vec3, max: vec3 })
    .refine(({ min, max }) => min.every((low, axis) => low < max[axis]!), {
      message: 'min below max on every axis',
    }),
  /** A target further than this from the last one is clamped (per policy step). */
  maxStepTranslation: positive,
  maxStepRotation: positive,
  /** Below: halt. */
  minConfidence: z.number().min(0).max(1).default(0),
  /** Mean confidence of the last `over` actions of an instruction below `below`: halt. Absent: not watched. */
  unsure: z
    .strictObject({
      below: z.number().min(0).max(1),
      over: z.number().int().min(1).max(100).default(5),
    })
    .optional(),
  /** Largest |commanded − measured|, per joint (rad) or of the tool (m). */
  trackingError: positive,
  /** The same for the rotation of the tool, rad; where joints are not commanded. */
  trackingErrorRotation: positive.default(0.3),
  /** Lowest height of any link above the table plane z = tableHeight of the base frame. */
  tableHeight: z.number().optional(),
  linkClearance: z.number().nonnegative().default(0.02),
  /** Smallest singular value of the Jacobian at which the arm slows down, and at which it stops. */
  singularity: z
    .strictObject({ slow: positive, stop: positive })
    .refine(({ slow, stop }) => stop < slow, { message: 'stop below slow' })
    .default({ slow: 0.05, stop: 0.02 }),
  /** Ages beyond which a reading means stop, s. */
  maxJointAge: positive.default(0.1),
  maxObservationAge: positive.default(0.6),
  /** A stamp further in the future than this is refused, s. */
  maxFutureStamp: positive.default(0.05),
  /** No tick for this long, s: halt. */
  watchdog: positive.default(0.1),
  /** Speed grows from 0 to the speed scale over this time after activation or re-arm, s. */
  rampIn: z.number().nonnegative().default(1),
  speedScale: z.number().min(0).max(1).default(1),
});

const leadPeriods = z.number().min(1).max(3).default(2);
/** s, at most 1: after how long without commands the layer below stops by itself, and which of its settings says so. */
const expiry = { timeout: positive.max(1), timeoutSetting: z.string().min(1) };

/**
 * What commands are sent as. Every one ends by itself: trajectories in a braking path, positions and poses at rest, and
 * velocities by the timeout of the layer below, without which they are refused.
 */
const command = z.discriminatedUnion('type', [
  /** trajectory_msgs/JointTrajectory; the arm is on the commanded state `leadPeriods` control periods later. */
  z.strictObject({
    type: z.literal('jointTrajectory'),
    topic: z.string(),
    /** Node name of the joint_trajectory_controller, whose parameters and state are read. */
    controller: z.string().optional(),
    leadPeriods,
  }),
  z.strictObject({
    type: z.literal('followJointTrajectory'),
    action: z.string(),
    controller: z.string().optional(),
    leadPeriods,
  }),
  /** std_msgs/Float64MultiArray, in the order of `joints`; checked against the controller's own `joints` where named. */
  z.strictObject({
    type: z.literal('forwardPosition'),
    topic: z.string(),
    joints: z.array(z.string()).min(1),
    controller: z.string().optional(),
  }),
  z.strictObject({
    type: z.literal('forwardVelocity'),
    topic: z.string(),
    joints: z.array(z.string()).min(1),
    controller: z.string().optional(),
    ...expiry,
  }),
  /** MoveIt Servo: geometry_msgs/TwistStamped on its delta_twist_cmds, stamped now. */
  z.strictObject({
    type: z.literal('servoTwist'),
    topic: z.string(),
    /** moveit_msgs/ServoStatus or std_msgs/Int8 topic: codes that halt are halts here too. */
    status: z.string().optional(),
    ...expiry,
  }),
  z.strictObject({
    type: z.literal('servoPose'),
    topic: z.string(),
    status: z.string().optional(),
    ...expiry,
  }),
  /** cartesian_controllers: geometry_msgs/PoseStamped on target_frame. */
  z.strictObject({
    type: z.literal('cartesianPose'),
    topic: z.string(),
    controller: z.string().optional(),
  }),
]);

const gripperCommand = z.discriminatedUnion('type', [
  /** control_msgs/action/GripperCommand or ParallelGripperCommand: one goal outstanding, sent on change. */
  z.strictObject({
    type: z.enum(['gripperCommand', 'parallelGripperCommand']),
    action: z.string(),
    /** Position of the action's command when closed and open; the joint's own where absent. */
    closed: z.number().optional(),
    open: z.number().optional(),
    /** N (or N·m). */
    maxEffort: z.number().nonnegative().default(0),
    /** s between two commands. */
    minCommandInterval: z.number().nonnegative().default(0.2),
  }),
  /** std_msgs/Float64MultiArray with one value, for a forward controller of the gripper joint. */
  z.strictObject({
    type: z.literal('forwardPosition'),
    topic: z.string(),
    closed: z.number().optional(),
    open: z.number().optional(),
    minCommandInterval: z.number().nonnegative().default(0.2),
  }),
]);

/** What control does by itself about an empty or lost grasp and the lack of progress; control/recovery.ts. */
const recovery = z.strictObject({
  /** Small motions per instruction before the node gives up; 0: it gives up at once. */
  retries: z.number().int().min(0).max(10).default(2),
  /** Opening, 0 … 1, below which nothing is between closed fingers: less than the thinnest object's. */
  smallestObject: z.number().gt(0).lt(1).default(0.05),
  /** s a gripper may take to close. */
  closingTime: positive.max(10).default(1),
  /** s a policy gets to see for itself that it holds nothing. */
  patience: z.number().nonnegative().max(30).default(1),
  /** m straight up, along z of the base frame, and how fast on average, m/s. */
  rise: positive.max(0.15).default(0.07),
  speed: positive.max(0.25).default(0.1),
  /**
   * Stuck: for `after` s at full speed, actions that ask for far more moved the tool within a box of diagonal `within`, m,
   * and `turning`, rad, and the gripper did not change.
   */
  noProgress: z
    .strictObject({
      after: positive.max(120).default(10),
      within: positive.default(0.08),
      turning: positive.default(0.8),
    })
    .default({ after: 10, within: 0.08, turning: 0.8 }),
});

const robot = z.strictObject({
  robot: z.string(),
  /** Kinematics; absent for a robot without reported arm joints: then the Cartesian guard applies. */
  description: z
    .strictObject({
      /** A file; absent: the live node reads the topic robot_description. */
      urdf: z.string().optional(),
      baseLink: z.string(),
      tipLink: z.string(),
      /**
       * What inverse kinematics weighs of x, y, z (m) and rotation about x, y, z (rad) of the tool: 0 for the rotation
       * that an arm of five axes gives up.
       */
      taskWeights: z
        .tuple([weight, weight, weight, weight, weight, weight])
        .default([1, 1, 1, 1, 1, 1]),
      /** In place of the URDF's collision geometry of a link: needed where it is a mesh and joints are commanded. */
      collision: z.record(z.string(), z.array(capsule).min(1)).optional(),
      /** Pairs of links that are not held against each other: those whose shapes overlap though the links do not. */
      ignoredPairs: z.array(z.tuple([z.string(), z.string()])).optional(),
    })
    .optional(),
  joints: z
    .strictObject({
      topic: z.string(),
      stampSource,
      qos: inputQos,
      limits: z.record(z.string(), jointLimits),
    })
    .optional(),
  endEffector: z
    .strictObject({ topic: z.string(), frameId: z.string(), stampSource, qos: inputQos })
    .optional(),
  gripper: z
    .strictObject({
      /** Joint of the joint-state topic and its positions when closed and open. */
      topic: z.string(),
      joint: z.string(),
      closed: z.number(),
      open: z.number(),
      /** A new opening is sent when it crosses 0.5 by this much (hysteresis). */
      hysteresis: z.number().min(0).max(0.5).default(0.1),
      stampSource,
      qos: inputQos,
      /** Absent: the gripper is watched, not moved. */
      command: gripperCommand.optional(),
    })
    .refine(({ closed, open }) => closed !== open, { message: 'closed and open to differ' })
    .optional(),
  baseFrame: z.string().default('base_link'),
  cameras: z.record(z.string(), camera),
  instruction: z.strictObject({ topic: z.string() }).optional(),
  episode: z.strictObject({ topic: z.string() }).optional(),
  /** A recorded action topic (Float64MultiArray dx dy dz droll dpitch dyaw gripper), for replay. */
  recordedAction: z
    .strictObject({
      topic: z.string(),
      stepPeriod: positive,
      composition: z.enum(['base', 'tool']).default('base'),
    })
    .optional(),
  output: z.enum(['joint', 'twist', 'pose']),
  /** Where the live node sends commands; absent: it only watches. */
  command: command.optional(),
  /** A person's consent: while absent or older than `timeout` s, the arm is held. Joy: a button that is held down. */
  enable: z
    .strictObject({
      topic: z.string(),
      type: z.enum(['bool', 'joy']),
      button: z.number().int().nonnegative().default(0),
      timeout: positive.max(2).default(0.5),
    })
    .optional(),
  /** Joint positions that `~/go_home` moves to, rad. */
  home: z.record(z.string(), z.number()).optional(),
  /** std_msgs/String of something that judges the task: `running`, `success`, or why it failed. */
  outcome: z.strictObject({ topic: z.string() }).optional(),
  /** s that ExecuteInstruction lets a task take where the goal names no limit. */
  timeLimit: positive.default(60),
  /** The last seconds before a halt, written as MCAP: one file in five seconds, none where only an enable was let go. */
  blackBox: z
    .strictObject({ seconds: positive.max(120).default(10), folder: z.string().optional() })
    .default({ seconds: 10 }),
  control: z.strictObject({
    rateHz: z.number().min(5).max(1000),
    /** Period of the policy requests, s. */
    policyPeriod: positive,
    /** Fixed latency from observation to answer in lock-step runs, s. */
    lockstepLatency: z.number().nonnegative().default(0.05),
    actionDeadlineMs: positive.default(1000),
    traceDeadlineMs: positive.default(5000),
  }),
  guard,
  /** Absent: none. Needs the gripper's reading. */
  recovery: recovery.optional(),
  /** Nothing leaves the node in a dry run: verdicts are computed, logged and shown. */
  dryRun: z.boolean().default(true),
});

const outputOf = {
  jointTrajectory: 'joint',
  followJointTrajectory: 'joint',
  forwardPosition: 'joint',
  forwardVelocity: 'joint',
  servoTwist: 'twist',
  servoPose: 'pose',
  cartesianPose: 'pose',
} as const;

const schema = robot
  .refine(({ guard: { watchdog }, control }) => watchdog > 1 / control.rateHz, {
    message: 'a watchdog longer than a control period, 1 / rateHz',
    path: ['guard', 'watchdog'],
  })
  .refine(({ command, output }) => command === undefined || outputOf[command.type] === output, {
    message: 'a command of the kind that output names',
    path: ['command', 'type'],
  })
  .refine(({ recovery: wanted, gripper }) => wanted === undefined || gripper !== undefined, {
    message: 'recovery only where a gripper is configured: its reading tells what is held',
    path: ['recovery'],
  });

type DeepReadonly<T> = T extends object ? { readonly [K in keyof T]: DeepReadonly<T[K]> } : T;

/** A validated robot.yaml. `description.urdf`, where given, is an absolute path. */
export type Config = DeepReadonly<z.infer<typeof schema>>;
export type GuardConfig = Config['guard'];
export type JointLimits = DeepReadonly<z.infer<typeof jointLimits>>;

/** Text of a robot.yaml → Config. @throws ConfigError naming the key, what was got and what was expected. */
export function parseConfig(text: string, where: string): Config {
  let raw: unknown;
  try {
    raw = parseYaml(text);
  } catch (error) {
    throw new ConfigError(where, (error as Error).message, 'YAML');
  }
  const parsed = schema.safeParse(raw);
  if (!parsed.success) {
    // A misspelt key is both unknown and missing: the unknown one says more.
    const { issues } = parsed.error;
    const issue = issues.find(({ code }) => code === 'unrecognized_keys') ?? issues[0]!;
    const keys = issue.code === 'unrecognized_keys' ? issue.keys : [];
    const path = [...issue.path, ...keys].join('.');
    throw new ConfigError(
      `${where}: ${path || '(root)'}`,
      keys.length > 0 ? 'a key that is not known' : gotAt(raw, issue.path),
      keys.length > 0
        ? 'only keys that config/*.yaml annotate'
        : issue.message.replace(/^Invalid input: expected /, '').replace(/, received .*$/, ''),
    );
  }
  return deepFreeze(parsed.data);
}

/** Reads robot.yaml; relative paths in it are relative to the file. */
export function readConfig(path: string): Config {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (error) {
    throw new ConfigError(path, (error as Error).message, 'a readable robot.yaml');
  }
  const config = parseConfig(text, path);
  if (config.description?.urdf === undefined) return config;
  const urdf = resolve(dirname(path), config.description.urdf);
  return deepFreeze({ ...config, description: { ...config.description, urdf } });
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null) {
    Object.values(value).forEach(deepFreeze);
    Object.freeze(value);
  }
  return value;
}

/** The policy alone: control mends nothing, and an unsure policy is not held up. */
export function withoutRecovery(config: Config): Config {
  const copy: { -readonly [K in keyof Config]: Config[K] } = { ...config };
  const guard: { -readonly [K in keyof GuardConfig]: GuardConfig[K] } = { ...config.guard };
  delete copy.recovery;
  delete guard.unsure;
  return { ...copy, guard };
}

/**
 * For a robot that takes every command at once (the simulation in this process, a bag): what is said of the layer below
 * ROS 2 does not hold for it.
 */
export function takenAtOnce(config: Config): Config {
  const copy: { -readonly [K in keyof Config]: Config[K] } = { ...config };
  delete copy.command;
  return copy;
}
