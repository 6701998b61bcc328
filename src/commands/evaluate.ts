/**
 * `magma-vla evaluate`: seeded episodes over ROS 2, through a running simulator and a running, active node. The task is
 * given as an ExecuteInstruction goal; whether it was done is what the simulation says, and what the node reports is
 * counted beside it. The same seeds give the same scenes and tasks as `simulate`.
 *
 * Latency is measured in this process, by /clock: from a picture's stamp (the stamp of an action chunk) to the first
 * trajectory that is received after the chunk. It includes model, control tick and transport to a subscriber, but not the
 * picture's exposure or rendering, for which simulated time stands still. A trajectory that was under way when the chunk
 * came is taken for the first one: a value may be short by up to one control period.
 */
import { RosError } from '../errors.js';
import { percentile, wilsonInterval } from '../math/statistics.js';
import { openRos } from '../robot/ros/rclnodejs.js';
import { RosTime } from '../robot/ros/rosTime.js';
import { qos, type RosMessage, type RosNode } from '../robot/ros/ros.js';
import { stampFromMessage } from '../robot/messages/messages.js';
import type { Family } from '../robot/sim/tasks.js';
import { realClock } from './clock.js';
import type { Rate } from './simulateResult.js';

export interface EvaluateOptions {
  readonly episodes: number;
  readonly seed: number;
  readonly families: readonly Family[];
  /** s per episode. */
  readonly longest: number;
  /** Names of the two nodes and of the command topic; relative ones in this process's namespace. */
  readonly node: string;
  readonly simulator: string;
  readonly trajectories: string;
  /** `--ros-args …` */
  readonly args: readonly string[];
  readonly say: (line: string) => void;
}

/** ExecuteInstruction.action, in its order. */
const reported = ['succeeded', 'failed', 'timeLimit', 'canceled', 'preempted', 'stopped'] as const;
type Reported = (typeof reported)[number] | 'refused' | 'unknown';

export interface EvaluatedEpisode {
  readonly seed: number;
  readonly family: Family;
  readonly instruction: string;
  /** What the simulation says: running (out of time, or stopped), success, wrongObject … */
  readonly judged: string;
  readonly reported: Reported;
  readonly message: string;
  /** s, as the node reports. */
  readonly elapsed: number;
}

export interface Spread {
  readonly count: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly max: number;
}

export interface EvaluateResult {
  readonly episodes: readonly EvaluatedEpisode[];
  readonly success: Rate & { readonly byFamily: Readonly<Record<string, Rate>> };
  /** How often the simulation said what, and the node. */
  readonly judged: Readonly<Record<string, number>>;
  readonly reported: Readonly<Record<string, number>>;
  /** Episodes that one of the two called a success and the other did not. */
  readonly disagreements: number;
  /** Null where no chunk was followed by a trajectory. */
  readonly pictureToCommandMs: Spread | null;
}

const serviceTimeoutMs = 15_000;
const startTimeoutMs = 60_000;
/** Beyond an episode's time: rest, and a slow machine. */
const graceMs = 60_000;
/** From a reset to the arm's being taken up. */
const settleMs = 300;

/** @throws RosError where simulator or node do not answer. */
export async function evaluate(options: EvaluateOptions): Promise<EvaluateResult> {
  const ros = await openRos(options.args);
  try {
    const node = ros.node({ name: 'evaluate' });
    const stage = openStage(node, options);
    ros.spin();
    await stage.ready();
    const episodes: EvaluatedEpisode[] = [];
    for (let i = 0; i < options.episodes; i++) {
      const family = options.families[i % options.families.length]!;
      const episode = await runEpisode(stage, options, options.seed * 100_000 + i, family);
      episodes.push(episode);
      options.say(line(episode, i + 1, options.episodes));
    }
    return summary(episodes, stage.latenciesMs);
  } finally {
    await ros.shutdown();
  }
}

type Stage = ReturnType<typeof openStage>;

/** Everything this process calls and hears. */
function openStage(node: RosNode, options: EvaluateOptions) {
  const { node: driver, simulator, trajectories, say } = options;
  const latenciesMs: number[] = [];
  let judged: string | null = null;
  let pictureNs: bigint | null = null;
  let latched = false;
  const time = new RosTime({
    node,
    useSimTime: true,
    steadyNowNs: () => realClock.now().nowNs,
    systemNowNs: () => realClock.now().stampNs,
    onJump: () => (pictureNs = null),
  });
  node.subscribe('std_msgs/msg/String', `${simulator}/outcome`, qos.latched, (message) => {
    judged = String(message['data']);
  });
  node.subscribe('magma_vla/msg/ActionChunk', `${driver}/action_chunk`, qos.state, (message) => {
    const header = message['header'] as RosMessage;
    pictureNs = stampFromMessage(header['stamp'], 'action_chunk');
  });
  node.subscribeRaw('trajectory_msgs/msg/JointTrajectory', trajectories, qos.state, () => {
    if (pictureNs !== null) latenciesMs.push(Number(time.nowNs() - pictureNs) / 1e6);
    pictureNs = null;
  });
  const services = {
    takeover: node.client('std_srvs/srv/SetBool', `${driver}/set_takeover`),
    rearm: node.client('std_srvs/srv/Trigger', `${driver}/rearm`),
    reset: node.client('magma_vla/srv/ResetScene', `${simulator}/reset`),
  };
  const lifecycle = node.client('lifecycle_msgs/srv/GetState', `${driver}/get_state`);
  const action = node.actionClient(
    'magma_vla/action/ExecuteInstruction',
    `${driver}/execute_instruction`,
  );
  return {
    latenciesMs,
    action,
    judged: () => judged,
    forgetJudgement: () => (judged = null),
    stopped: (isLatched: boolean) => (latched = isLatched),
    latched: () => latched,
    /** @throws RosError where it does not answer, or says no. */
    call: async (name: keyof typeof services, request: RosMessage): Promise<RosMessage> => {
      const answer = await services[name].call(request, serviceTimeoutMs);
      if (answer['success'] !== true)
        throw new RosError(`${name}: got "${String(answer['message'])}", expected success`);
      return answer;
    },
    ready: async (): Promise<void> => {
      const missing = (): string[] => [
        ...Object.keys(services).filter(
          (name) => !services[name as keyof typeof services].isReady(),
        ),
        ...(action.isReady() ? [] : ['the action execute_instruction']),
        ...(time.problem() ? ['/clock'] : []),
      ];
      const expected = `expected ${simulator} running and ${driver} active: ros2 launch magma_vla simulation.launch.py`;
      if (missing().length > 0)
        say(`waiting for ${missing().join(', ')} (up to ${startTimeoutMs / 1e3} s) …`);
      if (!(await within(startTimeoutMs, () => missing().length === 0)))
        throw new RosError(
          `evaluate: got no ${missing().join(', ')} within ${startTimeoutMs / 1e3} s, ${expected}`,
        );
      let state = '';
      const look = async (): Promise<boolean> => {
        const answer = await lifecycle.call({}, serviceTimeoutMs);
        state = String((answer['current_state'] as RosMessage)['label']);
        return state === 'active';
      };
      if (!(await within(startTimeoutMs, look)))
        throw new RosError(`evaluate: ${driver} is ${state}, ${expected}`);
    },
  };
}

async function runEpisode(
  stage: Stage,
  { longest }: EvaluateOptions,
  seed: number,
  family: Family,
): Promise<EvaluatedEpisode> {
  // 1. The arm is let go, put to its start, and taken up again.
  await stage.call('takeover', { data: true });
  stage.forgetJudgement();
  const scene = await stage.call('reset', { seed, family });
  if (!(await within(serviceTimeoutMs, () => stage.judged() !== null)))
    throw new RosError('evaluate: got no outcome from the simulation after a reset');
  // What the arm measures now is on its way to the node: it is to be taken up from there.
  await sleep(settleMs);
  if (stage.latched()) await stage.call('rearm', {});
  await stage.call('takeover', { data: false });
  // 2. The task, until it ends.
  const instruction = String(scene['instruction']);
  const begun = { seed, family, instruction };
  const goal = await stage.action.send(
    {
      instruction,
      time_limit: { sec: Math.floor(longest), nanosec: Math.round((longest % 1) * 1e9) },
    },
    serviceTimeoutMs,
  );
  if (!goal)
    return {
      ...begun,
      judged: stage.judged() ?? 'unknown',
      reported: 'refused',
      message: 'the node refused the goal (its log says why)',
      elapsed: 0,
    };
  const ended = await ending(goal.result, longest * 1e3 + graceMs);
  // 3. A stop that latched ends this episode, not the next one.
  const outcome = reported[Number(ended['outcome'])] ?? 'unknown';
  stage.stopped(outcome === 'stopped');
  return {
    ...begun,
    judged: stage.judged() ?? 'unknown',
    reported: outcome,
    message: String(ended['message']),
    elapsed: secondsOf(ended['elapsed']),
  };
}

async function ending(
  result: Promise<{ readonly result: RosMessage }>,
  timeoutMs: number,
): Promise<RosMessage> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(
      () => reject(new RosError(`evaluate: a goal did not end within ${timeoutMs / 1e3} s`)),
      timeoutMs,
    );
  });
  try {
    return (await Promise.race([result, late])).result;
  } finally {
    clearTimeout(timer);
  }
}

/** Whether it came to be true in time. */
async function within(
  timeoutMs: number,
  isTrue: () => boolean | Promise<boolean>,
): Promise<boolean> {
  const endNs = realClock.now().nowNs + BigInt(timeoutMs) * 1_000_000n;
  while (!(await isTrue())) {
    const { nowNs } = realClock.now();
    if (nowNs > endNs) return false;
    await sleep(50);
  }
  return true;
}

function sleep(ms: number): Promise<void> {
  return realClock.sleepUntil(realClock.now().nowNs + BigInt(ms) * 1_000_000n);
}

function secondsOf(duration: unknown): number {
  const { sec, nanosec } = duration as { sec: number; nanosec: number };
  return sec + nanosec / 1e9;
}

/** What was seen, counted. */
export function summary(
  episodes: readonly EvaluatedEpisode[],
  latenciesMs: readonly number[],
): EvaluateResult {
  const families = [...new Set(episodes.map(({ family }) => family))];
  const byFamily = Object.fromEntries(
    families.map((family) => [family, rate(episodes.filter((one) => one.family === family))]),
  );
  return {
    episodes,
    success: { ...rate(episodes), byFamily },
    judged: counted(episodes.map(({ judged }) => judged)),
    reported: counted(episodes.map((episode) => episode.reported)),
    disagreements: episodes.filter(
      (one) => (one.judged === 'success') !== (one.reported === 'succeeded'),
    ).length,
    pictureToCommandMs: latenciesMs.length === 0 ? null : spread(latenciesMs),
  };
}

function rate(episodes: readonly EvaluatedEpisode[]): Rate {
  const successes = episodes.filter(({ judged }) => judged === 'success').length;
  return {
    episodes: episodes.length,
    successes,
    rate: successes / episodes.length,
    ...wilsonInterval(successes, episodes.length),
  };
}

function counted(names: readonly string[]): Readonly<Record<string, number>> {
  const counts: Record<string, number> = {};
  for (const name of names) counts[name] = (counts[name] ?? 0) + 1;
  return counts;
}

function spread(values: readonly number[]): Spread {
  const [p50, p95, p99, max] = [0.5, 0.95, 0.99, 1].map((p) => percentile(values, p));
  return { count: values.length, p50: p50!, p95: p95!, p99: p99!, max: max! };
}

function line(episode: EvaluatedEpisode, n: number, of: number): string {
  const { judged, reported: said, elapsed, instruction, message } = episode;
  const agreed = (judged === 'success') === (said === 'succeeded');
  const why = agreed && judged === 'success' ? '' : ` — node: ${said}, ${message}`;
  return `${String(n).padStart(String(of).length)}/${of}  ${judged.padEnd(12)} ${elapsed.toFixed(1).padStart(5)} s  ${instruction}${why}`;
}
