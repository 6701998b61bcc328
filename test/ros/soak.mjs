/**
 * `nice -n -10 node test/ros/soak.mjs [minutes]`: the simulation and the node with tasks at random, some cancelled, replaced or
 * stopped. Does memory grow, is a joint state lost, does anything halt that nobody asked to? ROS 2 sourced, the project
 * built. One line of JSON per minute; the last one is the result.
 *
 * Joint states have stamps 10 ms apart: how many were published is known from time alone. What the node has received is
 * what it says in /diagnostics.
 */
import { spawn } from 'node:child_process';
import { openRos } from '../../dist/robot/ros/rclnodejs.js';
import { qos } from '../../dist/robot/ros/ros.js';

const minutes = Number(process.argv[2] ?? 30);
if (!(minutes > 0)) throw new Error(`minutes: got ${process.argv[2]}, expected a number above 0`);
const root = new URL('../../', import.meta.url).pathname;
const JOINT_STATE_HZ = 100;
const families = ['pick', 'put', 'push'];
const began = performance.now();
const elapsed = () => (performance.now() - began) / 1e3;
const mb = (bytes) => Math.round(bytes / 1e5) / 10;
const sleep = (s) => new Promise((resolve) => setTimeout(resolve, s * 1e3));
const secondsOf = ({ sec, nanosec }) => sec + nanosec / 1e9;

// ── Seeded choices: a run can be repeated ───────────────────────────────────────────────────────────────────────────

let seed = 20_000;
function random() {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed / 2 ** 32;
}

// ── The two processes ───────────────────────────────────────────────────────────────────────────────────────────────

/** Of the main thread; heap and external are a thread's own, RSS is the process's. */
const memory = [];
/** The latest of each worker, by thread. */
const workers = {};
const ended = [];
const simulator = start('simulator', [], ['simulator']);
const driver = start(
  'node',
  ['--import', new URL('fixtures/memory.mjs', import.meta.url).href],
  [
    ...['run', '--ros-args', '-p', `config_file:=${root}config/sim.yaml`, '-p', 'autostart:=true'],
    ...['-p', 'dry_run:=false', '-p', 'use_sim_time:=true'],
  ],
);

function start(name, options, args) {
  const child = spawn(process.execPath, [...options, 'dist/main.js', ...args], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    // As the installed executables (cmake/executable.sh.in) set them.
    env: { ...process.env, MALLOC_ARENA_MAX: '2', MALLOC_MMAP_THRESHOLD_: '131072' },
  });
  const hear = (chunk) => {
    for (const line of String(chunk).split('\n')) {
      if (line.startsWith('memory ')) {
        const { thread, ...used } = JSON.parse(line.slice(7));
        if (thread === 0) memory.push({ s: elapsed(), ...used });
        else workers[thread] = { heapUsed: mb(used.heapUsed), external: mb(used.external) };
      } else if (/WARN|ERROR|FATAL/.test(line) && log.length < 200)
        log.push(`${elapsed().toFixed(1)} s ${name}: ${line}`);
    }
  };
  child.stdout.on('data', hear);
  child.stderr.on('data', hear);
  child.on('exit', (code, signal) =>
    ended.push(`${name} at ${elapsed().toFixed(1)} s: ${code ?? signal}`),
  );
  return child;
}

// ── What is seen ────────────────────────────────────────────────────────────────────────────────────────────────────

const log = [];
const ros = await openRos([]);
const node = ros.node({ name: 'soak' });
const joints = { seen: 0, first: null, last: null, gaps: 0 };
node.subscribe(
  'sensor_msgs/msg/JointState',
  '/joint_states',
  { ...qos.state, depth: 1000 },
  (m) => {
    const stamp = Math.round(secondsOf(m.header.stamp) * JOINT_STATE_HZ);
    if (joints.last !== null && stamp !== joints.last + 1) joints.gaps += 1;
    joints.first ??= stamp;
    joints.last = stamp;
    joints.seen += 1;
  },
);
/** Pairs of ROS time and joint states received, as the node says; the first and the latest. */
const said = { first: null, last: null, refused: 0, callbacks: 0, statuses: 0 };
node.subscribe('diagnostic_msgs/msg/DiagnosticArray', '/diagnostics', qos.state, ({ status }) => {
  const values = (part) => {
    const found = status.find(({ name }) => name === `magma_vla: ${part}`);
    return found && Object.fromEntries(found.values.map(({ key, value }) => [key, value]));
  };
  const [input, clock] = [values('input /joint_states'), values('clock')];
  // Before it is active its subscriptions may still be looking for their publishers.
  if (!input || values('node').lifecycle !== 'active') return;
  said.last = { received: Number(input.received), time: Number(clock.ros_time) };
  said.first ??= said.last;
  said.refused = Number(input.refused);
  said.callbacks = Object.values(values('callbacks')).reduce((sum, n) => sum + Number(n), 0);
  said.statuses += 1;
});
const halts = {};
const latches = {};
let halted = true;
let latched = '';
let state = '';
node.subscribe('magma_vla/msg/Status', '/magma_vla/status', { ...qos.state, depth: 100 }, (m) => {
  // Let go, it reads as a halt, too.
  const isHalted = m.outcome === 2 && !m.codes.includes('notActive');
  if (isHalted && !halted) for (const code of m.codes) halts[code] = (halts[code] ?? 0) + 1;
  if (m.latched !== '' && latched === '') {
    const why = m.latched.replace(/\d+(\.\d+)?/g, '#');
    latches[why] = (latches[why] ?? 0) + 1;
  }
  halted = isHalted;
  latched = m.latched;
  state = m.state;
});
const services = {
  takeover: node.client('std_srvs/srv/SetBool', '/magma_vla/set_takeover'),
  rearm: node.client('std_srvs/srv/Trigger', '/magma_vla/rearm'),
  stop: node.client('std_srvs/srv/Trigger', '/magma_vla/stop'),
  reset: node.client('magma_vla/srv/ResetScene', '/simulator/reset'),
};
const action = node.actionClient(
  'magma_vla/action/ExecuteInstruction',
  '/magma_vla/execute_instruction',
);
ros.spin();

// ── Tasks ───────────────────────────────────────────────────────────────────────────────────────────────────────────

const tasks = {
  begun: 0,
  succeeded: 0,
  other: 0,
  cancelled: 0,
  replaced: 0,
  stopped: 0,
  refused: 0,
};
const problems = [];

async function task() {
  await services.takeover.call({ data: true }, 15_000);
  const family = families[Math.floor(random() * families.length)];
  const scene = await services.reset.call({ seed: Math.floor(random() * 1e6), family }, 15_000);
  await sleep(0.3);
  if (latched !== '') await services.rearm.call({}, 15_000);
  const taken = await services.takeover.call({ data: false }, 15_000);
  if (!taken.success) throw new Error(`resume: ${taken.message}`);
  const send = () =>
    action.send({ instruction: scene.instruction, time_limit: { sec: 10, nanosec: 0 } }, 15_000);
  tasks.begun += 1;
  const goal = await send();
  if (!goal) return void (tasks.refused += 1);
  const how = random();
  if (how < 0.1) {
    await sleep(1 + 3 * random());
    await goal.cancel();
    tasks.cancelled += 1;
  } else if (how < 0.2) {
    await sleep(1 + 3 * random());
    const newer = await send();
    tasks.replaced += 1;
    await newer?.result;
  } else if (how < 0.25) {
    await sleep(1 + 3 * random());
    await services.stop.call({}, 15_000);
    tasks.stopped += 1;
  }
  const { status } = await goal.result;
  if (how >= 0.25) tasks[status === 'succeeded' ? 'succeeded' : 'other'] += 1;
}

function result() {
  const { first, last } = said;
  const expected = first ? Math.round((last.time - first.time) * JOINT_STATE_HZ) : 0;
  const samples = memory.map(({ s, rss, heapUsed, external }) => ({
    s: Math.round(s),
    ...{ rss: mb(rss), heapUsed: mb(heapUsed), external: mb(external) },
  }));
  // Every twelfth is enough to see a trend; the slope uses all after the first five minutes, or the second half.
  const settled = samples.filter(({ s }) => s > Math.min(300, elapsed() / 2));
  return {
    command: 'soak',
    minutes: elapsed() / 60,
    state,
    tasks,
    jointStates: {
      published: joints.last === null ? 0 : joints.last - joints.first + 1,
      seenHere: joints.seen,
      gapsHere: joints.gaps,
      nodeExpected: expected,
      nodeReceived: first ? last.received - first.received : 0,
      nodeLost: first ? expected - (last.received - first.received) : 0,
      nodeRefused: said.refused,
    },
    ...{ callbacksFailed: said.callbacks, halts, latches, problems: problems.slice(0, 20), ended },
    memoryMB: {
      first: samples[0] ?? null,
      last: samples.at(-1) ?? null,
      rssPerHour: slope(settled, 'rss'),
      heapPerHour: slope(settled, 'heapUsed'),
      workers,
      samples: samples.filter((_, i) => i % 12 === 0),
    },
    log: log.slice(0, 40),
  };
}

/** Least squares, MB per hour; null of fewer than three samples. */
function slope(samples, key) {
  if (samples.length < 3) return null;
  const mean = (f) => samples.reduce((sum, x) => sum + f(x), 0) / samples.length;
  const [s, y] = [mean((x) => x.s), mean((x) => x[key])];
  const ratio = mean((x) => (x.s - s) * (x[key] - y)) / mean((x) => (x.s - s) ** 2);
  return Math.round(ratio * 36_000) / 10;
}

process.on('exit', () => [driver, simulator].forEach((child) => child.kill('SIGKILL')));
process.on('SIGTERM', () => process.exit(1));

const perMinute = setInterval(() => {
  const minute = result();
  console.log(JSON.stringify({ ...minute, memoryMB: minute.memoryMB.last, log: log.length }));
}, 60_000);
while (state !== 'holding' && elapsed() < 120) await sleep(0.2);
while (elapsed() < minutes * 60 && ended.length === 0) {
  try {
    await task();
  } catch (error) {
    problems.push(
      `${elapsed().toFixed(1)} s: ${error instanceof Error ? error.message : String(error)}`,
    );
    await sleep(2);
  }
}
globalThis.clearInterval(perMinute);
console.log(JSON.stringify(result()));
driver.kill('SIGINT');
await sleep(5);
simulator.kill('SIGINT');
await sleep(2);
await ros.shutdown();
process.exit(0);
