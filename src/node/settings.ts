/**
 * The node's ROS parameters: which files to read, and the scalars that may change while it runs. What concerns the robot
 * itself is in robot.yaml.
 */
import type { Config } from '../config.js';
import { ConfigError } from '../errors.js';
import type { LifecycleState, ParameterDescription, RosNode } from '../robot/ros/ros.js';

export interface Settings {
  readonly configFile: string;
  readonly model: string;
  readonly provider: string;
  /** Within one operator on the CPU. */
  readonly threads: number;
  readonly statistics: string;
  readonly allowMismatch: boolean;
  readonly shadowModel: string;
  /** Who decides: model or recorded. */
  readonly policy: string;
  /** Of recorded actions. */
  readonly bag: string;
  readonly bagEpisode: number;
  readonly autostart: boolean;
  readonly dryRun: boolean;
  readonly speedScale: number;
  /** Hz; 0: robot.yaml's. */
  readonly controlRate: number;
  readonly policyRate: number;
  /** s; 0: no traces. */
  readonly tracePeriod: number;
}

/** In which lifecycle states a parameter may change. */
type When = 'unconfigured' | 'notActive' | 'always' | 'never';

const parameters: readonly (ParameterDescription & { readonly when: When })[] = [
  {
    name: 'config_file',
    value: '',
    description:
      'robot.yaml: topics, joints, limits, cameras, outputs. Read when the node is configured.',
    when: 'unconfigured',
  },
  {
    name: 'model',
    value: '',
    description:
      'Model folder; empty: models/nano of this package. Loaded when the node is configured.',
    when: 'unconfigured',
  },
  {
    name: 'provider',
    value: 'auto',
    description: 'ONNX Runtime execution provider: auto (the CPU), cpu, cuda or webgpu.',
    when: 'unconfigured',
  },
  {
    name: 'threads',
    value: 1,
    integer: true,
    range: { from: 1, to: 256 },
    description:
      'Threads within one operator of the model on the CPU; leave cores to control and drivers. A model of billions of weights wants more than one.',
    when: 'unconfigured',
  },
  {
    name: 'statistics',
    value: '',
    description: "Which of the model's action statistics (unnorm_key); empty: the robot's own.",
    when: 'unconfigured',
  },
  {
    name: 'allow_mismatch',
    value: false,
    description: 'Drive a robot that the model was not trained for.',
    when: 'unconfigured',
  },
  {
    name: 'shadow_model',
    value: '',
    description:
      'A second model that predicts on the same pictures and never commands; empty: none.',
    when: 'unconfigured',
  },
  {
    name: 'policy',
    value: 'model',
    description:
      'Who decides: model, or recorded (the actions of one episode of a bag, open loop).',
    when: 'unconfigured',
  },
  {
    name: 'bag',
    value: '',
    description: 'For policy recorded: rosbag2 MCAP, a file or a folder.',
    when: 'unconfigured',
  },
  {
    name: 'bag_episode',
    value: 0,
    integer: true,
    range: { from: 0, to: 1_000_000 },
    description: 'For policy recorded: which episode of the bag, from 0.',
    when: 'unconfigured',
  },
  {
    name: 'autostart',
    value: false,
    description: 'Configure and activate at start, as soon as the inputs are there.',
    readOnly: true,
    when: 'never',
  },
  {
    name: 'dry_run',
    value: true,
    description:
      'Nothing is sent to the robot; verdicts are computed and shown. robot.yaml may insist on it (dryRun).',
    when: 'notActive',
  },
  {
    name: 'speed_scale',
    value: 1,
    range: { from: 0, to: 1 },
    description:
      "Share of the guard's velocity limits, beside robot.yaml's speedScale. Takes effect at once.",
    when: 'always',
  },
  {
    name: 'control_rate',
    value: 0,
    range: { from: 0, to: 1000 },
    description:
      "Control ticks per second, at least 5; 0: robot.yaml's rateHz. Read when the node is configured.",
    when: 'unconfigured',
  },
  {
    name: 'policy_rate',
    value: 0,
    range: { from: 0, to: 100 },
    description: "At most so many action requests per second; 0: robot.yaml's policyPeriod.",
    when: 'notActive',
  },
  {
    name: 'trace_period',
    value: 1,
    range: { from: 0, to: 60 },
    description: 'Seconds between requests for traces; 0: none.',
    when: 'notActive',
  },
];

const providers = ['auto', 'cuda', 'webgpu', 'cpu'];
const policies = ['model', 'recorded'];

/** Declares all, and refuses changes that do not fit the node's state. */
export function declareSettings(node: RosNode, state: () => LifecycleState): void {
  for (const { name, value, description, readOnly, range, integer } of parameters)
    node.declareParameter({
      name,
      value,
      description,
      ...(readOnly === undefined ? {} : { readOnly }),
      ...(range ? { range } : {}),
      ...(integer === undefined ? {} : { integer }),
    });
  node.onParameterChange((changes) => {
    for (const [name, value] of changes) {
      const refused = refuseValue(name, value) ?? refuseState(name, state());
      if (refused !== null) return refused;
    }
    return null;
  });
}

export function refuseState(name: string, state: LifecycleState): string | null {
  const when = parameters.find((parameter) => parameter.name === name)?.when ?? 'always';
  if (when === 'unconfigured' && state !== 'unconfigured') {
    const first = state === 'active' ? 'deactivate it, then clean it up' : 'clean it up';
    return `${name} is read when the node is configured; the node is ${state}: ${first}, set it, and configure anew`;
  }
  if (when === 'notActive' && state === 'active')
    return `${name} does not change while the node is active: deactivate it first`;
  return null;
}

export function refuseValue(name: string, value: unknown): string | null {
  if (name === 'provider' && !providers.includes(String(value)))
    return `provider: got ${String(value)}, expected ${providers.join(', ')}`;
  if (name === 'policy' && !policies.includes(String(value)))
    return `policy: got ${String(value)}, expected ${policies.join(' or ')}`;
  if (name === 'control_rate' && Number(value) !== 0 && !(Number(value) >= 5))
    return `control_rate: got ${String(value)} Hz, expected 0 or 5 … 1000`;
  return null;
}

export function readSettings(node: RosNode): Settings {
  const text = (name: string): string => String(node.parameter(name));
  const number = (name: string): number => Number(node.parameter(name));
  return {
    configFile: text('config_file'),
    model: text('model'),
    provider: text('provider'),
    threads: number('threads'),
    statistics: text('statistics'),
    allowMismatch: node.parameter('allow_mismatch') === true,
    shadowModel: text('shadow_model'),
    policy: text('policy'),
    bag: text('bag'),
    bagEpisode: number('bag_episode'),
    autostart: node.parameter('autostart') === true,
    // Anything but a plain false is a dry run.
    dryRun: node.parameter('dry_run') !== false,
    speedScale: number('speed_scale'),
    controlRate: number('control_rate'),
    policyRate: number('policy_rate'),
    tracePeriod: number('trace_period'),
  };
}

/**
 * robot.yaml with the control rate of the parameters: outputs, guard and loop must agree on it.
 * @throws ConfigError where the watchdog is not longer than a control period then.
 */
export function withRate(config: Config, { controlRate }: Settings): Config {
  if (controlRate === 0) return config;
  const { watchdog } = config.guard;
  if (!(watchdog > 1 / controlRate))
    throw new ConfigError(
      'control_rate',
      `${controlRate} Hz`,
      `a period below the watchdog of ${watchdog} s (guard.watchdog in robot.yaml)`,
    );
  return { ...config, control: { ...config.control, rateHz: controlRate } };
}

/** robot.yaml as an activation has it. Dry run: where either says so. */
export function withSettings(config: Config, { policyRate, dryRun }: Settings): Config {
  const policyPeriod = policyRate > 0 ? 1 / policyRate : config.control.policyPeriod;
  return {
    ...config,
    control: { ...config.control, policyPeriod },
    dryRun: dryRun || config.dryRun,
  };
}
