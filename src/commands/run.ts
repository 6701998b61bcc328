/** `magma-vla run`: the ROS 2 node of this process, from its start to its last safe action. */
import { resolve } from 'node:path';
import { readConfig } from '../config.js';
import { ConfigError } from '../errors.js';
import type { ModelClient } from '../model/client.js';
import { Application } from '../node/application.js';
import { autostart } from '../node/autostart.js';
import { diagnosed } from '../node/diagnosed.js';
import { Diagnostics } from '../node/diagnostics.js';
import type { ApplicationPorts, OpenedPolicy } from '../node/ports.js';
import { StatusPublisher } from '../node/status.js';
import { withSettings } from '../node/settings.js';
import { openRos } from '../robot/ros/rclnodejs.js';
import type { RosLifecycle, RosNode } from '../robot/ros/ros.js';
import { describeArm, readArm } from './arm.js';
import { realClock } from './clock.js';
import { flightRecorder } from './flightRecorder.js';
import { openFromFlags } from './modelFlags.js';
import { readModelWords } from './openModel.js';
import { openRecordedRun } from './recordedRun.js';
import type { ProviderSetting } from '../model/session.js';

export interface RunOptions {
  /** Everything after `run`: `--ros-args …`. */
  readonly args: readonly string[];
  readonly defaultModel: string;
  readonly cache: string;
}

/** Resolves with the process's exit code, after SIGINT, SIGTERM or a remote shutdown, with the arm at rest. */
export async function run(options: RunOptions): Promise<number> {
  const ros = await openRos(options.args);
  let application!: Application;
  const { node, lifecycle } = ros.lifecycleNode(
    { name: 'magma_vla' },
    (created, state) => (application = new Application(created, portsOf(options), state)),
  );
  const status = new StatusPublisher(node, application, lifecycle);
  const diagnostics = new Diagnostics(node, diagnosed(node, application, lifecycle));
  const ended = endOf(node, lifecycle);
  ros.spin();
  if (application.settings.autostart)
    void autostart(node, lifecycle, () => application.obstacle(), ended.signal);
  else node.log.info(`unconfigured, and autostart is false: ${howToStart(node)}`);
  const code = await ended.code;
  status.dispose();
  diagnostics.dispose();
  await ros.shutdown();
  return code;
}

function howToStart(node: RosNode): string {
  const commands = `ros2 lifecycle set ${node.fullName} configure, then activate`;
  return node.parameter('config_file') === ''
    ? `${commands}; config_file is empty: -p config_file:=<robot.yaml>`
    : commands;
}

/** ms between two requests to shut down, while another transition is under way, and for how long. */
const AGAIN = 100;
const PATIENCE = 20_000;

/**
 * SIGINT or SIGTERM brings the arm to rest and ends the node. Repeated ones do not shorten that: a launch sends one to
 * every process and once more to be sure.
 */
function endOf(node: RosNode, lifecycle: RosLifecycle) {
  const ending = new AbortController();
  const code = new Promise<number>((resolveCode) => {
    const finish = async (because: string): Promise<void> => {
      if (ending.signal.aborted) {
        node.log.info(`${because}: the node is ending already`);
        return;
      }
      ending.abort();
      node.log.info(`${because}: the arm comes to rest, then the node ends`);
      const refused = await shutDown(lifecycle);
      if (refused !== null) node.log.error(`shutdown: ${refused}`);
      resolveCode(refused === null ? 0 : 1);
    };
    process.on('SIGINT', () => void finish('SIGINT'));
    process.on('SIGTERM', () => void finish('SIGTERM'));
    lifecycle.onFinalized(() => {
      if (!ending.signal.aborted) resolveCode(0);
    });
  });
  return { code, signal: ending.signal };
}

/** Null where the node is finalized, else why not. A transition under way is waited for. */
async function shutDown(lifecycle: RosLifecycle): Promise<string | null> {
  for (let waited = 0; ; waited += AGAIN) {
    const refused = await lifecycle.request('shutdown');
    if (refused === null || lifecycle.state === 'finalized' || waited >= PATIENCE) return refused;
    await new Promise((resolve) => setTimeout(resolve, AGAIN));
  }
}

function portsOf({ cache, defaultModel }: RunOptions): ApplicationPorts {
  return {
    clock: realClock,
    readConfig,
    describeArm: (config, urdf) =>
      urdf ? describeArm(config, urdf.text, urdf.where) : readArm(config),
    openPolicy: async (folder, config, settings, say, arm) => {
      if (settings.policy === 'recorded')
        return openRecordedRun({
          ...{ bag: settings.bag, episode: settings.bagEpisode, config, say },
          arm: arm?.arm ?? null,
          policyPeriod: withSettings(config, settings).control.policyPeriod,
          mismatch: settings.allowMismatch ? 'allow' : 'refuse',
        });
      if (settings.policy !== 'model')
        throw new ConfigError('policy', settings.policy, 'model or recorded');
      const model = resolve(folder === '' ? defaultModel : folder);
      const statistics = settings.statistics === '' ? {} : { statistics: settings.statistics };
      const client = await openFromFlags(
        {
          model,
          provider: settings.provider as ProviderSetting,
          threads: settings.threads,
          ...(settings.allowMismatch ? { allowMismatch: true } : {}),
          ...statistics,
        },
        config,
        { cache, say, onMismatch: () => undefined },
      );
      const words = readModelWords(model, config, statistics.statistics);
      return opened(client, words.traceCamera);
    },
    flightRecorder,
  };
}

function opened(client: ModelClient, traceCamera: string | null): OpenedPolicy {
  const { name, sha256, provider, decoding } = client.facts;
  return {
    policy: client,
    traceCamera,
    facts: {
      model: name,
      sha256,
      provider: `${provider.provider} (${provider.reason})`,
      decoding: `${decoding.kind} (${decoding.reason})`,
    },
    dropped: () => ({ ...client.dropped }),
  };
}
